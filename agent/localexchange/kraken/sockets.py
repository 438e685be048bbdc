"""Kraken's WebSocket v2: subscribe frames in, channel frames out, public and private on one path.

Belongs here: one connection and its pace. Stays true: a subscription is answered before its snapshot, a
snapshot comes before its changes; frames of one connection leave in order, at most TICKS_PER_S a second for
each channel; a heartbeat is sent each second in which nothing else was; a frame that makes no sense is
answered and ends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from agent.localexchange.exchange import Exchange
from agent.localexchange.kraken.account import Account
from agent.localexchange.kraken.channels import Book, Channel, Ohlc, Ticker
from agent.localexchange.kraken.executions import entries_of, open_entries
from agent.localexchange.kraken.names import find, moment
from agent.localexchange.kraken.orders import References
from agent.localexchange.kraken.public import INTERVALS
from agent.localexchange.venue.events import News

Frame = dict[str, Any]

_TICK_S: Final = 0.05
_HEARTBEAT_S: Final = 1.0
_DEPTHS: Final = (10, 25, 100, 500, 1_000)
_EXECUTIONS: Final = "executions"


class Connection:
    """One client's socket; `serve` returns when it is over."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        exchange: Exchange,
        account: Account,
        references: References,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._exchange = exchange
        self._account = account
        self._references = references
        self._channels: dict[tuple[str, str], Channel] = {}
        self._executions = False
        self._sequence = 0
        self._waiting: list[bytes] = []
        self._stirred = asyncio.Event()
        self._silenced: Callable[[str], bool] = lambda channel: False

    # -- as the venue and the faults see it ----------------------------------------------------------

    def publish(self, news: News) -> None:
        """What happened to orders, if that is listened to."""
        if self._executions:
            for entry in entries_of(news, self._exchange.market, self._references):
                self._tell_executions("update", [entry])
            self._stirred.set()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def silence(self, withheld: Callable[[str], bool]) -> None:
        """Withhold frames of the channels for which `withheld` says so; answers and heartbeats go on."""
        self._silenced = withheld

    async def close(self) -> None:
        await self._socket.close(code=1001, message=b"the exchange is closing")

    # -- life ----------------------------------------------------------------------------------------

    async def serve(self) -> None:
        system = {"version": "2.0.0", "system": "online", "api_version": "v2", "connection_id": id(self)}
        self._tell({"channel": "status", "type": "update", "data": [system]})
        telling = asyncio.create_task(self._keep_telling())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(message.data)
                    self._stirred.set()
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _keep_telling(self) -> None:
        quiet_since_s = time.monotonic()
        while True:
            self._look()
            if self._waiting:
                quiet_since_s = time.monotonic()
            elif time.monotonic() - quiet_since_s >= _HEARTBEAT_S:
                quiet_since_s = time.monotonic()
                self._tell({"channel": "heartbeat"})
            waiting, self._waiting = self._waiting, []
            for frame in waiting:
                await self._socket.send_str(frame.decode())
            self._stirred.clear()
            try:
                async with asyncio.timeout(_TICK_S if self._channels else _HEARTBEAT_S):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    def _look(self) -> None:
        """What changed in the channels."""
        now_ms = self._exchange.clock.now_ms()
        for channel in self._channels.values():
            data = channel.changes(now_ms)
            if data is not None and not self._silenced(channel.name):
                for entry in data:
                    self._tell({"channel": channel.name, "type": "update", "data": [entry]})

    # -- what is asked -------------------------------------------------------------------------------

    def _hear(self, text: str) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict):
            self._tell({"error": "Malformed request", "success": False})
            return
        method, params = asked.get("method"), asked.get("params")
        if method == "ping":
            self._answer(asked, {"method": "pong"})
        elif method not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            self._refuse(asked, "Unsupported method")
        elif params.get("channel") == _EXECUTIONS:
            self._follow_executions(asked, params, follows=method == "subscribe")
        else:
            self._follow(asked, params, follows=method == "subscribe")

    def _follow(self, asked: Frame, params: Frame, *, follows: bool) -> None:
        symbols = params.get("symbol")
        for symbol in symbols if isinstance(symbols, list) else ():
            channel = self._channel(params, symbol)
            if isinstance(channel, str):
                self._refuse(asked, channel, symbol)
                continue
            if follows:
                self._channels[channel.key] = channel
            else:
                self._channels.pop(channel.key, None)
            told = {"method": asked["method"], "result": channel.told, "success": True}
            self._answer(asked, told)
            if follows:
                data = channel.snapshot(self._exchange.clock.now_ms())
                self._tell({"channel": channel.name, "type": "snapshot", "data": data})

    def _channel(self, params: Frame, symbol: object) -> Channel | str:
        """What is asked for, or why it cannot be had."""
        instrument = find(self._exchange.market, symbol) if isinstance(symbol, str) else None
        if instrument is None:
            return f"Currency pair not supported {symbol}"
        match params.get("channel"):
            case "ohlc":
                minutes = params.get("interval", 1)
                if minutes not in INTERVALS:
                    return "Subscription ohlc interval not supported"
                return Ohlc(instrument, minutes)
            case "ticker":
                return Ticker(instrument, on_top=params.get("event_trigger") == "bbo")
            case "book":
                depth = params.get("depth", 10)
                return Book(instrument, depth) if depth in _DEPTHS else "Subscription depth not supported"
        return "Subscription name invalid"

    def _follow_executions(self, asked: Frame, params: Frame, *, follows: bool) -> None:
        if not self._account.knows(params.get("token")):
            self._refuse(asked, "ESession:Invalid session")
            return
        self._executions = follows
        self._answer(asked, {"method": asked["method"], "result": {"channel": _EXECUTIONS}, "success": True})
        if follows:
            self._exchange.desk.catch_up()
            orders = self._exchange.desk.venue.registry.open_orders()
            entries = open_entries(orders, self._exchange.market, self._references)
            self._tell_executions("snapshot", entries if params.get("snap_orders", True) else [])

    # -- what is told --------------------------------------------------------------------------------

    def _tell_executions(self, kind: str, entries: list[Frame]) -> None:
        self._sequence += 1
        if not self._silenced(_EXECUTIONS):
            frame = {"channel": _EXECUTIONS, "type": kind, "data": entries, "sequence": self._sequence}
            self._tell(frame)

    def _refuse(self, asked: Frame, why: str, symbol: object = None) -> None:
        told: Frame = {"error": why, "method": asked.get("method"), "success": False}
        self._answer(asked, told if symbol is None else {**told, "symbol": symbol})

    def _answer(self, asked: Frame, told: Frame) -> None:
        now = moment(self._exchange.clock.now_ms())
        told = {**told, "time_in": now, "time_out": now}
        self._tell({**told, "req_id": asked["req_id"]} if "req_id" in asked else told)

    def _tell(self, frame: Frame) -> None:
        self._waiting.append(orjson.dumps(frame))
