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
from agent.localexchange.faults import Fault
from agent.localexchange.faults_stream import spoilt_answer

Produce = Callable[[], Awaitable[web.Response]]

_HTML: Final = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


async def answered(exchange: Exchange, request: web.Request, produce: Produce) -> web.StreamResponse:
    """The answer to a request, spoilt by whatever fault is set for it."""
    board, now_ms = exchange.faults, exchange.clock.now_ms()
    limited = board.fire_on_request(("F6", "F7"), request.method, request.path)
    if limited is not None:
        for_ms = int(limited.params["retry_after"]) * 1_000
        (exchange.limits.hold if limited.kind == "F6" else exchange.limits.ban)(for_ms, now_ms)
    fault = board.fire_on_request(("F8", "F9", "F10"), request.method, request.path)
    if fault is None:
        fault = board.fire_on_request(("F25", "F26"), request.method, request.path)
    match fault:
        case None:
            return await produce()
        case Fault(kind="F8"):
            return reset(request)
        case Fault(kind="F10"):
            return await _slow(fault, produce)
        case Fault(kind="F25" | "F26"):
            return _spoilt(fault, await produce())
        case _:
            return await _broken(fault, request, await produce())


def reset(request: web.Request) -> web.Response:
    """Cut the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)


async def _slow(fault: Fault, produce: Produce) -> web.Response:
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
