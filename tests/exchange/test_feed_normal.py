"""The feed on a healthy exchange: every bar once, in order, on its flag."""

from __future__ import annotations

import pytest

from agent.core.events import BarUpdated, ClosedBy, FeedReported
from agent.core.market import DataSource
from tests.exchange.feed_ground import ground


@pytest.mark.parametrize(("timeframe", "speed"), [("1m", 240.0), ("15m", 2_000.0)])
async def test_every_bar_is_decided_once_on_its_flag(timeframe: str, speed: float) -> None:
    async with ground(timeframe, speed) as g:
        async with g.feeding():
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(8, ClosedBy.FLAG)
            await g.until(lambda: g.feed.counters.verified >= 5)
        assert len(g.not_by_flag()) <= 1, "one may fall into a pause of this machine"
        assert g.differences() == []
        assert len(g.reports()) == 2, "no change of source in between"
        assert g.reports()[0] == FeedReported(DataSource.NONE, False)
        await g.assert_whole()
        assert g.archive.candles == g.bars(), "kept for the next start, all of them"


async def test_the_bar_in_progress_and_quotes_come_all_the_time() -> None:
    async with ground() as g, g.feeding():
        await g.until(lambda: any(q.trusted for q in g.quotes()))
        await g.until(lambda: len(g.seen(BarUpdated)) > 10)
        assert all(u.candle.open_ms > g.after_open_ms for u in g.seen(BarUpdated))
        trusted = [q for q in g.quotes() if q.trusted]
        assert trusted[-1].quote.bid < trusted[-1].quote.ask


async def test_bars_that_closed_before_the_start_are_back_filled_first() -> None:
    async with ground() as g:
        async with g.feeding(behind=30):
            await g.bars_more(33)
        assert g.bars()[:30] == g.bars(ClosedBy.BACKFILL)[:30]
        await g.assert_whole()


async def test_a_timeframe_the_exchange_lacks_is_built_from_smaller_bars() -> None:
    async with ground("10m", 2_000.0) as g:
        assert g.source.interval == "5m"
        async with g.feeding(behind=3):
            await g.bars_more(4, ClosedBy.FLAG)
        assert {c.open_ms % 600_000 for c in g.bars()} == {0}
        await g.assert_whole()


async def test_without_sockets_rest_does_everything() -> None:
    async with ground(sockets=False) as g:
        async with g.feeding():
            await g.led_by(DataSource.REST)
            await g.bars_more(6, ClosedBy.REST)
            g.feed.watch_closely(True)
            before = len(g.quotes())
            await g.until(lambda: len(g.quotes()) >= before + 3)
        assert {q.quote.source for q in g.quotes()} == {DataSource.REST}
        await g.assert_whole()
        assert g.gate.used_weight < 0.2 * g.gate.limit_per_minute


async def test_a_second_life_begins_where_it_is_told() -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(2)
        g.events.clear()
        async with g.feeding(behind=5):
            await g.bars_more(6)
        await g.assert_whole()


@pytest.mark.parametrize("ahead_ms", [20_000, -20_000])
async def test_a_clock_that_is_off_decides_no_unfinished_bar(ahead_ms: int) -> None:
    async with ground(speed=60.0, ahead_ms=ahead_ms, sockets=False) as g:
        async with g.feeding():
            await g.bars_more(3)
        await g.assert_whole()
