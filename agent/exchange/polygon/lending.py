"""Bars that stand in for exits, when those that signals come from stay away while something is held.

Belongs here: noticing that own bars are missing, asking the other source, and telling both. With
`data_source: both` Polygon lends to the exchange, with `polygon` the exchange lends to Polygon. Stays true: a
lent bar never reaches a signal, an average or the candle store, so a z-window holds one source's volumes and
the own bar is decided on, late, when it comes; while bars are lent, entries wait; nothing is asked for while
nothing is held, because then bars decide nothing but entries.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.core.commands import Command
from agent.core.events import BarLent, Event, FeedReported, Scrutinized
from agent.core.market import Candle, DataSource
from agent.core.ports import Clock, MarketDataError, Sink
from agent.core.position import PositionState
from agent.core.state import AgentState
from agent.exchange.feed_terms import Wait
from agent.exchange.pace import Pace
from agent.exchange.polygon.deeper import price_factor

LOG: Final = logging.getLogger("agent")
#: An own bar that has not come so long after its close is asked for elsewhere, and again so long after that.
MISSED_FOR: Final[Wait] = (30_000, 5_000)
LOOK_EVERY_MS: Final = 1_000.0
#: Bars before the missing ones that both sources have, to find out how their prices compare.
COMPARED: Final = 48
KIND: Final = "lent bars"

Bars = Callable[[int, int], Awaitable[list[Candle]]]
"""Bars that open in [first, last], oldest first. May raise MarketDataError."""
Own = Callable[[int, int], Awaitable[Sequence[Candle]]]
"""What is kept of our own bars that open in [first, end)."""


@dataclass(frozen=True, slots=True)
class Lender:
    """Who lends: `name` as people know it, `source` as the feed is called meanwhile.

    `own` makes its prices ours; None where they are those of the market that orders go to already.
    """

    name: str
    source: DataSource
    bars: Bars
    own: Own | None


class StandIn:
    """Observes the run (`hear` every state, `note` every event of the feed) and runs beside the feed."""

    def __init__(self, lender: Lender, whose: str, bar_ms: int, clock: Clock, sink: Sink) -> None:
        self._lender = lender
        self._whose = whose
        self._bar_ms = bar_ms
        self._clock = clock
        self._sink = sink
        self._pace = Pace(clock)
        #: Open time of the first bar that something held has not seen, and of our own newest one.
        self._wanted_ms: int | None = None
        self._own_ms = 0
        self._holds = False
        self._lent_to_ms = 0
        self._again_ms = 0
        self._lends = False
        self._failing: str | None = None
        self._reported = FeedReported(DataSource.NONE, fresh=False)

    def hear(self, state: AgentState, commands: tuple[Command, ...]) -> None:
        """An observer of the runtime."""
        held = state.open_positions()
        unseen = [
            position.entry_bar_open_ms + (position.bars_held + 1) * self._bar_ms
            for position in held
            if position.state is PositionState.IN_POSITION
            and position.entry_bar_open_ms is not None
            and position.plan.bar_ms == self._bar_ms
        ]
        self._wanted_ms = min(unseen, default=None)
        self._holds = bool(held)
        if state.last_bar is not None:
            self._own_ms = state.last_bar.open_ms

    def note(self, event: Event) -> None:
        if isinstance(event, FeedReported):
            self._reported = event

    async def run(self) -> None:
        while True:
            await self._clock.sleep_machine(LOOK_EVERY_MS)
            self._pace.look()
            await self.look()

    async def look(self) -> None:
        """Lend what is missing, if anything is."""
        if not self._holds or self._own_ms >= self._lent_to_ms:
            self._end()
        now_ms, wanted_ms = self._clock.now_ms(), self._wanted_ms
        patience_ms = self._pace.patience_ms(*MISSED_FOR)
        if wanted_ms is None:
            return
        first_ms = max(wanted_ms, self._lent_to_ms + self._bar_ms)
        if now_ms < max(first_ms + self._bar_ms + patience_ms, self._again_ms):
            return
        self._again_ms = now_ms + patience_ms
        lent = await self._ask(first_ms, now_ms - now_ms % self._bar_ms - self._bar_ms)
        if lent and self._wanted_ms is not None:
            self._begin()
        for candle in lent:
            self._lent_to_ms = candle.open_ms
            self._sink(BarLent(candle, here=self._lender.own is None))

    # --- one question ------------------------------------------------------------------------------

    async def _ask(self, first_ms: int, last_ms: int) -> list[Candle]:
        own = self._lender.own
        from_ms = first_ms if own is None else first_ms - COMPARED * self._bar_ms
        try:
            theirs = await self._lender.bars(from_ms, last_ms)
        except MarketDataError as error:
            self._cannot(str(error))
            return []
        believable = [c for c in theirs if c.open_ms <= last_ms and not c.faults(self._bar_ms)]
        factor: float | str = 1.0
        if own is not None:
            ours = {c.open_ms: c for c in await own(from_ms, first_ms)}
            factor = price_factor({c.open_ms: c for c in believable}, ours)
        if isinstance(factor, str):
            self._cannot(f"{self._lender.name}: {factor}")
            return []
        self._failing = None
        return [c.scaled(factor) for c in believable if c.open_ms >= first_ms]

    def _cannot(self, why: str) -> None:
        if why != self._failing:
            self._failing = why
            LOG.warning("no bars to judge exits by: %s", why)

    # --- what is told ------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._lends:
            return
        self._lends = True
        text = (
            f"{self._whose}'s bars stay away: exits are judged by {self._lender.name}'s until they come "
            "back, and nothing is entered"
        )
        LOG.warning("%s: %s", KIND, text)
        self._sink(Scrutinized("WARNING", KIND, text))
        self._sink(replace(self._reported, source=self._lender.source, fresh=False))

    def _end(self) -> None:
        if not self._lends:
            return
        self._lends = False
        text = (
            f"exits are judged by {self._whose}'s bars again" if self._holds else "nothing is held any more"
        )
        self._sink(Scrutinized("INFO", KIND, text))
        self._sink(self._reported)
