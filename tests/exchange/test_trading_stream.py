"""The socket API and the user stream: orders by frame, events with every key, subscriptions and their end."""

from __future__ import annotations

from typing import Any

import pytest
from local_ground import NOON_MS, frame
from trading_ground import KEY, D, Stream, account
from wire_answers import WORKING, after_entry

from agent.localexchange.line import Pulse

#: The keys of an execution report, in their order, as recordings of the real exchange show them.
REPORT = list("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV")
ADA = {"symbol": "ADAUSDT"}


def short(event: dict[str, Any]) -> str:
    if event["e"] == "executionReport":
        return f"{event['x']} {event['X']}"
    return str(event["e"])


async def test_a_market_order_is_told_step_by_step() -> None:
    async with account() as a, a.stream() as stream:
        placed = await a.order("BUY", "MARKET", "30", newClientOrderId="mine")
        new, trade, positions = await stream.until("outboundAccountPosition")
        assert list(new) == list(trade) == REPORT
        fill = placed["fills"][0]
        assert new == {
            **new,
            "e": "executionReport",
            "E": NOON_MS,
            "s": "ADAUSDT",
            "c": "mine",
            "S": "BUY",
            "o": "MARKET",
            "f": "GTC",
            "q": "30.00000000",
            "p": "0.00000000",
            "C": "",
            "x": "NEW",
            "X": "NEW",
            "r": "NONE",
            "i": placed["orderId"],
            "g": -1,
            "z": "0.00000000",
            "n": "0",
            "N": None,
            "t": -1,
            "w": True,
            "m": False,
            "M": False,
            "O": NOON_MS,
            "W": NOON_MS,
            "V": "EXPIRE_MAKER",
        }
        assert trade == {
            **trade,
            "x": "TRADE",
            "X": "FILLED",
            "l": "30.00000000",
            "z": "30.00000000",
            "L": fill["price"],
            "n": fill["commission"],
            "N": "ADA",
            "t": fill["tradeId"],
            "w": False,
            "M": True,
            "Y": placed["cummulativeQuoteQty"],
            "Z": placed["cummulativeQuoteQty"],
        }
        assert trade["I"] > new["I"]
        ledger = (await a.ledger())["balances"]
        assert positions.keys() == {"e", "E", "u", "B"}
        assert {b["a"]: D(b["f"]) for b in positions["B"]} == {x: D(b["free"]) for x, b in ledger.items()}
        assert await stream.silent()


async def test_a_cancel_names_both_ids() -> None:
    async with account() as a, a.stream() as stream:
        order = await a.order(
            "SELL", "LIMIT", "30", price=a.near("1.1"), timeInForce="GTC", newClientOrderId="mine"
        )
        events = await stream.until("outboundAccountPosition")
        assert [short(e) for e in events] == ["NEW NEW", "outboundAccountPosition"]
        assert events[1]["B"] == [{"a": "ADA", "f": "9970.00000000", "l": "30.00000000"}]
        await a.want("DELETE", "order", **ADA, orderId=order["orderId"], newClientOrderId="no-more")
        canceled, _ = await stream.until("outboundAccountPosition")
        assert (canceled["c"], canceled["C"], canceled["x"], canceled["X"], canceled["w"]) == (
            "no-more",
            "mine",
            "CANCELED",
            "CANCELED",
            False,
        )


async def test_a_stop_is_told_when_it_starts_to_work() -> None:
    async with account() as a, a.stream() as stream:
        await a.order("SELL", "STOP_LOSS", "30", stopPrice=a.near("0.95"))
        (placed, _) = await stream.until("outboundAccountPosition")
        assert (placed["w"], "W" in placed, placed["P"]) == (False, False, f"{a.near('0.95'):.8f}")
        await a.price(a.near("0.94"))
        events = await stream.until("outboundAccountPosition")
        assert [short(e) for e in events[:-1]] == ["NEW NEW", "TRADE FILLED"]
        assert (events[0]["w"], events[0]["W"], events[0]["T"]) == (True, a.now_ms, a.now_ms)


