"""`data_source: polygon`: candles from Polygon, everything else from the exchange.

One market for the engine: history and live bars, and with them every volume of a z-score, come from Polygon
alone; quotes, the book, the pair's rules and the time are the exchange's.
"""

from __future__ import annotations

from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, DataSource, Quote
from agent.core.ports import MarketData
from agent.exchange.polygon.aggregates import PAGE_MINUTES, PolygonAggregates
from agent.exchange.timeframes import BarSource


class PolygonSignals:
    """`MarketData` and `CandlePages`. `exchange` is closed by whoever opened it."""

    def __init__(self, polygon: PolygonAggregates, exchange: MarketData) -> None:
        self._polygon = polygon
        self._exchange = exchange
        bar_ms = polygon.bar_ms
        self.source = BarSource(f"{bar_ms // 60_000}m", bar_ms, bar_ms)
        self.data_source = DataSource.POLYGON
        self._ahead: list[Candle] = []

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        bar_ms = self._polygon.bar_ms
        first_ms = -(-since_ms // bar_ms) * bar_ms
        return (await self._polygon.bars(first_ms, first_ms + (limit - 1) * bar_ms))[:limit]

    async def past_candles(self, since_ms: int, limit: int) -> list[Candle]:
        """As many at once as Polygon gives, kept for the next questions: it may be asked five times a minute.

        What it showed last is never kept, because it may have been open.
        """
        bar_ms = self._polygon.bar_ms
        first_ms = -(-since_ms // bar_ms) * bar_ms
        known = [candle for candle in self._ahead if candle.open_ms >= first_ms]
        if len(known) <= limit or known[0].open_ms != first_ms:
            at_once = max(limit, PAGE_MINUTES * 60_000 // bar_ms)
            known = self._ahead = await self._polygon.bars(first_ms, first_ms + (at_once - 1) * bar_ms)
        return known[:limit]

    async def instrument(self) -> Instrument:
        return await self._exchange.instrument()

    async def book(self) -> Book:
        return await self._exchange.book()

    async def quote(self) -> Quote:
        return await self._exchange.quote()

    async def server_time_ms(self) -> int:
        return await self._exchange.server_time_ms()

    async def close(self) -> None:
        await self._polygon.close()
