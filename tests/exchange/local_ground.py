"""A local exchange to test against, and how to talk to it from outside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent.localexchange.serve import Running, Settings, serve

#: A Wednesday, 10:07:30 UTC: in the middle of bars of every length.
NOON_MS = 1_750_241_250_000
MINUTE_MS = 60_000
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return orjson.loads(self.text)


@dataclass(frozen=True, slots=True)
class Ground:
    """A running exchange and an HTTP session that knows it."""

    running: Running
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.session.get(self.running.rest + path, headers=headers) as response:
            return Answer(response.status, dict(response.headers), await response.text())

    async def control(self, path: str, body: object = None) -> Answer:
        url = f"{self.running.control}/{path}"
        method = "GET" if body is None else "POST"
        async with self.session.request(method, url, json=body) as response:
            return Answer(response.status, dict(response.headers), await response.text())

    async def advance(self, venue_ms: int) -> None:
        assert (await self.control("clock", {"advance_ms": venue_ms})).status == 200

    async def fault(self, fault: str, **more: object) -> None:
        answer = await self.control("faults", {"add": [{"id": fault, "fault": fault, **more}]})
        assert answer.status == 200, answer.text

    async def fired(self, ident: str) -> int:
        faults = (await self.control("faults")).body["faults"]
        return next(int(f["fired"]) for f in faults if f["id"] == ident)

    def socket(self, path: str, **more: Any) -> connect:
        return connect(self.running.ws + path, **more)


@contextlib.asynccontextmanager
async def local_exchange(*, paused: bool = True, **settings: Any) -> AsyncIterator[Ground]:
    """An exchange whose clock stands still unless told otherwise."""
    running = await serve(Settings(**{"seed": 7, "start_ms": NOON_MS, "paused": paused, **settings}))
    try:
        async with aiohttp.ClientSession() as session:
            yield Ground(running, session)
    finally:
        await running.close()


async def frame(socket: ClientConnection) -> Any:
    """The next JSON frame."""
    async with asyncio.timeout(PATIENCE_S):
        return orjson.loads(await socket.recv())


async def until_closed(socket: ClientConnection) -> ConnectionClosed:
    """Read and forget until the other side closes; says how."""
    try:
        while True:
            await frame(socket)
    except ConnectionClosed as closed:
        return closed


async def ask(socket: ClientConnection, method: str, params: object, ident: object = 1) -> Any:
    """Send a subscribe frame; the answer to it."""
    await socket.send(orjson.dumps({"method": method, "params": params, "id": ident}).decode())
    while True:
        answer = await frame(socket)
        if "id" in answer and answer["id"] == ident:
            return answer


async def closed_bars(socket: ClientConnection, count: int) -> list[Any]:
    """The next `count` closed bars of a raw or combined socket, whatever else comes."""
    found: list[Any] = []
    while len(found) < count:
        event = await frame(socket)
        data = event.get("data", event)
        if data.get("e") == "kline" and data["k"]["x"]:
            found.append(data["k"])
    return found
