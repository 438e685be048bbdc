"""The venue of the simulation answers what the local exchange answers over HTTP, request by request.

Two exchanges of one seed stand still at the same moment; each gets the same signed requests in one order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from agent.localexchange.clock import VenueClock
from agent.localexchange.exchange import Exchange
from agent.localexchange.faults import FaultBoard
from agent.localexchange.faults_stream import FrameFaults
from agent.localexchange.serve import Settings, open_market, serve
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.side import TradingSide
from agent.simulation.venue import Front, Request

SETTINGS = Settings(seed=5, paused=True)
S = {"symbol": "ADAUSDT"}
ORDER = "/api/v3/order"
STOP = {"type": "STOP_LOSS", "side": "SELL"}

#: (method, path, parameters, what to do to the signature)
REQUESTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("GET", "/api/v3/time", {}, "public"),
    ("GET", "/api/v3/exchangeInfo", S, "public"),
    ("GET", "/api/v3/klines", {**S, "interval": "15m", "limit": 5}, "public"),
    ("GET", "/api/v3/klines", {**S, "interval": "7m"}, "public"),
    ("GET", "/api/v3/depth", {**S, "limit": 100}, "public"),
    ("GET", "/api/v3/ticker/bookTicker", S, "public"),
    ("GET", "/api/v3/ticker/bookTicker", {"symbol": "NOPE"}, "public"),
    ("GET", "/api/v3/nothing", {}, "public"),
    ("GET", "/api/v3/account", {}, ""),
    (
        "POST",
        ORDER,
        {
            **S,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "IOC",
            "quantity": "100",
            "price": "AT",
            "newClientOrderId": "a1",
            "newOrderRespType": "FULL",
        },
        "",
    ),
    (
        "POST",
        ORDER,
        {
            **S,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "50",
            "price": "LOW",
            "newClientOrderId": "a2",
            "newOrderRespType": "FULL",
        },
        "",
    ),
    (
        "POST",
        ORDER,
        {
            **S,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "50",
            "price": "LOW",
            "newClientOrderId": "a2",
            "newOrderRespType": "FULL",
        },
        "",
    ),
    (
        "POST",
        ORDER,
        {
            **S,
            **STOP,
            "quantity": "40",
            "stopPrice": "LOW",
            "newClientOrderId": "a3",
            "newOrderRespType": "FULL",
        },
        "",
    ),
    (
        "POST",
        ORDER,
        {**S, "side": "BUY", "type": "MARKET", "quantity": "99999999", "newClientOrderId": "a4"},
        "",
    ),
    ("POST", ORDER, {**S, "side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "a5"}, ""),
    ("POST", ORDER, {**S, "side": "BUY", "type": "MARKET", "quantity": "10", "takeProfit": "1"}, ""),
    ("GET", ORDER, {**S, "origClientOrderId": "a1"}, ""),
    ("GET", ORDER, {**S, "origClientOrderId": "never"}, ""),
    ("GET", "/api/v3/openOrders", S, ""),
    ("GET", "/api/v3/allOrders", {**S, "limit": 10}, ""),
    ("GET", "/api/v3/myTrades", {**S, "limit": 10}, ""),
    (
        "POST",
        ORDER + "/cancelReplace",
        {
            **S,
            "side": "SELL",
            "type": "MARKET",
            "quantity": "40",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "cancelOrigClientOrderId": "a3",
            "newClientOrderId": "a6",
        },
        "",
    ),
    (
        "POST",
        ORDER + "/cancelReplace",
        {
            **S,
            "side": "SELL",
            "type": "MARKET",
            "quantity": "10",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "cancelOrigClientOrderId": "a3",
            "newClientOrderId": "a7",
        },
        "",
    ),
    (
        "POST",
        ORDER + "/cancelReplace",
        {
            **S,
            "side": "SELL",
            "type": "MARKET",
            "quantity": "9999",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "cancelOrigClientOrderId": "a2",
            "newClientOrderId": "a8",
        },
        "",
    ),
    (
        "POST",
        "/api/v3/orderList/oco",
        {
            **S,
            "side": "SELL",
            "quantity": "40",
            "listClientOrderId": "l1",
            "aboveType": "LIMIT_MAKER",
            "abovePrice": "HIGH",
            "aboveClientOrderId": "l2",
            "belowType": "STOP_LOSS",
            "belowStopPrice": "LOW",
            "belowClientOrderId": "l3",
        },
        "",
    ),
    ("GET", "/api/v3/orderList", {"origClientOrderId": "l1"}, ""),
    ("DELETE", ORDER, {**S, "origClientOrderId": "l2"}, ""),
    ("DELETE", ORDER, {**S, "origClientOrderId": "l2"}, ""),
    ("GET", "/sapi/v1/account/apiRestrictions", {}, ""),
    ("GET", "/api/v3/account", {}, "wrong signature"),
    ("GET", "/api/v3/account", {}, "old"),
    ("GET", "/api/v3/account", {}, "early"),
    ("GET", "/api/v3/account", {}, "no key"),
    ("GET", "/api/v3/account", {}, "other key"),
]


def in_memory() -> Front:
    opened = open_market(SETTINGS)
    clock = VenueClock(opened.start_ms, 1.0, paused=True)
    board = FaultBoard(lambda: 0.0, clock.now_ms)
    desk = Desk(clock, opened.market, SETTINGS.balances)
    frames = FrameFaults(board, clock.now_ms)
    exchange = Exchange(clock, opened.market, desk, SETTINGS.key, SETTINGS.secret, board, frames)
    return Front(exchange, TradingSide(exchange))


def request_of(asked: tuple[str, str, dict[str, Any], str], now_ms: int, prices: dict[str, str]) -> Request:
    method, path, params, how = asked
    params = {name: prices.get(str(value), value) for name, value in params.items()}
    if how == "public":
        return Request(method, path, urlencode(params))
    at_ms = now_ms + {"old": -9_000, "early": 2_000}.get(how, 0)
    text = urlencode({"timestamp": at_ms, **params, "recvWindow": 5000})
    secret = "wrong" if how == "wrong signature" else SETTINGS.secret
    text += "&signature=" + hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    key = {"no key": None, "other key": "somebody's"}.get(how, SETTINGS.key)
    if method in ("GET", "DELETE"):
        return Request(method, path, text, key=key)
    return Request(method, path, form=text, key=key)


def prices_of(front: Front) -> dict[str, str]:
    """Prices at, far below and far above the market."""
    told = json.loads(front.answer(Request("GET", "/api/v3/ticker/bookTicker", "symbol=ADAUSDT")).body)
    ask = float(told["askPrice"])
    return {"AT": f"{ask * 1.002:.4f}", "LOW": f"{ask * 0.9:.4f}", "HIGH": f"{ask * 1.1:.4f}"}


async def over_http(
    session: aiohttp.ClientSession, base: str, request: Request
) -> tuple[int, Any, dict[str, str]]:
    headers = {} if request.key is None else {"X-MBX-APIKEY": request.key}
    if request.form:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    url = f"{base}{request.path}" + (f"?{request.query}" if request.query else "")
    data = request.form or None
    async with session.request(request.method, url, data=data, headers=headers) as answer:
        return answer.status, await answer.text(), dict(answer.headers)


HEADERS = ("X-MBX-USED-WEIGHT-1M", "X-MBX-ORDER-COUNT-10S", "X-MBX-ORDER-COUNT-1D", "Retry-After")


async def test_every_answer_is_the_same_as_over_http() -> None:
    running, front = await serve(SETTINGS), in_memory()
    try:
        assert running.exchange.clock.now_ms() == front.exchange.clock.now_ms()
        now_ms, prices = front.exchange.clock.now_ms(), prices_of(in_memory())
        async with aiohttp.ClientSession() as session:
            for asked in REQUESTS:
                request = request_of(asked, now_ms, prices)
                status, text, headers = await over_http(session, running.rest, request)
                answer = front.answer(request)
                assert (answer.status, answer.body.decode()) == (status, text), asked
                if status != 404:
                    ours = {name: answer.headers.get(name) for name in HEADERS}
                    assert ours == {name: headers.get(name) for name in HEADERS}, asked
    finally:
        await running.close()


@pytest.mark.parametrize(("fault", "statuses"), [("hold", {429, 418}), ("ban", {418}), ("closed", {503})])
async def test_refusals_of_everything_are_the_same(fault: str, statuses: set[int]) -> None:
    running, front = await serve(SETTINGS), in_memory()
    try:
        now_ms = front.exchange.clock.now_ms()
        for exchange in (running.exchange, front.exchange):
            if fault == "hold":
                exchange.limits.hold(30_000, now_ms)
            elif fault == "ban":
                exchange.limits.ban(120_000, now_ms)
        if fault == "closed":
            entry = {"fault": "F38", "params": {"variant": "unavailable", "expire_orders": False}}
            front.trading.suffer(front.exchange.faults.add(entry))
            async with aiohttp.ClientSession() as session:
                await session.post(f"{running.control}/faults", json={"add": [entry]})
        request, seen = request_of(("GET", "/api/v3/account", {}, ""), now_ms, {}), set()
        async with aiohttp.ClientSession() as session:
            for _ in range(7):
                status, text, headers = await over_http(session, running.rest, request)
                answer = front.answer(request)
                assert (answer.status, answer.body.decode()) == (status, text)
                assert answer.headers.get("Retry-After") == headers.get("Retry-After")
                seen.add(status)
        assert seen == statuses
    finally:
        await running.close()
