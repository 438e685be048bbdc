"""Kraken's REST over HTTP: public and private, errors in the body, every request recorded.

Stays true: an answer arrives with status 200 whatever it says, except where the limiter or a fault speaks; a
refused request was not executed; nothing is awaited between bringing the venue to the present and executing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from aiohttp import web

from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults_http import answered
from agent.localexchange.kraken import queries
from agent.localexchange.kraken.account import TOKEN_EXPIRES_S, Account
from agent.localexchange.kraken.errors import DENIED, TOO_MANY, UNAVAILABLE, UNKNOWN_METHOD, KrakenError
from agent.localexchange.kraken.orders import References, add_order, cancel_order
from agent.localexchange.kraken.public import PUBLIC
from agent.localexchange.parameters import RejectionError
from agent.localexchange.rest import json_response
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.fate import Fate
from agent.localexchange.trading.standing import Standing

_QUERIES: Final[Mapping[str, Callable[[Desk, References, Mapping[str, str]], Any]]] = {
    "Balance": queries.balance,
    "BalanceEx": queries.balance_ex,
    "OpenOrders": queries.open_orders,
    "ClosedOrders": queries.closed_orders,
    "QueryOrders": queries.query_orders,
    "TradesHistory": queries.trades_history,
    "QueryTrades": queries.query_trades,
}
_COMMANDS: Final[Mapping[str, Callable[[Desk, References, Mapping[str, str], Fate, int], Any]]] = {
    "AddOrder": add_order,
    "CancelOrder": cancel_order,
}
_TOKEN: Final = "GetWebSocketsToken"


class KrakenRest:
    def __init__(
        self, exchange: Exchange, standing: Standing, account: Account, references: References
    ) -> None:
        self._exchange = exchange
        self._standing = standing
        self._account = account
        self._references = references

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Execute one request and record it."""
        now_ms = self._exchange.clock.now_ms()
        body = await request.read()
        self._standing.passes(request.method, request.path)
        signed = request.path.startswith("/0/private/")
        response = await answered(
            self._exchange, request, partial(self._answer, request, body), signed=signed
        )
        query = request.raw_path.partition("?")[2]
        text = "&".join(part for part in (query, body.decode("utf-8", "replace")) if part)
        self._exchange.requests.append(
            SeenRequest(request.method, request.path, text, now_ms, response.status)
        )
        return response

    async def _answer(self, request: web.Request, body: bytes) -> web.Response:
        now_ms = self._exchange.clock.now_ms()
        refusal = self._exchange.limits.admit(1, now_ms)
        if refusal is not None:
            headers = {"Retry-After": str(refusal.retry_after_s)}
            return json_response({"error": [TOO_MANY]}, refusal.status, headers)
        try:
            return json_response({"error": [], "result": self._result(request, body)})
        except KrakenError as error:
            return json_response({"error": [str(error)]})

    def _result(self, request: web.Request, body: bytes) -> Any:
        if self._standing.unavailable:
            raise KrakenError(UNAVAILABLE)
        name = request.path.rsplit("/", 1)[1]
        if not request.path.startswith("/0/private/"):
            if name not in PUBLIC:
                raise KrakenError(UNKNOWN_METHOD)
            return PUBLIC[name](self._exchange.market, dict(request.query), self._exchange.clock.now_ms())
        if request.method != "POST" or name not in {*_QUERIES, *_COMMANDS, _TOKEN}:
            raise KrakenError(UNKNOWN_METHOD)
        key, sign = request.headers.get("API-Key"), request.headers.get("API-Sign")
        sent = self._account.opened(request.path, key, sign, body)
        self._may(trading=name in _COMMANDS)
        if name == _TOKEN:
            return {"token": self._account.new_token(), "expires": TOKEN_EXPIRES_S}
        desk = self._exchange.desk
        now_ms = desk.catch_up()
        try:
            if name in _QUERIES:
                return _QUERIES[name](desk, self._references, sent)
            fate = Fate(self._exchange.faults, request.method, request.path)
            return _COMMANDS[name](desk, self._references, sent, fate, now_ms)
        finally:
            desk.publish()

    def _may(self, *, trading: bool) -> None:
        """Raises KrakenError while the key, its address or its permission to trade is lost."""
        try:
            self._standing.must_be_allowed(trading=trading)
        except RejectionError:
            raise KrakenError(DENIED) from None
