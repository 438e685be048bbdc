"""A strict, small exchange with one account: it speaks Binance's signed endpoints over real sockets.

Strict where a client can be wrong: the signature over the raw bytes, the timestamp first and the signature
last, recvWindow, no parameter it does not know. Small everywhere else: an order fills by `plan`, a list of
(price, quantity) that the next orders eat, and what is left rests, expires or waits. `faults` are taken one
by one, in order, by the next request of that kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

KEY = "canarykey0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS"
SECRET = "canarysecret0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
SYMBOL = "ADAUSDT"

KNOWN = {
    "POST /api/v3/order": {
        "symbol", "side", "type", "timeInForce", "quantity", "price", "stopPrice", "newClientOrderId",
        "newOrderRespType",
    },
    "POST /api/v3/order/cancelReplace": {
        "symbol", "side", "type", "timeInForce", "quantity", "price", "stopPrice", "newClientOrderId",
        "newOrderRespType", "cancelReplaceMode", "cancelOrigClientOrderId", "cancelRestrictions",
    },
    "DELETE /api/v3/order": {"symbol", "orderId", "origClientOrderId"},
    "GET /api/v3/order": {"symbol", "orderId", "origClientOrderId"},
    "GET /api/v3/openOrders": {"symbol"},
    "GET /api/v3/allOrders": {"symbol", "orderId", "limit"},
    "GET /api/v3/account": set(),
    "GET /api/v3/myTrades": {"symbol", "orderId", "startTime", "endTime", "fromId", "limit"},
    "GET /sapi/v1/account/apiRestrictions": set(),
}  # fmt: skip


class RefusedError(Exception):
    def __init__(self, code: int, msg: str, status: int = 400, data: Any = None) -> None:
        super().__init__(msg)
        self.code, self.msg, self.status, self.data = code, msg, status, data

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "msg": self.msg}
        return body if self.data is None else {**body, "data": self.data}


Work = Callable[[], Awaitable[Any]]
Fault = Callable[["Stub", web.Request, Work], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request as it arrived."""

    kind: str
    params: dict[str, str]
    at: float


