"""The feed on a disturbed exchange: whatever happens, each bar once, in order, and true in the end."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.events import BarClosed, ClosedBy, FeedReported, Impairment
from agent.core.market import DataSource
from agent.exchange import feed_terms
from tests.exchange.feed_ground import Ground, ground

FRAMES = "adausdt@kline_*"


def fallbacks_and_back(g: Ground) -> bool:
    """Socket, REST, socket again."""
    sources = [r.source for r in g.reports()]
    try:
        down = sources.index(DataSource.REST, sources.index(DataSource.WEBSOCKET))
    except ValueError:
        return False
    return DataSource.WEBSOCKET in sources[down:]


@pytest.mark.parametrize("variant", ["disconnect", "abort"])
async def test_a_killed_socket_comes_back_and_nothing_is_lost(variant: str) -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(2, ClosedBy.FLAG)
            g.fault("F27", params={"variant": variant})
            await g.until(lambda: g.sockets is not None and g.sockets.counters.connections == 2)
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(2, ClosedBy.FLAG)
        await g.assert_whole()


async def test_while_no_socket_can_be_had_rest_takes_over_and_hands_back() -> None:
    async with ground(speed=120.0) as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F27", "refuse", params={"variant": "refuse"})
            g.fault("F27", "cut", params={"variant": "abort"})
            await g.led_by(DataSource.REST)
            await g.bars_more(3, ClosedBy.REST)
            g.feed.watch_closely(True)
            quotes = len(g.quotes())
            await g.until(lambda: len(g.quotes()) > quotes + 2)
            assert all(q.trusted for q in g.quotes()[quotes:])
            g.lift("refuse")
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(2, ClosedBy.FLAG)
        assert fallbacks_and_back(g)
        assert g.feed.counters.fallbacks == 1
        assert not g.was_impaired(Impairment.FEED_STALE)
        await g.assert_whole()


async def test_a_silent_socket_is_noticed_and_replaced() -> None:
    async with ground(speed=120.0) as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F22", match={"stream": FRAMES})
            await g.led_by(DataSource.REST)
            await g.bars_more(2)
            g.lift("F22")
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(1, ClosedBy.FLAG)
            assert g.sockets is not None
            assert g.sockets.counters.connections >= 2
        assert g.feed.counters.reconnects_wanted >= 1
        await g.assert_whole()


async def test_a_missing_closed_flag_is_replaced_through_rest() -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F23", match={"stream": FRAMES})
            await g.bars_more(1, ClosedBy.REST, ClosedBy.BACKFILL)
            await g.bars_more(1, ClosedBy.FLAG)
        assert g.fired("F23") == 1
        assert len(g.not_by_flag()) == 1
        assert not fallbacks_and_back(g), "the socket went on leading"
        await g.assert_whole()


@pytest.mark.parametrize("variant", ["differs", "late_copy"])
async def test_a_bar_that_rest_tells_differently_is_told_and_never_decided_again(variant: str) -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F24", match={"stream": FRAMES}, params={"variant": variant})
            await g.until(lambda: len(g.differences()) == 1)
            await g.bars_more(3)
        (told,) = g.differences()
        assert told.decided.open_ms == told.theirs.open_ms
        assert told.decided.close != told.theirs.close
        decided = [e.candle for e in g.seen(BarClosed) if e.candle.open_ms == told.decided.open_ms]
        assert decided == [told.decided]
        await g.assert_whole(except_opens=[told.decided.open_ms])


async def test_a_gap_of_ten_bars_is_filled_told_and_healed() -> None:
    async with ground(speed=600.0) as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            # REST is away as well, or it would fill each bar as soon as it is due.
            g.fault("F8", match={"path": "/api/v3/klines"})
            g.fault("F22", match={"stream": FRAMES}, for_ms=1_000)
            await g.until(lambda: g.impaired(Impairment.CANDLE_GAP))
            assert len(g.bars()) < 12
            g.lift("F8")
            await g.until(lambda: not g.impaired(Impairment.CANDLE_GAP))
            await g.bars_more(1, ClosedBy.FLAG)
        assert g.was_impaired(Impairment.CANDLE_GAP)
        assert len(g.bars(ClosedBy.BACKFILL, ClosedBy.REST)) >= 5
        await g.assert_whole()


async def test_a_few_bars_that_only_the_socket_lost_are_filled_without_alarm() -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F25", match={"stream": FRAMES}, params={"variant": "gap"}, count=2)
            await g.bars_more(2, ClosedBy.REST, ClosedBy.BACKFILL)
            await g.bars_more(1, ClosedBy.FLAG)
        assert not g.was_impaired(Impairment.CANDLE_GAP)
        await g.assert_whole()


@pytest.mark.parametrize("variant", ["duplicate", "out_of_order"])
async def test_doubled_and_swapped_frames_change_nothing(variant: str) -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F25", match={"stream": FRAMES}, params={"variant": variant}, count=2)
            await g.until(lambda: g.fired("F25") == 2)
            await g.bars_more(2)
        assert g.differences() == []
        await g.assert_whole()


@pytest.mark.parametrize("variant", ["high_below_low", "nan", "negative", "overflow"])
async def test_a_bad_closed_candle_is_dropped_blocks_and_is_replaced(variant: str) -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            # From the middle of a bar until after its end: the closing frame is among them.
            g.fault("F26", match={"stream": FRAMES}, params={"variant": variant}, for_ms=400)
            await g.until(lambda: g.was_impaired(Impairment.BAD_CANDLE))
            await g.until(lambda: not g.impaired(Impairment.BAD_CANDLE))
            await g.bars_more(1, ClosedBy.FLAG)
        assert g.feed.counters.bad_candles > 0
        assert len(g.bars(ClosedBy.REST, ClosedBy.BACKFILL)) >= 1
        await g.assert_whole()


@pytest.mark.parametrize("variant", ["garbage", "unknown_event", "missing_field"])
async def test_garbage_is_counted_and_ends_nothing(variant: str) -> None:
    async with ground() as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F26", params={"variant": variant}, count=10)
            await g.until(lambda: g.fired("F26") == 10)
            await g.bars_more(3)
            assert g.sockets is not None
            assert g.sockets.counters.connections == 1, "not worth a reconnect"
        if variant != "unknown_event":
            assert g.feed.counters.garbage_frames == 10
        await g.assert_whole()


@pytest.mark.parametrize(
    "variant", ["html", "truncated_json", "reset_mid_body", "empty", "garbage", "error_500"]
)
async def test_broken_answers_of_rest_cost_nothing_but_time(variant: str) -> None:
    async with ground(sockets=False, speed=480.0) as g:
        async with g.feeding():
            await g.bars_more(1)
            g.fault("F9", match={"path": "/api/v3/klines"}, params={"variant": variant}, count=2)
            await g.until(lambda: g.fired("F9") == 2)
            await g.bars_more(2)
        assert g.feed.counters.rest_failures >= 2
        await g.assert_whole()


async def test_bad_rows_of_rest_are_not_decided_on_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with ground(sockets=False) as g:
        async with g.feeding():
            await g.bars_more(1)
            g.fault("F26", match={"path": "/api/v3/klines"}, params={"variant": "high_below_low"}, count=4)
            await g.bars_more(4)
        assert g.fired("F26") == 4
        await g.assert_whole()
    told = [record.getMessage() for record in caplog.records if "was dropped" in record.getMessage()]
    assert len(told) == len(set(told)) >= 1


async def test_a_price_that_only_the_socket_tells_is_not_trusted() -> None:
    async with ground(speed=60.0) as g, g.feeding():
        g.feed.watch_closely(True)
        await g.until(lambda: any(q.trusted for q in g.quotes()))
        g.fault(
            "F26",
            match={"stream": "adausdt@bookTicker"},
            params={"variant": "spike", "field": "b"},
            for_ms=5_000,
        )
        await g.until(lambda: any(not q.trusted and q.quote.is_crossed for q in g.quotes()))
        await g.until(lambda: g.quotes()[-1].trusted and g.quotes()[-1].quote.source is DataSource.REST)


async def test_429_silences_every_request_and_the_socket_goes_on() -> None:
    async with ground(speed=120.0) as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F6", params={"retry_after": 90}, count=1)
            await g.until(lambda: g.gate.is_blocked)
            bars = len(g.bars())
            await g.clock.sleep_until(g.gate.blocked_until_ms)
            assert len(g.bars()) > bars, "the socket needs no request"
            await g.until(lambda: g.feed.counters.verified >= 1)
        refused = [r for r in g.running.exchange.requests if r.status == 429]
        assert len(refused) == 1, "not one more before the deadline"
        await g.assert_whole()


async def test_418_is_obeyed_and_left_when_it_ends() -> None:
    async with ground(speed=240.0, sockets=False) as g:
        async with g.feeding():
            await g.bars_more(1)
            g.fault("F7", params={"retry_after": 300}, count=1)
            await g.until(lambda: g.gate.is_blocked)
            await g.until(lambda: not g.gate.is_blocked)
            await g.bars_more(6)
        assert len([r for r in g.running.exchange.requests if r.status == 418]) == 1
        await g.assert_whole()


async def test_an_exchange_that_is_down_at_the_start_is_waited_for() -> None:
    async with ground(speed=240.0) as g:
        g.fault("F8")
        g.fault("F27", params={"variant": "refuse"})
        async with g.feeding(behind=2):
            await asyncio.sleep(1.5)
            assert g.reports() == [FeedReported(DataSource.NONE, False)]
            assert g.bars() == []
            g.lift("F8")
            g.lift("F27")
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(1, ClosedBy.FLAG)
        await g.assert_whole()


async def test_both_silent_is_stale_and_heals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_terms, "START_GRACE_MS", 500.0)
    async with ground(speed=600.0) as g:
        async with g.feeding():
            await g.led_by(DataSource.WEBSOCKET)
            await g.bars_more(1, ClosedBy.FLAG)
            g.fault("F8")
            g.fault("F22")
            await g.until(lambda: g.impaired(Impairment.FEED_STALE))
            assert not g.reports()[-1].fresh
            g.lift("F8")
            g.lift("F22")
            await g.until(lambda: not g.impaired(Impairment.FEED_STALE), 30)
            await g.bars_more(1)
        await g.assert_whole()


async def test_a_jump_of_time_is_a_reconnect_and_what_passed_is_filled() -> None:
    async with ground(speed=60.0) as g:
        async with g.feeding():
            await g.bars_more(1, ClosedBy.FLAG)
            g.running.exchange.clock.advance(2 * 3_600_000)
            await g.bars_more(120)
            await g.until(lambda: g.sockets is not None and g.sockets.counters.connections == 2)
            await g.bars_more(1, ClosedBy.FLAG)
        assert g.feed.counters.reconnects_wanted >= 1
        await g.assert_whole()
