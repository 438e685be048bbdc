"""One ccxt instance that may send signed requests of any exchange: to known hosts, to known paths, once.

Belongs here: every request's way out and its answer's way in. Stays true: a request is sent at most once by
us (ccxt's retries and throttle are off), but for a look that a sale waits for, which moves nothing and is
asked again when the exchange's counter of calls was full; one that the gate does not admit in time, or that
may not leave any more right before it is handed to the connection, is `NotSent` and certainly was not; an
answer is judged by status and body as they came (`refusals`), and what ccxt made of it counts only where
that is an acceptance. Where requests carry a number that must rise, they leave one after the other; an exit
and what it waits for pass those before them after a quarter of a second, because a number that comes too
late refuses the reading, not the exit. No URL, header or body of a signed request is kept, logged or put
into a message.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import certifi

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses, host_of, hosts_in
from agent.exchange.ccxt_client import RefusedByUsError, open_session, with_hostname
from agent.exchange.ccxt_import import rest_class
from agent.exchange.last_word import LastWord
from agent.exchange.signed.arming import LiveArming, order_hosts
from agent.exchange.signed.classify import Accepted, Refused, Unknown
from agent.exchange.signed.client import NotSent
from agent.exchange.unified.call_counter import CallCounter, Need
from agent.exchange.unified.dialect import Dialect
from agent.exchange.unified.refusals import JUDGES, Kind
from agent.exchange.unified.rising import RisingNumbers
from agent.exchange.weight_gate import Urgency, WeightGate

Outcome = Accepted | Refused | Unknown | NotSent

_KEEP_ALIVE_S: Final = 30.0
_EXIT_WAITS_S: Final = 0.25


class _HeldBackError(Exception):
    """The last word was no."""


@dataclass(slots=True)
class _Underway:
    """One question on its way: what it needs to know, and every answer that came back."""

    last_word: LastWord | None
    left: bool = False
    number: int = 0
    """The rising one of its newest request."""
    answers: list[tuple[int, str]] = field(default_factory=list)


_underway: ContextVar[_Underway] = ContextVar("_underway_unified")


class Carrier:
    """Signed requests of one account. `timeout_ms` and `admit_within_ms` (of orders) are machine time.

    `halted`: nothing is entered any more, so that readings, which tell whether all is sold, keep no calls
    back for orders. Raises LiveRefusedError where the address trades real money without `arming`.
    """

    def __init__(
        self,
        addresses: Addresses,
        keys: ExchangeKeys,
        dialect: Dialect,
        gate: WeightGate,
        clock: Clock,
        arming: LiveArming | None,
        *,
        timeout_ms: int,
        admit_within_ms: int,
        halted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._dialect = dialect
        self._judge = JUDGES[addresses.exchange]
        self._admit_within_s = admit_within_ms / 1_000
        self._timeout_ms = timeout_ms
        self._halted = halted
        self._closed = False
        self._lane = asyncio.Lock()
        self._last_use_ms = float("-inf")
        self._numbers = RisingNumbers()
        self._calls = CallCounter(clock, dialect.calls)
        self.ccxt = _instance(addresses, keys, dialect, gate, arming, timeout_ms, self._numbers)
        # By name: importing it would import all of ccxt.
        self._ccxt_error: type[Exception] = sys.modules["ccxt.base.errors"].BaseError

    @property
    def idle_ms(self) -> float:
        """Machine time since the last answer."""
        return self._clock.machine_ms() - self._last_use_ms

    async def ask(
        self,
        urgency: Urgency,
        request: Callable[[], Awaitable[Any]],
        *,
        last_word: LastWord | None = None,
        public: bool = False,
        calls: int = 1,
        need: Need = Need.USUAL,
    ) -> Outcome:
        """One question of ccxt, usually one request. An acceptance holds what ccxt read in the answer.

        `calls` is what it counts among the account's calls (0: an order). What a sale waits for is asked
        again as soon as a full counter of calls, which somebody else may have filled, has room for it.

        Never raises for what the exchange or the network does.
        """
        began_ms = self._clock.machine_ms()
        while True:
            outcome = await self._asked(urgency, request, last_word, public, calls, need)
            full = isinstance(outcome, Refused) and outcome.code == Kind.LIMIT
            again = need >= Need.SALE and full and self._calls.counts(calls)
            if not again or self._clock.machine_ms() - began_ms >= self._timeout_ms:
                return outcome

    async def _asked(
        self,
        urgency: Urgency,
        request: Callable[[], Awaitable[Any]],
        last_word: LastWord | None,
        public: bool,
        calls: int,
        need: Need,
    ) -> Outcome:
        if self._closed:
            return NotSent("the connection was closed")
        # Where requests keep a distance, a question may stand behind several others.
        patience_s = self._admit_within_s if urgency <= Urgency.ENTER else self._timeout_ms / 1_000
        urgency = Urgency.LEAVE if need >= Need.SALE else urgency
        spare = need is Need.SPARE
        # What is counted for the account keeps no distance from what is asked of the market.
        counted = self._dialect.calls is not None and not public
        try:
            async with asyncio.timeout(patience_s):
                await self._gate.admit(Urgency.LEAVE if counted else urgency, 1)
                if not public and not spare:
                    await self._calls.admit(calls, need)
        except TimeoutError:
            return self._silenced() or NotSent("the request limit is used up")
        if spare:
            # It falls by itself, and what is read of the account may be late.
            await self._calls.admit(calls, Need.USUAL if self._halted() else need)
        if public or not self._dialect.numbers_rise:
            return await self._send(request, last_word, calls)
        holds = await self._in_lane(urgency)
        if holds is None:
            return NotSent("the requests before it did not end")
        try:
            return await self._send(request, last_word, calls)
        finally:
            if holds:
                self._lane.release()

    def _silenced(self) -> NotSent | None:
        if not self._gate.is_blocked:
            return None
        left_s = (self._gate.blocked_until_ms - self._clock.now_ms()) / 1_000
        return NotSent(f"the exchange wants no requests for another {left_s:.0f} s")

    async def _in_lane(self, urgency: Urgency) -> bool | None:
        """Whether the lane is ours; False: gone past it; None: it did not get free."""
        patience_s = _EXIT_WAITS_S if urgency is Urgency.LEAVE else self._timeout_ms / 1_000
        try:
            async with asyncio.timeout(patience_s):
                await self._lane.acquire()
        except TimeoutError:
            return False if urgency is Urgency.LEAVE else None
        return True

    async def _send(
        self, request: Callable[[], Awaitable[Any]], last_word: LastWord | None, calls: int
    ) -> Outcome:
        if self._closed:
            return NotSent("the connection was closed")
        # The one before it in the row may just have been told to be silent.
        if silenced := self._silenced():
            return silenced
        if self.ccxt.session is None:
            self.ccxt.session = open_session(self.ccxt.ssl_context, keep_alive_s=_KEEP_ALIVE_S)
        underway = _Underway(last_word)
        token = _underway.set(underway)
        read: Any = None
        why: str | None = None
        try:
            read = await request()
        except _HeldBackError as held:
            return NotSent(str(held))
        except (self._ccxt_error, aiohttp.ClientError, OSError) as error:
            why = _why(error, self._timeout_ms)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # ccxt looked for something in the answer that is not there, or in our request.
            why = f"it makes no sense to ccxt ({type(error).__name__})"
        finally:
            _underway.reset(token)
        if not underway.left:
            # ccxt itself would not send it: a price too fine, a key that cannot sign.
            return NotSent(why or "ccxt asked nothing")
        self._last_use_ms = self._clock.machine_ms()
        if not underway.answers:
            return Unknown(why or "no answer")
        verdict = self._judge(*underway.answers[-1])
        if isinstance(verdict, Refused) and verdict.code == Kind.TIME and "nonce" in verdict.message:
            self._numbers.refused(underway.number)
        if isinstance(verdict, Refused) and verdict.code == Kind.LIMIT and calls:
            self._calls.refused()
        if not isinstance(verdict, Accepted):
            return verdict
        return Accepted(read) if why is None else Unknown(why)

    async def close(self) -> None:
        self._closed = True
        session, self.ccxt.session = self.ccxt.session, None
        if session is not None:
            await session.close()


def _instance(
    addresses: Addresses,
    keys: ExchangeKeys,
    dialect: Dialect,
    gate: WeightGate,
    arming: LiveArming | None,
    timeout_ms: int,
    numbers: RisingNumbers,
) -> Any:
    """An object of ccxt's class with our doors in it."""
    exchange: Any = rest_class(addresses.exchange)

    class Signed(exchange):  # type: ignore[misc]
        # Read where ccxt signs, and never part of the instance, so that no dump of it shows them.
        apiKey = property(lambda self: keys.api_key.reveal())  # noqa: N815
        secret = property(lambda self: keys.api_secret.reveal())
        password = property(lambda self: keys.api_passphrase.reveal() if keys.api_passphrase else "")
        # ccxt keeps the last request with its headers; here they vanish.
        last_request_headers = property(lambda self: None, lambda self, value: None)
        last_request_body = property(lambda self: None, lambda self, value: None)
        last_request_url = property(lambda self: None, lambda self, value: None)
        hosts: frozenset[str] = frozenset()

        def nonce(self) -> Any:
            if not dialect.numbers_rise:
                return super().nonce()
            number = _underway.get().number = numbers.next()
            return number

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            if host_of(url) not in self.hosts:
                raise RefusedByUsError(f"a request to {host_of(url)} was stopped: only {sorted(self.hosts)}")
            wanted = f"{method} {urlsplit(url).path}"
            if not dialect.may_ask(wanted):
                raise RefusedByUsError(f"{wanted} was stopped: it is none of ours")
            underway = _underway.get()
            reason = underway.last_word() if underway.last_word is not None else None
            if reason is not None:
                raise _HeldBackError(reason)
            underway.left = True
            return await super().fetch(url, method, headers, body)

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
            _underway.get().answers.append((code, response_body))
            return response_body.strip()

    client = Signed(
        {
            "enableRateLimit": False,
            "timeout": timeout_ms,
            "number": str,
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": False,
            "enableLastResponseHeaders": False,
            "session": None,
            "ssl_context": ssl.create_default_context(cafile=certifi.where()),
            "logger": _silent_logger(),
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "maxRetriesOnFailure": 0,
                **dialect.options,
            },
        }
    )
    if addresses.environment == "sandbox":
        client.set_sandbox_mode(True)
    api = with_hostname(client.urls["api"], getattr(client, "hostname", None))
    client.urls = {**client.urls, "api": addresses.rest_urls(api)}
    client.hosts = order_hosts(addresses, hosts_in(client.urls["api"]), arming)
    return client


def _silent_logger() -> logging.Logger:
    """ccxt writes requests with their headers at DEBUG level; this one never passes that on."""
    logger = logging.getLogger(f"{__name__}.ccxt")
    logger.setLevel(logging.WARNING)
    return logger


def _why(error: Exception, timeout_ms: int) -> str:
    """Why there is no answer, without the words of the error: they may hold the signed request."""
    cause = error.__cause__ or error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_ms / 1_000:g} s"
    if isinstance(cause, aiohttp.ClientPayloadError):
        return "the connection broke in the middle of the answer"
    if isinstance(cause, aiohttp.ClientConnectorError):
        return f"cannot connect ({cause.os_error.strerror or type(cause.os_error).__name__})"
    if isinstance(cause, OSError | aiohttp.ClientError):
        return f"the connection broke before the answer ({type(cause).__name__})"
    return f"no answer ({type(cause).__name__})"