@dataclass
class Stub:
    now_ms: Callable[[], int]
    plan: list[tuple[str, str]] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    free: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(1000), "ADA": Decimal(100)})
    rights: dict[str, Any] = field(default_factory=dict)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    subscriptions: int = 0
    socket_refusals: deque[dict[str, Any]] = field(default_factory=deque)
    ignore_subscriptions: int = 0
    deaf: bool = False
    used_weight: int = 7
    key: str = KEY
    secret: str = SECRET
    recv_tolerance: int = 1
    rest: str = ""
    ws: str = ""
    order_ids: Any = field(default_factory=lambda: itertools.count(1001))
    trade_ids: Any = field(default_factory=lambda: itertools.count(501))
    sapi: bool = True

    # --- what tests ask and set --------------------------------------------------------------------

    def fault(self, kind: str, *faults: Fault) -> None:
        self.faults.setdefault(kind, deque()).extend(faults)

    def count(self, kind: str) -> int:
        return sum(1 for seen in self.seen if seen.kind == kind)

    def order(self, client_id: str) -> dict[str, Any] | None:
        found = [o for o in self.orders.values() if o["clientOrderId"] == client_id]
        return found[-1] if found else None

    async def push(self, event: Mapping[str, Any]) -> None:
        for socket in [s for s in self.sockets if not s.closed]:
            await socket.send_json({"subscriptionId": 0, "event": event})

    async def push_raw(self, text: str) -> None:
        for socket in [s for s in self.sockets if not s.closed]:
            await socket.send_str(text)

    async def drop_sockets(self) -> None:
        for socket in self.sockets:
            if not socket.closed:
                await socket.close(code=1001)
        self.sockets.clear()

    # --- REST --------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        kind = f"{request.method} {request.path}"
        raw = (
            (await request.read()).decode() if request.method == "POST" else request.rel_url.raw_query_string
        )
        params = dict(parse_qsl(raw, strict_parsing=True)) if raw else {}
        self.seen.append(Seen(kind, params, asyncio.get_running_loop().time()))

        async def work() -> Any:
            self.check(request, kind, raw)
            return await self.execute(kind, params)

        waiting = self.faults.get(kind)
        if waiting:
            return await waiting.popleft()(self, request, work)
        return await self.answer(work)

    async def answer(self, work: Work) -> web.Response:
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.used_weight)}
        try:
            return web.json_response(await work(), headers=headers)
        except RefusedError as refusal:
            return web.json_response(refusal.body, status=refusal.status, headers=headers)

    def check(self, request: web.Request, kind: str, raw: str) -> None:
        if kind == "GET /api/v3/time":
            return
        if kind.startswith("GET /sapi") and not self.sapi:
            raise RefusedError(-1000, "no such path", 404)
        if request.headers.get("X-MBX-APIKEY") != self.key:
            raise RefusedError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if request.method == "POST":
            assert request.rel_url.raw_query_string == ""
            assert request.content_type == "application/x-www-form-urlencoded"
        payload, _, last = raw.rpartition("&")
        assert last.startswith("signature="), "the signature stands last"
        assert payload.startswith("timestamp="), "the timestamp stands first"
        expected = hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if last != f"signature={expected}":
            raise RefusedError(-1022, "Signature for this request is not valid.")
        params = parse_qsl(payload, strict_parsing=True)
        names = [name for name, _ in params]
        if len(set(names)) != len(names):
            raise RefusedError(-1101, "Duplicate values for a parameter detected.")
        unknown = set(names) - KNOWN[kind] - {"timestamp", "recvWindow"}
        if unknown:
            raise RefusedError(-1104, f"Not all sent parameters were read: {sorted(unknown)}")
        self.check_time(int(dict(params)["timestamp"]), int(dict(params)["recvWindow"]))

    def check_time(self, timestamp: int, recv_window: int) -> None:
        now = self.now_ms()
        if timestamp >= now + 1_000 * self.recv_tolerance:
            raise RefusedError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - timestamp > recv_window * self.recv_tolerance:
            raise RefusedError(-1021, "Timestamp for this request is outside of the recvWindow.")

    async def execute(self, kind: str, p: dict[str, str]) -> Any:
        match kind:
            case "GET /api/v3/time":
                return {"serverTime": self.now_ms()}
            case "POST /api/v3/order":
                return await self.place(p)
            case "DELETE /api/v3/order":
                return await self.cancel(p["origClientOrderId"])
            case "POST /api/v3/order/cancelReplace":
                return await self.replace(p)
            case "GET /api/v3/order":
                return plain(self.find(p))
            case "GET /api/v3/openOrders":
                return [plain(o) for o in self.orders.values() if o["status"] in ("NEW", "PARTIALLY_FILLED")]
            case "GET /api/v3/allOrders":
                listed = [plain(o) for o in self.orders.values() if o["orderId"] >= int(p["orderId"])]
                return listed[: int(p["limit"])]
            case "GET /api/v3/account":
                rows = [
                    {"asset": a, "free": f"{v:.8f}", "locked": "0.00000000"} for a, v in self.free.items()
                ]
                return {"balances": rows, "updateTime": max([t["time"] for t in self.trades], default=0)}
            case "GET /api/v3/myTrades":
                return self.my_trades(p)
            case _:
                return self.rights

    def find(self, p: dict[str, str]) -> dict[str, Any]:
        order = self.order(p["origClientOrderId"])
        if order is None:
            raise RefusedError(-2013, "Order does not exist.")
        return order

    def my_trades(self, p: dict[str, str]) -> list[dict[str, Any]]:
        if "endTime" in p and int(p["endTime"]) - int(p["startTime"]) > 86_400_000:
            raise RefusedError(-1127, "More than 24 hours between startTime and endTime.")
        found = [
            t
            for t in self.trades
            if t["orderId"] == int(p.get("orderId", t["orderId"]))
            and t["id"] >= int(p.get("fromId", 0))
            and int(p.get("startTime", 0)) <= t["time"] <= int(p.get("endTime", 1 << 60))
        ]
        return found[: int(p["limit"])]

    # --- orders --------------------------------------------------------------------------------------

    async def place(self, p: dict[str, str]) -> dict[str, Any]:
        open_now = [o for o in self.orders.values() if o["status"] in ("NEW", "PARTIALLY_FILLED")]
        if any(o["clientOrderId"] == p["newClientOrderId"] for o in open_now):
            raise RefusedError(-2010, "Duplicate order sent.")
        assert p["newOrderRespType"] == "FULL"
        now, limit = self.now_ms(), p["type"] in ("LIMIT", "STOP_LOSS_LIMIT")
        assert limit == ("price" in p) == ("timeInForce" in p)
        assert p["type"].startswith("STOP") == ("stopPrice" in p)
        order = {
            "symbol": p["symbol"], "orderId": next(self.order_ids), "orderListId": -1,
            "clientOrderId": p["newClientOrderId"], "transactTime": now, "price": p.get("price", "0.0"),
            "origQty": p["quantity"], "executedQty": "0", "cummulativeQuoteQty": "0", "status": "NEW",
            "timeInForce": p.get("timeInForce", "GTC"), "type": p["type"], "side": p["side"],
            "stopPrice": p.get("stopPrice", "0.0"), "fills": [], "selfTradePreventionMode": "NONE",
        }  # fmt: skip
        self.orders[order["orderId"]] = order
        await self.report(order, "NEW")
        if not p["type"].startswith("STOP"):
            await self.fill(order, now)
            ioc = p["type"] == "MARKET" or p.get("timeInForce") == "IOC"
            if ioc and order["status"] != "FILLED":
                order["status"] = "EXPIRED"
                await self.report(order, "EXPIRED")
        return dict(order)

    async def fill(self, order: dict[str, Any], now: int) -> None:
        """Eat from the plan."""
        while self.plan and Decimal(order["executedQty"]) < Decimal(order["origQty"]):
            price, qty = self.plan.pop(0)
            left = Decimal(order["origQty"]) - Decimal(order["executedQty"])
            taken = min(left, Decimal(qty))
            buying = order["side"] == "BUY"
            fee = taken * Decimal("0.001") * (1 if buying else Decimal(price))
            trade = {
                "symbol": order["symbol"], "id": next(self.trade_ids), "orderId": order["orderId"],
                "orderListId": -1, "price": price, "qty": f"{taken:f}",
                "quoteQty": f"{taken * Decimal(price):f}", "commission": f"{fee:f}",
                "commissionAsset": "ADA" if buying else "USDT", "time": now,
                "isBuyer": buying, "isMaker": False, "isBestMatch": True,
            }  # fmt: skip
            self.trades.append(trade)
            moved = taken if buying else -taken
            self.free["ADA"] += moved - (fee if buying else 0)
            self.free["USDT"] -= moved * Decimal(price) + (0 if buying else fee)
            order["executedQty"] = f"{Decimal(order['executedQty']) + taken:f}"
            order["status"] = "FILLED" if order["executedQty"] == order["origQty"] else "PARTIALLY_FILLED"
            order["fills"].append(
                {k: trade[k] for k in ("price", "qty", "commission", "commissionAsset")}
                | {"tradeId": trade["id"]}
            )
            await self.report(order, "TRADE", trade)

    async def cancel(self, client_id: str) -> dict[str, Any]:
        order = self.order(client_id)
        if order is None or order["status"] not in ("NEW", "PARTIALLY_FILLED"):
            raise RefusedError(-2011, "Unknown order sent.")
        order["status"] = "CANCELED"
        await self.report(order, "CANCELED")
        canceled = {k: v for k, v in order.items() if k != "fills"}
        return {**canceled, "origClientOrderId": client_id, "clientOrderId": "cancelrequest1"}

    async def replace(self, p: dict[str, str]) -> dict[str, Any]:
        assert (p["cancelReplaceMode"], p["cancelRestrictions"]) == ("STOP_ON_FAILURE", "ONLY_NEW")
        halves: dict[str, Any] = {"newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            halves |= {
                "cancelResult": "SUCCESS",
                "cancelResponse": await self.cancel(p["cancelOrigClientOrderId"]),
            }
        except RefusedError as refusal:
            halves |= {"cancelResult": "FAILURE", "cancelResponse": refusal.body}
            raise RefusedError(-2022, "Order cancel-replace failed.", 400, halves) from None
        waiting = self.faults.get("second half")
        try:
            if waiting:
                await waiting.popleft()(self, None, None)  # type: ignore[arg-type]
            halves |= {"newOrderResult": "SUCCESS", "newOrderResponse": await self.place(p)}
        except RefusedError as refusal:
            halves |= {"newOrderResult": "FAILURE", "newOrderResponse": refusal.body}
            raise RefusedError(-2021, "Order cancel-replace partially failed.", 409, halves) from None
        return halves

    # --- the user stream -----------------------------------------------------------------------------

    async def report(self, o: Mapping[str, Any], x: str, trade: Mapping[str, Any] | None = None) -> None:
        if not self.deaf:
            await self.push(execution(o, x, self.now_ms(), trade))

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            frame = json.loads(message.data)
            if self.ignore_subscriptions:
                self.ignore_subscriptions -= 1
                continue
            answer: dict[str, Any] = {"id": frame["id"], "status": 200, "result": {"subscriptionId": 0}}
            try:
                assert isinstance(frame["id"], str)
                self.check_subscription(frame)
                if self.socket_refusals:
                    answer = {"id": frame["id"], **self.socket_refusals.popleft()}
            except RefusedError as refusal:
                answer = {"id": frame["id"], "status": refusal.status, "error": refusal.body}
            limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
            await socket.send_json(
                {**answer, "rateLimits": [{**limit, "limit": 6000, "count": self.used_weight}]}
            )
            if "result" in answer:
                self.subscriptions += 1
                self.sockets.append(socket)
        return socket

    def check_subscription(self, frame: dict[str, Any]) -> None:
        assert frame["method"] == "userDataStream.subscribe.signature"
        params = dict(frame["params"])
        signature = params.pop("signature")
        if params["apiKey"] != self.key:
            raise RefusedError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        payload = "&".join(f"{k}={params[k]}" for k in sorted(params))
        if signature != hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest():
            raise RefusedError(-1022, "Signature for this request is not valid.")
        self.check_time(params["timestamp"], params["recvWindow"])


