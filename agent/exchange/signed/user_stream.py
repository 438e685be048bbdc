"""The user's own event stream on our own socket: subscribed by signature, for ever, renewed before it is cut.

Belongs here: dialing, the signed subscription, pings, the watch over pongs, renewal and back-off. Stays true:
a frame that cannot be read is told and never ends the loop; whatever happens another attempt follows (at once
after a long life, then after 1, 2, 4, 8, 16, 16, ... seconds, and after a minute where the key was refused);
while a new connection replaces an old one both deliver. That nothing was missed in between is not known here:
every (re)subscription is told, and whoever listens must then ask by REST.

All times here are machine time, except the one that is signed.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.core.order import OrderReport
from agent.core.ports import Clock
from agent.core.value import Value
from agent.exchange.dialing import NotOpened, dial
from agent.exchange.signed.classify import BAD_TIMESTAMP, KEY_REFUSED
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.order_words import NotUnderstood, Pair, Unreadable
from agent.exchange.signed.request_time import RECV_WINDOW_MS, RequestTime
from agent.exchange.signed.stream_words import (
    BalancesMoved,
    ShutdownAnnounced,
    SocketAnswer,
    Terminated,
    read_stream_frame,
)
from agent.exchange.waiting import BackOff, first_of
from agent.exchange.weight_gate import Urgency, WeightGate

_log: Final = logging.getLogger(__name__)

#: A connection lives 24 hours at most; ours is replaced an hour before, at a moment nobody shares.
LIFETIME_MS: Final = 23 * 3_600_000.0
_JITTER_SHARE: Final = 0.02
#: A connection that lived this long was healthy: dial again at once when it drops.
_HEALTHY_LIFE_MS: Final = 30_000.0
_ANSWER_WITHIN_MS: Final = 10_000.0
_RENEW_AGAIN_MS: Final = 30_000.0
_KEY_REFUSED_PAUSE_MS: Final = 60_000.0
_SUBSCRIBE_WEIGHT: Final = 2
_REQUEST: Final = "subscribe"


class StreamListener(Protocol):
    """Who learns what came through. Called on the event loop; never blocks."""

    def stream_subscribed(self, *, renewed: bool) -> None:
        """Events arrive from now on. `renewed`: the connection before delivered until now."""
        ...

    def stream_down(self, why: str, *, key_refused: bool) -> None: ...

    async def stream_time_refused(self) -> None: ...

    def stream_order(self, report: OrderReport) -> None: ...

    def stream_not_understood(self, word: NotUnderstood) -> None: ...

    def stream_unreadable(self, frame: Unreadable) -> None: ...

    def stream_balances_moved(self) -> None: ...


@dataclass(slots=True)
class StreamCounters:
    """What happened since the start."""

    dials: int = 0
    subscriptions: int = 0
    renewals: int = 0
    frames: int = 0
    unreadable: int = 0


class _NotSubscribed(Value, frozen=True):
    why: str
    code: int | None = None
    retry_after_ms: float = 0.0


class _Connection:
    """One open connection and the task that reads it."""

    def __init__(self, socket: ClientConnection, opened_at_ms: float, renew_at_ms: float) -> None:
        self.socket = socket
        self.opened_at_ms = opened_at_ms
        self.renew_at_ms = renew_at_ms
        self.answer: asyncio.Future[SocketAnswer] = asyncio.get_running_loop().create_future()
        """The answer to the subscription."""
        self.ends_soon = asyncio.Event()
        """Set when the server announced that it will close."""
        self.reading: asyncio.Task[str]
        """Ends with the reason why nothing more comes."""

    async def drop(self) -> None:
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)
        self.socket.transport.abort()
        await self.socket.wait_closed()


class UserStream:
    """The account's events at `url`, of `pair`."""

    def __init__(
        self,
        url: str,
        pair: Pair,
        keys: RequestKeys,
        time: RequestTime,
        gate: WeightGate,
        clock: Clock,
        *,
        ping_interval_s: float,
        chance: random.Random,
        lifetime_ms: float = LIFETIME_MS,
    ) -> None:
        self._url = url
        self._pair = pair
        self._keys = keys
        self._time = time
        self._gate = gate
        self._clock = clock
        self._ping_interval_ms = ping_interval_s * 1_000.0
        self._chance = chance
        self._lifetime_ms = lifetime_ms
        self._reconnect_wanted = asyncio.Event()
        self._reconnect_reason = ""
        # The library writes every frame at DEBUG level; ours hold the key and a signature.
        self._frame_log = logging.getLogger(f"{__name__}.frames")
        self._frame_log.setLevel(logging.WARNING)
        self.counters = StreamCounters()

    def reconnect(self, why: str) -> None:
        """Drop the connection and subscribe again."""
        self._reconnect_reason = why
        self._reconnect_wanted.set()

    async def run(self, listener: StreamListener) -> None:
        """Deliver until canceled."""
        back_off = BackOff()
        while True:
            opened = await self._open(listener)
            if isinstance(opened, _NotSubscribed):
                await self._give_up_for_now(opened, listener, back_off)
                continue
            self._reconnect_wanted.clear()
            listener.stream_subscribed(renewed=False)
            why, lived_ms = await self._serve(opened, listener)
            _log.info("the user stream is down: %s", why)
            listener.stream_down(why, key_refused=False)
            if lived_ms >= _HEALTHY_LIFE_MS:
                back_off.reset()
            else:
                await self._clock.sleep_machine(back_off.next_ms())

    async def _give_up_for_now(
        self, failed: _NotSubscribed, listener: StreamListener, back_off: BackOff
    ) -> None:
        key_refused = failed.code in KEY_REFUSED
        listener.stream_down(failed.why, key_refused=key_refused)
        if failed.code == BAD_TIMESTAMP:
            await listener.stream_time_refused()
        pause_ms = max(back_off.next_ms(), failed.retry_after_ms)
        await self._clock.sleep_machine(max(pause_ms, _KEY_REFUSED_PAUSE_MS) if key_refused else pause_ms)

    async def _open(self, listener: StreamListener) -> _Connection | _NotSubscribed:
        """A connection that is subscribed."""
        await self._gate.admit(Urgency.RECONCILE, _SUBSCRIBE_WEIGHT)
        self.counters.dials += 1
        socket = await dial(self._url, self._frame_log)
        if isinstance(socket, NotOpened):
            return _NotSubscribed(socket.why, retry_after_ms=socket.retry_after_ms)
        now_ms = self._clock.machine_ms()
        life_ms = self._lifetime_ms * (1 - self._chance.uniform(0, _JITTER_SHARE))
        connection = _Connection(socket, now_ms, now_ms + life_ms)
        connection.reading = asyncio.create_task(self._read(connection, listener))
        failed: _NotSubscribed | None = _NotSubscribed("canceled")
        try:
            failed = await self._subscribe(connection)
        finally:
            if failed is not None:
                await connection.drop()
        if failed is not None:
            return failed
        self.counters.subscriptions += 1
        return connection

    async def _subscribe(self, connection: _Connection) -> _NotSubscribed | None:
        params = self._keys.signed({"recvWindow": RECV_WINDOW_MS, "timestamp": self._time.stamp_ms()})
        request = {"id": _REQUEST, "method": "userDataStream.subscribe.signature", "params": params}
        try:
            await connection.socket.send(orjson.dumps(request).decode())
        except ConnectionClosed:
            return _NotSubscribed("the connection broke before the subscription")
        ended = await first_of(
            _finished(connection.answer),
            _finished(connection.reading),
            self._clock.sleep_machine(_ANSWER_WITHIN_MS),
        )
        if ended == 1:
            return _NotSubscribed(connection.reading.result())
        if ended == 2:
            return _NotSubscribed(f"no answer to the subscription within {_ANSWER_WITHIN_MS / 1_000:g} s")
        answer = connection.answer.result()
        if answer.code is None:
            return None
        return _NotSubscribed(
            f"the subscription was refused: {answer.message} ({answer.code})",
            answer.code,
            float(answer.retry_after_ms or 0),
        )

    async def _serve(self, connection: _Connection, listener: StreamListener) -> tuple[str, float]:
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

    async def _renewed(self, old: _Connection, listener: StreamListener) -> _Connection:
        """A new connection that is subscribed, the old one dropped; the old one where that failed."""
        old.ends_soon.clear()
        old.renew_at_ms = self._clock.machine_ms() + _RENEW_AGAIN_MS
        opening = asyncio.create_task(self._open(listener))
        kept = False
        try:
            await first_of(_finished(opening), _finished(old.reading), self._miss_a_pong(old))
            if not opening.done():
                return old
            new = opening.result()
            if isinstance(new, _NotSubscribed):
                _log.info("the user stream is not renewed yet: %s", new.why)
                return old
            kept = True
        finally:
            if not kept:
                await _abandon(opening)
        self.counters.renewals += 1
        listener.stream_subscribed(renewed=not old.reading.done())
        await old.drop()
        return new

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
            await self._clock.sleep_machine(self._ping_interval_ms)
        # The connection is gone. The reader learns it too and says why.
        await asyncio.Event().wait()

    async def _read(self, connection: _Connection, listener: StreamListener) -> str:
        """Hand on every event until nothing more comes. Returns why."""
        while True:
            try:
                raw = await connection.socket.recv(decode=False)
            except ConnectionClosed as closed:
                return f"closed by the server ({closed.rcvd.code})" if closed.rcvd else "the connection broke"
            self.counters.frames += 1
            why = self._take(raw, connection, listener)
            if why is not None:
                return why

    def _take(self, raw: bytes | str, connection: _Connection, listener: StreamListener) -> str | None:
        """One frame. Returns why nothing more can come, if so."""
        frame = read_stream_frame(raw, self._pair)
        match frame:
            case OrderReport():
                listener.stream_order(frame)
            case NotUnderstood():
                listener.stream_not_understood(frame)
            case BalancesMoved():
                listener.stream_balances_moved()
            case Unreadable():
                self.counters.unreadable += 1
                listener.stream_unreadable(frame)
            case ShutdownAnnounced():
                connection.ends_soon.set()
            case Terminated():
                return "the exchange ended the subscription"
            case SocketAnswer():
                self._weigh(frame)
                if frame.request_id == _REQUEST and not connection.answer.done():
                    connection.answer.set_result(frame)
                elif frame.code in KEY_REFUSED:
                    return f"the exchange ended the session: {frame.message} ({frame.code})"
        return None

    def _weigh(self, answer: SocketAnswer) -> None:
        headers = {}
        if answer.used_weight is not None:
            headers["X-MBX-USED-WEIGHT-1M"] = str(answer.used_weight)
        if answer.retry_after_ms is not None:
            headers["Retry-After"] = str(-(-answer.retry_after_ms // 1_000))
        self._gate.answered(answer.status, headers, answer.message)


async def _abandon(opening: asyncio.Task[_Connection | _NotSubscribed]) -> None:
    """Let go of a connection that is being opened, or was opened and is not wanted."""
    opening.cancel()
    (result,) = await asyncio.gather(opening, return_exceptions=True)
    if isinstance(result, _Connection):
        await result.drop()


async def _finished(future: asyncio.Future[Any]) -> None:
    """Wait for a future without taking it along when the waiting is canceled."""
    await asyncio.wait([future])
