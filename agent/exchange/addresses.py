"""Where an exchange is reached: every base URL of it, and no other.

Belongs here: production, sandbox, and the replacement of every base by one address of the user's. Stays true:
with a replacement every REST and socket URL lies on the given addresses, whatever part of the exchange it
belongs to, and `allowed_hosts` holds nothing else; whoever sends checks against it. So a rehearsal cannot
reach a real exchange, not even by mistake.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

BINANCE: Final = "binance"

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address of one exchange. Build one with `production`, `sandbox` or `replaced`.

    `rest` and `ws` are bases without path (`https://host:port`). They are None where ccxt's own URLs apply;
    `ws` is None as well where there is no socket to open.
    """

    exchange: str
    environment: Literal["production", "sandbox", "replaced"]
    rest: str | None
    ws: str | None
    ws_api: str | None

    @classmethod
    def production(cls, exchange: str) -> Addresses:
        if exchange == BINANCE:
            return cls(
                exchange,
                "production",
                "https://api.binance.com",
                "wss://stream.binance.com:9443",
                "wss://ws-api.binance.com:443/ws-api/v3",
            )
        return cls(exchange, "production", None, None, None)

    @classmethod
    def sandbox(cls, exchange: str) -> Addresses:
        if exchange == BINANCE:
            return cls(
                exchange,
                "sandbox",
                "https://testnet.binance.vision",
                "wss://stream.testnet.binance.vision",
                "wss://ws-api.testnet.binance.vision/ws-api/v3",
            )
        return cls(exchange, "sandbox", None, None, None)

    @classmethod
    def replaced(cls, exchange: str, rest_url: str, ws_url: str | None) -> Addresses:
        """Everything at the given addresses. Without `ws_url` no socket is opened: REST only.

        Raises ValueError, in words for the user, when a URL is not one.
        """
        rest = _base(rest_url, ("http", "https"), "exchange URL")
        if ws_url is None:
            return cls(exchange, "replaced", rest, None, None)
        ws = _base(ws_url, ("ws", "wss"), "exchange socket URL")
        return cls(exchange, "replaced", rest, ws, f"{ws}/ws-api/v3")

    @property
    def venue(self) -> str:
        """Who this is, for keys in a store: the exchange and the host, as `binance@127.0.0.1:8090`."""
        host = host_of(self.rest) if self.rest else self.environment
        return f"{self.exchange}@{host}"

    @property
    def is_loopback(self) -> bool:
        """Whether this machine itself is the exchange: a simulated one."""
        if self.rest is None:
            return False
        name = urlsplit(self.rest).hostname or ""
        if name == "localhost":
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def rest_urls(self, ccxt_urls: Mapping[str, object]) -> dict[str, object]:
        """What replaces ccxt's `urls['api']` whole.

        Binance gets only the groups of spot trading, so that ccxt refuses every other before a connection
        opens. Of another exchange every URL keeps its path and gets our host.
        """
        if self.exchange == BINANCE:
            assert self.rest is not None
            spot = f"{self.rest}/api/v3"
            urls: dict[str, object] = {"public": spot, "private": spot}
            if self.environment != "sandbox":  # the sandbox has no /sapi
                urls["sapi"] = f"{self.rest}/sapi/v1"
            return urls
        if self.rest is None:
            return dict(ccxt_urls)
        return {name: self._moved(url) for name, url in ccxt_urls.items()}

    def _moved(self, url: object) -> object:
        if isinstance(url, Mapping):
            return {name: self._moved(inner) for name, inner in url.items()}
        if not isinstance(url, str):
            return url
        parts = urlsplit(url)
        base = self.ws if parts.scheme in ("ws", "wss") else self.rest
        # A socket base where no socket may be opened: an address that nothing can be sent to.
        return f"{base}{parts.path}" if base else "ws://no-sockets.invalid"

    def market_streams(self, streams: Iterable[str]) -> str:
        """URL of Binance's combined market streams."""
        assert self.ws is not None, "no socket address"
        return f"{self.ws}/stream?streams={'/'.join(streams)}"


def host_of(url: str) -> str:
    """`host:port` of a URL; the port is left out where it is the scheme's own."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    if ":" in name:
        name = f"[{name}]"
    return name if parts.port in (None, _PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def hosts_in(urls: object) -> frozenset[str]:
    """Every host of a URL or of a nested dictionary of URLs."""
    if isinstance(urls, str):
        return frozenset({host_of(urls)})
    if isinstance(urls, Mapping):
        return frozenset().union(*(hosts_in(inner) for inner in urls.values()))
    return frozenset()


def _base(url: str, schemes: tuple[str, ...], name: str) -> str:
    expected = f"write it like {schemes[0]}://127.0.0.1:8090"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"{name} {url!r} cannot be read: {expected}") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(
            f"{name} {url!r} must begin with {' or '.join(s + '://' for s in schemes)}: {expected}"
        )
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{name} {url!r} must name a host and a port, nothing behind it: {expected}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
