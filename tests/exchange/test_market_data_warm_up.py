"""Warm-up: all the history that is needed, none of it twice, and only this market's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.events import Event, WarmedUp, WarmupAdvanced
from agent.core.market import Candle
from agent.core.parameters import ExitParams, SellerParams
from agent.core.ports import MarketDataError
from agent.core.signal import SignalWindow, warmup_bars_needed
from agent.exchange.binance_public import BinancePublic
from agent.exchange.warm_up import WarmUp
from agent.store.candles import CandleStore, SeriesKey, StoredSeries
from tests.exchange.feed_ground import Ground, ground

SELLER = SellerParams(
    ema_fast=30, ema_slow=120, z_window=120, atr_window=30, vol_z=2.0, tr_z=1.2, cloc_min=0.6
)
EXITS = ExitParams(
    use_fib_exits=True,
    use_stop_loss=False,
    use_time_exit=False,
    use_traditional_tp=False,
    fib_swing_lookback=96,
    fib_swing_lookahead=5,
    fib_target_level=0.618,
    atr_stop_mult=0.7,
    reward_r=2.0,
    max_hold=96,
    fee_bp=5.0,
    slippage_bp=5.0,
    policy="target",
)
NEEDED = warmup_bars_needed(SELLER, EXITS)
BAR = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CandleStore]:
    store = CandleStore(tmp_path / "candles.db")
    yield store
    store.close()


def series_of(store: CandleStore) -> StoredSeries:
    return store.series(SeriesKey("binance@127.0.0.1:1", "ADA/USDT", "1m"))


def warm_up(g: Ground, series: StoredSeries, events: list[Event], market: Any = None) -> WarmUp:
    return WarmUp(market or g.market, series, g.source, g.clock, SELLER, EXITS, events.append)


def asked(g: Ground) -> int:
    return sum(1 for r in g.running.exchange.requests if r.path == "/api/v3/klines")


async def warmed(g: Ground, series: StoredSeries) -> WarmedUp:
    return await warm_up(g, series, []).run()


async def test_all_needed_history_is_loaded_with_progress_and_kept(store: CandleStore) -> None:
    events: list[Event] = []
    async with ground(speed=1.0) as g:
        series = series_of(store)
        result = await warm_up(g, series, events).run()
        truth = await whole_history(g, result.last_open_ms)
    assert NEEDED > 1_000, "several pages"
    assert result.window.bars_seen == NEEDED
    expected = SignalWindow.warm(SELLER, EXITS, truth)
    assert (result.window.ema_f, result.window.ema_s) == (expected.ema_f, expected.ema_s)
    assert result.last_close == truth[-1].close
    progress = [e for e in events if isinstance(e, WarmupAdvanced)]
    assert progress[0] == WarmupAdvanced(0, NEEDED)
    assert progress[-1] == WarmupAdvanced(NEEDED, NEEDED)
    assert [p.bars for p in progress] == sorted(p.bars for p in progress)
    assert list(series.read(0, 1 << 62))[-NEEDED:] == truth


async def whole_history(g: Ground, last_open_ms: int) -> list[Candle]:
    since_ms = last_open_ms - (NEEDED - 1) * BAR
    rows: list[Candle] = []
    while len(rows) < NEEDED:
        rows += await g.market.candles(since_ms + len(rows) * BAR, min(1_000, NEEDED - len(rows)))
    return rows


async def test_a_restart_fetches_only_what_is_missing(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        first = await warmed(g, series_of(store))
        before = asked(g)
        assert before >= NEEDED // 1_000
        g.running.exchange.clock.advance(37 * BAR)
        again = await warmed(g, series_of(store))
        assert asked(g) - before <= 2
        assert again.last_open_ms == first.last_open_ms + 37 * BAR
        fresh = await warmed(g, store.series(SeriesKey("elsewhere", "ADA/USDT", "1m")))
    assert (again.window.ema_s, again.window.bars_seen) == (fresh.window.ema_s, fresh.window.bars_seen)


async def test_a_hole_in_the_archive_is_filled(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        series = series_of(store)
        first = await warmed(g, series)
        kept = list(series.read(0, 1 << 62))
        series.discard()
        series.save(kept[:300] + kept[420:])
        before = asked(g)
        again = await warmed(g, series)
        assert asked(g) - before <= 3
        assert again.window.ema_s == first.window.ema_s
        assert list(series.read(0, 1 << 62)) == kept


async def test_another_world_at_the_same_address_is_recognised(
    store: CandleStore, caplog: pytest.LogCaptureFixture
) -> None:
    series = series_of(store)
    async with ground(speed=1.0, seed=11) as g:
        await warmed(g, series)
    async with ground(speed=1.0, seed=12) as g:
        result = await warmed(g, series)
        assert "discarded: the exchange shows others" in caplog.text
        truth = await whole_history(g, result.last_open_ms)
        assert list(series.read(0, 1 << 62)) == truth
    assert result.window.ema_s == SignalWindow.warm(SELLER, EXITS, truth).ema_s


async def test_candles_from_the_future_are_another_world_too(
    store: CandleStore, caplog: pytest.LogCaptureFixture
) -> None:
    series = series_of(store)
    async with ground(speed=1.0) as g:
        now_ms = g.clock.now_ms() // BAR * BAR
        series.save([Candle(now_ms + n * BAR, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(-3, 5)])
        result = await warmed(g, series)
        assert "they lie in the future" in caplog.text
        assert result.window.bars_seen == NEEDED


async def test_a_bar_the_exchange_corrected_is_replaced(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        series = series_of(store)
        first = await warmed(g, series)
        wrong = list(series.read(0, 1 << 62))[-20]
        series.save([Candle(wrong.open_ms, 9.0, 9.0, 9.0, 9.0, 9.0)])
        again = await warmed(g, series)
        assert again.window.ema_s == first.window.ema_s
        assert wrong in list(series.read(0, 1 << 62))


@pytest.mark.parametrize("variant", ["high_below_low", "nan"])
async def test_a_bad_candle_of_history_is_fetched_again(store: CandleStore, variant: str) -> None:
    async with ground(speed=1.0) as g:
        g.fault("F26", match={"path": "/api/v3/klines", "nth": 1}, params={"variant": variant})
        result = await warmed(g, series_of(store))
        truth = await whole_history(g, result.last_open_ms)
    assert g.fired("F26") == 1
    assert result.window.ema_s == SignalWindow.warm(SELLER, EXITS, truth).ema_s


async def test_bars_missing_from_a_page_are_asked_for_again(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        g.fault("F25", match={"path": "/api/v3/klines"}, params={"variant": "gap"})
        result = await warmed(g, series_of(store))
        truth = await whole_history(g, result.last_open_ms)
    assert result.window.ema_s == SignalWindow.warm(SELLER, EXITS, truth).ema_s


async def test_a_history_that_begins_later_is_used_as_far_as_it_goes(store: CandleStore) -> None:
    class Young(BinancePublic):
        """A pair listed 400 bars ago, on an exchange that answers nothing before that."""

        listed_ms = 0

        async def past_candles(self, since_ms: int, limit: int) -> list[Candle]:
            if since_ms + limit * BAR < self.listed_ms:
                return []
            return [c for c in await super().past_candles(since_ms, limit) if c.open_ms >= self.listed_ms]

    async with ground(speed=1.0) as g:
        market = Young(g.addresses, "ADA/USDT", "1m", g.gate, g.clock)
        market.listed_ms = g.clock.now_ms() // BAR * BAR - 400 * BAR
        result = await warm_up(g, series_of(store), [], market).run()
        await market.close()
    assert result.window.bars_seen == 400
    assert result.window.seed_weight > 1e-9


async def test_what_closes_meanwhile_is_included_and_the_open_bar_never(store: CandleStore) -> None:
    async with ground(speed=1_000.0) as g:
        result = await warmed(g, series_of(store))
        behind_ms = g.clock.now_ms() - result.last_open_ms
        rows = await g.market.candles(result.last_open_ms, 2)
    assert behind_ms >= BAR, "closed"
    assert behind_ms < 10 * BAR, "and one of the newest"
    assert rows[0].close == result.last_close


async def test_an_exchange_that_is_down_is_waited_for(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        g.fault("F8", for_ms=300)
        result = await warmed(g, series_of(store))
    assert result.window.bars_seen == NEEDED


async def test_an_unknown_pair_ends_the_warm_up(store: CandleStore) -> None:
    async with ground(speed=1.0) as g:
        market = BinancePublic(g.addresses, "ADA/USDX", "1m", g.gate, g.clock)
        with pytest.raises(MarketDataError) as caught:
            await asyncio.wait_for(warm_up(g, series_of(store), [], market).run(), 5)
        assert caught.value.permanent
        await market.close()
