"""One ccxt.pro instance with our doors in it: known hosts, no requests of its own, every frame passed on.

ccxt.pro hands out what arrived by resolving whoever waits at that moment. What arrives while nobody waits
only changes its caches, and an exception of its own reading of a frame ends the loop that reads, silently. So
its class is extended where ccxt says users may: every frame goes through `handle_message`, after which the
caches are ours to read, whatever happened to the waiting; opening and closing of a connection are told at
once. Nothing of ccxt is changed.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Mapping
from typing import Any, Final, Protocol

import certifi

from agent.exchange.addresses import Addresses, host_of, hosts_in
from agent.exchange.ccxt_client import RefusedByUsError, open_session, with_hostname
from agent.exchange.ccxt_import import UnknownExchangeError

#: Two pongs missed, ccxt's own law, at an interval of ours instead of up to three minutes.
_MISSES: Final = 2


class Frames(Protocol):
    """Who is told. Called on the event loop; never blocks and never raises."""

    def opened(self) -> None: ...

    def ended(self, why: str) -> None: ...

    def heard(self) -> None:
        """A frame was read, or a pong; the caches hold what it said."""
        ...

    def not_understood(self, why: str) -> None:
        """A frame that ccxt could not read."""
        ...


def pro_class(exchange: str) -> Any:
    """ccxt.pro's class of an exchange. Raises UnknownExchangeError where it has no sockets."""
    package = importlib.import_module("ccxt.pro")
    if exchange not in package.exchanges:
        raise UnknownExchangeError(f"ccxt {package.__version__} has no sockets of {exchange!r}")
    return getattr(package, exchange)


def pro_instance(
    addresses: Addresses,
    frames: Frames,
    *,
    ping_interval_ms: int,
    keys: Mapping[str, str] | None = None,
) -> Any:
    """An object of ccxt.pro's class for `addresses`.

    It asks nothing by REST: markets, and what a socket needs to be let in, are given to it. Close it with
    `closed`.
    """
    exchange: Any = pro_class(addresses.exchange)

    class Watching(exchange):  # type: ignore[misc]
        allowed_hosts: frozenset[str] = frozenset()

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            raise RefusedByUsError(f"{method} {host_of(url)} was stopped: sockets ask nothing by REST")

        def client(self, url: str) -> Any:
            if host_of(url) not in self.allowed_hosts:
                raise RefusedByUsError(
                    f"a socket to {host_of(url)} was stopped: {sorted(self.allowed_hosts)}"
                )
            return super().client(url)

        def handle_message(self, client: Any, message: Any) -> None:
            try:
                super().handle_message(client, message)
            except Exception as error:  # noqa: BLE001 - ccxt raises anything here, and it would end its loop
                frames.not_understood(f"{type(error).__name__} ({error})")
            else:
                frames.heard()

        def on_connected(self, client: Any, message: Any = None) -> None:
            super().on_connected(client, message)
            frames.opened()

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            frames.ended(str(error))

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            frames.ended(f"closed by the server ({error})")

    made = Watching(
        {
            "enableRateLimit": False,
            # Numbers stay floats here: ccxt's order books count with them, and with text they break.
            "session": None,
            "ssl_context": ssl.create_default_context(cafile=certifi.where()),
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "maxRetriesOnFailure": 0,
            },
            **(keys or {}),
        }
    )
    if addresses.environment == "sandbox" and addresses.rest is None:
        made.set_sandbox_mode(True)
    api = with_hostname(made.urls["api"], getattr(made, "hostname", None))
    made.urls = {**made.urls, "api": addresses.rest_urls(api)}
    made.allowed_hosts = hosts_in(made.urls["api"])
    theirs_ms = int(made.streaming.get("keepAlive") or ping_interval_ms)
    made.streaming = {
        **made.streaming,
        "keepAlive": min(theirs_ms, ping_interval_ms),
        "maxPingPongMisses": _MISSES,
    }
    made.session = open_session(made.ssl_context)
    return made


def with_markets_of(made: Any, known: Any) -> None:
    """Give an instance the markets that another one loaded, so that it need not load them."""
    made.set_markets(list(known.markets.values()), known.currencies)
    for name in ("marketsByAltname", "cachedCurrencies"):
        if name in known.options:
            made.options[name] = known.options[name]


async def closed(made: Any) -> None:
    """End the sockets and connections of an instance."""
    clients, made.clients = dict(made.clients or {}), {}
    session, made.session = made.session, None
    for client in clients.values():
        if client.ping_looper is not None:
            client.ping_looper.cancel()
        for future in list(client.futures.values()):
            future.cancel()
        connection, client.connection = client.connection, None
        if connection is not None:
            await connection.close()
    if session is not None:
        await session.close()
