"""Unmodified ccxt.pro trades on the local exchange: everything private that the agent may use."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt.pro
import pytest
from ccxt_ground import client
from trading_ground import D, eventually

PAIR, SYMBOL = "ADA/USDT", "ADAUSDT"


async def test_balance() -> None:
    async with client() as (exchange, ground):
        before = await exchange.fetch_balance()
        assert (before["ADA"], before["timestamp"]) == (
            {"free": 10_000, "used": 0, "total": 10_000},
            ground.now_ms,
        )
        await exchange.create_order(PAIR, "limit", "sell", 25, float(ground.near("1.1")))
        after = await exchange.fetch_balance()
        assert after["ADA"] == {"free": 9_975, "used": 25, "total": 10_000}


async def test_market_orders() -> None:
    async with client() as (exchange, ground):
        bought = await exchange.create_order(PAIR, "market", "buy", 30, None, {"newClientOrderId": "mine-1"})
        assert (bought["status"], bought["filled"], bought["clientOrderId"]) == ("closed", 30, "mine-1")
        assert bought["fees"] == [{"currency": "ADA", "cost": 0.03}]
        assert len(bought["trades"]) == 1
        spent = await exchange.create_order(PAIR, "market", "buy", 1, None, {"cost": 50})
        assert 49 < spent["cost"] <= 50
        assert (await exchange.create_order(PAIR, "market", "sell", 30))["status"] == "closed"
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order(PAIR, "market", "sell", 100_000)
        with pytest.raises(ccxt.InvalidOrder):
            await exchange.create_order(PAIR, "market", "buy", 0.05)
        ledger = await ground.ledger()
        assert [(o["side"], o["type"], o["status"]) for o in ledger["orders"]] == [
            ("BUY", "MARKET", "FILLED"),
            ("BUY", "MARKET", "FILLED"),
            ("SELL", "MARKET", "FILLED"),
        ]


async def test_waiting_orders_of_every_type() -> None:
    async with client() as (exchange, ground):

        def price(share: str) -> float:
            return float(ground.near(share))

        wanted: list[tuple[str, str, float | None, dict[str, Any], str]] = [
            ("limit", "buy", price("0.9"), {}, "LIMIT"),
            ("limit", "buy", price("0.9"), {"postOnly": True}, "LIMIT_MAKER"),
            ("limit", "sell", price("0.89"), {"stopLossPrice": price("0.9")}, "STOP_LOSS_LIMIT"),
            ("market", "sell", None, {"stopLossPrice": price("0.9")}, "STOP_LOSS"),
            ("limit", "sell", price("1.1"), {"takeProfitPrice": price("1.1")}, "TAKE_PROFIT_LIMIT"),
            ("STOP_LOSS_LIMIT", "sell", price("0.89"), {"stopPrice": price("0.9")}, "STOP_LOSS_LIMIT"),
        ]
        for number, (kind, side, at, params, wire) in enumerate(wanted):
            name = f"order-{number}"
            order = await exchange.create_order(PAIR, kind, side, 30, at, {**params, "clientOrderId": name})
            assert (order["status"], order["info"]["type"], order["clientOrderId"]) == ("open", wire, name)
        listed = await exchange.fetch_open_orders(PAIR)
        assert [o["info"]["type"] for o in listed] == [wire for *_, wire in wanted]
        assert listed[2]["stopLossPrice"] == price("0.9") or listed[2]["triggerPrice"] == price("0.9")
        one = await exchange.fetch_order("", PAIR, {"clientOrderId": "order-1"})
        assert (one["id"], one["postOnly"], one["timeInForce"]) == (listed[1]["id"], True, "GTC")
        gone = await exchange.cancel_order("", PAIR, {"clientOrderId": "order-1"})
        assert (gone["status"], gone["id"]) == ("canceled", one["id"])
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(one["id"], PAIR)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.fetch_order("", PAIR, {"clientOrderId": "nobody"})
        assert len(await exchange.cancel_all_orders(PAIR)) == 5
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_all_orders(PAIR)
        assert {o["status"] for o in await exchange.fetch_orders(PAIR, limit=10)} == {"canceled"}
        for force in ("IOC", "FOK"):
            order = await exchange.create_order(
                PAIR, "limit", "buy", 30, price("0.9"), {"timeInForce": force}
            )
            assert (order["status"], order["filled"]) == ("expired", 0)


async def test_test_orders_and_the_dictionary_in_a_parameter() -> None:
    async with client() as (exchange, ground):
        await exchange.create_order(PAIR, "market", "buy", 30, None, {"test": True})
        params = {"takeProfit": {"triggerPrice": 1}, "stopLoss": {"triggerPrice": 0.3}}
        with pytest.raises(ccxt.BadRequest):
            await exchange.create_order(PAIR, "limit", "buy", 30, float(ground.near("0.9")), params)
        assert (await ground.ledger())["orders"] == []


async def test_trades() -> None:
    async with client() as (exchange, _):
        bought = await exchange.create_order(PAIR, "market", "buy", 30)
        await exchange.create_order(PAIR, "market", "sell", 12)
        rows = await exchange.fetch_my_trades(PAIR, limit=10)
        assert [(t["side"], t["amount"], t["takerOrMaker"]) for t in rows] == [
            ("buy", 30, "taker"),
            ("sell", 12, "taker"),
        ]
        assert [t["fee"]["currency"] for t in rows] == ["ADA", "USDT"]
        of_order = await exchange.fetch_order_trades(bought["id"], PAIR)
        assert [t["id"] for t in of_order] == [rows[0]["id"]]


async def test_fees_and_what_load_markets_asks_with_keys() -> None:
    async with client(options={"fetchMargins": True, "fetchCurrencies": True}) as (exchange, ground):
        fee = await exchange.fetch_trading_fee(PAIR)
        assert (fee["maker"], fee["taker"]) == (0.001, 0.001)
        assert PAIR in await exchange.fetch_trading_fees()
        paths = {r["path"] for r in (await ground.ledger())["requests"]}
        assert {
            "/sapi/v1/capital/config/getall",
            "/sapi/v1/margin/allPairs",
            "/sapi/v1/margin/isolated/allPairs",
            "/api/v3/exchangeInfo",
        } <= paths
        assert exchange.currencies["ADA"]["active"]
        assert (await exchange.fetch_status())["status"] == "ok"
        told = await exchange.sapi_get_account_apirestrictions()
        assert told["enableSpotAndMarginTrading"] is True


async def test_cancel_replace_by_its_own_name() -> None:
    async with client() as (exchange, ground):
        stop = await exchange.create_order(
            PAIR, "market", "sell", 10_000, None, {"stopLossPrice": float(ground.near("0.9"))}
        )
        params = {
            "symbol": SYMBOL,
            "side": "SELL",
            "type": "MARKET",
            "quantity": "10000",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "newClientOrderId": "replacement",
        }
        done = await exchange.private_post_order_cancelreplace({**params, "cancelOrderId": stop["id"]})
        assert (done["cancelResult"], done["newOrderResponse"]["status"]) == ("SUCCESS", "FILLED")
        with pytest.raises(ccxt.ExchangeError, match="-2022"):
            await exchange.private_post_order_cancelreplace({**params, "cancelOrderId": stop["id"]})


async def test_order_lists_by_their_own_names() -> None:
    async with client() as (exchange, ground):
        placed = await exchange.private_post_orderlist_oco(
            {
                "symbol": SYMBOL,
                "side": "SELL",
                "quantity": "30",
                "listClientOrderId": "pair",
                "aboveType": "LIMIT_MAKER",
                "abovePrice": str(ground.near("1.1")),
                "aboveClientOrderId": "up",
                "belowType": "STOP_LOSS_LIMIT",
                "belowStopPrice": str(ground.near("0.9")),
                "belowPrice": str(ground.near("0.89")),
                "belowTimeInForce": "GTC",
                "belowClientOrderId": "down",
            }
        )
        assert {r["clientOrderId"] for r in placed["orderReports"]} == {"up", "down"}
        assert (await exchange.private_get_orderlist({"origClientOrderId": "pair"}))["orderListId"] == 1
        assert len(await exchange.private_get_openorderlist()) == 1
        gone = await exchange.private_delete_orderlist({"symbol": SYMBOL, "listClientOrderId": "pair"})
        assert gone["listOrderStatus"] == "ALL_DONE"


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"secret": "wrong"}, ccxt.AuthenticationError),
        ({"key": "other"}, ccxt.AuthenticationError),
    ],
)
async def test_wrong_keys(setting: dict[str, str], error: type[Exception]) -> None:
    async with client(**setting) as (exchange, _):
        with pytest.raises(error):
            await exchange.fetch_balance()


async def test_the_clock_is_told_from() -> None:
    async with client() as (exchange, ground):
        exchange.milliseconds = lambda: ground.now_ms - 20_000
        with pytest.raises(ccxt.InvalidNonce):
            await exchange.fetch_balance()
        await exchange.load_time_difference()
        assert (await exchange.fetch_balance())["ADA"]["free"] == 10_000


# -- sockets -------------------------------------------------------------------------------------------


async def test_watch_orders_and_trades_and_balance() -> None:
    async with client() as (exchange, ground):
        first = asyncio.ensure_future(exchange.watch_balance())
        orders = asyncio.ensure_future(exchange.watch_orders(PAIR))
        trades = asyncio.ensure_future(exchange.watch_my_trades(PAIR))

        async def subscribed() -> bool:
            return any("subscribe" in r["path"] for r in (await ground.ledger())["requests"])

        await eventually(subscribed)
        await exchange.create_order(PAIR, "limit", "buy", 30, float(ground.near("0.97")))
        opened = await orders
        assert (opened[-1]["status"], opened[-1]["amount"]) == ("open", 30)
        assert (await first)["USDT"]["used"] == pytest.approx(30 * float(ground.near("0.97")))
        again = asyncio.ensure_future(exchange.watch_orders(PAIR))
        await ground.price(ground.near("0.96"))
        (trade,) = await trades
        assert (trade["amount"], trade["takerOrMaker"], trade["fee"]["currency"]) == (30, "maker", "ADA")
        closed = await again
        assert (closed[-1]["status"], closed[-1]["filled"]) == ("closed", 30)
        assert closed[-1]["fee"] == {"cost": 0.03, "currency": "ADA"}


async def test_the_stream_comes_back_after_it_was_cut() -> None:
    async with client() as (exchange, ground):
        orders = asyncio.ensure_future(exchange.watch_orders(PAIR))

        async def subscribed(times: int) -> bool:
            requests = (await ground.ledger())["requests"]
            return sum("subscribe" in r["path"] for r in requests) == times

        await eventually(lambda: subscribed(1))
        await ground.fault("F27", params={"variant": "abort"})
        with pytest.raises(ccxt.NetworkError):
            await orders
        orders = asyncio.ensure_future(exchange.watch_orders(PAIR))
        await eventually(lambda: subscribed(2))
        await exchange.create_order(PAIR, "market", "sell", 30)
        assert (await orders)[-1]["symbol"] == PAIR


async def test_orders_over_the_socket() -> None:
    async with client() as (exchange, ground):
        bought = await exchange.create_order_ws(PAIR, "market", "buy", 30)
        assert (bought["status"], bought["filled"]) == ("closed", 30)
        resting = await exchange.create_order_ws(PAIR, "limit", "buy", 30, float(ground.near("0.9")))
        assert (await exchange.fetch_order_ws(resting["id"], PAIR))["status"] == "open"
        assert (await exchange.cancel_order_ws(resting["id"], PAIR))["status"] == "canceled"
        told = (await exchange.fetch_balance_ws())["info"]["balances"]
        assert next(b["free"] for b in told if b["asset"] == "ADA") == "10029.97000000"
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order_ws(PAIR, "market", "sell", 100_000)


async def test_trading_at_sixty_times_the_speed() -> None:
    async with client(paused=False, speed=60) as (exchange, ground):
        exchange.milliseconds = lambda: ground.now_ms
        bought = await exchange.create_order(PAIR, "market", "buy", 30)
        stop = await exchange.create_order(
            PAIR, "market", "sell", 29, None, {"stopLossPrice": float(ground.near("0.98"))}
        )
        await ground.control("market", {"price": str(ground.near("0.97"))})

        async def sold() -> bool:
            return bool((await exchange.fetch_order(stop["id"], PAIR))["status"] == "closed")

        await eventually(sold)
        trades = await exchange.fetch_my_trades(PAIR)
        ledger = await ground.ledger()
        assert [t["id"] for t in trades] == [str(f["trade_id"]) for f in ledger["fills"]]
        assert D(str(bought["filled"])) == 30
        assert D(ledger["balances"]["ADA"]["free"]) == 10_000 + 30 - D("0.03") - 29
