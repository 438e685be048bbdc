"""REST over HTTP: limits, dispatch, error bodies, headers.

Belongs here: what is true of every request, public or signed. Stays true: every request is recorded with
the status it got; a refused request is not executed; an unknown path is an HTML page, as on the real host.
"""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import web

from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults_http import answered
from agent.localexchange.parameters import Parameters, RejectionError
from agent.localexchange.rest_public import PUBLIC
from agent.localexchange.trading import TradingSide

_NOT_FOUND: Final = "<html><body><h2>404 Not found</h2></body></html>"


class Rest:
    """Answers everything under /api and /sapi."""

    def __init__(self, exchange: Exchange, trading: TradingSide) -> None:
        self._exchange = exchange
        self._trading = trading

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Execute one request and record it."""
        now_ms = self._exchange.clock.now_ms()
        response = await answered(self._exchange, request, lambda: self._answer(request))
        if response.prepared:
            self._record(request, now_ms, response.status)
            return response
        response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(
            self._exchange.limits.used(now_ms)
        )
        self._record(request, now_ms, response.status)
        return response

    def _record(self, request: web.Request, now_ms: int, status: int) -> None:
        seen = SeenRequest(request.method, request.path, request.query_string, now_ms, status)
        self._exchange.requests.append(seen)

    async def _answer(self, request: web.Request) -> web.Response:
        now_ms = self._exchange.clock.now_ms()
        public = PUBLIC.get(request.path) if request.method == "GET" else None
        if public is None and not self._trading.knows(request.method, request.path):
            return web.Response(status=404, text=_NOT_FOUND, content_type="text/html")
        listed = len(self._exchange.market.symbols)
        weight = 1 if public is None else public.weight(dict(request.query), listed)
        refusal = self._exchange.limits.admit(weight, now_ms)
        if refusal is not None:
            headers = {"Retry-After": str(refusal.retry_after_s)}
            return json_response({"code": -1003, "msg": refusal.text}, refusal.status, headers)
        try:
            if public is None:
                return json_response(await self._trading.answer(request, now_ms))
            parameters = Parameters(request.query.items())
            return json_response(public.answer(self._exchange.market, parameters, now_ms))
        except RejectionError as rejection:
            return json_response({"code": rejection.code, "msg": rejection.text}, rejection.status)


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
