"""Faults that last: stale answers, maintenance, halts, other filters, strangers, wipes, lost keys."""

from __future__ import annotations

from typing import Any

import pytest
from local_ground import NOON_MS
from trading_ground import Account, D, Stream, account
from websockets.exceptions import InvalidStatus

ADA = {"symbol": "ADAUSDT"}
SELL = {**ADA, "side": "SELL", "type": "MARKET", "quantity": "30"}


async def test_f37_queries_are_answered_from_the_past() -> None:
    async with account() as a:
        await a.advance(60_000)
        order = await a.order(
            "BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC", newClientOrderId="new"
        )
        await a.advance(5_000)
        await a.order("SELL", "MARKET", "30")
        await a.fault("F37", count=99, match={"method": "GET"}, params={"age_ms": 10_000})
        assert (await a.refused("GET", "order", **ADA, origClientOrderId="new"))[1] == -2013
        assert await a.want("GET", "openOrders", **ADA) == []
        assert await a.want("GET", "allOrders", **ADA) == []
        assert await a.want("GET", "myTrades", **ADA) == []
        stale = {b["asset"]: (b["free"], b["locked"]) for b in (await a.want("GET", "account"))["balances"]}
        assert stale == {"ADA": ("10000.00000000", "0.00000000"), "USDT": ("10000.00000000", "0.00000000")}
        await a.advance(6_000)
        seen = await a.want("GET", "order", **ADA, origClientOrderId="new")
        assert (seen["status"], seen["orderId"]) == ("NEW", order["orderId"])
        assert await a.want("GET", "myTrades", **ADA) == [], "the sale is younger"
        await a.want("DELETE", "order", **ADA, orderId=order["orderId"])
        assert (await a.query(order["orderId"]))["status"] == "NEW", "an old status"
        assert len(await a.want("GET", "openOrders", **ADA)) == 1
        await a.advance(10_000)
        assert (await a.query(order["orderId"]))["status"] == "CANCELED"
        assert await a.fired("F37") == 10


async def test_f37_for_a_while() -> None:
    async with account() as a:
        await a.order("SELL", "MARKET", "30")
        await a.fault("F37", for_ms=60_000)
        assert await a.want("GET", "allOrders", **ADA) == []
        await a.control("faults", {"clear": "all"})
        assert len(await a.want("GET", "allOrders", **ADA)) == 1


async def test_f38_maintenance() -> None:
    async with account() as a, a.stream() as stream:
        order = await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC")
        await stream.until("outboundAccountPosition")
        await a.fault("F38", for_ms=7_200_000)
        assert [e.get("eR", e["e"]) for e in await stream.until("outboundAccountPosition")] == [
            "EXCHANGE_CANCELED",
            "outboundAccountPosition",
        ]
        for path in ("/api/v3/time", "/api/v3/exchangeInfo"):
            assert (await a.get(path)).status == 503
        assert (await a.refused("POST", "order", **SELL))[0] == 503
        assert (await stream.signed("order.place", a.now_ms, **SELL))["status"] == 503
        assert (await a.get("/sapi/v1/system/status")).body["msg"] == "system_maintenance"
        with pytest.raises(InvalidStatus):
            async with a.socket("/ws/adausdt@trade"):
                pass
        await a.advance(7_200_001)
        ended = await a.query(order["orderId"])
        assert (ended["status"], ended["expiryReason"]) == ("EXPIRED", "EXCHANGE_CANCELED")
        assert (await a.get("/sapi/v1/system/status")).body["status"] == 0
        assert (await a.ledger())["balances"]["USDT"] == {"free": "10000", "locked": "0"}


async def test_f38_a_market_that_is_closed_but_answers() -> None:
    async with account() as a:
        order = await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC")
        await a.fault("F38", params={"variant": "closed", "expire_orders": False})
        assert await a.refused("POST", "order", **SELL) == (400, -2010, "Market is closed.")
        info = (await a.get("/api/v3/exchangeInfo")).body
        assert {s["status"] for s in info["symbols"]} == {"BREAK"}
        assert (await a.query(order["orderId"]))["status"] == "NEW"
        await a.control("faults", {"clear": "all"})
        assert (await a.get("/api/v3/exchangeInfo")).body["symbols"][0]["status"] == "TRADING"
        await a.want("POST", "order", **SELL)


@pytest.mark.parametrize(("status", "cancels"), [("HALT", False), ("BREAK", False), ("CANCEL_ONLY", True)])
async def test_f39_a_symbol_stops_trading(status: str, cancels: bool) -> None:
    async with account() as a:
        order = await a.order("BUY", "LIMIT", "100", price=a.near("0.97"), timeInForce="GTC")
        await a.fault("F39", params={"variant": status})
        info = (await a.get("/api/v3/exchangeInfo")).body
        assert [s["status"] for s in info["symbols"]] == [status, "TRADING"]
        assert (await a.refused("POST", "order", **SELL))[1:] == (-2010, "Market is closed.")
        await a.price(a.near("0.95"))
        assert (await a.query(order["orderId"]))["status"] == "NEW", "nothing is matched"
        answer = await a.ask("DELETE", "order", **ADA, orderId=order["orderId"])
        assert (answer.status == 200) is cancels
        await a.control("faults", {"clear": ["F39"]})
        await a.advance(1_000)
        assert (await a.query(order["orderId"]))["status"] == ("CANCELED" if cancels else "FILLED")


