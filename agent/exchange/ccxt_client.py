"""One ccxt instance, cut down to what may be done with it: public requests, to known hosts, through our gate.

Belongs here: building the instance and every request's way through it. Stays true: it has no keys and signs
nothing; a request to a host that is not the exchange's is refused before a connection opens, and so is a
redirect; ccxt's own throttle and its retries are off; every answer's status and headers reach the weight
gate, whatever becomes of the answer. What can go wrong comes out as MarketDataError with a sentence.
"""

from __future__ import annotations

import re
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import certifi

from agent.core.ports import MarketDataError
from agent.exchange.addresses import Addresses, host_of, hosts_in
from agent.exchange.ccxt_import import rest_class
from agent.exchange.weight_gate import Urgency, WeightGate

T = TypeVar("T")

_TIMEOUT_MS: Final = 8_000
_KEEP_ALIVE_S: Final = 75.0
_SHOWN: Final = 200
_TAGS: Final = re.compile(r"<[^>]{0,200}>")

#: Answers that a repetition will not change: the pair or the request does not exist.
_PERMANENT: Final = frozenset({"BadSymbol", "BadRequest", "ArgumentsRequired", "NotSupported"})


class RefusedByUsError(Exception):
    """A request that may not leave: to another host, or not public."""


class PublicClient:
    """Public requests of one exchange. `ask` runs one; `close` ends the connections."""

    def __init__(self, addresses: Addresses, gate: WeightGate, *, timeout_ms: int = _TIMEOUT_MS) -> None:
        self._gate = gate
        self._timeout_ms = timeout_ms
        self._closed = False
        self.ccxt = _instance(addresses, gate, timeout_ms)
        # By name: importing it would import all of ccxt.
        self._ccxt_error: type[Exception] = sys.modules["ccxt.base.errors"].BaseError
        self.last_latency_ms: float | None = None
        """Machine time the last answered request took."""

    async def ask(self, urgency: Urgency, weight: int, what: str, request: Callable[[], Awaitable[T]]) -> T:
        """Run one request of ccxt when the gate admits it. `what` names it in errors.

        Raises MarketDataError.
        """
        if self._closed:
            raise MarketDataError(f"{what}: the connection was closed")
        await self._gate.admit(urgency, weight)
        if self.ccxt.session is None:
            self.ccxt.session = open_session(self.ccxt.ssl_context)
        started = time.monotonic()
        try:
            answer = await request()
        except self._ccxt_error as error:
            raise _explained(what, error, self._timeout_ms) from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # ccxt looked for something in the answer that is not there.
            raise MarketDataError(f"{what}: the answer makes no sense ({_line(error)})") from error
        self.last_latency_ms = (time.monotonic() - started) * 1_000
        return answer

    async def close(self) -> None:
        self._closed = True
        session, self.ccxt.session = self.ccxt.session, None
        if session is not None:
            await session.close()


def _instance(addresses: Addresses, gate: WeightGate, timeout_ms: int) -> Any:
    """An object of ccxt's class with our doors in it."""
    exchange: Any = rest_class(addresses.exchange)

    class Public(exchange):  # type: ignore[misc]
        allowed_hosts: frozenset[str] = frozenset()

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            host = host_of(url)
            if host not in self.allowed_hosts:
                raise RefusedByUsError(f"a request to {host} was stopped: only {sorted(self.allowed_hosts)}")
            if method != "GET":
                raise RefusedByUsError(f"{method} {urlsplit(url).path} was stopped: this client only reads")
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
            text: str = super().on_rest_response(
                code, reason, url, method, response_headers, response_body, request_headers, request_body
            )
            return text

        def check_required_credentials(self, error: bool = True) -> bool:
            raise RefusedByUsError("a signed request was stopped: this client has no keys")

    client = Public(
        {
            "enableRateLimit": False,
            "timeout": timeout_ms,
            "number": str,
            # Given by us, so that ccxt neither opens nor closes one of its own.
            "session": None,
            "ssl_context": ssl.create_default_context(cafile=certifi.where()),
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
                "maxRetriesOnFailure": 0,
            },
        }
    )
    if addresses.environment == "sandbox" and addresses.rest is None:
        client.set_sandbox_mode(True)
    api = with_hostname(client.urls["api"], getattr(client, "hostname", None))
    client.urls = {**client.urls, "api": addresses.rest_urls(api)}
    client.allowed_hosts = hosts_in(client.urls["api"])
    return client


def with_hostname(urls: Any, hostname: str | None) -> Any:
    """URLs with the host they are written for, of an exchange that has several."""
    if isinstance(urls, Mapping):
        return {name: with_hostname(inner, hostname) for name, inner in urls.items()}
    return urls.replace("{hostname}", hostname) if isinstance(urls, str) and hostname else urls


def open_session(
    tls: ssl.SSLContext, *traces: aiohttp.TraceConfig, keep_alive_s: float = _KEEP_ALIVE_S
) -> aiohttp.ClientSession:
    """Connections kept warm; environment proxies are not used, redirects are refused."""

    async def refuse_redirect(session: Any, context: Any, params: aiohttp.TraceRequestRedirectParams) -> None:
        raise aiohttp.ClientConnectionError(
            f"a redirect from {params.url.host} to {params.response.headers.get('Location')} was refused"
        )

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse_redirect)
    connector = aiohttp.TCPConnector(ssl=tls, keepalive_timeout=keep_alive_s, limit=16, limit_per_host=8)
    return aiohttp.ClientSession(connector=connector, trace_configs=[trace, *traces], trust_env=False)


def _explained(what: str, error: Exception, timeout_ms: int) -> MarketDataError:
    """ccxt's exception in words, and whether asking again can help."""
    names = {cls.__name__ for cls in type(error).__mro__}
    cause = error.__cause__
    if "DDoSProtection" in names or "RateLimitExceeded" in names:
        return MarketDataError(f"{what}: too many requests, the exchange asks for silence ({_line(error)})")
    if "RequestTimeout" in names:
        if cause is not None:
            return MarketDataError(f"{what}: no answer within {timeout_ms / 1_000:g} s")
        return MarketDataError(f"{what}: the exchange answered that it was too slow ({_line(error)})")
    if isinstance(cause, aiohttp.ClientPayloadError):
        return MarketDataError(f"{what}: the connection broke in the middle of the answer")
    if isinstance(cause, OSError | aiohttp.ClientError):
        return MarketDataError(f"{what}: cannot be reached ({_line(cause)})")
    return MarketDataError(f"{what}: {_line(error)}", permanent=bool(names & _PERMANENT))


def _line(error: BaseException) -> str:
    """One short line without tags: an error page must not flood a log."""
    text = " ".join(_TAGS.sub(" ", str(error)).split()) or type(error).__name__
    return text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")
