"""Silence, jumps and staleness, on a clock that moves only when told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from agent.core.events import (
    BarClosed,
    ClosedBy,
    Event,
    FeedReported,
    Healed,
    Impaired,
    Impairment,
    QuoteSeen,
)
from agent.core.instrument import Instrument
from agent.core.market import MINUTE_MS, Book, Candle, DataSource, Quote
from agent.core.ports import MarketDataError
from agent.exchange.binance_sockets import SocketListener
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import FeedTerms, NoArchive
from agent.exchange.market_frames import KlineFrame, TopFrame
from agent.exchange.timeframes import BINANCE_INTERVALS, bar_source
from tests.clocks import ManualClock, settle

BAR = MINUTE_MS
ONE = Decimal(1)


def bar(open_ms: int, close: float = 10.0) -> Candle:
    return Candle(open_ms, 10.0, 12.0, 8.0, close, 3.0)


class Market:
    """A market whose bars all look alike, but for the one in progress."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.progress = 10.0
        self.down = False
        self.hole: range = range(0)

    def _check(self) -> None:
        if self.down:
            raise MarketDataError("down")

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        self._check()
        now_ms = self.clock.now_ms()
        current = now_ms - now_ms % BAR
        opens = range(-(-since_ms // BAR) * BAR, current + BAR, BAR)
        rows = [bar(t, self.progress if t == current else 10.0) for t in opens if t not in self.hole]
        return rows[:limit]

    async def quote(self) -> Quote:
        self._check()
        return Quote(ONE, ONE, ONE, ONE, self.clock.now_ms(), DataSource.REST)

    async def book(self) -> Book:
        raise NotImplementedError

    async def instrument(self) -> Instrument:
        raise NotImplementedError

    async def server_time_ms(self) -> int:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


class Sockets:
    """Sockets that the test speaks through."""

    tells_closing = True

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.last_heard_ms = float("-inf")
        self.reconnects: list[str] = []
        self.listener: SocketListener | None = None

    def reconnect(self, why: str) -> None:
        self.reconnects.append(why)

    async def run(self, listener: SocketListener) -> None:
        self.listener = listener
        listener.socket_up()
        await asyncio.Event().wait()

    def kline(self, open_ms: int, close: float = 10.0, *, closed: bool = False) -> None:
        assert self.listener is not None
        self.last_heard_ms = self.clock.machine_ms()
        self.listener.socket_kline(KlineFrame("1m", bar(open_ms, close), closed))

    def top(self) -> None:
        assert self.listener is not None
        self.last_heard_ms = self.clock.machine_ms()
        self.listener.socket_top(TopFrame(round(self.clock.machine_ms()), ONE, ONE, ONE, ONE))


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.market = Market(self.clock)
        self.sockets = Sockets(self.clock)
        self.events: list[Event] = []
        self.feed = MarketFeed(
            self.market,
            self.sockets,
            bar_source("1m", BINANCE_INTERVALS),
            self.clock,
            FeedTerms(poll_idle_s=60, max_missing_bars=3),
            NoArchive(),
        )
        self.start_ms = self.clock.now_ms()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.feed.run(self.events.append, self.start_ms - BAR))
        try:
            await self.clock.advance(200)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def current_ms(self) -> int:
        return self.clock.now_ms() // BAR * BAR

    async def live(self, seconds: int) -> None:
        """A healthy connection: klines every two seconds, the flag at the end of a bar, quotes."""
        for _ in range(seconds // 2):
            before = self.current_ms
            await self.clock.advance(2_000)
            if self.current_ms > before:
                self.sockets.kline(before, closed=True)
            self.sockets.kline(self.current_ms)
            self.sockets.top()
            await settle()

    def source(self) -> DataSource:
        return next(e.source for e in reversed(self.events) if isinstance(e, FeedReported))

    def bars(self) -> list[BarClosed]:
        return [e for e in self.events if isinstance(e, BarClosed)]

    def ailing(self, by: Impairment) -> bool:
        state = False
        for event in self.events:
            if isinstance(event, Impaired | Healed) and event.by is by:
                state = isinstance(event, Impaired)
        return state


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_quiet_market_is_not_a_silent_socket(scene: Scene) -> None:
    async with scene.running():
        await scene.live(20)
        await scene.clock.advance(35_000)
        assert scene.sockets.reconnects == []
        assert scene.source() is DataSource.WEBSOCKET


async def test_news_that_the_socket_did_not_bring_replace_it(scene: Scene) -> None:
    async with scene.running():
        await scene.live(20)
        scene.market.progress = 10.5
        await scene.clock.advance(6_000)
        assert scene.sockets.reconnects == []
        await scene.clock.advance(1_000)
        assert scene.sockets.reconnects == ["the market streams fell silent"]
        assert scene.source() is DataSource.REST
        await scene.clock.advance(60_000)
        assert scene.bars()[-1].closed_by is ClosedBy.REST
        scene.sockets.kline(scene.current_ms)
        assert scene.source() is DataSource.WEBSOCKET


async def test_silence_that_nobody_can_explain_replaces_it_too(scene: Scene) -> None:
    async with scene.running():
        await scene.live(20)
        scene.market.down = True
        await scene.clock.advance(7_000)
        assert scene.sockets.reconnects == ["the market streams fell silent"]


async def test_a_connection_that_never_brings_a_kline_is_replaced(scene: Scene) -> None:
    async with scene.running():
        await scene.clock.advance(5_500)
        assert scene.sockets.reconnects == []
        await scene.clock.advance(1_000)
        assert scene.sockets.reconnects == ["the market streams brought no kline"]


async def test_a_suspended_machine_connects_again_and_fills_what_passed(scene: Scene) -> None:
    async with scene.running():
        await scene.live(30)
        trusted = [e for e in scene.events if isinstance(e, QuoteSeen) and e.trusted]
        assert trusted
        scene.clock.jump(8 * 3_600_000)
        await scene.clock.advance(2_000)
        assert scene.sockets.reconnects == ["time jumped by 28800.0 s"]
        await scene.clock.advance(10_000)
        assert len(scene.bars()) == 480
        opens = [b.candle.open_ms for b in scene.bars()]
        assert opens == list(range(scene.start_ms, scene.start_ms + 480 * BAR, BAR))


async def test_the_flag_has_five_seconds_then_rest_decides(scene: Scene) -> None:
    async with scene.running():
        await scene.live(58)
        await scene.clock.advance(3_800)
        scene.sockets.kline(scene.current_ms)
        await scene.clock.advance(2_900)
        assert scene.bars() == []
        await scene.clock.advance(200)
        assert [b.closed_by for b in scene.bars()] == [ClosedBy.REST]
        scene.sockets.kline(scene.start_ms, closed=True)
        assert len(scene.bars()) == 1, "the late flag decides nothing"


async def test_without_a_socket_a_bar_is_asked_for_after_two_seconds(scene: Scene) -> None:
    async with scene.running():
        await scene.live(20)
        assert scene.sockets.listener is not None
        scene.sockets.listener.socket_down("gone")
        await scene.clock.advance(39_800 + 1_900)
        assert scene.bars() == []
        await scene.clock.advance(200)
        assert [b.closed_by for b in scene.bars()] == [ClosedBy.REST]


async def test_stale_is_a_bar_length_and_thirty_seconds(scene: Scene) -> None:
    async with scene.running():
        await scene.live(62)
        assert len(scene.bars()) == 1
        scene.market.down = True
        assert scene.sockets.listener is not None
        for _ in range(4):
            # The market goes on, but neither its end of bar nor REST comes through.
            await scene.clock.advance(20_000)
            scene.sockets.kline(scene.current_ms)
            scene.sockets.top()
        assert not scene.ailing(Impairment.FEED_STALE)
        await scene.clock.advance(9_000)
        assert scene.ailing(Impairment.FEED_STALE)
        scene.market.down = False
        await scene.clock.advance(20_000)
        scene.sockets.kline(scene.current_ms)
        scene.sockets.top()
        await scene.clock.advance(1_000)
        assert not scene.ailing(Impairment.FEED_STALE)


async def test_a_second_life_heals_what_the_first_one_found(scene: Scene) -> None:
    scene.market.down = True
    async with scene.running():
        await scene.clock.advance(11_000)
        assert scene.ailing(Impairment.FEED_STALE)
    scene.market.down = False
    async with scene.running():
        await scene.live(6)
        assert not scene.ailing(Impairment.FEED_STALE)


async def test_a_gap_beyond_the_limit_is_told_and_healed(scene: Scene) -> None:
    async with scene.running():
        await scene.live(62)
        scene.market.down = True
        scene.sockets.kline(scene.start_ms + 5 * BAR, closed=True)
        assert not scene.ailing(Impairment.CANDLE_GAP), "a bar from the future is not believed"
        scene.clock.jump(5 * BAR)
        scene.sockets.kline(scene.start_ms + 5 * BAR, closed=True)
        assert scene.ailing(Impairment.CANDLE_GAP)
        scene.market.down = False
        await scene.clock.advance(20_000)
        assert not scene.ailing(Impairment.CANDLE_GAP)
        assert [b.candle.open_ms for b in scene.bars()] == [scene.start_ms + n * BAR for n in range(6)]
        assert scene.bars()[-1].closed_by is ClosedBy.FLAG, "the held bar, after those before it"


async def test_bars_that_the_exchange_never_had_are_skipped_after_evidence(scene: Scene) -> None:
    first, last = scene.start_ms + BAR, scene.start_ms + 6 * BAR
    scene.market.hole = range(first, last, BAR)
    async with scene.running():
        await scene.live(62)
        scene.clock.jump(6 * BAR)
        await scene.clock.advance(5_000)
        assert scene.ailing(Impairment.CANDLE_GAP)
        await scene.clock.advance(20_000)
        assert not scene.ailing(Impairment.CANDLE_GAP)
        assert scene.feed.counters.holes == 1
        assert [b.candle.open_ms for b in scene.bars()] == [scene.start_ms, last]
