"""Another exchange than Binance, through ccxt's unified methods: Kraken's answers, from a server of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import orjson
import pytest
from aiohttp import web

from agent.core.events import BarClosed, Event
from agent.core.market import MINUTE_MS
from agent.core.ports import MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.ccxt_client import RefusedByUsError
from agent.exchange.ccxt_public import CcxtPublic, gate_for
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import FeedTerms, NoArchive
from agent.exchange.weight_gate import WeightGate
from tests.clocks import ManualClock, settle

NOW_MS = 1_750_241_250_000


def pair_info() -> dict[str, Any]:
    return {
        "altname": "ADAUSDT",
        "wsname": "ADA/USDT",
        "aclass_base": "currency",
        "base": "ADA",
        "aclass_quote": "currency",
        "quote": "USDT",
        "lot": "unit",
        "cost_decimals": 8,
        "pair_decimals": 5,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "4.4",
        "costmin": "0.5",
        "tick_size": "0.00001",
        "status": "online",
    }


class Kraken:
    """Answers /0/public/* from a clock; only the last 720 bars, as the real one."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.rsplit("/", 1)[1]
        self.asked.append(request.path)
        result: Any = {
            "AssetPairs": lambda: {"ADAUSDT": pair_info()},
            "Assets": lambda: {
                code: {"aclass": "currency", "altname": code, "decimals": 8, "display_decimals": 5}
                for code in ("ADA", "USDT")
            },
            "Time": lambda: {"unixtime": self.clock.now_ms() // 1_000, "rfc1123": ""},
            "Depth": lambda: {
                "ADAUSDT": {
                    "bids": [["0.50010", "100.5", 1_750_241_000], ["0.50000", "7", 1_750_241_000]],
                    "asks": [["0.50020", "50.25", 1_750_241_000]],
                }
            },
            "OHLC": lambda: self.candles(int(request.query["interval"]), int(request.query.get("since", 0))),
        }[name]()
        return web.Response(
            body=orjson.dumps({"error": [], "result": result}), content_type="application/json"
        )

    def candles(self, minutes: int, since_s: int) -> dict[str, Any]:
        bar_s = minutes * 60
        current = self.clock.now_ms() // 1_000 // bar_s * bar_s
        rows = [
            [t, "0.5", "0.6", "0.4", f"0.5{t // bar_s % 10}", "0.5", "10.5", 12]
            for t in range(current - 719 * bar_s, current + 1, bar_s)
            if t >= since_s
        ]
        return {"ADAUSDT": rows, "last": current - bar_s}


@asynccontextmanager
async def kraken(timeframe: str = "15m") -> AsyncIterator[tuple[CcxtPublic, Kraken]]:
    clock = ManualClock(NOW_MS)
    exchange = Kraken(clock)
    application = web.Application()
    application.router.add_get("/{path:.*}", exchange.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    addresses = Addresses.replaced("kraken", f"http://127.0.0.1:{runner.addresses[0][1]}", None)
    market = CcxtPublic(addresses, "ADA/USDT", timeframe, WeightGate(clock), clock)
    try:
        yield market, exchange
    finally:
        await market.close()
        await runner.cleanup()


async def test_rules_are_exact_and_absent_limits_are_zero() -> None:
    async with kraken() as (market, exchange):
        rules = await market.instrument()
        assert (rules.symbol, rules.base, rules.quote) == ("ADA/USDT", "ADA", "USDT")
        assert (rules.tick, rules.step) == (Decimal("0.00001"), Decimal("0.00000001"))
        assert (rules.min_qty, rules.min_notional) == (Decimal("4.4"), Decimal("0.5"))
        assert (rules.max_qty, rules.max_price) == (0, 0)
        assert rules.taker_fee_rate == Decimal("0.004")
        assert rules.trading
        before = len(exchange.asked)
        await market.instrument()
        assert len(exchange.asked) > before, "read again, not remembered"


async def test_candles_book_quote_and_time() -> None:
    async with kraken() as (market, exchange):
        since_ms = NOW_MS // 900_000 * 900_000 - 10 * 900_000
        candles = await market.candles(since_ms, 1_000)
        assert [c.open_ms for c in candles] == [since_ms + n * 900_000 for n in range(11)]
        assert all(c.faults(900_000) == () for c in candles)
        book, quote = await market.book(), await market.quote()
        assert [(level.price, level.qty) for level in book.bids] == [
            (Decimal("0.50010"), Decimal("100.5")),
            (Decimal("0.50000"), Decimal(7)),
        ]
        assert (quote.bid, quote.ask, quote.ask_qty) == (
            Decimal("0.5001"),
            Decimal("0.5002"),
            Decimal("50.25"),
        )
        # It tells whole seconds: the middle of one is the best guess.
        assert await market.server_time_ms() == NOW_MS // 1_000 * 1_000 + 500
        assert (await market.probe()).server_time_ms == NOW_MS // 1_000 * 1_000 + 500
        assert all(path.startswith("/0/public/") for path in exchange.asked)


async def test_ten_minutes_are_built_from_five() -> None:
    async with kraken("10m") as (market, _):
        assert (market.source.interval, market.source.parts) == ("5m", 2)
        since_ms = NOW_MS // 600_000 * 600_000 - 4 * 600_000
        candles = await market.candles(since_ms, 4)
        assert [c.open_ms for c in candles] == [since_ms + n * 600_000 for n in range(4)]
        assert all(c.volume == 21.0 for c in candles)


async def test_a_pair_it_does_not_have_is_a_permanent_error() -> None:
    async with kraken() as (known, _):
        clock = ManualClock(NOW_MS)
        urls = known._api.urls["api"]["public"]
        market = CcxtPublic(
            Addresses.replaced("kraken", urls, None), "ADA/EUR", "15m", WeightGate(clock), clock
        )
        with pytest.raises(MarketDataError, match="kraken has no spot market ADA/EUR") as caught:
            await market.instrument()
        assert caught.value.permanent
        with pytest.raises(MarketDataError, match="ADA/EUR") as caught:
            await market.candles(0, 5)
        assert caught.value.permanent
        await market.close()


async def test_signed_requests_and_other_hosts_are_stopped() -> None:
    async with kraken() as (market, exchange):
        with pytest.raises(RefusedByUsError):
            await market._client.ask(3, 1, "balance", market._api.fetch_balance)  # type: ignore[arg-type]
        assert market._api.allowed_hosts == {f"127.0.0.1:{market._api.urls['api']['public'].rsplit(':')[-1]}"}
        assert "/0/private/Balance" not in exchange.asked


async def test_the_feed_runs_on_rest_alone() -> None:
    async with kraken("1m") as (market, exchange):
        events: list[Event] = []
        clock = exchange.clock
        feed = MarketFeed(market, None, market.source, clock, FeedTerms(60, 3), NoArchive())
        after_ms = NOW_MS // MINUTE_MS * MINUTE_MS - 3 * MINUTE_MS
        task = asyncio.create_task(feed.run(events.append, after_ms))

        def bars() -> list[int]:
            return [(e.candle.open_ms - after_ms) // MINUTE_MS for e in events if isinstance(e, BarClosed)]

        async with asyncio.timeout(10):
            while bars() != [1, 2]:
                await clock.advance(100)
                await asyncio.sleep(0.005)
            for _ in range(40):
                await clock.advance(1_000)
                await asyncio.sleep(0.005)
            while bars() != [1, 2, 3]:
                await clock.advance(100)
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await settle()


def test_requests_are_spaced_as_the_exchange_wants() -> None:
    clock, told = ManualClock(), list[int]()
    gate = gate_for("kraken", clock, blocked_until_ms=clock.now_ms() + 5_000, on_blocked=told.append)
    assert gate._spacing_ms == 1_000.0
    assert gate.is_blocked, "a silence from before the restart"
    gate.answered(429, {"Retry-After": "60"})
    assert told == [gate.blocked_until_ms]
