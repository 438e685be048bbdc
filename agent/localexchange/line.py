"""One client's socket, whatever is spoken over it.

Belongs here: the queue of what is to be sent, pings and their limits, the ways a connection ends. Stays
true: what a client does not read never grows without bound: it is disconnected; a client that does not
answer a ping with its payload within a minute is disconnected. All these times are machine time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

_FULL_FRAMES: Final = 2_000
_MOST_FRAMES: Final = 20_000
_MOST_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often a client is asked whether it lives, and how long it may take to answer or to read.

    In machine seconds.
    """

    ping_every_s: float = 20.0
    pong_within_s: float = 60.0
    read_within_s: float = 5.0


class Line:
    """Lives as long as its socket; `carry` returns when that is closed."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        pulse: Pulse,
        monotonic: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._pulse = pulse
        self._monotonic = monotonic
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._waiting = asyncio.Event()
        self._pings: dict[bytes, float] = {}
        self._closing: tuple[int, str] | None = None

    @property
    def full(self) -> bool:
        return len(self._queue) > _FULL_FRAMES

    def drop(self) -> None:
        """Cut off a client that does not read: a closing frame would not reach it either."""
        self._queue.clear()
        self.abort()

    def close(self, code: int, why: str) -> None:
        """Disconnect as soon as the writer gets to it."""
        if self._closing is None:
            self._closing = (code, why)
            self._waiting.set()

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event that belongs to no stream."""
        self.write(orjson.dumps(event))

    def abort(self) -> None:
        """Cut the connection without a closing frame."""
        self._closing = (WSCloseCode.ABNORMAL_CLOSURE, "aborted")
        if self._transport is not None:
            self._transport.abort()
        self._waiting.set()

    def write(self, data: bytes) -> None:
        """Queue a text frame; never waits."""
        if self._closing is not None:
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        self._waiting.set()
        if len(self._queue) > _MOST_FRAMES or self._queued_bytes > _MOST_BYTES:
            self.drop()

    async def carry(self, receive: Callable[[WSMessage], None]) -> None:
        """Send what is queued and hand over what comes, until either side closes."""
        writer = asyncio.create_task(self._send_queue())
        pinger = asyncio.create_task(self._ping())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type is WSMsgType.PONG:
                    self._pong(bytes(message.data))
                elif message.type is WSMsgType.BINARY:
                    self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")
                receive(message)
        finally:
            for task in (writer, pinger):
                task.cancel()
            await asyncio.gather(writer, pinger, return_exceptions=True)

    async def _send_queue(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._closing is None:
                await self._waiting.wait()
                self._waiting.clear()
                while self._queue and self._closing is None:
                    data = self._queue.popleft()
                    self._queued_bytes -= len(data)
                    await self._socket.send_frame(data, WSMsgType.TEXT)
            code, why = self._closing
            await self._socket.close(code=code, message=why.encode())

    async def _ping(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._pulse.ping_every_s)
                now = self._monotonic()
                if self._pings and now - min(self._pings.values()) >= self._pulse.pong_within_s:
                    self.close(WSCloseCode.POLICY_VIOLATION, "no pong within the time allowed")
                    return
                payload = str(int(now * 1_000)).encode()
                self._pings[payload] = now
                await self._socket.ping(payload)

    def _pong(self, payload: bytes) -> None:
        """A pong with the payload of a ping answers it and all before it."""
        sent = self._pings.get(payload)
        if sent is not None:
            self._pings = {p: at for p, at in self._pings.items() if at > sent}
