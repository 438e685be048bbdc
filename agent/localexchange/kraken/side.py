"""Kraken's front-end, joined: REST and sockets of the one account, beside Binance's on the same address."""

from __future__ import annotations

import asyncio

from aiohttp import web

from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults import Fault
from agent.localexchange.kraken.account import Account
from agent.localexchange.kraken.answers import Answers
from agent.localexchange.kraken.orders import References
from agent.localexchange.kraken.rest import KrakenRest
from agent.localexchange.kraken.sockets import Connection
from agent.localexchange.trading.side import TradingSide
from agent.localexchange.venue.events import News

#: Where the sockets of a fault's `stream` are: any channel of this protocol, or one by its name.
_STREAM = "kraken"


class KrakenSide:
    """`trading` is the venue's: what lasts and what the key may do is so in both protocols."""

    def __init__(self, exchange: Exchange, trading: TradingSide) -> None:
        self._exchange = exchange
        self._account = Account(exchange.key, exchange.secret)
        self._references = References({})
        self.answers = Answers(
            exchange, trading.standing, trading.permissions, self._account, self._references
        )
        self._rest = KrakenRest(exchange, trading.standing, self.answers)
        self._open: dict[Connection, None] = {}
        self._closing: set[asyncio.Task[None]] = set()
        exchange.desk.tell(self._publish)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v2", self._accept), web.route("*", "/0/{path:.*}", self._rest.handle)]

    def suffer(self, fault: Fault) -> None:
        """Do to the open connections what a fault does at the moment it is set."""
        if (fault.kind == "F8" and fault.params["drop"] and fault.match.path is None) or fault.kind == "F27":
            for connection in list(self._open):
                connection.abort()
        elif fault.kind == "F22":
            for connection in self._open:
                connection.silence(lambda channel: self._withholds(fault, channel))

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        for connection in list(self._open):
            task = asyncio.ensure_future(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _withholds(self, fault: Fault, channel: str) -> bool:
        board = self._exchange.faults
        named = fault.match.stream in (None, _STREAM, channel)
        return named and board.active(fault) and board.fire(fault)

    def _publish(self, news: News) -> None:
        for connection in list(self._open):
            connection.publish(news)

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        now_ms = self._exchange.clock.now_ms()
        refused = self._exchange.faults.fire_on_request(("F8", "F27"), "GET", request.path)
        if refused is not None:
            return web.Response(status=503)
        socket = web.WebSocketResponse(compress=False, max_msg_size=2**20, timeout=1.0)
        await socket.prepare(request)
        self._exchange.requests.append(SeenRequest("GET", request.path, "", now_ms, 101))
        connection = Connection(socket, request.transport, self._exchange, self._account, self._references)
        self._open[connection] = None
        try:
            await connection.serve()
        finally:
            self._open.pop(connection, None)
        return socket
