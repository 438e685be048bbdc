"""One of every answer and event of the local exchange, as it left by HTTP or socket.

`gathered` lives one short story on one exchange whose clock stands still, and keeps what was answered under
names that the field table and the comparison with recordings know: `order FULL`, `executionReport TRADE`.
"""

from __future__ import annotations

from typing import Any, Final

from local_ground import ask, frame
from trading_ground import Account, D, Stream, account

ADA: Final = {"symbol": "ADAUSDT"}
FUNDS: Final = {"USDT": D(100_000), "ADA": D(10_000), "BNB": D(1)}
STREAMS: Final = ("trade", "aggTrade", "kline_1m", "miniTicker", "ticker", "bookTicker", "depth@100ms")
PUBLIC: Final = {
    "time": "time",
    "exchangeInfo": "exchangeInfo",
    "klines": "klines?symbol=ADAUSDT&interval=1m&limit=3",
    "depth": "depth?symbol=ADAUSDT&limit=5",
    "ticker/24hr": "ticker/24hr?symbol=ADAUSDT",
    "ticker/24hr MINI": "ticker/24hr?symbol=ADAUSDT&type=MINI",
    "ticker/price": "ticker/price?symbol=ADAUSDT",
    "ticker/bookTicker": "ticker/bookTicker?symbol=ADAUSDT",
    "trades": "trades?symbol=ADAUSDT&limit=2",
    "aggTrades": "aggTrades?symbol=ADAUSDT&limit=2",
    "avgPrice": "avgPrice?symbol=ADAUSDT",
}
#: A purchase that waits, and what shall follow it.
WORKING: Final = {
    **ADA,
    "workingType": "LIMIT",
    "workingSide": "BUY",
    "workingQuantity": "200",
    "workingTimeInForce": "GTC",
    "pendingSide": "SELL",
    "pendingQuantity": "199",
}


def pair(a: Account) -> dict[str, Any]:
    """A target and a stop of which one may trade."""
    return {
        **ADA,
        "side": "SELL",
        "quantity": "100",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": a.near("1.05"),
        "belowType": "STOP_LOSS",
        "belowStopPrice": a.near("0.95"),
    }


def after_entry(a: Account) -> dict[str, Any]:
    """A purchase with both its exits."""
    return {
        **WORKING,
        "workingPrice": a.near("0.98"),
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": a.near("1.1"),
        "pendingBelowType": "STOP_LOSS",
        "pendingBelowStopPrice": a.near("0.9"),
    }


async def gathered() -> dict[str, Any]:
    """Name -> answer or event."""
    found: dict[str, Any] = {}
    async with account(balances=FUNDS) as a, a.stream() as stream:
        for name, path in PUBLIC.items():
            answer = await a.get(f"/api/v3/{path}")
            assert answer.status == 200, answer.text
            found[name] = answer.body
        await _orders(a, found)
        await _lists(a, found)
        await _replacing(a, found)
        await _account(a, found)
        await _frames(a, stream, found)
        await _events(a, stream, found)
        await _market(a, found)
    return found


async def _orders(a: Account, found: dict[str, Any]) -> None:
    for answer in ("ACK", "RESULT", "FULL"):
        found[f"order {answer}"] = await a.order("BUY", "MARKET", "100", newOrderRespType=answer)
    found["query filled"] = await a.query(found["order FULL"]["orderId"])
    resting = {"price": a.near("0.9"), "timeInForce": "GTC"}
    found["order iceberg"] = await a.order(
        "BUY", "LIMIT", "100", icebergQty="50", selfTradePreventionMode="EXPIRE_MAKER", **resting
    )
    stop = {"stopPrice": a.near("0.9"), "newOrderRespType": "RESULT"}
    found["order stop"] = await a.order("SELL", "STOP_LOSS", "100", **stop)
    found["openOrders"] = await a.want("GET", "openOrders", **ADA)
    found["cancel"] = await a.want("DELETE", "order", **ADA, orderId=found["order iceberg"]["orderId"])
    found["cancel stop"] = (await a.want("DELETE", "openOrders", **ADA))[0]
    found["order expired"] = await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="IOC")
    found["order test"] = await a.want("POST", "order/test", **ADA, side="BUY", type="MARKET", quantity="30")
    found["refusal"] = (await a.ask("GET", "order", **ADA, orderId=99_999)).body


