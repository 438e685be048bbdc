"""WebSocket endpoints: which streams an address asks for.

Belongs here: the handshake and its paths. Stays true: `/stream?streams=a/b` sends combined frames, `/ws/a/b`
raw ones; `/ws`, `/stream`, `/stream/ws` and any of these with a number appended (as ccxt does) start empty
and wait for subscribe frames; compression is not negotiated.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from aiohttp import web

from agent.localexchange.channels import Frame
from agent.localexchange.connection import MOST_STREAMS, Connection
from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults import Fault
from agent.localexchange.faults_http import reset
from agent.localexchange.line import Pulse
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import json_response
from agent.localexchange.stream_names import Stream, parse
from agent.localexchange.trading.api_connection import ApiConnection
from agent.localexchange.trading.frames import Frames
from agent.localexchange.trading.side import TradingSide

#: Handshakes allowed within five minutes of machine time.
MOST_ATTEMPTS: Final = 300
_ATTEMPTS_WITHIN_S: Final = 300.0


class Sockets:
    """Accepts market sockets and the socket API."""

    def __init__(self, exchange: Exchange, publisher: Publisher, trading: TradingSide, pulse: Pulse) -> None:
        self._exchange = exchange
        self._pulse = pulse
        self._publisher = publisher
        self._trading = trading
        self._frames = Frames(exchange, trading)
        self._open: dict[Connection | ApiConnection, None] = {}
        self._attempts: deque[float] = deque(maxlen=MOST_ATTEMPTS)

    async def handle_streams(self, request: web.Request) -> web.StreamResponse:
        if (turned_away := self._turned_away(request)) is not None:
            return turned_away
        names, combined = _asked(request)
        streams: list[Stream] = []
        for name in names:
            stream = parse(name, self._exchange.market)
            if stream is None:
                return self._refused(request, 400, f"Invalid stream: there is no stream {name!r}.")
            streams.append(stream)
        if len(streams) > MOST_STREAMS:
            return self._refused(request, 400, f"Invalid stream: more than {MOST_STREAMS} streams.")
        socket = await self._accept(request)
        connection = Connection(
            socket,
            request.transport,
            self._exchange.market,
            self._publisher,
            combined=combined,
            pulse=self._pulse,
            monotonic=time.monotonic,
        )
        self._open[connection] = None
        try:
            await connection.serve(streams)
        finally:
            self._open.pop(connection, None)
        return socket

    async def handle_api(self, request: web.Request) -> web.StreamResponse:
        if (turned_away := self._turned_away(request)) is not None:
            return turned_away
        socket = await self._accept(request)
        connection = ApiConnection(
            socket,
            request.transport,
            self._frames,
            self._trading.streams,
            tells_limits=request.query.get("returnRateLimits") != "false",
            pulse=self._pulse,
            monotonic=time.monotonic,
        )
        self._open[connection] = None
        try:
            await connection.serve()
        finally:
            self._open.pop(connection, None)
        return socket

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=2**20, timeout=1.0)
        await socket.prepare(request)
        self._record(request, 101)
        return socket

    def _turned_away(self, request: web.Request) -> web.StreamResponse | None:
        """Refuse a handshake: unreachable by fault, or too many attempts in five minutes."""
        now = time.monotonic()
        too_many = len(self._attempts) == MOST_ATTEMPTS and now - self._attempts[0] < _ATTEMPTS_WITHIN_S
        self._attempts.append(now)
        fault = self._exchange.faults.fire_on_request(("F8",), "GET", request.path)
        if self._trading.standing.unavailable:
            return self._refused(request, 503, "This service is no longer available.")
        if fault is not None:
            self._record(request, 499)
            return reset(request)
        storm = self._exchange.faults.fire_on_request(("F27",), "GET", request.path)
        if too_many or storm is not None:
            return self._refused(request, 429, "Too many connection attempts.")
        return None

    def _refused(self, request: web.Request, status: int, why: str) -> web.Response:
        self._record(request, status)
        code = {429: -1003, 503: -1016}.get(status, -1130)
        return json_response({"code": code, "msg": why}, status)

    def _record(self, request: web.Request, status: int) -> None:
        now_ms = self._exchange.clock.now_ms()
        seen = SeenRequest(request.method, request.path, request.query_string, now_ms, status)
        self._exchange.requests.append(seen)

    # -- faults ------------------------------------------------------------------------------------

    def suffer(self, fault: Fault) -> None:
        """Do to the open connections what a fault does at the moment it is set."""
        if fault.kind == "F8" and fault.params["drop"] and fault.match.path is None:
            for connection in list(self._open):
                connection.abort()
        elif fault.kind == "F22" and not fault.params["new_sockets"]:
            for connection in self._concerned(fault):
                connection.silence(lambda frame: self._withholds(fault, frame))
        elif fault.kind == "F27" and fault.variant != "refuse" and self._exchange.faults.fire(fault):
            self._end_life(fault)

    def _withholds(self, fault: Fault, frame: Frame) -> bool:
        board = self._exchange.faults
        return board.active(fault) and fault.match.frames_of(frame.name) and board.fire(fault)

    def _concerned(self, fault: Fault) -> list[Connection | ApiConnection]:
        return [
            connection
            for connection in self._open
            if fault.match.stream is None or any(fault.match.frames_of(name) for name in connection.names)
        ]

    def _end_life(self, fault: Fault) -> None:
        code = int(fault.params["code"])
        concerned = self._concerned(fault)
        if fault.variant == "abort":
            for connection in concerned:
                connection.abort()
        elif fault.variant == "disconnect":
            for connection in concerned:
                connection.close(code, "the connection is 24 hours old")
        else:
            notice = {"e": "serverShutdown", "E": self._exchange.clock.now_ms()}
            for connection in concerned:
                connection.announce(notice)
            loop = asyncio.get_running_loop()
            loop.call_later(int(fault.params["grace_ms"]) / 1_000, _close_each, concerned, code)

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        _close_each(list(self._open), 1001)


def _close_each(connections: list[Connection | ApiConnection], code: int) -> None:
    for connection in connections:
        connection.close(code, "the exchange is closing")


def _asked(request: web.Request) -> tuple[list[str], bool]:
    """Stream names in the address, and whether frames are to be combined."""
    parts = [part for part in request.path.split("/") if part]
    rest = parts[1:]
    if parts[0] == "stream" and (not rest or rest[0] != "ws"):
        listed = request.query.get("streams", "")
        return [name for name in listed.split("/") if name], True
    if parts[0] == "stream":
        rest = rest[1:]
    return [name for name in rest if not name.isdigit()], False
