"""The feed of an exchange without a closed flag, through ccxt.pro, on the local exchange's Kraken side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from agent.core.events import BarClosed, BarUpdated, ClosedBy, QuoteSeen
from agent.core.market import DataSource
from agent.exchange.addresses import Addresses
from agent.exchange.ccxt_public import CcxtPublic
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import FeedTerms
from agent.exchange.unified.sockets import UnifiedSockets
from agent.exchange.weight_gate import WeightGate
from agent.localexchange.serve import Settings, serve
from tests.clocks import VenueTime
from tests.exchange.feed_ground import START_MS, Archive, Ground


class UnifiedGround(Ground):
    """The same ground with Kraken's protocol underneath."""

    def __init__(self, running, speed_clock) -> None:  # type: ignore[no-untyped-def]
        self.running = running
        self.clock = speed_clock
        self.gate = WeightGate(self.clock)
        self.addresses = Addresses.replaced("kraken", running.rest, running.ws)
        self.market = CcxtPublic(self.addresses, "ADA/USDT", "1m", self.gate, self.clock)  # type: ignore[assignment]
        self.source = self.market.source
        self.unified = UnifiedSockets(
            self.addresses,
            "ADA/USDT",
            self.source.interval,
            self.market,  # type: ignore[arg-type]
            self.clock,
            ping_interval_s=20.0,
        )
        self.archive = Archive()
        told = FeedTerms(poll_idle_s=60, max_missing_bars=3)
        self.feed = MarketFeed(self.market, self.unified, self.source, self.clock, told, self.archive)
        self.events = []
        self._news = asyncio.Event()

    def fault(self, kind: str, ident: str = "", **entry: object) -> None:
        fault = self.running.exchange.faults.add({"id": ident or kind, "fault": kind, **entry})
        self.running._kraken.suffer(fault)


@contextlib.asynccontextmanager
async def kraken_ground(speed: float = 60.0) -> AsyncIterator[UnifiedGround]:
    running = await serve(Settings(seed=7, start_ms=START_MS, speed=speed))
    ground = UnifiedGround(running, VenueTime(running.exchange.clock, 0))
    try:
        yield ground
    finally:
        await ground.market.close()
        await running.close()


async def test_sockets_lead_and_the_clock_closes_each_bar_once_through_rest() -> None:
    async with kraken_ground() as ground, ground.feeding():
        await ground.led_by(DataSource.WEBSOCKET)
        await ground.bars_more(3, ClosedBy.REST)
        closed = ground.seen(BarClosed)
        assert ClosedBy.FLAG not in {event.closed_by for event in closed}
        times = [event.candle.open_ms for event in closed]
        assert times == list(range(times[0], times[0] + 60_000 * len(times), 60_000))
        exact = {
            bar.open_ms: bar.close
            for bar in ground.running.exchange.market.main.tape.klines(
                "1m", times[0], None, 1_000, ground.clock.now_ms()
            )
        }
        tick = float(ground.running.exchange.market.main.pair.tick)
        assert all(abs(e.candle.close - exact[e.candle.open_ms] * tick) < 1e-9 for e in closed)
        assert ground.seen(BarUpdated), "the bar in progress came by socket"
        assert any(e.trusted and e.quote.source is DataSource.WEBSOCKET for e in ground.seen(QuoteSeen))


async def test_a_dropped_connection_is_replaced_by_a_new_instance() -> None:
    async with kraken_ground() as ground, ground.feeding():
        await ground.led_by(DataSource.WEBSOCKET)
        for connection in list(ground.running._kraken._open):
            connection.abort()
        await ground.until(lambda: ground.unified.counters.connections >= 2)
        assert ground.unified.counters.instances >= 2
        await ground.led_by(DataSource.WEBSOCKET)
        await ground.bars_more(1)
        times = [event.candle.open_ms for event in ground.seen(BarClosed)]
        assert times == sorted(set(times)), "each bar once"


async def test_a_socket_that_lives_and_tells_no_candles_is_found_and_replaced() -> None:
    async with kraken_ground() as ground, ground.feeding():
        await ground.led_by(DataSource.WEBSOCKET)
        ground.fault("F22", match={"stream": "ohlc"})
        await ground.until(lambda: ground.feed.counters.reconnects_wanted > 0)
        await ground.bars_more(2)
        ground.lift("F22")
        await ground.led_by(DataSource.WEBSOCKET)
