"""What faults do to requests.

Belongs here: broken, slow and missing answers. Stays true: whether the request was executed before its
answer was spoilt is stated by each fault: a held-off, banned or reset request was not, a broken answer's was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from aiohttp import web

from agent.localexchange.exchange import Exchange
from agent.localexchange.faults import Fault, FaultBoard
from agent.localexchange.faults_stream import spoilt_answer
from agent.localexchange.trading.signed import raw_of_http, window_edge_ms

Produce = Callable[[], Awaitable[web.Response]]

_LOOK_EVERY_MS: Final = 20
#: What the exchange says when it does not know what became of a request.
UNKNOWN_TEXTS: Final = {
    "-1000": "An unknown error occurred while processing the request.",
    "-1001": "Internal error; unable to process your request. Please try again.",
    "-1006": "An unexpected response was received from the message bus. Execution status unknown.",
    "-1008": "Server is currently overloaded with other requests. Please try again in a few minutes.",
    "-1007": "Timeout waiting for response from backend server. "
    "Send status unknown; execution status unknown.",
}
_HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


async def answered(
    exchange: Exchange, request: web.Request, produce: Produce, *, signed: bool
) -> web.StreamResponse:
    """The answer to a request, spoilt by whatever fault is set for it.

    `signed`: it is one that needs a key. Faults of such requests concern others only when they name a path.
    """
    board, now_ms = exchange.faults, exchange.clock.now_ms()
    limited = board.fire_on_request(("F6", "F7"), request.method, request.path)
    if limited is not None:
        for_ms = int(limited.params["retry_after"]) * 1_000
        (exchange.limits.hold if limited.kind == "F6" else exchange.limits.ban)(for_ms, now_ms)
    fault = _lost(board, request, signed=signed)
    if fault is None:
        fault = board.fire_on_request(("F8", "F9", "F10"), request.method, request.path)
    if fault is None:
        fault = board.fire_on_request(("F25", "F26"), request.method, request.path)
    match fault:
        case None:
            return await produce()
        case Fault(kind="F1" | "F2"):
            if fault.kind == "F2":
                await produce()
            return await _without_answer(fault, request)
        case Fault(kind="F3" | "F4"):
            if fault.kind == "F4":
                await produce()
            return _server_error(fault)
        case Fault(kind="F5"):
            if fault.params["executed"]:
                await produce()
            return _unknown_outcome(fault)
        case Fault(kind="F8"):
            return reset(request)
        case Fault(kind="F10"):
            return await _slow(fault, exchange, request, produce)
        case Fault(kind="F25" | "F26"):
            return _spoilt(fault, await produce())
        case _:
            return await _broken(fault, request, await produce())


def reset(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


def _lost(board: FaultBoard, request: web.Request, *, signed: bool) -> Fault | None:
    for fault in board.of_kind("F1", "F2", "F3", "F4", "F5"):
        if not signed and fault.match.path is None:
            continue
        if fault.match.request(request.method, request.path) and board.fire(fault):
            return fault
    return None


async def _without_answer(fault: Fault, request: web.Request) -> web.Response:
    """Reset at once, or say nothing until the client gives up."""
    if fault.variant == "silent":
        for _ in range(int(fault.params["hold_ms"]) // _LOOK_EVERY_MS):
            if request.transport is None or request.transport.is_closing():
                break
            await asyncio.sleep(_LOOK_EVERY_MS / 1_000)
    return reset(request)


def _server_error(fault: Fault) -> web.Response:
    status = int(fault.params["status"])
    if fault.variant == "html":
        return web.Response(text=_HTML, status=status, content_type="text/html")
    if fault.variant == "text":
        return web.Response(text="Service Unavailable", status=status)
    return _json(orjson.dumps({"code": -1000, "msg": UNKNOWN_TEXTS["-1000"]}), status)


def _unknown_outcome(fault: Fault) -> web.Response:
    status = {"-1007": 504, "-1008": 503}.get(fault.variant, 500)
    body = {"code": int(fault.variant), "msg": UNKNOWN_TEXTS[fault.variant]}
    return _json(orjson.dumps(body), status)


async def _at_the_edge(fault: Fault, exchange: Exchange, request: web.Request) -> None:
    """Wait until the request is almost too old for its recvWindow, or has just become so."""
    clock = exchange.clock
    raw = raw_of_http(request.raw_path.partition("?")[2].encode(), await request.read())
    edge_ms = window_edge_ms(raw, clock.speed)
    if edge_ms is None:
        return
    margin_ms = int(fault.params["margin_ms"]) * clock.speed
    until_ms = edge_ms - margin_ms if fault.variant == "inside" else edge_ms + margin_ms
    # The clock can be moved by hand, so it is looked at again and again.
    while (left_ms := until_ms - clock.now_ms()) > 0:  # noqa: ASYNC110 - no event tells of the clock
        await asyncio.sleep(min(_LOOK_EVERY_MS, left_ms / clock.speed) / 1_000)


async def _slow(fault: Fault, exchange: Exchange, request: web.Request, produce: Produce) -> web.Response:
    if fault.variant != "plain":
        await _at_the_edge(fault, exchange, request)
        return await produce()
    delay_s = int(fault.params["delay_ms"]) / 1_000
    if fault.params["executed"]:
        response = await produce()
        await asyncio.sleep(delay_s)
        return response
    await asyncio.sleep(delay_s)
    return await produce()


def _spoilt(fault: Fault, whole: web.Response) -> web.Response:
    if whole.status != 200 or not isinstance(whole.body, bytes):
        return whole
    if fault.variant == "garbage":
        return _json(b"\x7b not json at all ]", 200)
    return _json(orjson.dumps(spoilt_answer(fault, orjson.loads(whole.body))), 200)


async def _broken(fault: Fault, request: web.Request, whole: web.Response) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b"{}"
    status = int(fault.params["status"])
    match fault.variant:
        case "truncated_json":
            return _json(body[: max(1, len(body) // 2)], status or 200)
        case "html":
            return web.Response(text=_HTML, status=status or 502, content_type="text/html")
        case "wrong_content_type":
            return web.Response(body=body, status=status or 200, content_type="text/plain")
        case "empty":
            return _json(b"", status or 200)
        case "garbage":
            return _json(b"\x00\xff<<not json>>{", status or 200)
        case "error_500":
            return web.Response(text="Internal Server Error", status=status or 500)
        case _:
            return await _reset_mid_body(request, body)


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")


async def _reset_mid_body(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.content_length = max(2, len(body))
    await response.prepare(request)
    await response.write(body[: max(1, len(body) // 2)])
    if request.transport is not None:
        request.transport.abort()
    return response