async def test_an_order_that_expires_says_why() -> None:
    async with account() as a, a.stream() as stream:
        await a.order("BUY", "LIMIT", "30", price=a.near("0.9"), timeInForce="FOK")
        await stream.event()
        expired = await stream.event()
        assert (expired["x"], expired["X"], expired["C"], expired["eR"]) == (
            "EXPIRED",
            "EXPIRED",
            "",
            "UNFILLED_FOK_ORDER_EXPIRED",
        )


async def test_a_list_is_told() -> None:
    async with account() as a, a.stream() as stream:
        placed = await a.want(
            "POST",
            "orderList/oco",
            **ADA,
            side="SELL",
            quantity="50",
            aboveType="LIMIT_MAKER",
            abovePrice=a.near("1.05"),
            belowType="STOP_LOSS",
            belowStopPrice=a.near("0.95"),
        )
        events = await stream.until("outboundAccountPosition")
        assert [short(e) for e in events] == ["NEW NEW", "NEW NEW", "listStatus", "outboundAccountPosition"]
        status = events[2]
        assert status == {
            "e": "listStatus",
            "E": NOON_MS,
            "s": "ADAUSDT",
            "g": placed["orderListId"],
            "c": "OCO",
            "l": "EXEC_STARTED",
            "L": "EXECUTING",
            "r": "NONE",
            "C": placed["listClientOrderId"],
            "T": NOON_MS,
            "O": [{"s": "ADAUSDT", "i": o["orderId"], "c": o["clientOrderId"]} for o in placed["orders"]],
        }
        await a.price(a.near("0.94"))
        events = await stream.until("outboundAccountPosition")
        assert [short(e) for e in events] == [
            "EXPIRED EXPIRED",
            "NEW NEW",
            "TRADE FILLED",
            "listStatus",
            "outboundAccountPosition",
        ]
        assert events[0]["eR"] == "OCO_TRIGGER"
        assert (events[3]["l"], events[3]["L"]) == ("ALL_DONE", "ALL_DONE")


async def test_deposits_are_told() -> None:
    async with account() as a, a.stream() as stream:
        await a.control("account", {"deposit": {"USDT": "12.5"}})
        flow, positions = await stream.until("outboundAccountPosition")
        assert flow == {"e": "balanceUpdate", "E": NOON_MS, "a": "USDT", "d": "12.50000000", "T": NOON_MS}
        assert positions["B"] == [{"a": "USDT", "f": "10012.50000000", "l": "0.00000000"}]
        await a.control("account", {"withdraw": {"USDT": "2.5"}})
        assert (await stream.event())["d"] == "-2.50000000"


