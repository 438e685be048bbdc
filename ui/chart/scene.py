"""All that is charted, in one place, for the painters to read.

Law: the view writes it, painters only read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from ui.chart.candles import Candles
from ui.chart.overlays import ClosedTrade, Instrument, Ladder, OpenPosition, Shown, Signal
from ui.chart.palette import GREEN_RED, Palette

_DAY_MS = 86_400_000


@dataclass(slots=True)
class Scene:
    instrument: Instrument = field(default_factory=lambda: Instrument("", "", 60_000, 2))
    candles: Candles = field(default_factory=lambda: Candles(60_000))
    ladders: tuple[Ladder, ...] = ()
    positions: tuple[OpenPosition, ...] = ()
    trades: tuple[ClosedTrade, ...] = ()
    signals: tuple[Signal, ...] = ()
    shown: Shown = field(default_factory=Shown)
    palette: Palette = GREEN_RED
    zone: tzinfo = UTC
    now_ms: int | None = None
    live: bool = True
    #: What the last price's tag says while it is not live.
    age: str = "not live"
    selected_ms: int | None = None
    message: str = ""

    def x_of_ms(self, ms: int) -> float:
        """The centre of the bar that contains this moment, in bars since 1970."""
        bar = self.instrument.bar_ms
        return float(ms // bar)

    def change_of_day(self) -> float | None:
        """Percent from the close 24 hours before the last candle opened; None if that is not loaded."""
        candles = self.candles
        if not len(candles):
            return None
        then_ms = int(candles.open_ms[-1]) - _DAY_MS
        if then_ms < int(candles.open_ms[0]):
            return None
        index = int(candles.open_ms.searchsorted(then_ms, side="right")) - 1
        before = float(candles.columns[3, index])
        return (float(candles.columns[3, -1]) / before - 1) * 100 if before > 0 else None
