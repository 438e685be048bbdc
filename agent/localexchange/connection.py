"""One client's market-data socket.

Belongs here: subscribe frames and their answers. Stays true: a client that sends more than five frames a
second of machine time is disconnected.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from agent.localexchange.channels import Frame
from agent.localexchange.line import Line, Pulse
from agent.localexchange.market import Market
from agent.localexchange.publisher import Publisher
from agent.localexchange.stream_names import Stream, parse

MOST_STREAMS: Final = 1_024
MESSAGES_PER_SECOND: Final = 5


class Connection(Line):
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
        super().__init__(socket, transport, pulse, monotonic)
        self._market = market
        self._publisher = publisher
        self._combined = combined
        self._names: dict[str, None] = {}
        self._arrivals: deque[float] = deque(maxlen=MESSAGES_PER_SECOND + 1)
        self._silenced: Callable[[Frame], bool] | None = None

    # -- as the publisher sees it ------------------------------------------------------------------

    def push(self, frame: Frame) -> None:
        if self._silenced is None or not self._silenced(frame):
            self.write(frame.combined if self._combined else frame.raw)

    @property
    def names(self) -> list[str]:
        """The streams it is subscribed to."""
        return list(self._names)

    def drop(self) -> None:
        for name in list(self._names):
            self._leave(name)
        super().drop()

    def silence(self, withheld: Callable[[Frame], bool]) -> None:
        """Withhold the frames for which `withheld` says so."""
        self._silenced = withheld

    # -- life --------------------------------------------------------------------------------------

    async def serve(self, streams: list[Stream]) -> None:
        """Send `streams` and whatever is subscribed later, until either side closes."""
        for stream in streams:
            self._join(stream)
        try:
            await self.carry(self._receive)
        finally:
            for name in list(self._names):
                self._leave(name)

    # -- what the client says ----------------------------------------------------------------------

    def _receive(self, message: WSMessage) -> None:
        self._arrivals.append(self._monotonic())
        if len(self._arrivals) > MESSAGES_PER_SECOND and self._arrivals[-1] - self._arrivals[0] < 1.0:
            self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
            return
        if message.type is WSMsgType.TEXT:
            self.write(orjson.dumps(self._answer(message.data)))

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
