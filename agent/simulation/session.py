"""The thorough profile's way to the venue: ccxt itself, on a session whose connections are the world's.

Belongs here: what ccxt uses of an aiohttp session. Stays true: what is sent is what ccxt wrote: path, query
or form, headers; the last word is asked when a connection stands ready, as the real session's trace does;
what breaks on the way raises what aiohttp raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import aiohttp

from agent.exchange.signed import client as signed_client
from agent.simulation.agenda import VirtualLoop
from agent.simulation.network import Network
from agent.simulation.venue import Request


class Response:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.reason = "OK" if status < 400 else "Error"
        self.headers = headers
        self._body = body

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode("utf-8", errors)


class Underway:
    """`async with session.get(...)`."""

    def __init__(self, session: MemorySession, request: Request, timeout_s: float | None) -> None:
        self._session = session
        self._request = request
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Response:
        underway = signed_client._underway.get(None)
        if underway is not None and underway.last_word is not None:
            reason = underway.last_word()
            if reason is not None:
                raise signed_client._HeldBackError(reason)
        network, loop = self._session.network, self._session.loop
        try:
            async with asyncio.timeout(self._timeout_s):
                return Response(*await network.ask(loop, self._request))
        except TimeoutError:
            raise aiohttp.ServerTimeoutError("no answer in time") from None
        except ConnectionRefusedError as error:
            raise aiohttp.ClientOSError(error.errno, str(error)) from None
        except ConnectionResetError:
            raise aiohttp.ServerDisconnectedError("the connection was reset") from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class MemorySession:
    """Stands where ccxt expects an `aiohttp.ClientSession`."""

    def __init__(self, network: Network, loop: VirtualLoop) -> None:
        self.network = network
        self.loop = loop
        self.closed = False
        self.headers: dict[str, str] = {}

    async def close(self) -> None:
        self.closed = True

    def _ask(
        self, method: str, url: Any, data: bytes | None, headers: Mapping[str, str], timeout: Any
    ) -> Underway:
        key = next((value for name, value in headers.items() if name.upper() == "X-MBX-APIKEY"), None)
        form = "" if data is None else data.decode()
        request = Request(method, url.raw_path, url.raw_query_string, form, key)
        return Underway(self, request, getattr(timeout, "total", timeout))

    def get(self, url: Any, *, data: Any = None, headers: Any, timeout: Any, proxy: Any) -> Underway:
        return self._ask("GET", url, data, headers, timeout)

    def post(self, url: Any, *, data: Any = None, headers: Any, timeout: Any, proxy: Any) -> Underway:
        return self._ask("POST", url, data, headers, timeout)

    def delete(self, url: Any, *, data: Any = None, headers: Any, timeout: Any, proxy: Any) -> Underway:
        return self._ask("DELETE", url, data, headers, timeout)

    def put(self, url: Any, *, data: Any = None, headers: Any, timeout: Any, proxy: Any) -> Underway:
        return self._ask("PUT", url, data, headers, timeout)