async def test_f39_delisted() -> None:
    async with account() as a:
        order = await a.order("BUY", "LIMIT", "100", price=a.near("0.97"), timeInForce="GTC")
        await a.fault("F39", params={"variant": "DELISTED"})
        info = (await a.get("/api/v3/exchangeInfo")).body
        assert [s["symbol"] for s in info["symbols"]] == ["BNBUSDT"]
        assert (await a.refused("POST", "order", **SELL))[1] == -1121
        orders = (await a.ledger())["orders"]
        assert [(o["order_id"], o["status"]) for o in orders] == [(order["orderId"], "EXPIRED")]


async def test_f40_filters_change() -> None:
    async with account() as a:
        await a.fault(
            "F40", params={"step": "10", "tick": "0.001", "min_notional": "50", "max_algo_orders": 1}
        )
        (symbol,) = (await a.get("/api/v3/exchangeInfo?symbol=ADAUSDT")).body["symbols"]
        filters = {f["filterType"]: f for f in symbol["filters"]}
        assert filters["LOT_SIZE"]["stepSize"] == "10.00000000"
        assert filters["PRICE_FILTER"]["tickSize"] == "0.00100000"
        assert filters["NOTIONAL"]["minNotional"] == "50.00000000"
        assert filters["MAX_NUM_ALGO_ORDERS"]["maxNumAlgoOrders"] == 1
        assert "LOT_SIZE" in (await a.refused("POST", "order", **{**SELL, "quantity": "105"}))[2]
        assert "NOTIONAL" in (await a.refused("POST", "order", **SELL))[2]
        await a.want("POST", "order", **{**SELL, "quantity": "110"})
        await a.control("faults", {"clear": "all"})
        await a.want("POST", "order", **SELL)


async def test_f40_filters_change_between_the_check_and_the_order() -> None:
    async with account() as a:
        await a.fault(
            "F40",
            match={"method": "POST", "path": "/api/v3/order", "nth": 2},
            params={"min_qty": "40", "max_position": "5", "notional_filter": "MIN_NOTIONAL"},
        )
        await a.want("POST", "order", **SELL)
        assert await a.fired("F40") == 0
        (symbol,) = (await a.get("/api/v3/exchangeInfo?symbol=ADAUSDT")).body["symbols"]
        assert "MAX_POSITION" not in {f["filterType"] for f in symbol["filters"]}
        assert (await a.refused("POST", "order", **SELL))[1:] == (-1013, "Filter failure: LOT_SIZE")
        (symbol,) = (await a.get("/api/v3/exchangeInfo?symbol=ADAUSDT")).body["symbols"]
        assert {"MAX_POSITION", "MIN_NOTIONAL"} <= {f["filterType"] for f in symbol["filters"]}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"tick": "0"}, "tick"),
        ({"step": "-1"}, "step"),
        ({"min_qty": "few"}, "min_qty"),
        ({"notional_filter": "SOMETHING"}, "notional_filter"),
    ],
)
async def test_f40_filters_that_are_none(params: dict[str, str], says: str) -> None:
    async with account() as a:
        answer = await a.control("faults", {"add": [{"fault": "F40", "params": params}]})
        assert answer.status == 400
        assert says in answer.body["error"]
        assert (await a.control("faults")).body["faults"] == [], "what cannot be set is not set"


async def test_f41_somebody_else_on_the_account() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F41", params={"quantity": "250"})
        events = await stream.until("outboundAccountPosition")
        assert [(e["S"], e["X"]) for e in events[:-1]] == [("SELL", "NEW"), ("SELL", "FILLED")]
        assert events[0]["c"].startswith("web_")
        more = [
            {"fault": "F41", "params": {"variant": "deposit", "asset": "BTC", "amount": "0.5"}},
            {"fault": "F41", "params": {"variant": "withdraw", "asset": "ADA", "amount": "750"}},
        ]
        await a.control("faults", {"add": more})
        balances = (await a.ledger())["balances"]
        assert (balances["BTC"]["free"], balances["ADA"]["free"]) == ("0.5", "9000")