def plain(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order as a query tells it: without fills."""
    asked = {k: v for k, v in order.items() if k not in ("fills", "transactTime")}
    return {**asked, "time": order["transactTime"], "updateTime": order["transactTime"], "isWorking": True}


def execution(o: Mapping[str, Any], x: str, now: int, trade: Mapping[str, Any] | None) -> dict[str, Any]:
    canceled = x == "CANCELED"
    event = {
        "e": "executionReport", "E": now, "s": o["symbol"],
        "c": "cancelrequest1" if canceled else o["clientOrderId"], "S": o["side"], "o": o["type"],
        "f": o["timeInForce"], "q": o["origQty"], "p": o["price"],
        "P": o["stopPrice"], "F": "0.0", "g": -1, "C": o["clientOrderId"] if canceled else "", "x": x,
        "X": o["status"], "r": "NONE", "i": o["orderId"], "l": "0.0", "z": o["executedQty"], "L": "0.0",
        "n": "0", "N": None, "T": now, "t": -1, "I": 1, "w": True, "m": False, "M": False, "O": now, "Z": "0",
        "Y": "0", "Q": "0", "V": "NONE",
    }  # fmt: skip
    if trade is not None:
        event |= {"l": trade["qty"], "L": trade["price"], "n": trade["commission"], "t": trade["id"]}
        event |= {"N": trade["commissionAsset"], "T": trade["time"]}
    return event


@contextlib.asynccontextmanager
async def serving(stub: Stub) -> AsyncIterator[Stub]:
    app = web.Application()
    app.router.add_get("/ws-api/v3", stub.socket)
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    stub.rest, stub.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    try:
        yield stub
    finally:
        for socket in stub.sockets:
            await socket.close()
        await runner.cleanup()
