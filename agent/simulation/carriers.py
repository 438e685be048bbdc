"""Where the connector meets the network: the place of ccxt and its sockets in the quick profile.

Belongs here: from the connector's own call to a request's bytes, and from an answer to what ccxt would have
handed over. Stays true: timestamps, recvWindow and signatures are the real ones, over the same text; the last
word is asked right before a request sets out, as on a real connection; the weight gate, the classifier, the
account reader, the user stream and everything above are the product's own. The thorough profile puts ccxt
itself here and gives it a session of this network.
"""

from __future__ import annotations

import string
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from agent.exchange.signed import client as signed_client
from agent.exchange.signed.endpoints import ALLOWED_REQUESTS
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.request_time import RECV_WINDOW_MS, RequestTime
from agent.exchange.weight_gate import WeightGate
from agent.localexchange.trading.credentials import signer
from agent.simulation.agenda import VirtualLoop
from agent.simulation.network import Network
from agent.simulation.venue import Request

_SIGNED: Final[Mapping[str, tuple[str, str]]] = {
    "public_get_time": ("GET", "/api/v3/time"),
    "private_post_order": ("POST", "/api/v3/order"),
    "private_delete_order": ("DELETE", "/api/v3/order"),
    "private_post_order_cancelreplace": ("POST", "/api/v3/order/cancelReplace"),
    "private_get_order": ("GET", "/api/v3/order"),
    "private_get_openorders": ("GET", "/api/v3/openOrders"),
    "private_get_allorders": ("GET", "/api/v3/allOrders"),
    "private_get_account": ("GET", "/api/v3/account"),
    "private_get_mytrades": ("GET", "/api/v3/myTrades"),
    "private_post_orderlist_oco": ("POST", "/api/v3/orderList/oco"),
    "sapi_get_account_apirestrictions": ("GET", "/sapi/v1/account/apiRestrictions"),
}
_PUBLIC: Final[Mapping[str, str]] = {
    "public_get_exchangeinfo": "/api/v3/exchangeInfo",
    "public_get_klines": "/api/v3/klines",
    "public_get_depth": "/api/v3/depth",
    "public_get_ticker_bookticker": "/api/v3/ticker/bookTicker",
    "public_get_time": "/api/v3/time",
}


#: What needs no escaping, which is nearly everything that is asked.
_PLAIN: Final = (string.ascii_letters + string.digits + "_.~-=&").encode()


def query_text(params: Mapping[str, Any]) -> str:
    """As `urlencode`, and as ccxt writes it."""
    text = "&".join([f"{name}={value}" for name, value in params.items()])
    # A sign that separates, inside a name or a value, shows in their number.
    escaped = text.encode().translate(None, _PLAIN)
    if not escaped and text.count("=") == len(params) == text.count("&") + 1:
        return text
    return urlencode(params)


class _Session:
    async def close(self) -> None:
        return None


class SignedCarrier:
    """Takes the place of the signed client's ccxt instance."""

    ssl_context = None

    def __init__(
        self,
        network: Network,
        loop: VirtualLoop,
        keys: RequestKeys,
        gate: WeightGate,
        time: RequestTime,
        timeout_ms: int,
    ) -> None:
        self.session: Any = _Session()
        self._network = network
        self._loop = loop
        self._key = keys.api_key
        self._sign = signer(keys.secret.encode())
        self._gate = gate
        self._time = time
        self._timeout_s = timeout_ms / 1_000

    async def _send(self, method: str, path: str, params: dict[str, Any], *, signed: bool) -> None:
        request = self._request(method, path, params, signed=signed)
        underway = signed_client._underway.get()
        reason = underway.last_word() if underway.last_word is not None else None
        if reason is not None:
            raise signed_client._HeldBackError(reason)
        status, headers, body = await self._network.ask(self._loop, request, self._timeout_s)
        text = body.decode("utf-8", "replace")
        self._gate.answered(status, headers, text)
        underway.answer = (status, text)

    def _request(self, method: str, path: str, params: dict[str, Any], *, signed: bool) -> Request:
        if not signed:
            return Request(method, path, query_text(params))
        query = query_text({"timestamp": self._time.stamp_ms(), **params, "recvWindow": RECV_WINDOW_MS})
        query = f"{query}&signature={self._sign(query.encode())}"
        if method in ("GET", "DELETE"):
            return Request(method, path, query, key=self._key)
        return Request(method, path, form=query, key=self._key)


def _signed_call(call: str) -> Callable[[SignedCarrier, dict[str, Any]], Awaitable[None]]:
    method, path = _SIGNED[call]
    assert f"{method} {path}" in ALLOWED_REQUESTS, f"{method} {path} is none of ours"
    signed = not call.startswith("public")

    def send(carrier: SignedCarrier, params: dict[str, Any]) -> Awaitable[None]:
        return carrier._send(method, path, params, signed=signed)

    return send


for _call in _SIGNED:
    setattr(SignedCarrier, _call, _signed_call(_call))


class PublicCarrier:
    """Takes the place of the public client's ccxt instance."""

    ssl_context = None

    def __init__(self, network: Network, loop: VirtualLoop, gate: WeightGate, timeout_ms: int) -> None:
        self.session: Any = _Session()
        self._network = network
        self._loop = loop
        self._gate = gate
        self._timeout_s = timeout_ms / 1_000
        self._errors = sys.modules["ccxt.base.errors"]

    async def _ask(self, path: str, params: Mapping[str, Any]) -> Any:
        request = Request("GET", path, query_text(params))
        try:
            status, headers, body = await self._network.ask(self._loop, request, self._timeout_s)
        except TimeoutError as error:
            raise self._errors.RequestTimeout("no answer") from error
        except OSError as error:
            raise self._errors.ExchangeNotAvailable("the connection broke") from error
        text = body.decode("utf-8", "replace")
        self._gate.answered(status, headers, text)
        return self._read(status, text)

    def _read(self, status: int, text: str) -> Any:
        if status in (418, 429):
            raise self._errors.DDoSProtection(f"binance {status} {text}")
        if status >= 500:
            raise self._errors.ExchangeNotAvailable(f"binance {status} {text}")
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise self._errors.ExchangeError(f"binance {text}") from None
        if status != 200:
            kind = self._errors.BadSymbol if body.get("code") == -1121 else self._errors.ExchangeError
            raise kind(f"binance {text}")
        return body


def _public_call(call: str) -> Callable[..., Awaitable[Any]]:
    path = _PUBLIC[call]

    def ask(carrier: PublicCarrier, params: Mapping[str, Any] | None = None) -> Awaitable[Any]:
        return carrier._ask(path, params or {})

    return ask


for _call in _PUBLIC:
    setattr(PublicCarrier, _call, _public_call(_call))
