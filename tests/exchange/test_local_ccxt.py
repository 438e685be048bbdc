"""Unmodified ccxt.pro against the local exchange: everything public that the agent may use.

ccxt is pointed here as WIRE says: `urls['api']` replaced whole, so that nothing else can be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import ccxt.pro
import pytest
from local_ground import MINUTE_MS, NOON_MS, Ground, local_exchange

PAIR, OTHER = "ADA/USDT", "BNB/USDT"


@contextlib.asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[tuple[Any, Ground]]:
    async with local_exchange(**settings) as ground:
        base, socket = ground.running.rest, ground.running.ws
        exchange = ccxt.pro.binance(
            {
                "enableRateLimit": False,
                "options": {
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "fetchCurrencies": False,
                },
            }
        )
        exchange.urls = {
            **exchange.urls,
            "api": {
                "public": f"{base}/api/v3",
                "private": f"{base}/api/v3",
                "sapi": f"{base}/sapi/v1",
                "ws": {"spot": f"{socket}/stream/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}},
            },
        }
        try:
            async with asyncio.timeout(20):
                yield exchange, ground
        finally:
            await exchange.close()


async def test_load_markets_is_one_request_and_knows_the_grid() -> None:
    async with client() as (exchange, ground):
        await exchange.load_markets()
        market = exchange.market(PAIR)
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.0001, 0.1)
        assert market["limits"]["cost"]["min"] == 5
        assert market["active"] is True
        assert market["spot"] is True
        assert exchange.price_to_precision(PAIR, 0.51237) == "0.5124"
        ledger = (await ground.control("ledger")).body
        assert [r["path"] for r in ledger["requests"]] == ["/api/v3/exchangeInfo"]


async def test_time() -> None:
    async with client() as (exchange, _):
        assert await exchange.fetch_time() == NOON_MS


async def test_candles_since_limit_until() -> None:
    async with client() as (exchange, _):
        newest = await exchange.fetch_ohlcv(PAIR, "15m", limit=3)
        assert [row[0] % (15 * MINUTE_MS) for row in newest] == [0, 0, 0]
        assert newest[-1][0] <= NOON_MS < newest[-1][0] + 15 * MINUTE_MS, "the open bar comes last"
        since = NOON_MS - 10 * 60 * MINUTE_MS
        forward = await exchange.fetch_ohlcv(PAIR, "1h", since=since, limit=4)
        assert len(forward) == 4
        assert since <= forward[0][0] < since + 60 * MINUTE_MS
        until = forward[2][0]
        part = await exchange.fetch_ohlcv(PAIR, "1h", since=since, params={"until": until})
        assert part == forward[:3]
        assert len(await exchange.fetch_ohlcv(PAIR, "1m")) == 500
        assert len(await exchange.fetch_ohlcv(PAIR, "1m", limit=1_000)) == 1_000


async def test_every_timeframe_ccxt_knows_is_answered() -> None:
    async with client() as (exchange, _):
        for timeframe in exchange.timeframes:
            rows = await exchange.fetch_ohlcv(PAIR, timeframe, limit=2)
            assert len(rows) == 2, timeframe


async def test_order_book() -> None:
    async with client() as (exchange, _):
        book = await exchange.fetch_order_book(PAIR, 5)
        assert [len(book[side]) for side in ("bids", "asks")] == [5, 5]
        assert book["bids"][0][0] < book["asks"][0][0]
        assert book["bids"] == sorted(book["bids"], reverse=True)
        assert book["nonce"] > 0


async def test_tickers() -> None:
    async with client() as (exchange, _):
        one = await exchange.fetch_ticker(PAIR)
        for key in ("bid", "ask", "bidVolume", "last", "open", "high", "low", "baseVolume", "quoteVolume"):
            assert one[key] > 0, key
        assert one["low"] <= one["last"] <= one["high"]
        assert set(await exchange.fetch_tickers([PAIR, OTHER])) == {PAIR, OTHER}
        assert set(await exchange.fetch_tickers()) == {PAIR, OTHER}
        quotes = await exchange.fetch_bids_asks([PAIR])
        assert quotes[PAIR]["bid"] == one["bid"]
        assert (await exchange.fetch_last_prices([PAIR]))[PAIR]["price"] == one["last"]


async def test_trades() -> None:
    async with client() as (exchange, _):
        trades = await exchange.fetch_trades(PAIR, limit=5)
        assert len(trades) == 5
        assert trades[-1]["timestamp"] <= NOON_MS
        assert {t["side"] for t in await exchange.fetch_trades(PAIR, limit=200)} == {"buy", "sell"}
        since = NOON_MS - 30 * MINUTE_MS
        earlier = await exchange.fetch_trades(PAIR, since=since, limit=3)
        assert [t["timestamp"] for t in earlier] == [since + 1_000 * n for n in range(3)]


async def test_wrong_symbol_and_interval() -> None:
    async with client() as (exchange, _):
        await exchange.load_markets()
        with pytest.raises(ccxt.BadSymbol):
            await exchange.public_get_klines({"symbol": "NOPEUSDT", "interval": "1m"})
        with pytest.raises(ccxt.BadRequest):
            await exchange.public_get_klines({"symbol": "ADAUSDT", "interval": "7m"})


async def test_watch_candles() -> None:
    async with client() as (exchange, ground):
        first = asyncio.create_task(exchange.watch_ohlcv(PAIR, "1m"))
        rows = await _while_time_passes(ground, first, 2_000)
        assert rows[-1][0] == NOON_MS // MINUTE_MS * MINUTE_MS
        while exchange.ohlcvs[PAIR]["1m"][-1][0] < NOON_MS + 2 * MINUTE_MS:
            await _while_time_passes(ground, asyncio.create_task(exchange.watch_ohlcv(PAIR, "1m")), 20_000)
        times = [row[0] for row in exchange.ohlcvs[PAIR]["1m"]]
        assert times == list(range(times[0], times[-1] + 1, MINUTE_MS))
        rest = await exchange.fetch_ohlcv(PAIR, "1m", since=times[0])
        assert [list(row) for row in exchange.ohlcvs[PAIR]["1m"]][:-1] == rest[: len(times) - 1]


async def test_watch_trades_and_unwatch() -> None:
    async with client() as (exchange, ground):
        trades = await _while_time_passes(ground, asyncio.create_task(exchange.watch_trades(PAIR)), 1_000)
        assert trades[-1]["price"] > 0
        await exchange.un_watch_trades(PAIR)
        again = asyncio.create_task(exchange.watch_trades(PAIR))
        assert len(await _while_time_passes(ground, again, 1_000)) > 0


async def test_watch_ticker_and_tickers() -> None:
    async with client() as (exchange, ground):
        mini = await _while_time_passes(ground, asyncio.create_task(exchange.watch_ticker(PAIR)), 1_000)
        assert mini["last"] > 0
        full = await _while_time_passes(
            ground, asyncio.create_task(exchange.watch_tickers([PAIR, OTHER], {"name": "ticker"})), 1_000
        )
        assert next(iter(full.values()))["bid"] > 0


async def test_watch_bids_asks() -> None:
    async with client() as (exchange, ground):
        quotes = await _while_time_passes(
            ground, asyncio.create_task(exchange.watch_bids_asks([PAIR])), 1_000
        )
        assert quotes[PAIR]["bid"] < quotes[PAIR]["ask"]


async def test_watch_order_book_stays_in_step() -> None:
    """ccxt raises ChecksumError on a gap in the update ids."""
    async with client() as (exchange, ground):
        await _while_time_passes(ground, asyncio.create_task(exchange.watch_order_book(PAIR)), 200)
        for _ in range(25):
            await _while_time_passes(ground, asyncio.create_task(exchange.watch_order_book(PAIR)), 900)
        watched = exchange.orderbooks[PAIR]
        told = await exchange.fetch_order_book(PAIR, 1_000)
        for _ in range(500):
            if watched["nonce"] == told["nonce"]:
                break
            await asyncio.sleep(0.01)
        assert watched["nonce"] == told["nonce"]
        assert [list(level) for level in watched["bids"]] == told["bids"]
        assert [list(level) for level in watched["asks"]] == told["asks"]
        await exchange.un_watch_order_book(PAIR)


async def test_watching_at_sixty_times_the_speed() -> None:
    async with client(paused=False, speed=60) as (exchange, _):
        for _ in range(5):
            await exchange.watch_order_book(PAIR)
        seen = set()
        while len(seen) < 3:
            rows = await exchange.watch_ohlcv(PAIR, "1m")
            seen.update(row[0] for row in rows)
        assert max(seen) - min(seen) == 2 * MINUTE_MS


async def _while_time_passes(ground: Ground, task: asyncio.Task[Any], step_ms: int) -> Any:
    """Let venue time pass in small steps until what is watched for has come."""
    while not task.done():
        await ground.advance(step_ms)
        await asyncio.wait([task], timeout=0.06)
    return task.result()
