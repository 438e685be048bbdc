"""Faults that meddle with orders: races, tiny fills, odd commissions, strange words, ids that jump."""

from __future__ import annotations

from typing import Any

import pytest
from trading_ground import Account, D, account

ADA = {"symbol": "ADAUSDT"}
POST = {"method": "POST", "path": "/api/v3/order"}


async def _resting(a: Account, quantity: str = "100") -> Any:
    return await a.order("BUY", "LIMIT", quantity, price=a.near("0.9"), timeInForce="GTC")


async def test_f14_a_cancel_that_comes_too_late() -> None:
    async with account() as a:
        await a.fault("F14")
        assert (await a.refused("DELETE", "order", **ADA, orderId=99))[1] == -2011
        assert await a.fired("F14") == 0, "there was nothing to race for"
        order = await _resting(a)
        assert (await a.refused("DELETE", "order", **ADA, orderId=order["orderId"]))[1] == -2011
        filled = await a.query(order["orderId"])
        assert (filled["status"], filled["executedQty"]) == ("FILLED", "100.00000000")
        assert await a.fired("F14") == 1
        trades = await a.want("GET", "myTrades", **ADA)
        assert [(t["isMaker"], t["price"]) for t in trades] == [(True, order["price"])]


async def test_f14_a_part_is_filled_before_the_cancel() -> None:
    async with account() as a:
        await a.fault("F14", params={"share": "0.3"})
        order = await _resting(a)
        canceled = await a.want("DELETE", "order", **ADA, orderId=order["orderId"])
        assert (canceled["status"], canceled["executedQty"]) == ("CANCELED", "30.00000000")


async def test_f14_the_stop_is_quicker_than_its_replacement() -> None:
    async with account() as a:
        stop = await a.order("SELL", "STOP_LOSS", "100", stopPrice=a.near("0.9"))
        await a.fault("F14", match={"path": "/api/v3/order/cancelReplace"})
        answer = await a.ask(
            "POST",
            "order/cancelReplace",
            **ADA,
            side="SELL",
            type="MARKET",
            quantity="100",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=stop["orderId"],
        )
        assert (answer.status, answer.body["code"]) == (400, -2022)
        assert (await a.query(stop["orderId"]))["status"] == "FILLED"
        assert (await a.ledger())["balances"]["ADA"]["free"] == "9900", "sold once"


async def test_f14_concerns_lists_and_all_orders() -> None:
    async with account() as a:
        placed = await a.want(
            "POST",
            "orderList/oco",
            **ADA,
            side="SELL",
            quantity="100",
            aboveType="LIMIT_MAKER",
            abovePrice=a.near("1.1"),
            belowType="STOP_LOSS",
            belowStopPrice=a.near("0.9"),
        )
        await a.fault("F14", count=2)
        assert (await a.refused("DELETE", "orderList", **ADA, orderListId=placed["orderListId"]))[1] == -2011
        await _resting(a)
        assert (await a.refused("DELETE", "openOrders", **ADA))[1] == -2011
        assert await a.fired("F14") == 2


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("MARKET", {}, "INSUFFICIENT_LIQUIDITY"),
        ("LIMIT", {"timeInForce": "IOC"}, "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("LIMIT", {"timeInForce": "GTC"}, "EXCHANGE_CANCELED"),
    ],
)
async def test_f15_many_tiny_fills_then_the_end(kind: str, more: dict[str, Any], why: str) -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F15", match=POST, params={"share": "0.6", "pieces": 20})
        price = {"price": a.near("1.01")} if kind == "LIMIT" else {}
        placed = await a.order("BUY", kind, "100", newOrderRespType="FULL", **price, **more)
        assert (placed["status"], placed["executedQty"], placed["expiryReason"]) == (
            "EXPIRED",
            "60.00000000",
            why,
        )
        assert [fill["qty"] for fill in placed["fills"]] == ["3.00000000"] * 20
        events = await stream.until("outboundAccountPosition")
        assert [e["x"] for e in events[:-1]] == ["NEW", *["TRADE"] * 20, "EXPIRED"]
        assert events[-2]["z"] == "60.00000000"


