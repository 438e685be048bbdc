"""The trading side, joined: from a request to its answer.

Belongs here: who may ask what, opening requests, stale answers, headers. Stays true: a request is answered
only after key, permission, time and signature have been found right, in this order; nothing is awaited
between bringing the venue to the present and executing the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from agent.localexchange.exchange import Exchange
from agent.localexchange.fault_kinds import KINDS
from agent.localexchange.faults import Fault
from agent.localexchange.limits import WEIGHT_PER_MINUTE
from agent.localexchange.parameters import Parameters, RejectionError
from agent.localexchange.trading.account_control import AccountControl
from agent.localexchange.trading.counter import Ask, Counter, as_rejection
from agent.localexchange.trading.credentials import Credentials
from agent.localexchange.trading.endpoints import ENDPOINTS, Endpoint
from agent.localexchange.trading.event_faults import EventFaults, strange_answer
from agent.localexchange.trading.fate import Fate
from agent.localexchange.trading.permissions import Permissions
from agent.localexchange.trading.signed import Raw, check_key, opened, raw_of_http
from agent.localexchange.trading.standing import Standing
from agent.localexchange.trading.strangers import Strangers
from agent.localexchange.trading.user_streams import UserStreams
from agent.localexchange.venue.refusals import RefusedError

#: Answers to questions, which may be stale. The rest is the engine's own answer.
_QUERY: Final = "read"


class TradingSide:
    """Signed requests of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        desk = exchange.desk
        self.credentials = Credentials(exchange.key, exchange.secret)
        self.permissions = Permissions(desk.clock.now_ms())
        self.counter = Counter(desk, self.permissions)
        self.streams = UserStreams(EventFaults(exchange.faults, _later))
        strangers = Strangers(desk)
        self.standing = Standing(
            exchange.faults, desk, strangers, lambda: self.streams.terminate_all(desk.clock.now_ms())
        )
        self.account = AccountControl(exchange, strangers, self.permissions)
        desk.tell(self.streams.publish)

    def suffer(self, fault: Fault) -> None:
        """Do what a lasting fault does at the moment it is set. Raises BadFaultError."""
        if KINDS[fault.kind].scope == "standing":
            self.standing.set(fault)

    def endpoint(self, method: str, path: str) -> Endpoint | None:
        return ENDPOINTS.get((method, path))

    async def respond(self, endpoint: Endpoint, request: web.Request) -> tuple[object, dict[str, str]]:
        """The body of the answer and its headers. Raises RejectionError."""
        key = request.headers.get("X-MBX-APIKEY")
        query = request.raw_path.partition("?")[2].encode()
        raw = raw_of_http(query, await request.read())
        body = self.execute(endpoint, key, raw, request.method, request.path)
        return body, self.headers(endpoint)

    def execute(self, endpoint: Endpoint, key: str | None, raw: Raw, method: str, path: str) -> object:
        """Open a request and answer it. Raises RejectionError."""
        self.authorize(endpoint, key)
        parameters = self.open(raw)
        return self._answer(endpoint, parameters, method, path)

    def authorize(self, endpoint: Endpoint | None, key: str | None) -> None:
        """Raises RejectionError for a key that may not ask this; None: for the user stream."""
        check_key(self.credentials, key)
        trading = endpoint is not None and endpoint.need == "trade"
        self.standing.must_be_allowed(trading=trading)
        allowed = self.permissions.may_trade if trading else self.permissions.may_read
        if not allowed:
            raise RejectionError(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def open(self, raw: Raw) -> Parameters:
        """Raises RejectionError unless time and signature are right."""
        clock = self._exchange.clock
        return opened(self.credentials, raw, clock.now_ms(), clock.speed)

    def _answer(self, endpoint: Endpoint, parameters: Parameters, method: str, path: str) -> object:
        desk = self._exchange.desk
        now_ms = desk.catch_up()
        fate = Fate(self._exchange.faults, method, path)
        age_ms = fate.age_ms() if endpoint.need == _QUERY else None
        as_of_ms = None if age_ms is None else now_ms - age_ms
        try:
            body: object = endpoint.answer(Ask(self.counter, parameters, now_ms, fate, as_of_ms))
        except RefusedError as refused:
            raise as_rejection(refused) from None
        finally:
            desk.publish()
        strange = self._exchange.faults.fire_on_request(("F21",), method, path)
        return body if strange is None else strange_answer(strange, body)

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """How many orders were placed lately, after placing one."""
        if not endpoint.counts_orders:
            return {}
        counts = self._exchange.desk.counts.counts(self._exchange.clock.now_ms())
        return {f"X-MBX-ORDER-COUNT-{limit.letter}": str(count) for limit, count in counts}

    def rate_limits(self, endpoint: Endpoint | None) -> list[dict[str, Any]]:
        """How much of the limits is used, as the socket API tells it."""
        now_ms = self._exchange.clock.now_ms()
        told: list[dict[str, Any]] = []
        if endpoint is not None and endpoint.counts_orders:
            told = [
                _rate_limit("ORDERS", limit.interval, limit.count, limit.most, count)
                for limit, count in self._exchange.desk.counts.counts(now_ms)
            ]
        limits = self._exchange.limits
        weight = _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE, limits.used(now_ms))
        return [*told, weight]


def _rate_limit(kind: str, interval: str, number: int, limit: int, count: int) -> dict[str, Any]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
        "count": count,
    }


def _later(after_ms: int, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(after_ms / 1_000, act)
