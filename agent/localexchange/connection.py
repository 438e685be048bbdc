"""One client's market-data socket.

Belongs here: subscribe frames and their answers, the queue of what is to be sent, pings and their limits.
Stays true: what a client does not read never grows without bound: it is disconnected; a client that does
not answer a ping with its payload within a minute is disconnected; so is one that sends more than five
frames a second. All these times are machine time.
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

from agent.localexchange.channels import Frame
from agent.localexchange.market import Market
from agent.localexchange.publisher import Publisher
from agent.localexchange.stream_names import Stream, parse

MOST_STREAMS: Final = 1_024
MESSAGES_PER_SECOND: Final = 5

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


class Connection:
    """Lives as long as its socket; `serve` returns when that is closed."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        market: Market,
        publisher: Publisher,
        *,
        combined: bool,
        pulse: Pulse,
        monotonic: Callable[[], float],
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._market = market
        self._publisher = publisher
        self._combined = combined
        self._pulse = pulse
        self._monotonic = monotonic
        self._names: dict[str, None] = {}
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._waiting = asyncio.Event()
        self._arrivals: deque[float] = deque(maxlen=MESSAGES_PER_SECOND + 1)
        self._pings: dict[bytes, float] = {}
        self._closing: tuple[int, str] | None = None
        self._silenced: Callable[[Frame], bool] | None = None

    # -- as the publisher sees it ------------------------------------------------------------------

    def push(self, frame: Frame) -> None:
        if self._silenced is None or not self._silenced(frame):
            self._write(frame.combined if self._combined else frame.raw)

    @property
    def names(self) -> list[str]:
        """The streams it is subscribed to."""
        return list(self._names)

    @property
    def full(self) -> bool:
        return len(self._queue) > _FULL_FRAMES

    def drop(self) -> None:
        """Cut off a client that does not read: a closing frame would not reach it either."""
        self._queue.clear()
        for name in list(self._names):
            self._leave(name)
        self.abort()

    def close(self, code: int, why: str) -> None:
        """Disconnect as soon as the writer gets to it."""
        if self._closing is None:
            self._closing = (code, why)
            self._waiting.set()

    def silence(self, withheld: Callable[[Frame], bool]) -> None:
        """Withhold the frames for which `withheld` says so."""
        self._silenced = withheld

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event that belongs to no stream."""
        self._write(orjson.dumps(event))

    def abort(self) -> None:
        """Cut the connection without a closing frame."""
        self._closing = (WSCloseCode.ABNORMAL_CLOSURE, "aborted")
        if self._transport is not None:
            self._transport.abort()
        self._waiting.set()

    def _write(self, data: bytes) -> None:
        if self._closing is not None:
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        self._waiting.set()
        if len(self._queue) > _MOST_FRAMES or self._queued_bytes > _MOST_BYTES:
            self.drop()

    # -- life --------------------------------------------------------------------------------------

    async def serve(self, streams: list[Stream]) -> None:
        """Send `streams` and whatever is subscribed later, until either side closes."""
        for stream in streams:
            self._join(stream)
        writer = asyncio.create_task(self._send_queue())
        pinger = asyncio.create_task(self._ping())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
                self._receive(message)
        finally:
            for name in list(self._names):
                self._leave(name)
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

    # -- what the client says ----------------------------------------------------------------------

    def _receive(self, message: WSMessage) -> None:
        self._arrivals.append(self._monotonic())
        if len(self._arrivals) > MESSAGES_PER_SECOND and self._arrivals[-1] - self._arrivals[0] < 1.0:
            self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
            return
        if message.type is WSMsgType.TEXT:
            self._write(orjson.dumps(self._answer(message.data)))
        elif message.type is WSMsgType.PONG:
            self._pong(bytes(message.data))
        elif message.type is WSMsgType.BINARY:
            self.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")

    def _pong(self, payload: bytes) -> None:
        """A pong with the payload of a ping answers it and all before it."""
        sent = self._pings.get(payload)
        if sent is not None:
            self._pings = {p: at for p, at in self._pings.items() if at > sent}

    def _answer(self, text: str) -> dict[str, Any]:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return _error(3, f"Invalid JSON: {error.msg} at line {error.lineno} column {error.colno}", None)
        if not isinstance(request, dict):
            return _error(2, "Invalid request: request must be an object", None)
        ident = request.get("id")
        if not (ident is None or isinstance(ident, int | str)) or isinstance(ident, bool):
            return _error(2, "Invalid request: request ID must be an unsigned integer or a string", None)
        params = request.get("params", [])
        match request.get("method"):
            case "SUBSCRIBE":
                return self._subscribe(params, ident)
            case "UNSUBSCRIBE":
                return self._unsubscribe(params, ident)
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(self._names), "id": ident}
            case "GET_PROPERTY" if params == ["combined"]:
                return {"result": self._combined, "id": ident}
            case "SET_PROPERTY" if isinstance(params, list) and len(params) == 2 and params[0] == "combined":
                if not isinstance(params[1], bool):
                    return _error(1, "Invalid value type: expected Boolean", ident)
                self._combined = params[1]
                return {"result": None, "id": ident}
            case "GET_PROPERTY" | "SET_PROPERTY":
                return _error(0, "Unknown property", ident)
            case unknown:
                return _error(
                    2,
                    f"Invalid request: unknown variant `{unknown}`, expected one of `SUBSCRIBE`, "
                    "`UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
                    ident,
                )

    def _subscribe(self, params: object, ident: int | str | None) -> dict[str, Any]:
        if not isinstance(params, list) or not params or not all(isinstance(p, str) for p in params):
            return _error(2, "Invalid request: params must be a non-empty array of stream names", ident)
        streams = [parse(name, self._market) for name in params]
        if None in streams:
            return _error(2, "Invalid request: invalid stream", ident)
        if len(self._names.keys() | set(params)) > MOST_STREAMS:
            return _error(2, f"Invalid request: more than {MOST_STREAMS} streams", ident)
        for stream in streams:
            assert stream is not None
            self._join(stream)
        return {"result": None, "id": ident}

    def _unsubscribe(self, params: object, ident: int | str | None) -> dict[str, Any]:
        if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            return _error(2, "Invalid request: params must be an array of stream names", ident)
        for name in params:
            self._leave(name)
        return {"result": None, "id": ident}

    def _join(self, stream: Stream) -> None:
        self._names[stream.name] = None
        self._publisher.join(self, stream)

    def _leave(self, name: str) -> None:
        if self._names.pop(name, "absent") is None:
            self._publisher.leave(self, name)


def _error(code: int, text: str, ident: int | str | None) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": ident}
