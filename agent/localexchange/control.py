"""The operator's side: read the books, move the clock, the market and the faults.

Belongs here: HTTP and JSON of /control. Stays true: nothing here is part of the exchange's protocol,
nothing here is counted, limited or disturbed; whatever cannot be done is a 400 with a sentence.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from agent.core.money import plain
from agent.localexchange.exchange import Exchange
from agent.localexchange.faults import BadFaultError
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import json_response
from agent.localexchange.sockets import Sockets
from agent.localexchange.wishes import CannotGrantError, grant


class RefusedError(Exception):
    """What was asked for cannot be done; the text says why and what would."""


class Control:
    def __init__(self, exchange: Exchange, publisher: Publisher, sockets: Sockets) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._sockets = sockets

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/ledger", self._ledger),
            web.get("/control/clock", self._clock),
            web.post("/control/clock", self._set_clock),
            web.get("/control/faults", self._faults),
            web.post("/control/faults", self._set_faults),
            web.post("/control/market", self._market),
            web.post("/control/account", self._account),
        ]

    async def _ledger(self, request: web.Request) -> web.Response:
        exchange = self._exchange
        return json_response(
            {
                "balances": {
                    asset: {"free": plain(balance.free), "locked": plain(balance.locked)}
                    for asset, balance in exchange.venue.balances.items()
                },
                "orders": [],
                "fills": [],
                "requests": [
                    {"method": r.method, "path": r.path, "query": r.query, "ts": r.ts, "status": r.status}
                    for r in exchange.requests
                ],
            }
        )

    async def _clock(self, request: web.Request) -> web.Response:
        clock = self._exchange.clock
        return json_response({"now_ms": clock.now_ms(), "speed": clock.speed, "paused": clock.paused})

    async def _set_clock(self, request: web.Request) -> web.Response:
        body = await _object(request)
        clock = self._exchange.clock
        try:
            for name, value in body.items():
                match name, value:
                    case "speed", int() | float() if not isinstance(value, bool):
                        clock.set_speed(value)
                    case "advance_ms", int() if not isinstance(value, bool):
                        clock.advance(value)
                    case "pause", bool():
                        clock.pause(value)
                    case _:
                        raise RefusedError(
                            f"the clock takes speed (number), advance_ms (an integer) or pause (a boolean), "
                            f"not {name}: {value!r}"
                        )
        except (ValueError, RefusedError) as error:
            return _refusal(error)
        self._publisher.poke()
        return await self._clock(request)

    async def _faults(self, request: web.Request) -> web.Response:
        return json_response({"faults": self._exchange.faults.described()})

    async def _set_faults(self, request: web.Request) -> web.Response:
        body = await _object(request)
        strangers = body.keys() - {"add", "clear"}
        if strangers or not body:
            return _refusal(RefusedError(f"faults takes add and clear, not {sorted(strangers) or 'nothing'}"))
        board = self._exchange.faults
        try:
            for ident in _listed(body, "clear"):
                for fault in board.clear(str(ident)):
                    if fault.kind in ("F6", "F7"):
                        self._exchange.limits.pardon()
            for entry in _listed(body, "add"):
                self._sockets.suffer(board.add(entry))
        except (BadFaultError, RefusedError) as error:
            return _refusal(error)
        return await self._faults(request)

    async def _market(self, request: web.Request) -> web.Response:
        body = await _object(request)
        try:
            granted = grant(self._exchange.market, body, self._exchange.clock.now_ms())
        except CannotGrantError as error:
            return _refusal(error)
        self._publisher.poke()
        return json_response(granted)

    async def _account(self, request: web.Request) -> web.Response:
        return _refusal(RefusedError("not available yet: this exchange has no trading side so far"))


def _listed(body: dict[str, Any], key: str) -> list[Any]:
    value = body.get(key, [])
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise RefusedError(f"{key} is a list, not {value!r}")
    return value


def _refusal(error: Exception) -> web.Response:
    return json_response({"error": str(error)}, 400)


async def _object(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; raises HTTPBadRequest with a sentence when it is none."""
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise _bad(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    return body


def _bad(sentence: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(body=orjson.dumps({"error": sentence}), content_type="application/json")
