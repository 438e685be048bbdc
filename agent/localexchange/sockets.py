"""WebSocket endpoints: which streams an address asks for.

Belongs here: the handshake and its paths. Stays true: `/stream?streams=a/b` sends combined frames, `/ws/a/b`
raw ones; `/ws`, `/stream`, `/stream/ws` and any of these with a number appended (as ccxt does) start empty
and wait for subscribe frames; compression is not negotiated.
"""

from __future__ import annotations

import time

import orjson
from aiohttp import WSMsgType, web

from agent.localexchange.connection import MOST_STREAMS, Connection
from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import json_response
from agent.localexchange.stream_names import Stream, parse
from agent.localexchange.trading import TradingSide


class Sockets:
    """Accepts market sockets and the socket API."""

    def __init__(self, exchange: Exchange, publisher: Publisher, trading: TradingSide) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._trading = trading
        self._open: set[Connection] = set()

    async def handle_streams(self, request: web.Request) -> web.StreamResponse:
        names, combined = _asked(request)
        streams: list[Stream] = []
        for name in names:
            stream = parse(name, self._exchange.market)
            if stream is None:
                return self._refused(request, f"there is no stream {name!r}")
            streams.append(stream)
        if len(streams) > MOST_STREAMS:
            return self._refused(request, f"more than {MOST_STREAMS} streams")
        socket = await self._accept(request)
        connection = Connection(
            socket, self._exchange.market, self._publisher, combined=combined, monotonic=time.monotonic
        )
        self._open.add(connection)
        try:
            await connection.serve(streams)
        finally:
            self._open.discard(connection)
        return socket

    async def handle_api(self, request: web.Request) -> web.StreamResponse:
        socket = await self._accept(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                answer = self._api_answer(message.data)
                await socket.send_frame(orjson.dumps(answer), WSMsgType.TEXT)
        return socket

    def _api_answer(self, text: str) -> dict[str, object]:
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        if not isinstance(frame, dict):
            return {"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}}
        return self._trading.answer_frame(frame, self._exchange.clock.now_ms())

    async def _accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=2**20, timeout=1.0)
        await socket.prepare(request)
        self._record(request, 101)
        return socket

    def _refused(self, request: web.Request, why: str) -> web.Response:
        self._record(request, 400)
        return json_response({"code": -1130, "msg": f"Invalid stream: {why}."}, 400)

    def _record(self, request: web.Request, status: int) -> None:
        now_ms = self._exchange.clock.now_ms()
        seen = SeenRequest(request.method, request.path, request.query_string, now_ms, status)
        self._exchange.requests.append(seen)

    async def close_all(self) -> None:
        """Say goodbye to everybody."""
        for connection in list(self._open):
            connection.close(1001, "the exchange is closing")


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