async def test_f15_waits_for_a_resting_order() -> None:
    async with account() as a:
        await a.fault("F15", params={"share": "0.5", "pieces": 2})
        order = await _resting(a)
        assert order["status"] == "NEW"
        await a.price(a.near("0.88"))
        ended = await a.query(order["orderId"])
        assert (ended["status"], ended["executedQty"]) == ("EXPIRED", "50.00000000")


@pytest.mark.parametrize(
    ("params", "assets", "fee"),
    [
        ({"variant": "native"}, {"ADA"}, D("0.1")),
        ({"variant": "bnb"}, {"BNB"}, None),
        ({"variant": "free"}, {"BNB", "ADA"}, D(0)),
        ({"variant": "rate", "rate": "0.004"}, {"BNB"}, None),
        ({"variant": "mixed", "fills": 2}, {"BNB", "ADA"}, None),
    ],
)
async def test_f16_commissions(params: dict[str, Any], assets: set[str], fee: D | None) -> None:
    funds = {"USDT": D(10_000), "BNB": D(1)}
    async with account(balances=funds) as a:
        await a.fault("F16", params=params)
        await a.fault("F15", params={"share": "1", "pieces": 4})
        placed = await a.order("BUY", "MARKET", "100")
        assert placed["status"] == "FILLED"
        paid = [(f["commissionAsset"], D(f["commission"])) for f in placed["fills"]]
        assert {asset for asset, _ in paid} <= assets
        if params["variant"] == "mixed":
            assert [asset for asset, _ in paid] == ["BNB", "BNB", "ADA", "ADA"]
        if fee is not None:
            assert sum(amount for _, amount in paid) == fee
        ledger = await a.ledger()
        assert [(f["fee"], f["fee_currency"]) for f in ledger["fills"]] == [
            (f"{x.normalize():f}", y) for y, x in paid
        ]


async def test_f17_a_market_order_expires_half_filled() -> None:
    async with account() as a:
        await a.fault("F17")
        limit = await a.order("BUY", "LIMIT", "100", price=a.near("1.01"), timeInForce="GTC")
        assert limit["status"] == "FILLED"
        assert await a.fired("F17") == 0
        placed = await a.order("SELL", "MARKET", "100")
        assert (placed["status"], placed["executedQty"]) == ("EXPIRED", "50.00000000")
        assert placed["expiryReason"] == "INSUFFICIENT_LIQUIDITY"


async def test_f17_a_stop_that_starts_expires_half_filled() -> None:
    async with account() as a:
        await a.fault("F17", params={"share": "0.25"})
        stop = await a.order("SELL", "STOP_LOSS", "100", stopPrice=a.near("0.95"))
        await a.price(a.near("0.94"))
        ended = await a.query(stop["orderId"])
        assert (ended["status"], ended["executedQty"]) == ("EXPIRED", "25.00000000")


async def test_f18_a_stop_that_would_trigger_immediately() -> None:
    async with account() as a:
        await a.fault("F18", count=3)
        await a.order("SELL", "MARKET", "30")
        assert await a.fired("F18") == 0
        stop = {**ADA, "side": "SELL", "type": "STOP_LOSS", "quantity": "100", "stopPrice": a.near("0.9")}
        says = (400, -2010, "Order would trigger immediately.")
        assert await a.refused("POST", "order", **stop) == says
        pair = {
            **ADA,
            "side": "SELL",
            "quantity": "100",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": a.near("1.1"),
            "belowType": "STOP_LOSS",
            "belowStopPrice": a.near("0.9"),
        }
        assert await a.refused("POST", "orderList/oco", **pair) == says
        resting = await _resting(a)
        answer = await a.ask(
            "POST",
            "order/cancelReplace",
            **stop,
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=resting["orderId"],
        )
        assert (answer.status, answer.body["code"]) == (409, -2021)
        assert answer.body["data"]["newOrderResponse"] == {"code": -2010, "msg": says[2]}


