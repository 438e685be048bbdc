"""Binance's public market by REST, against the local exchange: what it tells, and what can go wrong."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.core.market import DataSource
from agent.core.ports import MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.binance_public import BinancePublic, instrument_of
from agent.exchange.ccxt_client import PublicClient, RefusedByUsError
from agent.exchange.weight_gate import Urgency, WeightGate
from tests.clocks import ManualClock
from tests.exchange.feed_ground import Ground, ground


async def test_the_pairs_rules_are_exact() -> None:
    async with ground(speed=1.0) as g:
        rules = await g.market.instrument()
    assert (rules.symbol, rules.base, rules.quote) == ("ADA/USDT", "ADA", "USDT")
    assert (rules.tick, rules.step) == (Decimal("0.0001"), Decimal("0.1"))
    assert (rules.min_notional, rules.max_notional) == (Decimal(5), Decimal(9_000_000))
    assert rules.trading
    assert {"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"} <= rules.order_types
    assert rules.price_band is not None
    assert (rules.price_band.bid_up, rules.price_band.ask_down) == (Decimal(5), Decimal("0.2"))
    assert g.gate.limit_per_minute == 6_000
    assert g.gate.used_weight == 20


async def test_candles_quote_book_and_time() -> None:
    async with ground(speed=1.0) as g:
        now_ms = g.clock.now_ms()
        candles = await g.market.candles(now_ms - 100 * 60_000, 1_000)
        assert len(candles) == 100
        assert all(c.faults(60_000) == () for c in candles)
        quote, book = await g.market.quote(), await g.market.book()
        assert quote.source is DataSource.REST
        assert quote.bid < quote.ask
        assert abs(quote.mid - book.bids[0].price) < Decimal("0.01")
        assert [level.price for level in book.bids] == sorted((x.price for x in book.bids), reverse=True)
        assert [level.price for level in book.asks] == sorted(x.price for x in book.asks)
        assert abs(await g.market.server_time_ms() - g.clock.now_ms()) < 2_000
        probe = await g.market.probe()
        assert 0 < probe.latency_ms < 2_000


async def test_built_bars_equal_the_sum_of_their_parts() -> None:
    async with ground("10m", speed=1.0) as g:
        since_ms = g.clock.now_ms() // 600_000 * 600_000 - 50 * 600_000
        bars = await g.market.candles(since_ms, 20)
        five = BinancePublic(g.addresses, "ADA/USDT", "5m", g.gate, g.clock)
        parts = await five.candles(since_ms, 40)
        await five.close()
    assert len(bars) == 20
    for bar, first, second in zip(bars, parts[::2], parts[1::2], strict=True):
        assert (bar.open_ms, bar.open, bar.close) == (first.open_ms, first.open, second.close)
        assert (bar.high, bar.low) == (max(first.high, second.high), min(first.low, second.low))
        assert bar.volume == first.volume + second.volume


async def test_an_unknown_pair_is_a_permanent_error_that_names_it() -> None:
    async with ground(speed=1.0) as g:
        market = BinancePublic(g.addresses, "ADA/USDX", "1m", g.gate, g.clock)
        with pytest.raises(MarketDataError, match="ADA/USDX") as caught:
            await market.instrument()
        assert caught.value.permanent
        with pytest.raises(MarketDataError, match="Invalid symbol") as caught:
            await market.candles(0, 10)
        assert caught.value.permanent
        await market.close()


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("html", "502 Bad Gateway"),
        ("truncated_json", "no list of rows"),
        ("reset_mid_body", "broke in the middle|cannot be reached"),
        ("empty", "no list of rows"),
        ("garbage", "no list of rows"),
        ("error_500", "500"),
    ],
)
async def test_a_broken_answer_is_a_passing_error_in_one_line(variant: str, words: str) -> None:
    async with ground(speed=1.0) as g:
        g.fault("F9", params={"variant": variant})
        with pytest.raises(MarketDataError, match=words) as caught:
            await g.market.candles(0, 10)
        assert not caught.value.permanent
        assert "<html" not in str(caught.value)
        assert len(str(caught.value)) < 320
        assert len(await g.market.candles(g.clock.now_ms() - 600_000, 5)) == 5, "the next request is fine"


async def test_an_html_page_with_status_200_is_no_market() -> None:
    async with ground(speed=1.0) as g:
        for ask in (g.market.candles(0, 5), g.market.quote(), g.market.book(), g.market.server_time_ms()):
            g.fault("F9", params={"variant": "html", "status": 200})
            with pytest.raises(MarketDataError, match="the answer is no"):
                await ask
            g.lift("F9")


async def test_a_slow_answer_and_an_unreachable_exchange() -> None:
    async with ground(speed=1.0) as g:
        client = PublicClient(g.addresses, g.gate, timeout_ms=300)
        g.fault("F10", params={"delay_ms": 1_000})
        with pytest.raises(MarketDataError, match=r"time: no answer within 0\.3 s"):
            await client.ask(Urgency.WATCH, 1, "time", client.ccxt.public_get_time)
        g.fault("F8")
        with pytest.raises(MarketDataError, match="time: cannot be reached"):
            await client.ask(Urgency.WATCH, 1, "time", client.ccxt.public_get_time)
        await client.close()
        with pytest.raises(MarketDataError, match="closed"):
            await client.ask(Urgency.WATCH, 1, "time", client.ccxt.public_get_time)
    market = BinancePublic(
        Addresses.replaced("binance", "http://127.0.0.1:9", None), "ADA/USDT", "1m", g.gate, g.clock
    )
    with pytest.raises(MarketDataError, match="cannot be reached") as caught:
        await market.quote()
    assert not caught.value.permanent
    await market.close()


@pytest.mark.parametrize(("kind", "status"), [("F6", 429), ("F7", 418)])
async def test_too_many_requests_is_obeyed_before_the_error_is_seen(kind: str, status: int) -> None:
    async with ground(speed=1.0) as g:
        g.fault(kind, params={"retry_after": 40})
        with pytest.raises(MarketDataError, match="asks for silence"):
            await g.market.quote()
        left_ms = g.gate.blocked_until_ms - g.clock.now_ms()
        assert 39_000 < left_ms <= 42_000
        assert g.running.exchange.requests[-1].status == status


async def test_nothing_leaves_for_another_host_or_with_a_signature() -> None:
    async with ground(speed=1.0) as g:
        client = PublicClient(g.addresses, g.gate)
        elsewhere = {
            **client.ccxt.urls,
            "api": {**client.ccxt.urls["api"], "public": "https://api.binance.com/api/v3"},
        }
        with pytest.raises(RefusedByUsError, match="no keys"):
            await client.ask(Urgency.WATCH, 1, "account", client.ccxt.private_get_account)
        with pytest.raises(RefusedByUsError, match="only reads"):
            await client.ask(
                Urgency.WATCH, 1, "post", lambda: client.ccxt.fetch(f"{g.running.rest}/api/v3/order", "POST")
            )
        with pytest.raises(MarketDataError, match="does not have a testnet/sandbox URL for fapiPublic"):
            await client.ask(Urgency.WATCH, 1, "futures", client.ccxt.fapipublic_get_time)
        client.ccxt.urls = elsewhere
        with pytest.raises(RefusedByUsError, match=r"api\.binance\.com was stopped"):
            await client.ask(Urgency.WATCH, 1, "time", client.ccxt.public_get_time)
        await client.close()
        assert [r.path for r in g.running.exchange.requests] == []


async def test_a_redirect_is_not_followed() -> None:
    from aiohttp import web

    seen = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound("http://127.0.0.1:9/api/v3/time")

    application = web.Application()
    application.router.add_get("/{path:.*}", elsewhere)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    clock = ManualClock()
    market = BinancePublic(
        Addresses.replaced("binance", f"http://127.0.0.1:{runner.addresses[0][1]}", None),
        "ADA/USDT",
        "1m",
        WeightGate(clock),
        clock,
    )
    with pytest.raises(MarketDataError, match=r"a redirect from 127\.0\.0\.1 to .* was refused"):
        await market.server_time_ms()
    assert seen == ["/api/v3/time"]
    await market.close()
    await runner.cleanup()


async def test_every_request_is_counted_as_the_exchange_counts_it() -> None:
    async with ground(speed=1.0) as g:
        await counted(g)


async def counted(g: Ground) -> None:
    steps = (
        (g.market.server_time_ms, 1),
        (g.market.quote, 2),
        (lambda: g.market.candles(0, 10), 2),
        (g.market.book, 5),
        (g.market.instrument, 20),
    )
    total = 0
    for ask, weight in steps:
        await ask()
        total += weight
        exchange = g.running.exchange
        assert g.gate.used_weight == exchange.limits.used(exchange.clock.now_ms()) == total


def test_a_description_without_what_is_needed_is_an_error() -> None:
    with pytest.raises(MarketDataError, match="PRICE_FILTER"):
        instrument_of({"filters": []}, "ADA/USDT")
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.0", "minPrice": "0", "maxPrice": "0"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1", "maxQty": "9"},
    ]
    symbol = {
        "filters": filters,
        "baseAsset": "ADA",
        "quoteAsset": "USDT",
        "orderTypes": [],
        "status": "BREAK",
    }
    with pytest.raises(MarketDataError, match="tick size must be positive"):
        instrument_of(symbol, "ADA/USDT")
    filters[0]["tickSize"] = "0.01"
    assert not instrument_of(symbol, "ADA/USDT").trading
