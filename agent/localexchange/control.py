"""The operator's side: read the books, move the clock, the market and the faults.

Belongs here: HTTP and JSON of /control. Stays true: nothing here is part of the exchange's protocol,
nothing here is counted, limited or disturbed; whatever cannot be done is a 400 with a sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import orjson
from aiohttp import web

from agent.localexchange.exchange import Exchange
from agent.localexchange.faults import BadFaultError, Fault
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import json_response
from agent.localexchange.trading.side import TradingSide
from agent.localexchange.trading.strangers import StrangerError
from agent.localexchange.wishes import CannotGrantError, grant

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


class RefusedError(Exception):
    """What was asked for cannot be done; the text says why and what would."""


class Suffers(Protocol):
    """Open connections, as a fault sees them."""

    def suffer(self, fault: Fault) -> None: ...


class Control:
    def __init__(
        self,
        exchange: Exchange,
        publisher: Publisher,
        sockets: Sequence[Suffers],
        trading: TradingSide,
    ) -> None:
        self._exchange = exchange
        self._trading = trading
        self._publisher = publisher
        self._sockets = sockets

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/ledger", self._ledger),
            web.get("/control/connections", self._connections),
            web.get("/control/clock", self._clock),
            web.get("/control/faults", self._faults),
            *(
                web.post(f"/control/{name}", self._posted(act))
                for name, act in (
                    ("clock", self._set_clock),
                    ("faults", self._set_faults),
                    ("market", self._set_market),
                    ("account", self._set_account),
                )
            ),
        ]

    def _posted(self, act: Callable[[dict[str, Any]], object]) -> Handler:
        """Read a JSON object, act on it, answer with what became of it or with the reason why nothing did."""

        async def handle(request: web.Request) -> web.Response:
            try:
                return json_response(act(_object(await request.read())))
            except (RefusedError, BadFaultError, CannotGrantError, StrangerError) as refused:
                return json_response({"error": str(refused)}, 400)

        return handle

    async def _connections(self, request: web.Request) -> web.Response:
        return json_response({"connections": self._trading.account.connections()})

    async def _ledger(self, request: web.Request) -> web.Response:
        return json_response(self._trading.account.ledger())

    async def _clock(self, request: web.Request) -> web.Response:
        return json_response(self._clock_state())

    def _clock_state(self) -> dict[str, Any]:
        clock = self._exchange.clock
        return {"now_ms": clock.now_ms(), "speed": clock.speed, "paused": clock.paused}

    def _set_clock(self, body: dict[str, Any]) -> object:
        clock = self._exchange.clock
        for name, value in body.items():
            try:
                match name, value:
                    case "speed", int() | float() if not isinstance(value, bool):
                        clock.set_speed(value)
                    case "advance_ms", int() if not isinstance(value, bool):
                        clock.advance(value)
                    case "pause", bool():
                        clock.pause(value)
                    case _:
                        raise RefusedError(
                            "the clock takes speed (number), advance_ms (an integer) or pause (a boolean), "
                            f"not {name}: {value!r}"
                        )
            except ValueError as error:
                raise RefusedError(str(error)) from None
        self._publisher.poke()
        self._exchange.desk.catch_up()
        return self._clock_state()

    async def _faults(self, request: web.Request) -> web.Response:
        return json_response({"faults": self._exchange.faults.described()})

    def _set_faults(self, body: dict[str, Any]) -> object:
        strangers = body.keys() - {"add", "clear"}
        if strangers or not body:
            raise RefusedError(f"faults takes add and clear, not {sorted(strangers) or 'nothing'}")
        board = self._exchange.faults
        for ident in _listed(body, "clear"):
            for fault in board.clear(str(ident)):
                if fault.kind in ("F6", "F7"):
                    self._exchange.limits.pardon()
        for entry in _listed(body, "add"):
            fault = board.add(entry)
            for side in self._sockets:
                side.suffer(fault)
            self._trading.suffer(fault)
        self._trading.standing.refresh()
        return {"faults": board.described()}

    def _set_market(self, body: dict[str, Any]) -> object:
        granted = grant(self._exchange.market, body, self._exchange.clock.now_ms())
        self._publisher.poke()
        return granted

    def _set_account(self, body: dict[str, Any]) -> object:
        return self._trading.account.grant(body)


def _listed(body: dict[str, Any], key: str) -> list[Any]:
    value = body.get(key, [])
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise RefusedError(f"{key} is a list, not {value!r}")
    return value


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RefusedError(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RefusedError("the body must be a JSON object")
    return body
