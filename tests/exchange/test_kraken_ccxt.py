"""Kraken's front-end against unmodified ccxt.pro: it reads the market, trades, and hears of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import zlib
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt
import orjson
import pytest

from agent.localexchange.kraken.names import number_of, order_id
from agent.localexchange.kraken.public import MOST_BARS
from agent.localexchange.serve import Running
from tests.exchange.kraken_ground import KEY, NOON_MS, PAIR, SECRET, kraken

MINE = "ab" * 16
PATIENCE_S = 20.0


async def test_the_market_is_read() -> None:
    async with kraken(paused=True) as (client, running):
        market = (await client.load_markets())[PAIR]
        assert (market["precision"]["price"], market["precision"]["amount"]) == (0.0001, 0.1)
        assert market["limits"]["amount"]["min"] == 0.1
        assert market["limits"]["cost"]["min"] == 5
        assert market["taker"] == 0.004
        assert await client.fetch_time() == NOON_MS
        bars = await client.fetch_ohlcv(PAIR, "15m")
        assert len(bars) == MOST_BARS, "never more, from whenever"
        assert bars == await client.fetch_ohlcv(PAIR, "15m", 1)
        assert bars[-1][0] == NOON_MS // 900_000 * 900_000, "the last one is still open"
        assert [later[0] - bar[0] for bar, later in pairwise(bars)] == [900_000] * 719
        binance = running.exchange.market.main.tape.klines("15m", bars[-1][0], None, 1, NOON_MS)[0]
        assert bars[-1][4] == float(binance.close * running.exchange.market.main.pair.tick)
        ticker, book = await client.fetch_ticker(PAIR), await client.fetch_order_book(PAIR, 10)
        assert ticker["bid"] == book["bids"][0][0] < book["asks"][0][0] == ticker["ask"]
        assert len(book["bids"]) == 10
        assert (await client.fetch_status())["status"] == "ok"


async def test_orders_by_rest_from_placing_to_trades() -> None:
    async with kraken(paused=True, balances={"USDT": Decimal(1_000)}) as (client, _):
        await client.load_markets()
        ask = (await client.fetch_order_book(PAIR, 1))["asks"][0][0]
        ours = {"timeInForce": "IOC", "clientOrderId": MINE, "oflags": "fciq"}
        bought = await client.create_order(PAIR, "limit", "buy", 100, ask, ours)
        order = await client.fetch_order(bought["id"])
        assert (order["clientOrderId"], order["status"], order["filled"]) == (MINE, "closed", 100)
        (trade,) = await client.fetch_my_trades(PAIR)
        assert (trade["order"], trade["price"], trade["amount"]) == (bought["id"], ask, 100)
        assert trade["fee"] == {"cost": pytest.approx(ask * 100 * 0.001), "currency": "USDT"}

        stop = {"stopLossPrice": round(ask / 2, 4), "clientOrderId": MINE, "oflags": "fciq"}
        resting = await client.create_order(PAIR, "market", "sell", 60, None, stop)
        (opened,) = await client.fetch_open_orders(PAIR)
        assert (opened["id"], opened["clientOrderId"]) == (resting["id"], MINE), "the id is free again"
        assert opened["stopLossPrice"] == stop["stopLossPrice"]
        assert (await client.fetch_balance())["ADA"] == {"free": 40, "used": 60, "total": 100}
        with pytest.raises(ccxt.ExchangeError, match="cl_ord_id"):
            await client.create_order(PAIR, "market", "sell", 10, None, {"clientOrderId": MINE})
        await client.cancel_order("", PAIR, {"clientOrderId": MINE})
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("", PAIR, {"clientOrderId": MINE})
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(PAIR, "market", "sell", 101)
        sold = await client.create_order(PAIR, "market", "sell", 100)
        closed = {o["id"]: o["status"] for o in await client.fetch_closed_orders(PAIR)}
        assert closed == {bought["id"]: "closed", resting["id"]: "canceled", sold["id"]: "closed"}
        assert (await client.fetch_balance())["ADA"]["total"] == 0


async def test_a_stop_behind_the_market_sells_at_once() -> None:
    async with kraken(paused=True, balances={"ADA": Decimal(100)}) as (client, _):
        await client.load_markets()
        bid = (await client.fetch_order_book(PAIR, 1))["bids"][0][0]
        behind = {"stopLossPrice": round(bid * 1.1, 4)}
        placed = await client.create_order(PAIR, "market", "sell", 50, None, behind)
        assert (await client.fetch_order(placed["id"]))["status"] == "closed"


async def test_candles_prices_and_executions_by_socket() -> None:
    async with kraken(speed=20) as (client, running):
        async with asyncio.timeout(PATIENCE_S):
            first = (await client.watch_ohlcv(PAIR, "1m"))[-1]
            while (row := (await client.watch_ohlcv(PAIR, "1m"))[-1])[0] == first[0]:
                assert row[2] >= row[4] >= row[3]
            assert row[0] == first[0] + 60_000
            told = await client.watch_bids_asks([PAIR], {})
            assert 0 < told[PAIR]["bid"] < told[PAIR]["ask"]

            async def heard() -> list[Any]:
                """Until an order is over; the caches hold what came while nobody waited."""
                while True:
                    await client.watch_orders(PAIR)
                    over = [order for order in client.orders if order["status"] == "closed"]
                    if over and client.myTrades:
                        return [*over, *client.myTrades]

            listening = asyncio.create_task(heard())
            # What is bought before the exchange knows who listens is told to nobody.
            while not any(connection._executions for connection in running._kraken._open):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            bought = await client.create_order(PAIR, "market", "buy", 50, None, {"clientOrderId": MINE})
            (order, trade) = await listening
            assert (order["id"], order["info"]["cl_ord_id"]) == (bought["id"], MINE)
            assert (trade["order"], trade["amount"]) == (bought["id"], 50)


async def test_the_books_checksum_is_krakens() -> None:
    """CRC-32 over the ten best asks, then bids: prices and amounts without points and leading zeros."""
    async with kraken(paused=True) as (_, running), aiohttp.ClientSession() as session:
        names = running.exchange.market.main.pair
        async with session.ws_connect(f"{running.ws}/v2") as socket:
            await socket.send_str(
                orjson.dumps(
                    {"method": "subscribe", "params": {"channel": "book", "symbol": [PAIR]}, "req_id": 7}
                ).decode()
            )
            frames = []
            while not frames or frames[-1].get("channel") != "book":
                frames.append(orjson.loads((await socket.receive(PATIENCE_S)).data))
        answer = next(frame for frame in frames if frame.get("method") == "subscribe")
        assert (answer["success"], answer["req_id"]) == (True, 7)
        (book,) = frames[-1]["data"]
        text = ""
        for side in (book["asks"], book["bids"]):
            for level in side[:10]:
                price, amount = f"{level['price']:.4f}", f"{level['qty']:.8f}"
                text += price.replace(".", "").lstrip("0") + amount.replace(".", "").lstrip("0")
        assert names.tick == Decimal("0.0001")
        assert book["checksum"] == zlib.crc32(text.encode())


# --- who may ask ------------------------------------------------------------------------------------


async def asked(running: Running, nonce: object, *, key: str = KEY, sign: str | None = None) -> Any:
    """A private request made by hand, as Kraken describes it."""
    path = "/0/private/Balance"
    body = urlencode({"nonce": nonce})
    digest = hashlib.sha256((str(nonce) + body).encode()).digest()
    made = hmac.new(base64.b64decode(SECRET), path.encode() + digest, hashlib.sha512).digest()
    headers = {"API-Key": key, "API-Sign": sign or base64.b64encode(made).decode()}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.rest + path, data=body, headers=headers) as response,
    ):
        assert response.status == 200
        return await response.json()


async def test_signature_key_and_nonce() -> None:
    async with kraken(paused=True) as (_, running):
        assert (await asked(running, 5))["result"] == {"USDT": "10000.00000000"}
        for nonce in (5, 4, "x"):
            assert (await asked(running, nonce))["error"] == ["EAPI:Invalid nonce"]
        assert (await asked(running, 6, sign="bm8="))["error"] == ["EAPI:Invalid signature"]
        assert (await asked(running, 6, key="other"))["error"] == ["EAPI:Invalid key"]
        assert (await asked(running, 6))["error"] == [], "what was refused used no nonce up"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"clientOrderId": "nineteen characters"}, "cl_ord_id"),
        ({"stopLoss": {"triggerPrice": 0.1}}, "stopLoss"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "Deadline elapsed"),
        ({"deadline": "2030-01-01T00:00:00Z"}, "deadline"),
        ({"oflags": "viqx"}, "oflags"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(params: dict[str, Any], said: str) -> None:
    async with kraken(paused=True) as (client, running):
        await client.load_markets()
        with pytest.raises(ccxt.BaseError, match=said):
            await client.create_order(PAIR, "market", "buy", 20, None, params)
        assert not list(running.exchange.desk.venue.registry.all_orders())


async def test_a_price_too_fine_and_an_order_too_small() -> None:
    async with kraken(paused=True) as (client, _):
        await client.load_markets()
        client.markets[PAIR]["precision"]["price"] = 0.000001
        with pytest.raises(ccxt.ExchangeError, match="up to 4 decimals"):
            await client.create_order(PAIR, "limit", "buy", 20, 0.512345)
        with pytest.raises(ccxt.InvalidOrder, match="minimum not met"):
            await client.create_order(PAIR, "limit", "buy", 1, 0.5)


def test_ids_can_be_turned_back() -> None:
    for number in (1, 36**9, 36**15 + 7):
        assert number_of(order_id(number)) == number
    assert number_of("OABCDE-FGHIJ-KLMN") is None
