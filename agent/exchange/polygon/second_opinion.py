"""A second look at every closed bar: does Polygon show the same market? Told, counted, and without effect.

Polygon may send a bar late (its plan), so bars wait until they can be compared. Closes are compared, at the
price level both had over the last bars; volumes are not, since they count other exchanges too.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.core.market import Candle
from agent.core.ports import Clock, MarketDataError
from agent.exchange.polygon.deeper import Bars

LOG: Final = logging.getLogger("agent")
#: How far two closes may lie apart, relative, before both are not the same market any more.
TOLERANCE: Final = 0.005
#: Bars whose ratio makes the common price level, and how many of them it takes.
_LEVEL: Final = 48
_LEAST: Final = 5
#: Bars that wait for Polygon at most; older ones are given up.
_MOST_WAITING: Final = 200
#: Machine time from a bar's close to the question, and between two of them.
ASK_AFTER_MS: Final = 20_000.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What was compared since the beginning. `apart`: of the last differing bar, relative."""

    compared: int = 0
    differing: int = 0
    waiting: int = 0
    last_open_ms: int = 0
    apart: float = 0.0


class SecondOpinion:
    """`heard` for every closed bar; `tell(level, text)` once when a difference begins and once when it ends,
    `keep` after every comparison."""

    def __init__(
        self,
        polygon: Bars,
        clock: Clock,
        tell: Callable[[str, str], None],
        keep: Callable[[Opinion], None],
        last: Opinion | None = None,
    ) -> None:
        self._polygon = polygon
        self._clock = clock
        self._tell = tell
        self._keep = keep
        self.opinion = last or Opinion()
        self._waiting: dict[int, float] = {}
        self._ratios: deque[float] = deque(maxlen=_LEVEL)
        self._news = asyncio.Event()
        self._differs = False
        self._failing: str | None = None

    def heard(self, open_ms: int, close: float) -> None:
        """A bar was decided on, at the exchange's price."""
        self._waiting[open_ms] = close
        while len(self._waiting) > _MOST_WAITING:
            del self._waiting[min(self._waiting)]
        self._news.set()

    async def run(self) -> None:
        """Until canceled, or until Polygon says that asking again is of no use."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._clock.sleep_machine(ASK_AFTER_MS)
            if not await self.look():
                return

    async def look(self) -> bool:
        """Ask once for every bar that waits. False when it is of no use to ask again."""
        if not self._waiting:
            return True
        first_ms, last_ms = min(self._waiting), max(self._waiting)
        try:
            theirs = await self._polygon.bars(first_ms, last_ms)
        except MarketDataError as error:
            if self._failing != str(error):
                self._failing = str(error)
                LOG.warning("no second opinion: %s", error)
            if error.permanent:
                self._tell("ERROR", f"there is no second opinion any more: {error}")
            return not error.permanent
        self._failing = None
        for candle in theirs:
            ours = self._waiting.pop(candle.open_ms, None)
            if ours is not None and not candle.faults(self._polygon.bar_ms):
                self._compare(candle, ours)
        return True

    def _compare(self, theirs: Candle, ours: float) -> None:
        ratio = ours / theirs.close
        enough = len(self._ratios) >= _LEAST
        level = statistics.median(self._ratios) if enough else ratio
        apart = abs(ratio / level - 1)
        before = self.opinion
        differs = enough and apart > TOLERANCE
        if not differs:
            self._ratios.append(ratio)
        self.opinion = Opinion(
            before.compared + 1,
            before.differing + differs,
            len(self._waiting),
            theirs.open_ms if differs else before.last_open_ms,
            apart if differs else before.apart,
        )
        self._keep(self.opinion)
        if differs and not self._differs:
            self._tell(
                "WARNING",
                f"Polygon closed the bar at {theirs.close * level:.8g}, the exchange at {ours:.8g} "
                f"({apart:.2%} apart): one of the two shows another market",
            )
        if self._differs and not differs:
            self._tell("INFO", "Polygon and the exchange show the same market again")
        self._differs = differs
