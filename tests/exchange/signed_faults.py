"""What can go wrong between a request and its answer, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from tests.exchange.signed_stub import Fault, RefusedError, Stub, Work


async def _abort(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def lost_request(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
    """The connection breaks before anything was done."""
    return await _abort(request)


async def lost_answer(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
    """It was done; the connection breaks before the answer."""
    await work()
    return await _abort(request)


async def broken_answer(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
    """It was done; the connection breaks in the middle of the answer."""
    body = json.dumps(await work()).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    await asyncio.sleep(0.02)
    return await _abort(request)


async def truncated_json(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
    """It was done; half of the answer comes as if it were all."""
    text = json.dumps(await work())
    return web.Response(text=text[: len(text) // 2], content_type="application/json")


def after(status: int, body: str, content_type: str = "application/json") -> Fault:
    """It was done; the answer is something else."""

    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        with contextlib.suppress(RefusedError):
            await work()
        return web.Response(status=status, text=body, content_type=content_type)

    return fault


def instead(status: int, body: Any, headers: dict[str, str] | None = None) -> Fault:
    """Nothing was done; this is the answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if isinstance(body, str) else "application/json"

    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind, headers=headers or {})

    return fault


def error(status: int, code: int, msg: str = "said so") -> Fault:
    return instead(status, {"code": code, "msg": msg})


def late(seconds: float) -> Fault:
    """It is done and answered, but after a while, whoever still listens."""

    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        async def then() -> Any:
            await asyncio.sleep(seconds)
            return await work()

        # Shielded, because the server lets go of a request whose client went away.
        return web.json_response(await asyncio.shield(asyncio.ensure_future(then())))

    return fault


def answering(change: dict[str, Any], without: tuple[str, ...] = ()) -> Fault:
    """It was done; the answer has other fields than it should."""

    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        answer = {**await work(), **change}
        return web.json_response({k: v for k, v in answer.items() if k not in without})

    return fault


def redirect(url: str) -> Fault:
    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": url})

    return fault


def refuse_half(code: int, msg: str) -> Fault:
    async def fault(stub: Stub, request: web.Request, work: Work) -> web.StreamResponse:
        raise RefusedError(code, msg)

    return fault
