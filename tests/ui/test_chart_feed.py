"""What reaches the chart: stored candles, older ones on demand, closed and live bars, averages."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from window_ground import Eyes, document, on_offscreen, show

from agent.core.market import Candle
from agent.store.candles import CandleStore, SeriesKey
from ui.records import LOADED, ema

BAR_MS = 900_000
FIRST_MS = 1_700_000_100_000 // BAR_MS * BAR_MS
VENUE = "binance@api.binance.com"


def _candles(count: int, first_ms: int = FIRST_MS) -> list[Candle]:
    return [
        Candle(first_ms + i * BAR_MS, 0.5, 0.52, 0.48, 0.5 + 0.01 * (i % 3), 1000.0) for i in range(count)
    ]


@pytest.fixture
def stored(tmp_path):
    store = CandleStore(tmp_path / "candles.db")
    series = store.series(SeriesKey(VENUE, "ADA/USDT", "15m"))
    yield series
    store.close()


def _live(last_ms: int, **changes):
    bar = {"open_ms": last_ms + BAR_MS, "open": 0.5, "high": 0.6, "low": 0.4, "close": 0.55, "volume": 7.0}
    return document(bar={**bar, **changes})


def test_history_is_loaded_and_older_candles_come_when_they_are_asked_for(qapp, tmp_path, stored):
    stored.save(_candles(LOADED + 700))

    async def scenario(eyes: Eyes) -> None:
        show(eyes, document())
        feed, records = eyes.controller.chart, eyes.controller.records
        assert feed is not None
        assert await feed.load(records, eyes.picture)
        candles = feed.view._scene.candles
        assert len(candles) == LOADED
        await feed.load_older(records, int(candles.open_ms[0]))
        assert len(candles) == LOADED + 700
        assert int(candles.open_ms[0]) == FIRST_MS
        assert not feed.view._more_history, "there is nothing older"
        slow = ema([candle.close for candle in _candles(LOADED + 700)], 672)
        assert candles.candle(-1).ema_slow == pytest.approx(slow[-1])

    on_offscreen(scenario, tmp_path)


def test_a_closed_bar_and_the_live_one_follow_what_is_loaded(qapp, tmp_path, stored):
    known = _candles(1_000)
    stored.save(known[:-1])

    async def scenario(eyes: Eyes) -> None:
        feed, records = eyes.controller.chart, eyes.controller.records
        assert feed is not None
        last_ms = known[-2].open_ms
        show(eyes, _live(last_ms))
        assert await feed.load(records, eyes.picture)
        show(eyes, _live(last_ms, close=0.56))
        candles = feed.view._scene.candles
        assert len(candles) == 1_000
        live = candles.candle(-1)
        assert (live.open_ms, live.close, live.volume) == (known[-1].open_ms, 0.56, 7.0)
        stored.save(known[-1:])
        assert await feed.load(records, eyes.picture)
        closed = candles.candle(-1)
        assert (closed.close, closed.volume) == (known[-1].close, 1000.0)
        fast = ema([candle.close for candle in known], 96)
        assert closed.ema_fast == pytest.approx(fast[-1])
        assert not await feed.load(records, eyes.picture), "nothing new, nothing read twice"

    on_offscreen(scenario, tmp_path)


def test_a_live_bar_waits_for_the_closed_one_before_it(qapp, tmp_path, stored):
    known = _candles(1_001)
    stored.save(known[:-2])

    async def scenario(eyes: Eyes) -> None:
        feed, records = eyes.controller.chart, eyes.controller.records
        assert feed is not None
        show(eyes, _live(known[-3].open_ms))
        assert await feed.load(records, eyes.picture)
        # The engine publishes the next bar before the closed one is in the store.
        show(eyes, _live(known[-2].open_ms))
        candles = feed.view._scene.candles
        assert candles.candle(-1).open_ms == known[-2].open_ms
        stored.save(known[-2:-1])
        assert await feed.load(records, eyes.picture)
        assert [candles.candle(at).open_ms for at in (-2, -1)] == [c.open_ms for c in known[-2:]]
        assert candles.candle(-2).volume == 1000.0
        assert candles.candle(-1).volume == 7.0

    on_offscreen(scenario, tmp_path)


def test_a_live_bar_that_came_before_history_is_there_once_history_is(qapp, tmp_path, stored):
    known = _candles(300)
    stored.save(known)

    async def scenario(eyes: Eyes) -> None:
        feed, records = eyes.controller.chart, eyes.controller.records
        assert feed is not None
        show(eyes, document())
        loading = asyncio.ensure_future(feed.load(records, eyes.picture))
        await asyncio.sleep(0)
        show(eyes, _live(known[-1].open_ms, close=0.57))
        await loading
        assert feed.view._scene.candles.candle(-1).close == 0.57

    on_offscreen(scenario, tmp_path)


def test_another_market_begins_anew(qapp, tmp_path, stored):
    stored.save(_candles(100))

    async def scenario(eyes: Eyes) -> None:
        feed, records = eyes.controller.chart, eyes.controller.records
        assert feed is not None
        show(eyes, document())
        await feed.load(records, eyes.picture)
        show(eyes, document(pair="BTC/USDT"))
        assert not await feed.load(records, eyes.picture)
        assert len(feed.view._scene.candles) == 0

    on_offscreen(scenario, tmp_path)


def test_averages_are_the_strategys() -> None:
    closes = [1.0, 2.0, 4.0]
    alpha = 2 / 4
    expected = list(itertools.accumulate(closes, lambda a, b: a + alpha * (b - a)))
    assert ema(closes, 3) == expected
