"""One ccxt instance that may send signed requests: to known hosts, to known paths, through our gate, once.

Belongs here: every request's way out and its answer's way in. Stays true: a request is sent at most once by
us (ccxt's retries and throttle are off); a request that the gate does not admit in time, or that may not
leave any more when its bytes are about to be written, is `NotSent` and certainly was not; status and body of
an answer are taken as they came and judged by `classify`, never by ccxt's exception; the answer's weight and
its wish for silence reach the gate. No URL, header or body of a signed request is kept, logged or put into a
message.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import certifi

from agent.core.ports import Clock
from agent.core.value import Value
from agent.exchange.addresses import Addresses, host_of
from agent.exchange.ccxt_client import RefusedByUsError, open_session
from agent.exchange.ccxt_import import rest_class
from agent.exchange.last_word import LastWord
from agent.exchange.signed.arming import LiveArming, trading_hosts
from agent.exchange.signed.classify import BAD_TIMESTAMP, Accepted, Refused, Unknown, Verdict, classify
from agent.exchange.signed.endpoints import ALLOWED_REQUESTS, SERVER_TIME, Endpoint
from agent.exchange.signed.fields import FieldError, integer, obj
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.request_time import GOOD_ROUND_TRIP_MS, RECV_WINDOW_MS, Measured, RequestTime
from agent.exchange.weight_gate import Urgency, WeightGate

_log: Final = logging.getLogger(__name__)

#: Connections idle for longer are not used again: the other side may be closing them at that very moment.
_KEEP_ALIVE_S: Final = 30.0
_MEASUREMENTS: Final = 3
_RESYNC_PATIENCE_S: Final = 2.0
#: Several requests refused for their time at once need one measurement between them.
_RESYNC_EVERY_MS: Final = 1_000.0


class NotSent(Value, frozen=True):
    """The request never left this process."""

    why: str


Outcome = Verdict | NotSent


KeyWatch = Callable[[Endpoint, Outcome], None]


class _HeldBackError(Exception):
    """The last word was no."""


@dataclass(slots=True)
class _Underway:
    """One request on its way: what it needs to know, and what came back."""

    last_word: LastWord | None
    answer: tuple[int, str] | None = None


_underway: ContextVar[_Underway] = ContextVar("_underway")


class SignedClient:
    """Signed requests of one account. `timeout_ms` and `admit_within_ms` are machine time.

    Raises LiveRefusedError where the address trades real money without `arming`.
    """

    def __init__(
        self,
        addresses: Addresses,
        keys: RequestKeys,
        gate: WeightGate,
        clock: Clock,
        arming: LiveArming | None,
        *,
        timeout_ms: int,
        admit_within_ms: int,
        watch: KeyWatch,
    ) -> None:
        self.time = RequestTime(clock)
        self._clock = clock
        self._gate = gate
        self._timeout_ms = timeout_ms
        self._admit_within_s = admit_within_ms / 1_000
        self._watch = watch
        self._closed = False
        self._resyncing: asyncio.Task[None] | None = None
        self._last_use_ms = float("-inf")
        self.offers_key_rights = "sapi" in addresses.rest_urls({})
        hosts = trading_hosts(addresses, arming)
        self._ccxt = _instance(addresses, hosts, keys, gate, self.time, timeout_ms)
        # By name: importing it would import all of ccxt.
        self._ccxt_error: type[Exception] = sys.modules["ccxt.base.errors"].BaseError

    @property
    def idle_ms(self) -> float:
        """Machine time since the last answer."""
        return self._clock.machine_ms() - self._last_use_ms

    async def ask(
        self,
        endpoint: Endpoint,
        urgency: Urgency,
        params: Mapping[str, str | int] | None = None,
        last_word: LastWord | None = None,
    ) -> Outcome:
        """Send one request, once. Never raises for what the exchange or the network does.

        What was refused for its time, and so not executed, is sent again with the right one, unless it places
        an order: while our clock finds its way back after a step, every question would be refused otherwise.
        """
        outcome = await self._ask_once(endpoint, urgency, params, last_word)
        if isinstance(outcome, Refused) and outcome.code == BAD_TIMESTAMP:
            await self.resync()
            if not endpoint.places:
                outcome = await self._ask_once(endpoint, urgency, params, last_word)
        return outcome

    async def _ask_once(
        self,
        endpoint: Endpoint,
        urgency: Urgency,
        params: Mapping[str, str | int] | None,
        last_word: LastWord | None,
    ) -> Outcome:
        not_sent = await self._admitted(endpoint, urgency)
        if not_sent is not None:
            return not_sent
        outcome = await self._send(endpoint, dict(params or {}), last_word)
        self._watch(endpoint, outcome)
        return outcome

    async def measure_time(self) -> bool:
        """Learn the exchange's clock from the quickest of a few answers. False when there was none."""
        best: Measured | None = None
        for _ in range(_MEASUREMENTS):
            measured = await self._measured()
            if measured is None:
                break
            if best is None or measured.round_trip_ms < best.round_trip_ms:
                best = measured
            if best.round_trip_ms <= GOOD_ROUND_TRIP_MS:
                break
        if best is None:
            return False
        before_ms = self.time.offset_ms
        self.time.learn(best)
        if abs(best.offset_ms - before_ms) > 1_000:
            _log.info("the exchange's clock is %+d ms from ours", -best.offset_ms)
        return True

    async def resync(self) -> None:
        """Measure the clock because a request was refused for its time; once for all who ask together."""
        if self._resyncing is None:
            last_ms = self.time.measured_ms
            if last_ms is not None and self._clock.machine_ms() - last_ms < _RESYNC_EVERY_MS:
                return
            self._resyncing = asyncio.get_running_loop().create_task(self._resync())
        await asyncio.wait((self._resyncing,), timeout=_RESYNC_PATIENCE_S)

    async def close(self) -> None:
        self._closed = True
        if self._resyncing is not None:
            self._resyncing.cancel()
            await asyncio.gather(self._resyncing, return_exceptions=True)
        session, self._ccxt.session = self._ccxt.session, None
        if session is not None:
            await session.close()

    async def _resync(self) -> None:
        try:
            await self.measure_time()
        finally:
            self._resyncing = None

    async def _measured(self) -> Measured | None:
        sent: list[tuple[int, float]] = []

        def note() -> None:
            sent.append((self._clock.now_ms(), self._clock.machine_ms()))

        outcome = await self.ask(SERVER_TIME, Urgency.RECONCILE, last_word=note)
        if not isinstance(outcome, Accepted) or not sent:
            return None
        try:
            theirs_ms = integer(obj(outcome.answer, "the time"), "serverTime")
        except FieldError:
            return None
        venue_ms, machine_ms = sent[-1]
        ours_ms = (venue_ms + self._clock.now_ms()) / 2
        return Measured(ours_ms, theirs_ms, self._clock.machine_ms() - machine_ms)

    async def _admitted(self, endpoint: Endpoint, urgency: Urgency) -> NotSent | None:
        if self._closed:
            return NotSent("the connection was closed")
        if endpoint.places and urgency is Urgency.ENTER:
            full = self._gate.orders.full(self._clock.now_ms())
            if full is not None:
                return NotSent(full)
        if self._gate.admits_now(urgency, endpoint.weight):
            return None
        try:
            async with asyncio.timeout(self._admit_within_s):
                await self._gate.admit(urgency, endpoint.weight)
        except TimeoutError:
            if self._gate.is_blocked:
                left_s = (self._gate.blocked_until_ms - self._clock.now_ms()) / 1_000
                return NotSent(f"the exchange wants no requests for another {left_s:.0f} s")
            return NotSent("the request limit of this minute is used up")
        return NotSent("the connection was closed") if self._closed else None

    async def _send(self, endpoint: Endpoint, params: dict[str, Any], last_word: LastWord | None) -> Outcome:
        if self._ccxt.session is None:
            self._ccxt.session = open_session(
                self._ccxt.ssl_context, _last_word_trace(), keep_alive_s=_KEEP_ALIVE_S
            )
        request = _Underway(last_word)
        token = _underway.set(request)
        why = "no answer"
        try:
            await getattr(self._ccxt, endpoint.call)(params)
        except _HeldBackError as held:
            return NotSent(str(held))
        except (self._ccxt_error, aiohttp.ClientError, OSError) as error:
            why = _why(error, self._timeout_ms)
        finally:
            _underway.reset(token)
        self._last_use_ms = self._clock.machine_ms()
        if request.answer is None:
            return Unknown(f"{endpoint.what}: {why}")
        return classify(*request.answer, places=endpoint.places)