async def test_f19_a_pending_leg_is_rejected_when_its_time_comes() -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F19")
        placed = await a.want(
            "POST",
            "orderList/otoco",
            **ADA,
            workingType="LIMIT",
            workingSide="BUY",
            workingPrice=a.near("0.98"),
            workingQuantity="200",
            workingTimeInForce="GTC",
            pendingSide="SELL",
            pendingQuantity="199",
            pendingAboveType="LIMIT_MAKER",
            pendingAbovePrice=a.near("1.1"),
            pendingBelowType="STOP_LOSS",
            pendingBelowStopPrice=a.near("0.9"),
        )
        await stream.until("outboundAccountPosition")
        await a.price(a.near("0.97"))
        rows = [await a.query(o["orderId"]) for o in placed["orders"]]
        assert [(row["status"], row.get("expiryReason")) for row in rows] == [
            ("FILLED", None),
            ("EXPIRED", "REJECTED"),
            ("EXPIRED", "REJECTED"),
        ]
        events = await stream.until("outboundAccountPosition")
        assert [e.get("eR") for e in events if e.get("x") == "EXPIRED"] == ["REJECTED", "REJECTED"]
        assert await a.fired("F19") == 1


@pytest.mark.parametrize(("share", "filled"), [("0", "0.00000000"), ("0.4", "40.00000000")])
async def test_f20_expired_in_match(share: str, filled: str) -> None:
    async with account() as a, a.stream() as stream:
        await a.fault("F20", params={"share": share})
        placed = await a.order("BUY", "LIMIT", "100", price=a.near("1.01"), timeInForce="GTC")
        assert (placed["status"], placed["executedQty"]) == ("EXPIRED_IN_MATCH", filled)
        ended = (await stream.until("outboundAccountPosition"))[-2]
        assert (ended["x"], ended["X"]) == ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")
        assert D(ended["A"]) == 100 - D(filled)
        assert (await a.query(placed["orderId"]))["status"] == "EXPIRED_IN_MATCH"


async def test_f21_unknown_words_in_answers() -> None:
    async with account() as a:
        await a.fault("F21", match={"path": "/api/v3/order"}, count=2)
        placed = await a.order("SELL", "MARKET", "30")
        assert placed["status"] == "FROZEN"
        assert (await a.query(placed["orderId"]))["status"] == "FROZEN"
        assert (await a.query(placed["orderId"]))["status"] == "FILLED"
        more = [{"fault": "F21", "match": {"method": "GET"}, "params": {"variant": "field"}}]
        await a.control("faults", {"add": more})
        row = (await a.want("GET", "allOrders", **ADA))[0]
        assert row["newThing"] == {"deep": [1, None, "FROZEN"]}
        assert row["status"] == "FILLED"


async def test_f44_ids_that_jump() -> None:
    async with account() as a:
        first = await a.order("SELL", "MARKET", "30")
        await a.fault("F44", params={"variant": "order_ids", "by": 5_000})
        second = await a.order("SELL", "MARKET", "30")
        assert second["orderId"] == first["orderId"] + 5_001
        assert second["fills"][0]["tradeId"] == first["fills"][0]["tradeId"] + 1
        more = [{"fault": "F44", "params": {"variant": "trade_ids", "by": 70}}]
        await a.control("faults", {"add": more})
        third = await a.order("SELL", "MARKET", "30")
        assert third["fills"][0]["tradeId"] == second["fills"][0]["tradeId"] + 71


async def test_f44_two_orders_with_one_client_id() -> None:
    async with account() as a:
        await a.fault("F44", params={"variant": "doubled"})
        placed = await a.order("SELL", "MARKET", "30", newClientOrderId="twin")
        orders = (await a.ledger())["orders"]
        assert [(o["client_id"], o["status"]) for o in orders] == [("twin", "FILLED")] * 2
        assert placed["orderId"] == orders[0]["order_id"]
        assert len(await a.want("GET", "myTrades", **ADA)) == 2


async def test_f44_a_client_id_replaced_by_its_cancels() -> None:
    async with account() as a:
        await a.fault("F44", params={"variant": "renamed"})
        order = await _resting(a)
        name = {"origClientOrderId": order["clientOrderId"]}
        await a.want("DELETE", "order", **ADA, **name, newClientOrderId="the-cancel")
        assert (await a.refused("GET", "order", **ADA, **name))[1] == -2013
        row = await a.want("GET", "order", **ADA, origClientOrderId="the-cancel")
        assert (row["orderId"], row["clientOrderId"]) == (order["orderId"], "the-cancel")