async def test_orders_by_frame() -> None:
    async with account() as a, a.stream() as stream:
        now = a.now_ms
        limit = {"side": "BUY", "type": "LIMIT", "quantity": "30", "price": "0.5", "timeInForce": "GTC"}
        placed = await stream.signed("order.place", now, **ADA, **limit, newClientOrderId="mine")
        assert placed["result"]["status"] == "NEW"
        assert [(r["rateLimitType"], r["count"]) for r in placed["rateLimits"]] == [
            ("ORDERS", 1),
            ("ORDERS", 1),
            ("REQUEST_WEIGHT", 3),
        ]
        order_id = placed["result"]["orderId"]
        status = await stream.signed("order.status", now, **ADA, orderId=order_id, returnRateLimits=False)
        assert "rateLimits" not in status
        assert status["result"] == await a.query(order_id)
        assert (await stream.signed("openOrders.status", now, **ADA))["result"] == [status["result"]]
        replaced = await stream.signed(
            "order.cancelReplace",
            now,
            **ADA,
            side="SELL",
            type="MARKET",
            quantity="30",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrigClientOrderId="mine",
        )
        assert replaced["result"]["newOrderResponse"]["status"] == "FILLED"
        funds = (await stream.signed("account.status", now))["result"]["balances"]
        assert funds == (await a.want("GET", "account"))["balances"]
        gone = await stream.signed("order.cancel", now, **ADA, orderId=order_id)
        assert (gone["status"], gone["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
        half = await stream.signed(
            "order.cancelReplace",
            now,
            **ADA,
            side="SELL",
            type="MARKET",
            quantity="30",
            cancelReplaceMode="ALLOW_FAILURE",
            cancelOrderId=order_id,
        )
        assert (half["status"], half["error"]["code"]) == (409, -2021)
        assert half["error"]["data"]["newOrderResponse"]["status"] == "FILLED"
        for method, params in (
            ("allOrders", ADA),
            ("myTrades", ADA),
            ("account.commission", ADA),
            ("account.rateLimits.orders", {}),
            ("openOrderLists.status", {}),
            ("allOrderLists", {}),
        ):
            assert (await stream.signed(method, now, **params))["status"] == 200, method
        assert (await stream.signed("v3/order.test", now, **ADA, **limit))["result"] == {}
        assert (await stream.signed("openOrders.cancelAll", now, **ADA))["error"]["code"] == -2011


async def test_general_frames() -> None:
    async with account() as a, a.socket("/ws-api/v3") as socket:
        stream = Stream(socket)
        assert (await stream.call("ping", {}, 7)) == {
            "id": 7,
            "status": 200,
            "result": {},
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": 6_000,
                    "count": 2,
                }
            ],
        }
        assert (await stream.call("time", {}))["result"] == {"serverTime": NOON_MS}
        assert (await stream.call("wish", {}))["error"]["code"] == -1130
        for nonsense in ("{", "[]", '{"id":1,"method":"time","params":[]}', '{"id":true,"method":"time"}'):
            await socket.send(nonsense)
            assert (await frame(socket))["error"]["code"] == -1135


@pytest.mark.parametrize("hides", [True, False])
async def test_rate_limits_can_be_hidden_for_a_whole_socket(hides: bool) -> None:
    async with account() as a, a.socket(f"/ws-api/v3?returnRateLimits={str(not hides).lower()}") as socket:
        assert ("rateLimits" in await Stream(socket).call("time", {})) is not hides


async def test_subscribing() -> None:
    async with account() as a, a.socket("/ws-api/v3") as socket:
        stream = Stream(socket)
        now = a.now_ms
        assert (await stream.call("userDataStream.subscribe.signature", {}))["error"]["code"] == -1102
        wrong = {"apiKey": KEY, "timestamp": now, "signature": "0" * 64}
        assert (await stream.call("userDataStream.subscribe.signature", wrong))["error"]["code"] == -1022
        stranger = {**wrong, "apiKey": "other"}
        refused = await stream.call("userDataStream.subscribe.signature", stranger)
        assert (refused["status"], refused["error"]["code"]) == (401, -2015)
        late = await stream.signed("userDataStream.subscribe.signature", now - 5_001)
        assert late["error"]["code"] == -1021
        assert (await stream.call("userDataStream.unsubscribe", {}))["error"]["code"] == -2036
        assert (await stream.subscribe(now))["result"] == {"subscriptionId": 0}
        assert (await stream.subscribe(now))["error"]["code"] == -2035
        assert (await stream.call("session.subscriptions", {}))["result"] == [{"subscriptionId": 0}]
        assert (await stream.call("session.status", {}))["result"]["userDataStream"] is True
        assert (await stream.call("userDataStream.unsubscribe", {"subscriptionId": 5}))["status"] == 400
        assert (await stream.call("userDataStream.unsubscribe", {}))["result"] == {}
        assert stream.events == [{"e": "eventStreamTerminated", "E": NOON_MS}]
        stream.events.clear()
        await a.order("SELL", "MARKET", "30")
        assert await stream.silent()
        assert (await stream.subscribe(now))["result"] == {"subscriptionId": 1}
        await a.order("SELL", "MARKET", "30")
        got = await frame(socket)
        assert (got["subscriptionId"], got["event"]["x"]) == (1, "NEW")