async def _lists(a: Account, found: dict[str, Any]) -> None:
    found["oco"] = await a.want("POST", "orderList/oco", **pair(a))
    found["query list"] = await a.want("GET", "orderList", orderListId=found["oco"]["orderListId"])
    found["openOrderList"] = await a.want("GET", "openOrderList")
    leg = found["oco"]["orders"][0]["orderId"]
    found["cancel leg"] = await a.want("DELETE", "order", **ADA, orderId=leg)
    found["allOrderList"] = await a.want("GET", "allOrderList")
    found["oto"] = await a.want(
        "POST",
        "orderList/oto",
        **{**WORKING, "workingPrice": a.near("0.98")},
        pendingType="STOP_LOSS",
        pendingStopPrice=a.near("0.9"),
    )
    found["otoco"] = await a.want("POST", "orderList/otoco", **after_entry(a))
    found["cancel list"] = await a.want(
        "DELETE", "orderList", **ADA, orderListId=found["otoco"]["orderListId"]
    )
    await a.want("DELETE", "openOrders", **ADA)


async def _replacing(a: Account, found: dict[str, Any]) -> None:
    new = {**ADA, "side": "SELL", "type": "MARKET", "quantity": "100", "cancelReplaceMode": "STOP_ON_FAILURE"}
    stop = await a.order("SELL", "STOP_LOSS", "100", stopPrice=a.near("0.9"))
    found["cancelReplace"] = await a.want(
        "POST", "order/cancelReplace", **new, cancelOrderId=stop["orderId"], newOrderRespType="FULL"
    )
    found["cancelReplace -2022"] = (
        await a.ask("POST", "order/cancelReplace", **new, cancelOrderId=stop["orderId"])
    ).body
    stop = await a.order("SELL", "STOP_LOSS", "100", stopPrice=a.near("0.9"))
    too_cheap = {**new, "type": "LIMIT_MAKER", "price": a.near("0.9")}
    found["cancelReplace -2021"] = (
        await a.ask("POST", "order/cancelReplace", **too_cheap, cancelOrderId=stop["orderId"])
    ).body


async def _account(a: Account, found: dict[str, Any]) -> None:
    for path in ("account", "rateLimit/order"):
        found[path] = await a.want("GET", path)
    found["account/commission"] = await a.want("GET", "account/commission", **ADA)
    found["myTrades"] = await a.want("GET", "myTrades", **ADA)
    found["allOrders"] = await a.want("GET", "allOrders", **ADA)
    found["apiRestrictions"] = await a.want("GET", "/sapi/v1/account/apiRestrictions")
    found["tradeFee"] = await a.want("GET", "/sapi/v1/asset/tradeFee", **ADA)


async def _frames(a: Account, stream: Stream, found: dict[str, Any]) -> None:
    """The socket API: the envelope, and the bodies, which are those of REST."""
    async with a.socket("/ws-api/v3") as socket:
        fresh = Stream(socket)
        found["subscribed"] = await fresh.subscribe(a.now_ms)
    order = {**ADA, "side": "BUY", "type": "MARKET", "quantity": "100", "newOrderRespType": "FULL"}
    found["ws order.place"] = await stream.signed("order.place", a.now_ms, **order)
    unknown = await stream.signed("order.status", a.now_ms, **ADA, orderId=99_999)
    found["ws refusal"] = unknown


async def _events(a: Account, stream: Stream, found: dict[str, Any]) -> None:
    def keep(events: list[Any]) -> None:
        for event in events:
            name = event["e"]
            found[f"{name} {event['x']}" if name == "executionReport" else name] = event

    await stream.call("ping", {})
    stream.events.clear()
    await a.order("BUY", "MARKET", "100")
    keep(await stream.until("outboundAccountPosition"))
    made = await a.order("BUY", "LIMIT_MAKER", "100", price=a.near("0.9"))
    await a.want("DELETE", "order", **ADA, orderId=made["orderId"])
    keep([*await stream.until("outboundAccountPosition"), *await stream.until("outboundAccountPosition")])
    await a.order("BUY", "LIMIT", "100", price=a.near("0.9"), timeInForce="IOC")
    await a.want("POST", "orderList/oco", **pair(a))
    await a.control("account", {"deposit": {"USDT": "5"}})
    keep(await stream.until("balanceUpdate"))
    await a.want("DELETE", "openOrders", **ADA)


async def _market(a: Account, found: dict[str, Any]) -> None:
    async with a.socket("/stream/ws/0") as socket:
        found["subscribe"] = await ask(socket, "SUBSCRIBE", [f"adausdt@{name}" for name in STREAMS])
        wanted = {"trade", "aggTrade", "kline", "24hrMiniTicker", "24hrTicker", "bookTicker", "depthUpdate"}
        while wanted - found.keys():
            await a.advance(1_000)
            while (event := await frame(socket)) is not None:
                found[event.get("e", "bookTicker")] = event
                if event.get("e") == "kline":
                    break
