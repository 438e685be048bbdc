"""Following the market before history is loaded, when something is open.

Stays true: an open position sees prices and closed bars from the first seconds of a start, however long
history takes; every bar since the last decision is examined for its exits whether or not the candle store
still knows what lies before it, because exits need no indicators. Signals do: the bars that came meanwhile
are kept, and delivered once more behind the window that can judge them.
"""

from __future__ import annotations

from dataclasses import replace

from agent.core.events import BarClosed, Event, WarmedUp
from agent.core.ports import Sink
from agent.core.snapshot import is_flat
from agent.core.state import AgentState


def examined_to_ms(state: AgentState, now_ms: int) -> int | None:
    """Open time of the last bar that need not be delivered again; None when nothing is open.

    Behind it lies every bar that an open position has not seen, and every bar that was not decided.
    """
    if is_flat(state):
        return None
    bar_ms = state.setup.bar_ms
    seen = [now_ms - now_ms % bar_ms - bar_ms]
    if state.durable.decided_open_ms is not None:
        seen.append(state.durable.decided_open_ms)
    seen += [
        position.entry_bar_open_ms + position.bars_held * position.plan.bar_ms
        for position in state.open_positions()
        if position.entry_bar_open_ms is not None
    ]
    oldest = min(seen)
    return oldest - oldest % bar_ms


class Unjudged:
    """Bars that were delivered while no window could judge their signals."""

    def __init__(self) -> None:
        self._bars: list[BarClosed] | None = []

    def note(self, event: Event) -> None:
        if self._bars is not None and isinstance(event, BarClosed):
            self._bars.append(event)

    def hand_over(self, warmed: WarmedUp, sink: Sink) -> None:
        """Give the core its window and, right behind it, the bars that follow. From now on none are kept."""
        later = [bar for bar in self._bars or () if bar.candle.open_ms > warmed.last_open_ms]
        self._bars = None
        followed_to_ms = max((bar.candle.open_ms for bar in later), default=None)
        sink(replace(warmed, followed_to_ms=followed_to_ms))
        for bar in later:
            sink(bar)
