"""Binance's market streams on our own sockets: connected for ever, renewed before they are cut.

Belongs here: back-off, pings, the watch over pongs, renewal, and handing frames on. Stays true: a frame that
cannot be read is counted and told, and never ends the loop; whatever the server or the network does, another
attempt follows (at once after a long life, then after 1, 2, 4, 8, 16, 16, ... seconds); while a new
connection replaces an old one both deliver, so that nothing falls between them. Whether the data is *fresh*
is judged by the feed, which knows what should have come; it calls `reconnect`.

All times here are machine time.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.binance_frames import ShutdownFrame, read_frame
from agent.exchange.dialing import NotOpened, dial
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from agent.exchange.waiting import BackOff, first_of

_log = logging.getLogger(__name__)

#: A connection lives 24 hours at most; ours is replaced an hour before, at a moment nobody shares.
LIFETIME_MS: Final = 23 * 3_600_000.0
_JITTER_SHARE: Final = 0.02
#: A connection that lived this long was healthy: dial again at once when it drops.
_HEALTHY_LIFE_MS: Final = 30_000.0
#: How long to wait for the first frame of a new connection before the old one goes.
_OVERLAP_MS: Final = 10_000.0
_RENEW_AGAIN_MS: Final = 30_000.0


class SocketListener(Protocol):
    """Who learns what came through. Called on the event loop; never blocks."""

    def socket_up(self) -> None: ...

    def socket_down(self, why: str) -> None: ...

    def socket_kline(self, frame: KlineFrame) -> None: ...

    def socket_top(self, frame: TopFrame) -> None: ...

    def socket_unreadable(self, frame: Unreadable) -> None: ...


@dataclass(slots=True)
class SocketCounters:
    """What happened since the start."""

    dials: int = 0
    connections: int = 0
    renewals: int = 0
    frames: int = 0
    unreadable: int = 0


class _Connection:
    """One open connection and the task that reads it."""

    def __init__(self, socket: ClientConnection, opened_at_ms: float, renew_at_ms: float) -> None:
        self.socket = socket
        self.opened_at_ms = opened_at_ms
        self.renew_at_ms = renew_at_ms
        self.heard = asyncio.Event()
        """Set by the first frame that could be read."""
        self.ends_soon = asyncio.Event()
        """Set when the server announced that it will close."""
        self.reading: asyncio.Task[str]
        """Ends with the reason why the connection ended."""

    async def drop(self) -> None:
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)
        self.socket.transport.abort()
        await self.socket.wait_closed()


class BinanceSockets:
    """Klines of `intervals` and the best bid and ask of one symbol (`ADAUSDT`)."""

    def __init__(
        self,
        addresses: Addresses,
        symbol: str,
        intervals: Sequence[str],
        clock: Clock,
        *,
        ping_interval_s: float,
        chance: random.Random,
        lifetime_ms: float = LIFETIME_MS,
    ) -> None:
        streams = [f"{symbol.lower()}@kline_{interval}" for interval in intervals]
        self._url = addresses.market_streams([*streams, f"{symbol.lower()}@bookTicker"])
        self._symbol = symbol
        self._clock = clock
        self._ping_interval_ms = ping_interval_s * 1_000.0
        self._chance = chance
        self._lifetime_ms = lifetime_ms
        self._reconnect_wanted = asyncio.Event()
        self._reconnect_reason = ""
        self._last_heard_ms = float("-inf")
        self.counters = SocketCounters()

    @property
    def tells_closing(self) -> bool:
        """Whether a bar's last push says that it is the last."""
        return True

    @property
    def last_heard_ms(self) -> float:
        """Machine time of the last frame or pong."""
        return self._last_heard_ms

    def reconnect(self, why: str) -> None:
        """Drop the connection and dial again."""
        self._reconnect_reason = why
        self._reconnect_wanted.set()

    async def run(self, listener: SocketListener) -> None:
        """Deliver until canceled."""
        back_off = BackOff()
        while True:
            opened = await self._open(listener)
            if isinstance(opened, NotOpened):
                listener.socket_down(opened.why)
                await self._clock.sleep_machine(max(back_off.next_ms(), opened.retry_after_ms))
                continue
            self._reconnect_wanted.clear()
            listener.socket_up()
            why, lived_ms = await self._serve(opened, listener)
            _log.info("market streams are down: %s", why)
            listener.socket_down(why)
            if lived_ms >= _HEALTHY_LIFE_MS:
                back_off.reset()
            else:
                await self._clock.sleep_machine(back_off.next_ms())

    async def _open(self, listener: SocketListener) -> _Connection | NotOpened:
        self.counters.dials += 1
        socket = await dial(self._url)
        if isinstance(socket, NotOpened):
            return socket
        self.counters.connections += 1
        now_ms = self._clock.machine_ms()
        life_ms = self._lifetime_ms * (1 - self._chance.uniform(0, _JITTER_SHARE))
        connection = _Connection(socket, now_ms, now_ms + life_ms)
        connection.reading = asyncio.create_task(self._read(connection, listener))
        return connection

    async def _serve(self, connection: _Connection, listener: SocketListener) -> tuple[str, float]:
        """Until the connection ends without a successor. Returns why, and how long it lived."""
        try:
            while True:
                ended = await first_of(
                    _finished(connection.reading),
                    self._reconnect_wanted.wait(),
                    self._miss_a_pong(connection),
                    self._time_to_renew(connection),
                )
                if ended == 3:
                    connection = await self._renewed(connection, listener)
                    continue
                if ended == 0:
                    why = connection.reading.result()
                elif ended == 1:
                    why = self._reconnect_reason
                else:
                    why = f"no pong within {self._ping_interval_ms / 1_000:g} s"
                return why, self._clock.machine_ms() - connection.opened_at_ms
        finally:
            await connection.drop()

    async def _renewed(self, old: _Connection, listener: SocketListener) -> _Connection:
        """A new connection that already delivers, the old one dropped; the old one where that failed."""
        old.ends_soon.clear()
        old.renew_at_ms = self._clock.machine_ms() + _RENEW_AGAIN_MS
        new = await self._open(listener)
        if isinstance(new, NotOpened):
            _log.info("the connection is not renewed yet: %s", new.why)
            return old
        delivers = False
        try:
            first = await first_of(
                new.heard.wait(), self._clock.sleep_machine(_OVERLAP_MS), _finished(new.reading)
            )
            delivers = first == 0
            if not delivers:
                return old
            self.counters.renewals += 1
            await old.drop()
            return new
        finally:
            if not delivers:
                await new.drop()

    async def _time_to_renew(self, connection: _Connection) -> None:
        left_ms = max(0.0, connection.renew_at_ms - self._clock.machine_ms())
        await first_of(connection.ends_soon.wait(), self._clock.sleep_machine(left_ms))

    async def _miss_a_pong(self, connection: _Connection) -> None:
        """Ping, and return when a pong did not come within one interval."""
        while True:
            try:
                pong = asyncio.ensure_future(await connection.socket.ping())
            except ConnectionClosed:
                break
            if await first_of(_finished(pong), self._clock.sleep_machine(self._ping_interval_ms)) == 1:
                return
            if pong.cancelled() or pong.exception() is not None:
                break
            self._last_heard_ms = self._clock.machine_ms()
            await self._clock.sleep_machine(self._ping_interval_ms)
        # The connection is gone. The reader learns it too and says why.
        await asyncio.Event().wait()

    async def _read(self, connection: _Connection, listener: SocketListener) -> str:
        """Hand on every frame until the connection ends. Returns why it ended."""
        socket, symbol, counters = connection.socket, self._symbol, self.counters
        while True:
            try:
                raw = await socket.recv(decode=False)
            except ConnectionClosed as closed:
                return f"closed by the server ({closed.rcvd.code})" if closed.rcvd else "the connection broke"
            self._last_heard_ms = self._clock.machine_ms()
            counters.frames += 1
            frame = read_frame(raw, symbol)
            if isinstance(frame, TopFrame):
                connection.heard.set()
                listener.socket_top(frame)
            elif isinstance(frame, KlineFrame):
                connection.heard.set()
                listener.socket_kline(frame)
            elif isinstance(frame, Unreadable):
                counters.unreadable += 1
                listener.socket_unreadable(frame)
            elif isinstance(frame, ShutdownFrame):
                connection.ends_soon.set()


async def _finished(future: asyncio.Future[Any]) -> None:
    """Wait for a future without taking it along when the waiting is canceled."""
    await asyncio.wait([future])
