"""What lies over the candles, as finished values.

Law: nothing here is computed from money. Prices are floats because they become pixels; every text is
ready to be shown. The chart orders, clips and places, it does not judge.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One step of the Fibonacci ladder; `colour` is `#rrggbb`, empty for the usual one of its ratio."""

    ratio: float
    price: float
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The levels fixed at one signal, drawn from the signal bar to `until_ms` (None: to the right edge)."""

    from_ms: int
    levels: tuple[Level, ...]
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A position as it stands. `text` is the unrealised result in one or two short lines, `gain` its sign
    (None: not known).

    `note` is the entry's tooltip, lines separated by newlines.
    """

    id: str
    entry_ms: int
    entry_price: float
    stop: float | None = None
    target: float | None = None
    take_profit: float | None = None
    text: str = ""
    gain: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A finished trade. `won` colours it; the notes are the tooltips of its two marks.

    A note is finished text, lines separated by newlines: side, size, price, fee; for the exit also
    reason, R and result.
    """

    id: str
    entry_ms: int
    entry_price: float
    exit_ms: int
    exit_price: float
    won: bool
    entry_note: str = ""
    exit_note: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """A bar on which the strategy saw its signal; `acted` if the agent entered. `note` is the tooltip."""

    open_ms: int
    acted: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which overlays are drawn."""

    volume: bool = True
    ema_fast: bool = True
    ema_slow: bool = True
    ladder: bool = True
    trades: bool = True
    positions: bool = True
    signals: bool = True
    countdown: bool = True


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is charted. `price_decimals` as the exchange's tick has them; `bar_ms` > 0."""

    symbol: str
    timeframe: str
    bar_ms: int
    price_decimals: int
    market: str = ""
    ema_fast_name: str = "EMA fast"
    ema_slow_name: str = "EMA slow"

    def __post_init__(self) -> None:
        if self.bar_ms <= 0:
            raise ValueError(f"bar_ms must be above 0, not {self.bar_ms}")
        if not 0 <= self.price_decimals <= 12:
            raise ValueError(f"price_decimals must be 0 to 12, not {self.price_decimals}")
