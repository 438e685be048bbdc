"""The state as the engine published it, with types: the promised status, and what only the window reads.

Law: belief is limited. The promised part is checked by `Status.read`; of the rest, a key that is missing or
of another shape is simply not known, because an older or newer engine may say less or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from agent.control.status import OpenPosition, Status

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LiveBar:
    """The bar that is not closed yet."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Strategy:
    """Thresholds of the entry conditions, averages in bars, limits; None: not known."""

    ema_fast: int = 96
    ema_slow: int = 672
    vol_z: float | None = None
    tr_z: float | None = None
    cloc_min: float | None = None
    target_level: float | None = None
    stop_enforced: bool = False
    max_open_positions: int | None = None
    max_daily_trades: int | None = None
    max_daily_loss_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """A position with what the chart and its card need. `risk` is quote per unit of base."""

    position: OpenPosition
    state: str
    signal_bar: datetime | None
    ladder: tuple[tuple[float, float], ...]
    bars_held: int | None
    max_hold: int | None
    risk: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Price:
    """`at` is venue time; `last` the last trade; `trusted`: the connection it comes by is believed."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    at: datetime | None = None
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    status: Status
    price: Price
    holdings: tuple[Holding, ...]
    wins: int | None
    losses: int | None
    strategy: Strategy
    tick: Decimal | None
    step: Decimal | None
    bar: LiveBar | None
    watch: str
    reconciled_at: datetime | None
    foreign: Mapping[str, Decimal]

    @classmethod
    def read(cls, document: Json) -> Picture:
        """Raises StatusUnreadable when the promised part is not as promised."""
        status = Status.read(document)
        day, rules = _section(document, "day"), _section(document, "instrument")
        rows = document.get("positions")
        extras = rows if isinstance(rows, list) else []
        return cls(
            status=status,
            price=_price(_section(document, "price")),
            holdings=tuple(_holding(p, row) for p, row in zip(status.positions, extras, strict=True)),
            wins=_whole(day, "wins"),
            losses=_whole(day, "losses"),
            strategy=_strategy(_section(document, "strategy")),
            tick=_money(rules, "tick"),
            step=_money(rules, "step"),
            bar=_bar(_section(document, "bar")),
            watch=_text(document, "watch") or "",
            reconciled_at=_time(document, "reconciled_at"),
            foreign=_amounts(_section(document, "foreign")),
        )

    @property
    def base(self) -> str:
        return self.status.base

    @property
    def quote(self) -> str:
        return self.status.quote

    @property
    def is_demo(self) -> bool:
        """The venue is a simulated exchange on this machine."""
        return is_simulated(self.status.venue)


def is_simulated(venue: str | None) -> bool:
    host = (venue or "").partition("@")[2]
    return host.startswith(("127.", "localhost", "[::1]"))


def _price(section: Json) -> Price:
    return Price(
        _money(section, "bid"),
        _money(section, "ask"),
        _money(section, "last"),
        _time(section, "at"),
        section.get("trusted") is True,
    )


def _holding(position: OpenPosition, row: Json) -> Holding:
    ladder = row.get("ladder")
    steps = ladder if isinstance(ladder, list) else []
    notes = row.get("notes")
    return Holding(
        position=position,
        state=_text(row, "state") or "",
        signal_bar=_time(row, "signal_bar"),
        ladder=tuple(
            (float(step[0]), float(step[1]))
            for step in steps
            if isinstance(step, list) and len(step) == 2 and all(isinstance(x, int | float) for x in step)
        ),
        bars_held=_whole(row, "bars_held"),
        max_hold=_whole(row, "max_hold"),
        risk=_float(row, "risk"),
        notes=tuple(str(note) for note in notes) if isinstance(notes, list) else (),
    )


def _strategy(section: Json) -> Strategy:
    return Strategy(
        ema_fast=_whole(section, "ema_fast") or 96,
        ema_slow=_whole(section, "ema_slow") or 672,
        vol_z=_float(section, "vol_z"),
        tr_z=_float(section, "tr_z"),
        cloc_min=_float(section, "cloc_min"),
        target_level=_float(section, "target_level"),
        stop_enforced=section.get("stop_enforced") is True,
        max_open_positions=_whole(section, "max_open_positions"),
        max_daily_trades=_whole(section, "max_daily_trades"),
        max_daily_loss_percent=_money(section, "max_daily_loss_percent"),
    )


def _bar(section: Json) -> LiveBar | None:
    open_ms = _whole(section, "open_ms")
    numbers = [_float(section, name) for name in ("open", "high", "low", "close", "volume")]
    known = [value for value in numbers if value is not None]
    return None if open_ms is None or len(known) < 5 else LiveBar(open_ms, *known)


def _amounts(section: Json) -> Mapping[str, Decimal]:
    read = {name: _money(section, name) for name in section}
    return {name: amount for name, amount in read.items() if amount is not None}


def _section(document: Json, key: str) -> Json:
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(section: Json, key: str) -> str | None:
    value = section.get(key)
    return value if isinstance(value, str) else None


def _whole(section: Json, key: str) -> int | None:
    value = section.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(section: Json, key: str) -> float | None:
    value = section.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _money(section: Json, key: str) -> Decimal | None:
    """Money is text; what the engine keeps as a float (the last trade's price) is read by its digits."""
    value = section.get(key)
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _time(section: Json, key: str) -> datetime | None:
    value = _text(section, key)
    try:
        moment = None if value is None else datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