async def test_every_subscriber_hears_everything() -> None:
    async with account() as a, a.stream() as one, a.stream() as two:
        await a.order("SELL", "MARKET", "30")
        assert await one.until("outboundAccountPosition") == await two.until("outboundAccountPosition")


async def test_events_come_while_time_runs() -> None:
    """Nobody asks for anything: the exchange itself keeps resting orders in the market's present."""
    async with account(paused=False, speed=60) as a, a.stream() as stream:
        stop = await a.order("SELL", "STOP_LOSS", "30", stopPrice=a.near("0.98"))
        await stream.until("outboundAccountPosition")
        await a.control("market", {"price": str(a.near("0.97"))})
        events = await stream.until("outboundAccountPosition")
        assert [(e["i"], e["X"]) for e in events[:2]] == [
            (stop["orderId"], "NEW"),
            (stop["orderId"], "FILLED"),
        ]


async def test_frames_are_in_the_record_of_requests() -> None:
    async with account() as a, a.stream() as stream:
        await stream.signed("order.place", a.now_ms, **ADA, side="SELL", type="MARKET", quantity="30")
        await a.order("SELL", "MARKET", "30", newClientOrderId="by-form")
        requests = (await a.ledger())["requests"]
        methods = [(r["method"], r["path"], r["status"]) for r in requests]
        assert ("WS", "/ws-api/v3/order.place", 200) in methods
        posted = next(r for r in requests if r["method"] == "POST")
        assert "newClientOrderId=by-form&quantity=30" in posted["query"], "the form is the query of a POST"
        framed = next(r for r in requests if r["path"].endswith("order.place"))
        assert "quantity=30" in framed["query"]


async def test_a_socket_that_answers_no_ping_is_closed() -> None:
    pulse = Pulse(ping_every_s=0.05, pong_within_s=0.1)
    async with (
        account(pulse=pulse) as a,
        a.session.ws_connect(f"{a.running.ws}/ws-api/v3", autoping=False) as socket,
    ):
        pings = [message async for message in socket]
        assert pings
        assert socket.close_code == 1008


async def test_lists_that_follow_an_entry_by_frames() -> None:
    async with account() as a, a.stream() as stream:
        prices = {
            "workingPrice": a.near("0.98"),
            "pendingType": "STOP_LOSS",
            "pendingStopPrice": a.near("0.9"),
        }

        async def placed(method: str, params: dict[str, Any]) -> Any:
            return await stream.signed(method, a.now_ms, **{name: str(v) for name, v in params.items()})

        oto = await placed("orderList.place.oto", {**WORKING, **prices})
        otoco = await placed("orderList.place.otoco", after_entry(a))
        waiting = [[r["status"] for r in one["result"]["orderReports"]] for one in (oto, otoco)]
        assert waiting == [["NEW", "PENDING_NEW"], ["NEW", "PENDING_NEW", "PENDING_NEW"]]
        await a.price(a.near("0.97"))
        ids = [order["orderId"] for one in (oto, otoco) for order in one["result"]["orders"]]
        after = [(await stream.signed("order.status", a.now_ms, **ADA, orderId=i))["result"] for i in ids]
        assert [o["status"] for o in after] == ["FILLED", "NEW", "FILLED", "NEW", "NEW"]
        # One leg is canceled: its list ends, the other list stays.
        await stream.signed("order.cancel", a.now_ms, **ADA, orderId=ids[-1])
        named = {"orderListId": oto["result"]["orderListId"]}
        left = await stream.signed("openOrderLists.status", a.now_ms)
        assert [one["orderListId"] for one in left["result"]] == [named["orderListId"]]
        ended = await stream.signed("orderList.cancel", a.now_ms, **ADA, **named)
        assert ended["result"]["listOrderStatus"] == "ALL_DONE"
        again = await stream.signed("orderList.status", a.now_ms, **named)
        assert again["result"]["listStatusType"] == "ALL_DONE"