def _instance(
    addresses: Addresses,
    hosts: frozenset[str],
    keys: RequestKeys,
    gate: WeightGate,
    time: RequestTime,
    timeout_ms: int,
) -> Any:
    """An object of ccxt's class with our doors in it."""
    exchange: Any = rest_class(addresses.exchange)

    class Signed(exchange):  # type: ignore[misc]
        # Read where ccxt signs, and never part of the instance, so that no dump of it shows them.
        apiKey = property(lambda self: keys.api_key)  # noqa: N815
        secret = property(lambda self: keys.secret)
        # ccxt keeps the last request with its headers; here they vanish.
        last_request_headers = property(lambda self: None, lambda self, value: None)
        last_request_body = property(lambda self: None, lambda self, value: None)
        last_request_url = property(lambda self: None, lambda self, value: None)

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if host_of(url) not in hosts:
                raise RefusedByUsError(f"a request to {host_of(url)} was stopped: only {sorted(hosts)}")
            request = f"{method} {urlsplit(url).path}"
            if request not in ALLOWED_REQUESTS:
                raise RefusedByUsError(f"{request} was stopped: it is none of ours")
            return await super().fetch(url, method, headers, body)

        def nonce(self) -> int:
            return time.stamp_ms()

        def on_rest_response(
            self,
            code: int,
            reason: str,
            url: str,
            method: str,
            response_headers: Mapping[str, str],
            response_body: str,
            request_headers: Any,
            request_body: Any,
        ) -> str:
            gate.answered(code, response_headers, response_body)
            _underway.get().answer = (code, response_body)
            # ccxt has carried the answer; reading it is ours.
            return ""

    client = Signed(
        {
            "enableRateLimit": False,
            "timeout": timeout_ms,
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
            # Given by us, so that ccxt neither opens nor closes one of its own.
            "session": None,
            "ssl_context": ssl.create_default_context(cafile=certifi.where()),
            "logger": _silent_logger(),
            "options": {"maxRetriesOnFailure": 0, "recvWindow": RECV_WINDOW_MS},
        }
    )
    client.urls = {**client.urls, "api": addresses.rest_urls({})}
    return client


def _silent_logger() -> logging.Logger:
    """ccxt writes requests with their headers at DEBUG level; this one never passes that on."""
    logger = logging.getLogger(f"{__name__}.ccxt")
    logger.setLevel(logging.WARNING)
    return logger


def _last_word_trace() -> aiohttp.TraceConfig:
    """Asks the last word when a connection stands ready and nothing has been written to it."""

    async def ask(session: Any, context: Any, params: aiohttp.TraceRequestHeadersSentParams) -> None:
        last_word = _underway.get().last_word
        reason = last_word() if last_word is not None else None
        if reason is not None:
            raise _HeldBackError(reason)

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(ask)
    return trace


def _why(error: Exception, timeout_ms: int) -> str:
    """Why there is no answer, without the words of the error: they may hold the signed request."""
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_ms / 1_000:g} s"
    if isinstance(cause, aiohttp.ClientPayloadError):
        return "the connection broke in the middle of the answer"
    if isinstance(cause, aiohttp.ClientConnectorError):
        return f"cannot connect ({cause.os_error.strerror or type(cause.os_error).__name__})"
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if isinstance(cause, OSError):
        return f"the connection broke before the answer ({cause.strerror or type(cause).__name__})"
    return f"no answer ({type(cause).__name__})"