async def test_f41_at_the_worst_moment() -> None:
    """The coins go while the order is on its way."""
    async with account() as a:
        await a.fault(
            "F41",
            match={"method": "POST", "path": "/api/v3/order"},
            params={"variant": "withdraw", "asset": "ADA", "amount": "9990"},
        )
        assert (await a.refused("POST", "order", **SELL))[1] == -2010
        own = await a.order(
            "BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC", newClientOrderId="mine"
        )
        await a.control(
            "faults", {"add": [{"fault": "F41", "params": {"variant": "cancel", "client_id": "mine"}}]}
        )
        assert (await a.query(own["orderId"]))["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "quantity"),
        ({"quantity": "1000000000"}, "LOT_SIZE"),
        ({"quantity": "20000"}, "insufficient"),
        ({"quantity": "20", "side": "HOLD"}, "HOLD"),
        ({"quantity": "20", "symbol": "NOPE"}, "NOPE"),
        ({"variant": "deposit", "asset": "", "amount": "5"}, "asset"),
        ({"variant": "withdraw", "asset": "ADA", "amount": "99999"}, "only 10000 are free"),
        ({"variant": "cancel"}, "Unknown order"),
    ],
)
async def test_f41_what_cannot_be_done(params: dict[str, str], says: str) -> None:
    async with account() as a:
        answer = await a.control("faults", {"add": [{"fault": "F41", "params": params}]})
        assert answer.status == 400
        assert says in answer.body["error"]


async def test_f42_a_wipe() -> None:
    async with account() as a, a.stream() as stream:
        for _ in range(3):
            await a.order("SELL", "MARKET", "30")
            await stream.until("outboundAccountPosition")
        open_one = await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="GTC")
        await stream.until("outboundAccountPosition")
        await a.fault("F42", match={"path": "/api/v3/account"})
        before = (await a.ledger())["orders"]
        assert len(before) == 4
        assert [b["free"] for b in (await a.want("GET", "account"))["balances"]] == ["10000.00000000"] * 2
        assert (await a.refused("GET", "order", **ADA, orderId=open_one["orderId"]))[1] == -2013
        assert await a.want("GET", "myTrades", **ADA) == []
        assert await stream.silent(), "nobody is told"
        again = await a.order("SELL", "MARKET", "30")
        assert (again["orderId"], again["fills"][0]["tradeId"]) == (1, 1), "keys survive, ids begin anew"


@pytest.mark.parametrize(
    ("variant", "reads", "terminated"),
    [("revoked", False, True), ("address", False, True), ("trading", True, False)],
)
async def test_f43_a_key_that_lost_its_rights(variant: str, reads: bool, terminated: bool) -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F43", params={"variant": variant}, for_ms=60_000)
        assert await a.refused("POST", "order", **SELL) == (
            401,
            -2015,
            "Invalid API-key, IP, or permissions for action.",
        )
        assert ((await a.ask("GET", "account")).status == 200) is reads
        assert (await stream.signed("order.place", a.now_ms, **SELL))["error"]["code"] == -2015
        if terminated:
            assert stream.events == [{"e": "eventStreamTerminated", "E": NOON_MS}]
            assert (await stream.subscribe(a.now_ms))["error"]["code"] == -2015
        await a.advance(60_001)
        await a.want("POST", "order", **SELL)


async def test_f43_in_the_middle_of_a_position() -> None:
    async with account() as a:
        await a.fault("F43", match={"method": "POST", "path": "/api/v3/order", "nth": 2})
        await a.want("POST", "order", **SELL)
        assert (await a.ask("GET", "account")).status == 200
        assert (await a.refused("POST", "order", **SELL))[1] == -2015
        assert (await a.ask("GET", "account")).status == 401


async def test_what_the_board_says() -> None:
    async with account() as a:
        await a.fault("F38", params={"variant": "closed"}, for_ms=1_000)
        await a.fault("F40", match={"method": "POST"}, params={"tick": "0.01"})
        told = {f["id"]: f for f in (await a.control("faults")).body["faults"]}
        assert (told["F38"]["fired"], told["F38"]["active"]) == (1, True)
        assert (told["F40"]["fired"], told["F40"]["active"]) == (0, True)
        await a.advance(1_001)
        told = {f["id"]: f for f in (await a.control("faults")).body["faults"]}
        assert told["F38"]["active"] is False


@pytest.mark.parametrize("number", [*range(1, 28), *range(37, 45)])
async def test_every_fault_of_the_venue_can_be_set_and_lifted(number: int) -> None:
    extra: dict[int, Any] = {41: {"params": {"variant": "deposit", "asset": "USDT", "amount": "1"}}}
    async with account() as a:
        await a.fault(f"F{number}", **extra.get(number, {}))
        assert (await a.control("faults", {"clear": "all"})).status == 200
        assert (await a.ask("GET", "account")).status == 200
        assert await _sells(a)


async def _sells(a: Account) -> bool:
    async with a.socket("/ws-api/v3") as socket:
        stream = Stream(socket)
        assert (await stream.subscribe(a.now_ms))["status"] == 200
        placed = await a.order("SELL", "MARKET", "30")
        events = await stream.until("outboundAccountPosition")
        return D(events[1]["z"]) == D(placed["executedQty"]) == 30
