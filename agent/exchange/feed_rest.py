"""The feed's requests: an answer or None, and whether the exchange answers at all."""

from __future__ import annotations

import logging

from agent.core.market import Candle, Quote
from agent.core.ports import Clock, MarketData, MarketDataError
from agent.exchange.feed_terms import FeedCounters

_log = logging.getLogger(__name__)


class FeedRest:
    """`MarketData` whose failures are facts instead of exceptions."""

    def __init__(self, market: MarketData, clock: Clock, counters: FeedCounters) -> None:
        self._market = market
        self._clock = clock
        self._counters = counters
        self.answers = False
        """Whether the last request was answered."""
        self.last_answer_ms = float("-inf")
        """Machine time of the last answer."""

    async def candles(self, since_ms: int, limit: int) -> list[Candle] | None:
        try:
            candles = await self._market.candles(since_ms, limit)
        except MarketDataError as error:
            self._failed(error)
            return None
        self._answered()
        return candles

    async def quote(self) -> Quote | None:
        try:
            quote = await self._market.quote()
        except MarketDataError as error:
            self._failed(error)
            return None
        self._answered()
        return quote

    def _answered(self) -> None:
        self.answers = True
        self.last_answer_ms = self._clock.machine_ms()

    def _failed(self, error: MarketDataError) -> None:
        if self.answers:
            _log.warning("%s", error)
        self.answers = False
        self._counters.rest_failures += 1
