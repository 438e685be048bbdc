"""REST over HTTP: limits, dispatch, error bodies, headers.

Belongs here: what is true of every request, public or signed. Stays true: every request is recorded with
the status it got; a refused request is not executed; an unknown path is an HTML page, as on the real host.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orjson
from aiohttp import web

from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults_http import answered
from agent.localexchange.parameters import Parameters, RejectionError
from agent.localexchange.rest_public import PUBLIC
from agent.localexchange.trading.side import TradingSide

_STATUS: Final = "/sapi/v1/system/status"
_UNAVAILABLE: Final[dict[str, Any]] = {"code": -1016, "msg": "This service is no longer available."}
_NOT_FOUND: Final = "<html><body><h2>404 Not found</h2></body></html>"


class Rest:
    """Answers everything under /api and /sapi."""

    def __init__(self, exchange: Exchange, trading: TradingSide) -> None:
        self._exchange = exchange
        self._trading = trading

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Execute one request and record it."""
        now_ms = self._exchange.clock.now_ms()
        form = (await request.read()).decode("utf-8", "replace")
        signed = self._trading.endpoint(request.method, request.path) is not None
        self._trading.standing.passes(request.method, request.path)
        if self._trading.standing.unavailable and request.path != _STATUS:
            response: web.StreamResponse = json_response(_UNAVAILABLE, 503)
        else:
            answer = partial(self._answer, request)
            response = await answered(self._exchange, request, answer, signed=signed)
        if response.prepared:
            self._record(request, form, now_ms, response.status)
            return response
        response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(
            self._exchange.limits.used(now_ms)
        )
        self._record(request, form, now_ms, response.status)
        return response

    def _record(self, request: web.Request, form: str, now_ms: int, status: int) -> None:
        """The query is the raw text, with the form that came with it."""
        query = request.raw_path.partition("?")[2]
        text = "&".join(part for part in (query, form) if part)
        seen = SeenRequest(request.method, request.path, text, now_ms, status, _connection(request))
        self._exchange.requests.append(seen)

    async def _answer(self, request: web.Request) -> web.Response:
        now_ms = self._exchange.clock.now_ms()
        public = PUBLIC.get(request.path) if request.method == "GET" else None
        signed = self._trading.endpoint(request.method, request.path)
        if public is not None:
            weight = public.weight(dict(request.query), len(self._exchange.market.symbols))
        elif signed is not None:
            weight = signed.weight(dict(request.query))
        else:
            return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
        refusal = self._exchange.limits.admit(weight, now_ms)
        if refusal is not None:
            held = {"Retry-After": str(refusal.retry_after_s)}
            return json_response({"code": -1003, "msg": refusal.text}, refusal.status, held)
        try:
            if public is not None:
                parameters = Parameters(request.query.items())
                return json_response(public.answer(self._exchange.market, parameters, now_ms))
            assert signed is not None
            body, headers = await self._trading.respond(signed, request)
            return json_response(body, headers=headers)
        except RejectionError as rejection:
            wait = rejection.retry_after_s
            headers = {} if wait is None else {"Retry-After": str(wait)}
            return json_response(rejection.body, rejection.status, headers)


def _connection(request: web.Request) -> int:
    """The client's port; 0 when it is gone."""
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return 0 if peer is None else int(peer[1])


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
