"""One attached client: what waits to be sent to it, how much it may ask, and its being dropped.

The engine never waits for a client. What it wants to say goes into the outbox and returns at once: replies
and notices keep their order in a bounded queue, of snapshots only the latest is kept. A client that lets the
queue overflow, takes longer than `SEND_TIMEOUT_S` to accept one message, or asks more often than
`REQUESTS_PER_S` allows is dropped; it can come back and gets a full snapshot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from websockets.asyncio.server import ServerConnection

from agent.control.messages import Hello, Reply, encode

OUTBOX_LIMIT: Final = 256
SEND_TIMEOUT_S: Final = 2.0
REQUESTS_PER_S: Final = 50.0
REQUEST_BURST: Final = 100.0
IN_FLIGHT_LIMIT: Final = 8


class Allowance:
    """A bucket of requests: `burst` at first, refilled at `per_s`. Times are machine seconds."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Session:
    """A client after its hello. Only the loop's own thread touches it."""

    def __init__(self, connection: ServerConnection, hello: Hello, matched: bool, now_s: float) -> None:
        self.connection = connection
        self.hello = hello
        self.matched = matched
        self.subscribed = False
        self.in_flight = 0
        self.allowance = Allowance(REQUESTS_PER_S, REQUEST_BURST, now_s)
        self.dropped_because: str | None = None
        self._queue: deque[str] = deque()
        self._snapshot: str | None = None
        self._waiting = asyncio.Event()

    @property
    def by(self) -> str:
        """Who asked, as the records name it."""
        return self.hello.client

    def reply(self, reply: Reply) -> None:
        self.say(encode(reply))

    def say(self, text: str) -> None:
        """Queue one message; an overflow drops the client."""
        if self.dropped_because is not None:
            return
        if len(self._queue) >= OUTBOX_LIMIT:
            self.drop(f"more than {OUTBOX_LIMIT} messages were waiting to be read")
            return
        self._queue.append(text)
        self._waiting.set()

    def show(self, snapshot: str) -> None:
        """Let `snapshot` replace the one that may still be waiting."""
        if self.dropped_because is None:
            self._snapshot = snapshot
            self._waiting.set()

    def drop(self, because: str) -> None:
        """End the connection at once, without waiting for a client that may be hung."""
        if self.dropped_because is None:
            self.dropped_because = because
            self._queue.clear()
            self._snapshot = None
            self.connection.transport.abort()

    async def deliver(self) -> None:
        """Send what waits, until canceled or the connection ends."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while (text := self._next()) is not None:
                try:
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self.connection.send(text)
                except TimeoutError:
                    self.drop(f"one message was not accepted within {SEND_TIMEOUT_S:g} s")
                    return

    def _next(self) -> str | None:
        if self._queue:
            return self._queue.popleft()
        snapshot, self._snapshot = self._snapshot, None
        return snapshot
