"""Best bid and ask of the market where orders go, when candles come from another one.

Stays true: the rules of trust are those of `feed_quotes`; this file only keeps its socket and its loops. A
socket is believed to be up while it delivers quotes or pongs; otherwise REST is asked, as often as a position
needs it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from agent.core.ports import Clock, MarketData, Sink
from agent.exchange import feed_terms as terms
from agent.exchange.feed import MarketSockets
from agent.exchange.feed_quotes import QuoteDesk
from agent.exchange.feed_rest import FeedRest
from agent.exchange.feed_terms import FeedCounters, FeedTerms
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from agent.exchange.pace import Pace

_log = logging.getLogger(__name__)


class QuoteFeed:
    """Quotes of one pair until canceled; `told_young` hears whether the price is young enough to act on."""

    def __init__(
        self, market: MarketData, sockets: MarketSockets | None, clock: Clock, told: FeedTerms
    ) -> None:
        self._market = market
        self._sockets = sockets
        self._clock = clock
        self._terms = told
        self._watching = False
        self._up = False
        self._desk: QuoteDesk | None = None
        self._pace = Pace(clock)
        self.counters = FeedCounters()

    def watch_closely(self, watching: bool) -> None:
        self._watching = watching
        self._lead()

    async def run(self, sink: Sink, told_young: Callable[[bool], None]) -> None:
        rest = FeedRest(self._market, self._clock, self.counters)
        self._pace = Pace(self._clock)
        self._desk = QuoteDesk(rest, self._clock, self._pace, self._terms, sink, self._heard_ms)
        self._lead()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._desk.keep_asking())
                tasks.create_task(self._keep_watching(self._desk, told_young))
                if self._sockets is not None:
                    tasks.create_task(self._sockets.run(self))
        finally:
            self._desk = None

    async def _keep_watching(self, desk: QuoteDesk, told_young: Callable[[bool], None]) -> None:
        while True:
            jump_ms = self._pace.look()
            if jump_ms is not None:
                desk.forget()
                if self._sockets is not None:
                    self.counters.reconnects_wanted += 1
                    self._sockets.reconnect(f"time jumped by {jump_ms / 1_000:.1f} s")
            desk.beat()
            told_young(desk.is_young)
            await self._clock.sleep_machine(terms.WATCH_EVERY_MS)

    # -- the sockets' words ----------------------------------------------------------------------

    def socket_up(self) -> None:
        self._up = True
        self._lead()

    def socket_down(self, why: str) -> None:
        if self._up:
            _log.warning("the quotes' stream is down: %s", why)
        self._up = False
        if self._desk is not None:
            self._desk.forget()
        self._lead()

    def socket_kline(self, frame: KlineFrame) -> None:
        """None was subscribed to."""

    def socket_top(self, frame: TopFrame) -> None:
        if self._desk is not None:
            self._desk.pushed(frame)

    def socket_unreadable(self, frame: Unreadable) -> None:
        self.counters.garbage_frames += 1
        if self.counters.garbage_frames.bit_count() == 1:
            _log.warning("unreadable frame no. %d: %s", self.counters.garbage_frames, frame.detail)

    def _heard_ms(self) -> float:
        return self._sockets.last_heard_ms if self._sockets is not None else float("-inf")

    def _lead(self) -> None:
        if self._desk is not None:
            self._desk.lead(self._up, self._watching)
