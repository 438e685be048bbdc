"""Polygon: every answer judged, never asked too often, and used for what it may be used for alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from agent.compose.polygon import Polygon
from agent.compose.silences import Silences
from agent.config.check import check_config
from agent.config.secret import Secret
from agent.core.market import Candle, DataSource
from agent.core.ports import MarketDataError
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow, warmup_bars_needed
from agent.doctor.polygon_checks import polygon_data
from agent.exchange.polygon.aggregates import PolygonAggregates, ticker_of
from agent.exchange.polygon.deeper import DeeperHistory
from agent.exchange.polygon.pacing import RequestPace
from agent.exchange.polygon.second_opinion import Opinion, SecondOpinion
from agent.exchange.polygon.signals import PolygonSignals
from agent.exchange.timeframes import BarSource
from agent.exchange.warm_up import WarmUp
from agent.insight.parity_history import recompute
from agent.store.candles import CandleReader, CandleStore, SeriesKey, older_venue
from agent.store.reading_parity import _older
from agent.store.second_opinion import opinion_line
from tests.exchange.polygon_stub import KEY, PolygonStub, polygon_stub, refusing
from tests.exchange.test_market_data_warm_up import EXITS, SELLER

BAR = 60_000
T0 = 1_700_000_040_000
NEEDED = warmup_bars_needed(SELLER, EXITS)


class LeapingClock:
    """Who waits finds that the time has passed."""

    def __init__(self, at_ms: int = T0) -> None:
        self.at_ms = float(at_ms)
        self.waited: list[float] = []

    def now_ms(self) -> int:
        return int(self.at_ms)

    def machine_ms(self) -> float:
        return self.at_ms

    async def sleep_machine(self, ms: float) -> None:
        self.waited.append(ms)
        self.at_ms += ms

    async def sleep_until(self, venue_ms: int) -> None:
        self.at_ms = max(self.at_ms, float(venue_ms))


def bar(number: int, price: float = 0.35, volume: float = 1_000.0) -> Candle:
    """Number 0 opens at T0; the price wanders a little."""
    close = price * (1 + 0.002 * ((number * 7) % 5 - 2))
    return Candle(
        T0 + number * BAR, price, max(price, close) * 1.001, min(price, close) * 0.999, close, volume
    )


@asynccontextmanager
async def asking(**wishes: Any) -> AsyncIterator[tuple[PolygonStub, PolygonAggregates, LeapingClock]]:
    clock = LeapingClock()
    async with polygon_stub() as stub:
        pace = wishes.pop("pace", None) or RequestPace(clock, clock.now_ms)
        polygon = PolygonAggregates("ADA/USDT", 1, Secret(wishes.pop("key", KEY)), pace, base_url=stub.url)
        try:
            yield stub, polygon, clock
        finally:
            await polygon.close()


def test_dollars_are_what_polygon_calls_the_coins_that_stand_for_them() -> None:
    assert ticker_of("ADA/USDT") == ticker_of("ADA/USDC") == "X:ADAUSD"
    assert ticker_of("ETH/BTC") == "X:ETHBTC"
    assert ticker_of("ADA/EUR") == "X:ADAEUR"


async def test_all_pages_come_in_order_and_gaps_stay_gaps() -> None:
    async with asking() as (stub, polygon, _):
        stub.bars = [bar(n) for n in range(25) if n not in (7, 8)]
        stub.page = 10
        found = await polygon.bars(T0, T0 + 24 * BAR)
        assert found == stub.bars
        assert len(stub.asked) == 3
        assert all(KEY not in path for path in stub.asked), "the key travels in a header"


async def test_nothing_there_is_an_empty_list() -> None:
    async with asking() as (_, polygon, _):
        assert await polygon.bars(T0, T0 + BAR) == []


async def test_five_requests_a_minute_and_the_sixth_waits_for_the_first() -> None:
    async with asking() as (stub, polygon, clock):
        for _ in range(5):
            await polygon.bars(T0, T0)
        assert clock.waited == []
        await polygon.bars(T0, T0)
        assert clock.waited == [60_000.0]
        assert len(stub.asked) == 6


@pytest.mark.parametrize(("header", "silence_ms"), [({"Retry_After": "17"}, 17_000), ({}, 60_000)])
async def test_too_many_requests_are_followed_by_silence_also_after_a_restart(
    tmp_path, header, silence_ms
) -> None:
    clock, silences = LeapingClock(), Silences(tmp_path)
    pace = RequestPace(clock, clock.now_ms, 0, lambda until_ms: silences.keep("polygon@h", until_ms))
    async with asking(pace=pace) as (stub, polygon, _):
        stub.faults = [refusing(429, {"status": "ERROR", "error": "You've exceeded the maximum"}, **header)]
        with pytest.raises(
            MarketDataError, match=rf"asks for silence, {silence_ms // 1000} s .*exceeded"
        ) as told:
            await polygon.bars(T0, T0)
        assert not told.value.permanent
        again = RequestPace(clock, clock.now_ms, silences.until_ms("polygon@h"))
        await again.admit()
        assert clock.waited == [float(silence_ms)]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_revoked_key_is_final_and_never_shown(status: int) -> None:
    async with asking() as (stub, polygon, _):
        stub.faults = [refusing(status, {"status": "NOT_AUTHORIZED", "message": f"no {KEY}"})]
        with pytest.raises(MarketDataError, match=r"does not take the key.*POLYGON_API_KEY") as told:
            await polygon.bars(T0, T0)
        assert told.value.permanent
        assert KEY not in str(told.value)


WRONG: list[tuple[dict[str, Any], str, bool]] = [
    ({"ticker": "X:BTCUSD"}, "answered about 'X:BTCUSD' instead", True),
    ({"adjusted": False}, "unadjusted", False),
    ({"status": "ERROR", "error": "boom"}, "status 'ERROR' .boom", False),
    ({"results": "no"}, "something else than bars", False),
    ({"results": [{"t": T0, "o": "0.3", "h": 1, "l": 1, "c": 1, "v": 1}]}, "no bar", False),
    ({"results": [{"t": T0, "o": 1, "h": 1, "l": 1, "c": 1}]}, "no bar", False),
    ({"next_url": "http://evil.example/v2/aggs"}, "another host, 'evil.example'", False),
]


@pytest.mark.parametrize(("change", "sentence", "permanent"), WRONG)
async def test_an_answer_that_is_not_what_was_asked_for_is_no_data(change, sentence, permanent) -> None:
    async with asking() as (stub, polygon, _):
        stub.bars, stub.changes = [bar(0)], change
        with pytest.raises(MarketDataError, match=sentence) as told:
            await polygon.bars(T0, T0)
        assert told.value.permanent is permanent


async def test_pages_that_do_not_end_and_no_json_and_no_server_are_errors() -> None:
    async with asking() as (stub, polygon, _):
        stub.bars = [bar(0)]
        stub.changes = {
            "next_url": f"{stub.url}/v2/aggs/ticker/X:ADAUSD/range/1/minute/1/2?adjusted=true&sort=asc"
        }
        with pytest.raises(MarketDataError, match="pages do not end"):
            await polygon.bars(T0, T0)
        stub.faults = [lambda request: web.Response(text="<html>", status=502)]
        with pytest.raises(MarketDataError, match="answered 502"):
            await polygon.bars(T0, T0)
    with pytest.raises(MarketDataError, match="closed"):
        await polygon.bars(T0, T0)


async def test_late_data_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with asking() as (stub, polygon, _):
        stub.bars, stub.status = [bar(0)], "DELAYED"
        with caplog.at_level(logging.WARNING, "agent"):
            assert await polygon.bars(T0, T0) == await polygon.bars(T0, T0) == [bar(0)]
        assert polygon.is_delayed
        assert [r.message for r in caplog.records].count(
            "Polygon sends X:ADAUSD late on this plan: its newest bars are missing"
        ) == 1


# --- older history ---------------------------------------------------------------------------------


class ShortExchange:
    """An exchange that has the last `count` bars before `now`, and no earlier ones."""

    def __init__(self, bars: list[Candle]) -> None:
        self.bars = bars

    async def past_candles(self, since_ms: int, limit: int) -> list[Candle]:
        return [c for c in self.bars if c.open_ms >= since_ms][:limit]


class Nothing:
    def save(self, candles: Any) -> None:
        return None

    def read(self, since_ms: int, until_ms: int) -> Any:
        return CandleSeries.of([])

    def discard(self) -> None:
        return None


HISTORY = [bar(n, 0.35 + 0.0001 * (n % 300), 1_000.0 + n % 77) for n in range(NEEDED + 1)]
#: What the exchange still has: enough volumes for a z-score, far too little for the averages.
SHORT = HISTORY[-(SELLER.z_window + 10) :]


async def warmed(
    polygon: PolygonAggregates | None, bars: list[Candle] = SHORT, kept: Any = None
) -> SignalWindow:
    exchange: Any = ShortExchange(bars)
    return await loaded(exchange, None if polygon is None else DeeperHistory(polygon, kept or Nothing()))


async def loaded(market: Any, deeper: Any = None) -> SignalWindow:
    clock: Any = LeapingClock(HISTORY[-1].open_ms + 1)
    archive: Any = Nothing()
    source = BarSource("1m", BAR, BAR)
    load = WarmUp(market, archive, source, clock, SELLER, EXITS, lambda event: None, deeper)
    return (await load.run()).window


def times(candle: Candle, factor: float) -> Candle:
    prices = {name: getattr(candle, name) * factor for name in ("open", "high", "low", "close")}
    return replace(candle, **prices)


async def test_older_bars_warm_the_averages_and_the_range_and_no_volume() -> None:
    whole = SignalWindow.warm(SELLER, EXITS, HISTORY[:-1])
    async with asking() as (stub, polygon, _):
        # Another currency (half a percent off) and volumes in other units.
        stub.bars = [replace(times(c, 1 / 1.005), volume=c.volume * 1e6) for c in HISTORY]
        window = await warmed(polygon)
    alone = await warmed(None)
    assert alone.entries_allowed is False, "the exchange alone has too little"
    assert window.entries_allowed
    assert window.ema_s == pytest.approx(whole.ema_s, rel=1e-9)
    assert window.range_sums == pytest.approx(whole.range_sums, rel=1e-9)
    assert window.volumes.tolist() == [c.volume for c in SHORT[:-1]][-SELLER.z_window :]


async def test_a_z_window_waits_for_one_source_rather_than_mix_two() -> None:
    few = HISTORY[-60:]
    async with asking() as (stub, polygon, _):
        stub.bars = HISTORY
        window = await warmed(polygon, few)
    assert window.volumes.tolist() == [c.volume for c in few[:-1]]
    _, features = window.push(replace(HISTORY[-1], volume=1e9))
    assert features.vol_z is None
    assert not features.exhaustion


@pytest.mark.parametrize("what", ["another market", "another price", "nothing", "revoked", "down"])
async def test_without_a_history_that_fits_the_exchanges_own_is_used(what: str) -> None:
    async with asking() as (stub, polygon, _):
        if what == "another market":
            wild = [0.9 if n % 2 else 1.1 for n in range(len(HISTORY))]
            stub.bars = [times(c, factor) for c, factor in zip(HISTORY, wild, strict=True)]
        elif what == "another price":
            stub.bars = [bar(n, 3.5) for n in range(len(HISTORY))]
        elif what == "revoked":
            stub.faults = [refusing(401, {"status": "ERROR"})]
        elif what == "down":
            stub.faults = [refusing(503, {})] * 9
        window = await warmed(polygon)
    alone = await warmed(None)
    assert (window.ema_s, window.bars_seen) == (alone.ema_s, alone.bars_seen)


async def test_what_was_lent_is_kept_and_the_parity_worker_knows_of_it(tmp_path) -> None:
    key = SeriesKey("kraken@h", "ADA/USDT", "1m")
    store = CandleStore(tmp_path / "candles.db")
    store.series(key).save(SHORT)
    older = store.series(SeriesKey(older_venue(key.venue), key.pair, key.timeframe))
    async with asking() as (stub, polygon, _):
        stub.bars = [replace(times(c, 1 / 1.005), volume=c.volume * 1e6) for c in HISTORY]
        first = await warmed(polygon, kept=older)
        asked = len(stub.asked)
        stub.bars = [times(c, 1.02) for c in HISTORY]
        again = await warmed(polygon, kept=older)
        assert len(stub.asked) == asked, "another day's factor would move what decisions were made with"
    assert again.ema_s == pytest.approx(first.ema_s, rel=1e-12)
    store.close()

    reader = CandleReader(tmp_path / "candles.db")
    history = _older(reader, key, reader.read(key, 0, 1 << 62))
    reader.close()
    _, features = first.push(HISTORY[-1])
    whole = recompute(history, SELLER, EXITS, [features.open_ms], BAR)[features.open_ms]
    for name in ("ema_f", "ema_s", "atr", "vol_z", "tr_z"):
        assert getattr(whole, name) == pytest.approx(getattr(features, name), rel=1e-9), name


# --- signals from Polygon alone --------------------------------------------------------------------


async def test_history_comes_in_few_requests_and_the_feed_says_whose_it_is() -> None:
    async with asking() as (stub, polygon, _):
        stub.bars = HISTORY
        exchange: Any = None
        signals = PolygonSignals(polygon, exchange)
        window = await loaded(signals)
        assert window.bars_seen >= NEEDED - 1
        assert len(stub.asked) <= 4
    assert (signals.data_source, signals.source.bar_ms) == (DataSource.POLYGON, BAR)


# --- the second opinion ----------------------------------------------------------------------------


async def test_a_difference_is_told_when_it_begins_and_when_it_ends_and_counted() -> None:
    told: list[tuple[str, str]] = []
    kept: list[Opinion] = []
    async with asking() as (stub, polygon, clock):
        opinion = SecondOpinion(polygon, clock, lambda level, text: told.append((level, text)), kept.append)
        stub.bars = [bar(n, 0.35 / 1.004) for n in range(20)]
        for n in range(20):
            close = bar(n).close * (1.02 if n in (12, 13) else 1.0)
            opinion.heard(T0 + n * BAR, close)
            assert await opinion.look()
        assert [level for level, _ in told] == ["WARNING", "INFO"]
        assert "2.00% apart" in told[0][1]
        assert kept[-1] == opinion.opinion
        assert (opinion.opinion.compared, opinion.opinion.differing) == (20, 2)


async def test_a_bar_that_polygon_has_later_is_compared_later() -> None:
    told: list[Any] = []
    async with asking() as (stub, polygon, clock):
        opinion = SecondOpinion(polygon, clock, lambda level, text: told.append(text), lambda o: None)
        for n in range(10):
            opinion.heard(T0 + n * BAR, bar(n).close)
        assert await opinion.look()
        assert opinion.opinion.compared == 0
        stub.bars, stub.status = [bar(n) for n in range(8)], "DELAYED"
        assert await opinion.look()
        assert (opinion.opinion.compared, opinion.opinion.waiting) == (8, 2)
        assert told == []


async def test_a_second_opinion_that_cannot_be_had_is_told_and_ends_nothing() -> None:
    told: list[Any] = []
    async with asking(key="another") as (_, polygon, clock):
        opinion = SecondOpinion(
            polygon, clock, lambda level, text: told.append((level, text)), lambda o: None
        )
        opinion.heard(T0, 0.35)
        await opinion.run()
        assert told[0][0] == "ERROR"
        assert "there is no second opinion any more" in told[0][1]


# --- for people ------------------------------------------------------------------------------------


def test_the_count_of_the_second_opinion_is_a_sentence() -> None:
    told = {"compared": 1200, "differing": 3, "last_open_ms": T0, "apart": 0.0213, "waiting": 0}
    assert opinion_line(told) == (
        "Second opinion: 1,200 bars compared with Polygon's, 3 differed, the last one at "
        "2023-11-14T22:14:00.000Z by 2.13%."
    )
    assert opinion_line({"compared": 2}) == "Second opinion: 2 bars compared with Polygon's, none differed."
    assert opinion_line(None) is None


@pytest.mark.parametrize(
    ("what", "light", "word"),
    [("fine", "green", "up to date"), ("late", "yellow", "late"), ("key", "red", "key")],
)
async def test_the_doctor_asks_once(tmp_path, what: str, light: str, word: str) -> None:
    config, clock = check_config('{"timeframe": "1m"}').config, LeapingClock(T0 + 20 * BAR)
    assert config is not None
    async with polygon_stub() as stub:
        stub.bars = [bar(n) for n in range(5 if what == "late" else 20)]
        polygon = Polygon(Secret("wrong" if what == "key" else KEY), stub.url, True)
        (found,) = await polygon_data(config, polygon, clock, tmp_path)
        assert (found.light.value, word in found.text) == (light, True)
        assert len(stub.asked) == 1
    assert await polygon_data(config, None, clock, tmp_path) == []
