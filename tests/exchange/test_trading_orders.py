"""Orders over REST: what is answered, with all its fields, and what the account looks like afterwards.

The sets of keys are Binance's, as its own pages and recordings of it show them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from local_ground import MINUTE_MS, NOON_MS
from trading_ground import D, account

ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
RESULT = ACK | {
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
}
FULL = RESULT | {"fills"}
CANCELED = (RESULT - {"workingTime"}) | {"origClientOrderId"}
QUERY = (RESULT - {"transactTime"}) | {"stopPrice", "icebergQty", "time", "updateTime", "isWorking"}
FILL = {"price", "qty", "commission", "commissionAsset", "tradeId"}
TRADE = {
    "symbol",
    "id",
    "orderId",
    "orderListId",
    "price",
    "qty",
    "quoteQty",
    "commission",
    "commissionAsset",
    "time",
    "isBuyer",
    "isMaker",
    "isBestMatch",
}
LIST = {
    "orderListId",
    "contingencyType",
    "listStatusType",
    "listOrderStatus",
    "listClientOrderId",
    "transactionTime",
    "symbol",
    "orders",
}
AMOUNTS = re.compile(r"\d+\.\d{8}")
ADA = {"symbol": "ADAUSDT"}
RICH = {"USDT": D(100_000), "ADA": D(10_000)}


def check_types(row: dict[str, Any]) -> None:
    """Ids and times are integers, amounts are text with eight decimals."""
    for name, value in row.items():
        if name in ("orderId", "orderListId", "tradeId", "id") or name.lower().endswith("time"):
            assert isinstance(value, int), name
            assert not isinstance(value, bool), name
        elif name.lower().endswith(("price", "qty")) or name == "commission":
            assert AMOUNTS.fullmatch(value), (name, value)


@pytest.mark.parametrize(("answer", "keys"), [("ACK", ACK), ("RESULT", RESULT), ("FULL", FULL), (None, FULL)])
async def test_a_market_order_and_its_answers(answer: str | None, keys: set[str]) -> None:
    async with account() as a:
        more = {} if answer is None else {"newOrderRespType": answer}
        placed = await a.order("BUY", "MARKET", "1000", newClientOrderId="mine", **more)
        assert placed.keys() == keys
        check_types(placed)
        assert (placed["clientOrderId"], placed["transactTime"], placed["orderListId"]) == (
            "mine",
            NOON_MS,
            -1,
        )
        for fill in placed.get("fills", []):
            assert fill.keys() == FILL
            check_types(fill)
        if "fills" in placed:
            assert sum(D(fill["qty"]) for fill in placed["fills"]) == 1_000
        queried = await a.query(placed["orderId"])
        assert queried.keys() == QUERY
        check_types(queried)
        assert (queried["status"], queried["isWorking"], queried["workingTime"]) == ("FILLED", True, NOON_MS)


@pytest.mark.parametrize(
    ("kind", "more", "keys"),
    [
        ("LIMIT", {"price": "0.5", "timeInForce": "GTC"}, FULL),
        ("LIMIT_MAKER", {"price": "0.5"}, ACK),
        ("LIMIT_MAKER", {"price": "0.5", "newOrderRespType": "RESULT"}, RESULT),
        ("STOP_LOSS", {"stopPrice": "0.7", "newOrderRespType": "FULL"}, FULL | {"stopPrice"}),
        (
            "STOP_LOSS_LIMIT",
            {"stopPrice": "0.7", "price": "0.71", "timeInForce": "GTC", "newOrderRespType": "RESULT"},
            RESULT | {"stopPrice"},
        ),
        ("TAKE_PROFIT", {"stopPrice": "0.5", "newOrderRespType": "RESULT"}, RESULT | {"stopPrice"}),
        (
            "LIMIT",
            {"price": "0.5", "timeInForce": "GTC", "icebergQty": "10", "strategyId": "7"},
            FULL | {"icebergQty", "strategyId"},
        ),
    ],
)
async def test_orders_that_wait(kind: str, more: dict[str, str], keys: set[str]) -> None:
    async with account() as a:
        placed = await a.order("BUY", kind, "100", **more)
        assert placed.keys() == keys
        check_types({**placed, "workingTime": placed.get("workingTime", 0)})
        (row,) = await a.want("GET", "openOrders", **ADA)
        assert row == await a.query(placed["orderId"])
        assert row.keys() >= QUERY
        conditional = "stopPrice" in more
        assert (row["isWorking"], row["workingTime"]) == (not conditional, -1 if conditional else NOON_MS)
        assert row["type"] == kind
        canceled = await a.want(
            "DELETE", "order", **ADA, orderId=placed["orderId"], newClientOrderId="stop-it"
        )
        assert canceled.keys() >= CANCELED
        assert (canceled["clientOrderId"], canceled["status"]) == ("stop-it", "CANCELED")
        assert canceled["origClientOrderId"] == placed["clientOrderId"]
        assert await a.want("GET", "openOrders", **ADA) == []
        assert (await a.query(placed["orderId"]))["clientOrderId"] == placed["clientOrderId"]


async def test_an_order_that_expired_says_why() -> None:
    async with account() as a:
        placed = await a.order("BUY", "LIMIT", "100", price="0.5", timeInForce="IOC")
        assert (placed["status"], placed["expiryReason"]) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
        assert (await a.query(placed["orderId"]))["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"


async def test_my_trades_are_the_record() -> None:
    async with account(balances=RICH) as a:
        bought = await a.order("BUY", "MARKET", "30000", newOrderRespType="FULL")
        await a.advance(5_000)
        sold = await a.order("SELL", "MARKET", "100")
        rows = await a.want("GET", "myTrades", **ADA)
        assert all(row.keys() == TRADE for row in rows)
        for row in rows:
            check_types(row)
        of_first = await a.want("GET", "myTrades", **ADA, orderId=bought["orderId"])
        assert len(of_first) > 1, "a big order takes several levels"
        assert [(t["price"], t["qty"], t["id"]) for t in of_first] == [
            (f["price"], f["qty"], f["tradeId"]) for f in bought["fills"]
        ]
        assert sum(D(t["quoteQty"]) for t in of_first) == D(bought["cummulativeQuoteQty"])
        assert [t["orderId"] for t in rows[len(of_first) :]] == [sold["orderId"]]
        assert {(t["isBuyer"], t["isMaker"]) for t in rows} == {(True, False), (False, False)}
        last = rows[-1]["id"]
        assert await a.want("GET", "myTrades", **ADA, fromId=last) == rows[-1:]
        assert await a.want("GET", "myTrades", **ADA, limit=2) == rows[-2:]
        assert await a.want("GET", "myTrades", **ADA, startTime=NOON_MS + 1) == rows[-1:]
        assert await a.want("GET", "myTrades", **ADA, startTime=NOON_MS, endTime=NOON_MS) == of_first
        assert await a.want("GET", "myTrades", symbol="BNBUSDT") == []
        day = 86_400_001
        assert (await a.refused("GET", "myTrades", **ADA, startTime=NOON_MS, endTime=NOON_MS + day))[
            1
        ] == -1127
        assert (await a.refused("GET", "myTrades", **ADA, startTime=NOON_MS, fromId=1))[1] == -1128


async def test_the_account_adds_up() -> None:
    async with account() as a:
        before = await a.want("GET", "account")
        assert {b["asset"]: (b["free"], b["locked"]) for b in before["balances"]} == {
            "ADA": ("10000.00000000", "0.00000000"),
            "USDT": ("10000.00000000", "0.00000000"),
        }
        await a.advance(1_000)
        bought = await a.order("BUY", "MARKET", "500")
        await a.order("SELL", "LIMIT", "400", price="0.9", timeInForce="GTC")
        after = await a.want("GET", "account")
        funds = {b["asset"]: (D(b["free"]), D(b["locked"])) for b in after["balances"]}
        assert funds["ADA"] == (10_000 + 500 - D("0.5") - 400, 400)
        assert funds["USDT"] == (10_000 - D(bought["cummulativeQuoteQty"]), 0)
        assert after["updateTime"] == a.now_ms
        assert after["commissionRates"]["taker"] == "0.00100000"
        assert (after["canTrade"], after["accountType"], after["permissions"]) == (True, "SPOT", ["SPOT"])
        await a.want("DELETE", "openOrders", **ADA)
        await a.control("account", {"withdraw": {"USDT": str(funds["USDT"][0])}})
        shown = await a.want("GET", "account", omitZeroBalances="true")
        assert [b["asset"] for b in shown["balances"]] == ["ADA"]


async def test_asking_for_orders() -> None:
    async with account() as a:
        ids = [(await a.order("SELL", "MARKET", "10", newClientOrderId=f"o{n}"))["orderId"] for n in range(3)]
        await a.advance(2_000)
        ids.append((await a.order("BUY", "LIMIT", "20", price="0.5", timeInForce="GTC"))["orderId"])
        rows = await a.want("GET", "allOrders", **ADA)
        assert [row["orderId"] for row in rows] == ids
        assert [r["orderId"] for r in await a.want("GET", "allOrders", **ADA, limit=2)] == ids[-2:]
        assert [
            r["orderId"] for r in await a.want("GET", "allOrders", **ADA, orderId=ids[1], limit=2)
        ] == ids[1:3]
        assert [r["orderId"] for r in await a.want("GET", "allOrders", **ADA, startTime=NOON_MS + 1)] == ids[
            3:
        ]
        assert (await a.want("GET", "order", **ADA, origClientOrderId="o1"))["orderId"] == ids[1]
        assert (await a.refused("GET", "order", **ADA, origClientOrderId="nobody")) == (
            400,
            -2013,
            "Order does not exist.",
        )
        assert (await a.refused("GET", "order", symbol="BNBUSDT", orderId=ids[0]))[1] == -2013
        assert (await a.refused("GET", "order", **ADA, orderId=ids[0], origClientOrderId="o1"))[1] == -2039
        assert (await a.refused("GET", "order", **ADA))[1] == -1102
        assert len(await a.want("GET", "openOrders")) == 1
        assert await a.want("GET", "openOrders", symbol="BNBUSDT") == []


async def test_canceling() -> None:
    async with account() as a:
        assert await a.refused("DELETE", "order", **ADA, orderId=99) == (400, -2011, "Unknown order sent.")
        assert await a.refused("DELETE", "openOrders", **ADA) == (400, -2011, "Unknown order sent.")
        assert (await a.refused("DELETE", "order", **ADA))[1] == -1102
        order = await a.order("BUY", "LIMIT", "20", price="0.5", timeInForce="GTC", newClientOrderId="x1")
        assert (
            await a.refused("DELETE", "order", **ADA, orderId=order["orderId"], cancelRestrictions="MAYBE")
        )[1] == -1145
        restricted = {"origClientOrderId": "x1", "cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
        assert (await a.refused("DELETE", "order", **ADA, **restricted))[1:] == (
            -2011,
            "Order was not canceled due to cancel restrictions.",
        )
        await a.want("DELETE", "order", **ADA, origClientOrderId="x1")
        assert (await a.refused("DELETE", "order", **ADA, origClientOrderId="x1"))[1] == -2011


async def test_a_client_id_is_unique_among_open_orders_only() -> None:
    async with account() as a:
        await a.order("BUY", "LIMIT", "20", price="0.5", timeInForce="GTC", newClientOrderId="one")
        limit = {"side": "BUY", "type": "LIMIT", "quantity": "20", "price": "0.5", "timeInForce": "GTC"}
        assert await a.refused("POST", "order", **ADA, **limit, newClientOrderId="one") == (
            400,
            -2010,
            "Duplicate order sent.",
        )
        await a.want("DELETE", "order", **ADA, origClientOrderId="one")
        again = await a.order("SELL", "MARKET", "20", newClientOrderId="one")
        assert (await a.want("GET", "order", **ADA, origClientOrderId="one"))["orderId"] == again["orderId"]
        third = await a.order("SELL", "MARKET", "20", newClientOrderId="one")
        assert third["orderId"] > again["orderId"], "a filled one could be sold twice"


async def test_the_market_comes_to_resting_orders() -> None:
    async with account() as a:
        low = a.near("0.97")
        buy = await a.order("BUY", "LIMIT", "3000", price=low, timeInForce="GTC")
        stop = await a.order("SELL", "STOP_LOSS", "500", stopPrice=a.near("0.95"))
        await a.price(a.near("0.96"))
        partly = await a.query(buy["orderId"])
        assert partly["status"] == "PARTIALLY_FILLED"
        assert (await a.query(stop["orderId"]))["status"] == "NEW"
        await a.advance(MINUTE_MS)
        assert (await a.query(buy["orderId"]))["status"] == "FILLED"
        makers = await a.want("GET", "myTrades", **ADA, orderId=buy["orderId"])
        assert len(makers) > 1
        assert {(t["isMaker"], D(t["price"])) for t in makers} == {(True, low)}
        assert [t["time"] % 1_000 for t in makers] == [0] * len(makers)
        await a.price(a.near("0.9"))
        sold = await a.query(stop["orderId"])
        assert (sold["status"], sold["isWorking"]) == ("FILLED", True)
        assert D(sold["cummulativeQuoteQty"]) / 500 < low


async def test_an_order_rests_through_days_that_pass_at_once() -> None:
    async with account() as a:
        buy = await a.order("BUY", "LIMIT", "3000", price=a.near("0.97"), timeInForce="GTC")
        await a.order("SELL", "LIMIT", "100", price=a.near("3"), timeInForce="GTC")
        candle = {
            "open": a.last(),
            "high": a.last(),
            "low": a.near("0.9"),
            "close": a.last(),
            "volume": "90000",
        }
        body = {key: str(value) for key, value in candle.items()}
        at = (await a.control("market", {"candle": {**body, "interval": "1h"}})).body["open_ms"]
        await a.advance(3 * 24 * 60 * MINUTE_MS)
        trades = await a.want("GET", "myTrades", **ADA, orderId=buy["orderId"])
        assert sum(D(t["qty"]) for t in trades) == 3_000
        assert all(at <= t["time"] < at + 60 * MINUTE_MS for t in trades)
        assert (await a.query(buy["orderId"]))["updateTime"] == trades[-1]["time"]


async def test_the_book_is_finite() -> None:
    async with account(balances={"USDT": D(3_000_000)}) as a:
        depth = (await a.get("/api/v3/depth?symbol=ADAUSDT&limit=5")).body
        first = await a.order("BUY", "MARKET", "100000")
        assert [(f["price"], f["qty"]) for f in first["fills"]][:5] == [
            tuple(level) for level in depth["asks"]
        ]
        second = await a.order("BUY", "MARKET", "100")
        assert D(second["fills"][0]["price"]) >= D(first["fills"][-1]["price"]), "what was taken is gone"
        third = await a.order("BUY", "MARKET", "1100000")
        assert (third["status"], third["expiryReason"]) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
        assert 0 < D(third["executedQty"]) < 1_100_000
        await a.advance(13_000)
        assert (await a.order("BUY", "MARKET", "100"))["status"] == "FILLED", "the book renews itself"


async def test_an_account_does_not_trade_with_itself() -> None:
    async with account(balances=RICH) as a:
        price = a.last() + D("0.0001")
        own = await a.order("SELL", "LIMIT", "100", price=a.near("1.0005"), timeInForce="GTC")
        placed = await a.order("BUY", "LIMIT", "100000", price=a.near("1.05"), timeInForce="IOC")
        assert placed["status"] in ("FILLED", "EXPIRED")
        assert D(placed["fills"][0]["price"]) <= price + D("0.0002")
        gone = await a.query(own["orderId"])
        assert (gone["status"], gone["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "100.00000000")


async def test_commissions_in_bnb() -> None:
    funds = {"USDT": D(10_000), "BNB": D("0.02")}
    async with account(balances=funds) as a:
        placed = await a.order("BUY", "MARKET", "1000")
        (fill,) = placed["fills"]
        instrument = a.running.exchange.market.find("BNBUSDT")
        assert instrument is not None
        trade = instrument.tape.last_trade(a.now_ms)
        assert trade is not None
        owed = D(fill["price"]) * 1_000 * D("0.00075") / (trade.price * instrument.pair.tick)
        assert abs(D(fill["commission"]) - owed) <= D("0.00000001")
        assert fill["commissionAsset"] == "BNB"
        ledger = await a.ledger()
        assert ledger["balances"]["ADA"]["free"] == "1000"
        assert D(ledger["balances"]["BNB"]["free"]) == D("0.02") - D(fill["commission"])
        commission = await a.want("GET", "account/commission", **ADA)
        assert commission["discount"] == {
            "enabledForAccount": True,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.25000000",
        }


# -- cancel-replace ------------------------------------------------------------------------------------

REPLACE = {**ADA, "side": "SELL", "type": "MARKET", "quantity": "100", "cancelReplaceMode": "STOP_ON_FAILURE"}


async def test_cancel_replace_in_one() -> None:
    async with account() as a:
        stop = await a.order("SELL", "STOP_LOSS", "10000", stopPrice=a.near("0.9"))
        done = await a.want(
            "POST", "order/cancelReplace", **{**REPLACE, "quantity": "10000"}, cancelOrderId=stop["orderId"]
        )
        assert done.keys() == {"cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse"}
        assert (done["cancelResult"], done["newOrderResult"]) == ("SUCCESS", "SUCCESS")
        assert done["cancelResponse"].keys() >= CANCELED
        assert done["newOrderResponse"].keys() == FULL
        assert done["newOrderResponse"]["status"] == "FILLED"


async def test_cancel_replace_that_fails_by_half_or_whole() -> None:
    async with account() as a:
        stop = await a.order("SELL", "STOP_LOSS", "10000", stopPrice=a.near("0.9"))
        unknown = {**REPLACE, "cancelOrigClientOrderId": "nobody"}
        answer = await a.ask("POST", "order/cancelReplace", **unknown)
        assert answer.status == 400
        assert answer.body == {
            "code": -2022,
            "msg": "Order cancel-replace failed.",
            "data": {
                "cancelResult": "FAILURE",
                "newOrderResult": "NOT_ATTEMPTED",
                "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
                "newOrderResponse": None,
            },
        }
        allowed = {**unknown, "cancelReplaceMode": "ALLOW_FAILURE"}
        answer = await a.ask("POST", "order/cancelReplace", **allowed)
        assert (answer.status, answer.body["code"]) == (400, -2022), "the stop holds all the coins"
        assert answer.body["data"]["newOrderResult"] == "FAILURE"
        assert answer.body["data"]["newOrderResponse"]["code"] == -2010
        half = {**REPLACE, "type": "LIMIT_MAKER", "price": a.near("0.9"), "cancelOrderId": stop["orderId"]}
        answer = await a.ask("POST", "order/cancelReplace", **half)
        assert (answer.status, answer.body["code"]) == (409, -2021)
        data = answer.body["data"]
        assert (data["cancelResult"], data["newOrderResult"]) == ("SUCCESS", "FAILURE")
        assert data["newOrderResponse"] == {"code": -2010, "msg": "Order would immediately match and take."}
        answer = await a.ask("POST", "order/cancelReplace", **allowed)
        assert (answer.status, answer.body["code"]) == (409, -2021)
        assert answer.body["data"]["newOrderResponse"]["status"] == "FILLED"


async def test_filters_come_before_cancel_replace() -> None:
    async with account() as a:
        stop = await a.order("SELL", "STOP_LOSS", "10000", stopPrice=a.near("0.9"))
        wrong = {**REPLACE, "quantity": "0.05", "cancelOrderId": stop["orderId"]}
        assert (await a.refused("POST", "order/cancelReplace", **wrong))[:2] == (400, -1013)
        assert (await a.refused("POST", "order/cancelReplace", **REPLACE))[1] == -1102
        no_mode = {k: v for k, v in REPLACE.items() if k != "cancelReplaceMode"}
        assert (await a.refused("POST", "order/cancelReplace", **no_mode, cancelOrderId=1))[1] == -1102
        assert (await a.query(stop["orderId"]))["status"] == "NEW"


# -- limits --------------------------------------------------------------------------------------------


async def test_weights_and_order_counts() -> None:
    async with account() as a:
        answer = await a.ask("GET", "account")
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "20"
        limit = {"side": "BUY", "type": "LIMIT", "quantity": "20", "price": "0.4", "timeInForce": "GTC"}
        answer = await a.ask("POST", "order", **ADA, **limit)
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "21"
        assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
        await a.ask("GET", "openOrders", **ADA)
        await a.ask("GET", "openOrders")
        answer = await a.ask("GET", "order", **ADA, orderId=1)
        assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(21 + 6 + 80 + 4)
        assert "X-MBX-ORDER-COUNT-10S" not in answer.headers
        counts = await a.want("GET", "rateLimit/order")
        assert [(c["interval"], c["intervalNum"], c["limit"], c["count"]) for c in counts] == [
            ("SECOND", 10, 100, 1),
            ("DAY", 1, 200_000, 1),
        ]


async def test_too_many_unfilled_orders() -> None:
    async with account() as a:
        limit = {"side": "BUY", "type": "LIMIT", "quantity": "20", "price": "0.4", "timeInForce": "GTC"}
        for _ in range(100):
            placed = await a.want("POST", "order", **ADA, **limit)
            await a.want("DELETE", "order", **ADA, orderId=placed["orderId"])
        answer = await a.ask("POST", "order", **ADA, **limit)
        assert (answer.status, answer.body["code"], answer.headers["Retry-After"]) == (429, -1015, "10")
        assert answer.body["msg"] == "Too many new orders; current limit is 100 orders per 10 SECOND."
        replace = {**REPLACE, "cancelOrderId": placed["orderId"]}
        assert (await a.refused("POST", "order/cancelReplace", **replace))[:2] == (429, -1015)
        only = await a.ask("POST", "order/cancelReplace", **replace, orderRateLimitExceededMode="CANCEL_ONLY")
        assert (only.status, only.body["code"]) == (429, -2022), "the old one is gone already"
        await a.advance(10_000)
        for n in range(120):
            await a.want(
                "POST", "order", **ADA, side="SELL", type="MARKET", quantity="10", newClientOrderId=f"n{n}"
            )


async def test_canceling_only_when_there_are_too_many_orders() -> None:
    async with account() as a:
        limit = {"side": "BUY", "type": "LIMIT", "quantity": "20", "price": "0.4", "timeInForce": "GTC"}
        stop = await a.order("SELL", "STOP_LOSS", "100", stopPrice=a.near("0.9"))
        for _ in range(99):
            placed = await a.want("POST", "order", **ADA, **limit)
            await a.want("DELETE", "order", **ADA, orderId=placed["orderId"])
        replace = {**REPLACE, "cancelOrderId": stop["orderId"], "orderRateLimitExceededMode": "CANCEL_ONLY"}
        answer = await a.ask("POST", "order/cancelReplace", **replace)
        assert (answer.status, answer.body["code"]) == (429, -2021)
        assert answer.body["data"]["cancelResponse"]["status"] == "CANCELED"
        assert answer.body["data"]["newOrderResponse"]["code"] == -1015


# -- lists ---------------------------------------------------------------------------------------------


def oco(a: Any, **more: Any) -> dict[str, Any]:
    return {
        **ADA,
        "side": "SELL",
        "quantity": "100",
        "listClientOrderId": "pair",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": a.near("1.05"),
        "aboveClientOrderId": "up",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": a.near("0.95"),
        "belowPrice": a.near("0.94"),
        "belowTimeInForce": "GTC",
        "belowClientOrderId": "down",
        **more,
    }


async def test_an_oco() -> None:
    async with account() as a:
        placed = await a.want("POST", "orderList/oco", **oco(a))
        assert placed.keys() == LIST | {"orderReports"}
        assert (placed["contingencyType"], placed["listStatusType"], placed["listOrderStatus"]) == (
            "OCO",
            "EXEC_STARTED",
            "EXECUTING",
        )
        assert [o["clientOrderId"] for o in placed["orders"]] == ["down", "up"]
        stop, limit = placed["orderReports"]
        assert (stop.keys(), limit.keys()) == (RESULT | {"stopPrice"}, RESULT)
        assert (stop["workingTime"], limit["workingTime"]) == (-1, NOON_MS)
        asked = await a.want("GET", "orderList", origClientOrderId="pair")
        assert asked == {key: value for key, value in placed.items() if key != "orderReports"}
        assert await a.want("GET", "openOrderList") == [asked]
        assert await a.want("GET", "allOrderList") == [asked]
        assert len(await a.want("GET", "openOrders", **ADA)) == 2
        assert (await a.refused("POST", "orderList/oco", **oco(a)))[1:] == (-2010, "Duplicate order sent.")
        canceled = await a.want("DELETE", "orderList", **ADA, listClientOrderId="pair", newClientOrderId="no")
        assert canceled["listStatusType"] == "ALL_DONE"
        assert [(r["status"], r["clientOrderId"]) for r in canceled["orderReports"]] == [
            ("CANCELED", "no")
        ] * 2
        assert (await a.want("GET", "orderList", orderListId=placed["orderListId"]))[
            "listOrderStatus"
        ] == "ALL_DONE"
        assert await a.want("GET", "openOrderList") == []
        assert (await a.refused("DELETE", "orderList", **ADA, listClientOrderId="pair"))[1] == -2011
        assert (await a.refused("GET", "orderList", orderListId=77))[1] == -2018


async def test_the_legs_of_an_oco_in_the_market() -> None:
    async with account() as a:
        placed = await a.want("POST", "orderList/oco", **oco(a))
        await a.price(a.near("1.06"))
        rows = [await a.query(o["orderId"]) for o in placed["orders"]]
        assert [row["status"] for row in rows] == ["EXPIRED", "FILLED"]
        assert rows[0]["expiryReason"] == "OCO_TRIGGER"
        at_market = oco(a, belowType="STOP_LOSS", abovePrice=a.near("1.05"), belowStopPrice=a.near("0.98"))
        del at_market["belowPrice"], at_market["belowTimeInForce"]
        again = await a.want("POST", "orderList/oco", **at_market)
        await a.price(a.near("0.97"))
        rows = [await a.query(o["orderId"]) for o in again["orders"]]
        assert [row["status"] for row in rows] == ["FILLED", "EXPIRED"]
        assert len(await a.want("GET", "allOrderList")) == 2


async def test_canceling_a_leg_answers_with_the_list() -> None:
    async with account() as a:
        await a.want("POST", "orderList/oco", **oco(a))
        canceled = await a.want("DELETE", "order", **ADA, origClientOrderId="up")
        assert canceled.keys() == LIST | {"orderReports"}
        assert len(canceled["orderReports"]) == 2
        await a.want("POST", "orderList/oco", **oco(a))
        await a.order("SELL", "LIMIT", "100", price=a.near("1.05"), timeInForce="GTC")
        everything = await a.want("DELETE", "openOrders", **ADA)
        assert sorted("orderReports" in one for one in everything) == [False, True]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aboveType": "LIMIT"}, -1158),
        ({"aboveType": "STOP_LOSS", "belowType": "STOP_LOSS"}, -1158),
        ({"belowType": "TAKE_PROFIT"}, -1168),
        ({"side": "BUY"}, -1196),
        ({"aboveType": "STOP_LOSS", "belowType": "LIMIT_MAKER"}, -1197),
        ({"abovePrice": "0.3"}, -2010),
        ({"belowStopPrice": "1.5"}, -2010),
        ({"quantity": "10000.1"}, -2010),
        ({"quantity": "0.05"}, -1013),
        ({"price": "0.5"}, -1104),
        ({"aboveStopPrice": "0.5"}, -1106),
        ({"belowClientOrderId": "up"}, -2010),
    ],
)
async def test_pairs_that_make_no_sense(change: dict[str, str], code: int) -> None:
    async with account() as a:
        assert (await a.refused("POST", "orderList/oco", **oco(a, **change)))[1] == code
        assert (await a.ledger())["orders"] == []


async def test_an_oto_and_an_otoco() -> None:
    async with account() as a:
        working = {
            **ADA,
            "workingType": "LIMIT",
            "workingSide": "BUY",
            "workingPrice": a.near("0.98"),
            "workingQuantity": "200",
            "workingTimeInForce": "GTC",
            "pendingSide": "SELL",
            "pendingQuantity": "199",
        }
        oto = await a.want(
            "POST", "orderList/oto", **working, pendingType="STOP_LOSS", pendingStopPrice=a.near("0.9")
        )
        assert [r["status"] for r in oto["orderReports"]] == ["NEW", "PENDING_NEW"]
        assert oto["contingencyType"] == "OTO"
        otoco = await a.want(
            "POST",
            "orderList/otoco",
            **working,
            pendingAboveType="LIMIT_MAKER",
            pendingAbovePrice=a.near("1.1"),
            pendingBelowType="STOP_LOSS",
            pendingBelowStopPrice=a.near("0.9"),
        )
        assert [r["status"] for r in otoco["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
        assert len(await a.want("GET", "openOrders", **ADA)) == 5
        await a.price(a.near("0.97"))
        for listed in (oto, otoco):
            rows = [await a.query(o["orderId"]) for o in listed["orders"]]
            assert [row["status"] for row in rows] == ["FILLED", *["NEW"] * (len(rows) - 1)]
        assert (
            await a.refused(
                "POST", "orderList/oto", **{**working, "workingType": "MARKET"}, pendingType="MARKET"
            )
        )[1] == -1116


# -- the wallet ----------------------------------------------------------------------------------------


async def test_the_wallet() -> None:
    async with account() as a:
        told = await a.want("GET", "/sapi/v1/account/apiRestrictions")
        assert (told["enableReading"], told["enableSpotAndMarginTrading"], told["ipRestrict"]) == (
            True,
            True,
            True,
        )
        assert not any(told[name] for name in ("enableWithdrawals", "enableMargin", "enableFutures"))
        assert await a.want("GET", "/sapi/v1/asset/tradeFee", **ADA) == [
            {"symbol": "ADAUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}
        ]
        assert len(await a.want("GET", "/sapi/v1/asset/tradeFee")) == 2
        coins = await a.want("GET", "/sapi/v1/capital/config/getall")
        assert {coin["coin"] for coin in coins} == {"ADA", "BNB", "USDT"}
        for path in ("margin/allPairs", "margin/isolated/allPairs"):
            assert await a.want("GET", f"/sapi/v1/{path}") == []
        assert (await a.get("/sapi/v1/system/status")).body == {"status": 0, "msg": "normal"}
