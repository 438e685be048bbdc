"""The way between the agent and the exchange: latencies, and everything that can go wrong on it.

Belongs here: F1 to F10 and the market's and the user's sockets. Stays true: what an agent sent is on the
wire log before anything becomes of it; a request executes at most once; what arrives for a process that has
died arrives nowhere. Faults are drawn from the world's one chance when a request sets out, at the rates that
are in force at that moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from agent.exchange.dialing import NotOpened
from agent.localexchange.trading.frames import read_request
from agent.simulation.agenda import MS, SECOND, Agenda, VirtualLoop, moment
from agent.simulation.rules import BINANCE, Rules
from agent.simulation.venue import Answer, Request, SimulatedVenue

#: Two readings of the account lie this far apart in the quick profile, and a little more.
UNNOTICED_US: Final = 35 * 60 * SECOND
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"


@dataclass(slots=True)
class Weather:
    """Shares of signed requests that meet a fault, and of everything that is slow. All 0: a good day."""

    lost: float = 0.0
    answer_lost: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    unknown: float = 0.0
    broken: float = 0.0
    slow: float = 0.0
    event_lost: float = 0.0
    event_doubled: float = 0.0
    event_swapped: float = 0.0
    unreachable: bool = False
    silent: bool = False
    refuses_sockets: bool = False

    @property
    def is_fair(self) -> bool:
        return self == _FAIR


_FAIR: Final = Weather()


@dataclass(slots=True)
class Sent:
    """One request on the wire log."""

    at_ms: int
    request: Request
    fate: str = "sent"
    status: int = 0
    executed_ms: int = 0
    client_id: str = ""


class ResetError(ConnectionResetError):
    """The connection broke; whether the request arrived is not known."""


@dataclass(slots=True)
class Counters:
    fired: dict[str, int] = field(default_factory=dict)

    def fire(self, name: str) -> None:
        self.fired[name] = self.fired.get(name, 0) + 1


class Network:
    """One world's network. `loop` of a caller is the process that asks."""

    def __init__(
        self,
        agenda: Agenda,
        venue: SimulatedVenue,
        chance: random.Random,
        counters: Counters,
        rules: Rules = BINANCE,
    ) -> None:
        self.rules = rules
        self.agenda = agenda
        self.venue = venue
        self.weather = Weather()
        self.counters = counters
        self.log: list[Sent] = []
        self.watchers: list[Callable[[Sent], None]] = []
        self.on_answer: Callable[[Sent], None] | None = None
        self.ambushes: list[tuple[str, int, int]] = []
        """What the next orders meet, and for how long neither events nor look-ups tell of them."""
        self.blind_until_us: dict[str, int] = {}
        """Until when a kind of request gets no answer but an error."""
        self.muted_until_us = 0
        self.lost_event_us = -UNNOTICED_US
        """When the stream last kept something to itself, or an answer was an old one; until the account is
        read again nobody knows of it."""
        self.silent_until_ms = 0
        """Before this the agent knows that it must not ask."""
        self.sockets: list[Any] = []
        self.market_lines: list[MarketLine] = []
        self._chance = chance
        self._dials: list[int] = []

    @property
    def is_fair(self) -> bool:
        """Whether nothing is wrong, nor was a moment ago, and nothing is unknown of before."""
        unnoticed = self.agenda.now_us < self.lost_event_us + UNNOTICED_US
        return self.is_open and not unnoticed

    @property
    def is_open(self) -> bool:
        """Whether nothing is wrong with what is asked and answered."""
        over_us = self.agenda.now_us - 240 * SECOND
        blind = max(self.blind_until_us.values(), default=0) > over_us
        return self.shows_accounts and not blind and self.muted_until_us < over_us

    @property
    def shows_accounts(self) -> bool:
        """Whether nothing is wrong with the reading of accounts, and was not for some minutes."""
        over_us = self.agenda.now_us - 240 * SECOND
        blind = max(self.blind_until_us.get(part, 0) for part in self.rules.parts_of_account) > over_us
        return self.weather.is_fair and not blind and self.silent_until_ms * MS <= over_us

    @property
    def is_blind(self) -> bool:
        """Whether some kind of question gets nothing but errors."""
        return max(self.blind_until_us.values(), default=0) > self.agenda.now_us

    # --- requests -------------------------------------------------------------------------------------

    def latency_us(self) -> int:
        """Mostly some tens of milliseconds, now and then much more."""
        chance = self._chance
        if chance.random() < 0.97:
            return int(chance.uniform(5, 60) * MS)
        return int(chance.uniform(100, 1_500) * MS)

    async def ask(
        self, loop: VirtualLoop, request: Request, timeout_s: float | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request. Raises OSError where no whole answer comes, TimeoutError where there is none in
        time; never ends without a `timeout_s` where there is none."""
        sent = Sent(self.agenda.now_ms, request)
        if self.weather.unreachable:
            self.counters.fire("F8")
            sent.fate = "unreachable"
            self.log.append(sent)
            await asyncio.sleep(0.02)
            raise ConnectionRefusedError("the host cannot be reached")
        self.log.append(sent)
        for watcher in self.watchers:
            watcher(sent)
        answered: asyncio.Future[Answer] = loop.create_future()
        fault = self._drawn(request)
        sent.fate = fault or "sent"
        up_us = self.latency_us()
        if fault == "F10":
            up_us = int(self._chance.choice((3_000, 4_900, 5_100, 8_500, 12_000)) * MS)
        if fault:
            self.counters.fire(fault)
        if fault == "F1":
            if self._chance.random() < 0.5:
                self._fail_later(loop, answered, up_us)
        else:
            self.agenda.plan(up_us, lambda: self._arrive(loop, answered, sent, fault))
        patience = None if timeout_s is None else loop.call_later(timeout_s, _give_up, answered)
        try:
            answer = await answered
        finally:
            if patience is not None:
                patience.cancel()
        return answer.status, dict(answer.headers), answer.body

    def _drawn(self, request: Request) -> str:
        w = self.weather
        if request.key is None:
            return ""
        if self.agenda.now_us < self.blind_until_us.get(f"{request.method} {request.path}", 0):
            return "F3"
        if self.ambushes and self.rules.moves(request):
            fault, mute_us, blind_us = self.ambushes.pop()
            for look_up in self.rules.look_ups:
                self.blind_until_us[look_up] = self.agenda.now_us + blind_us
            self.muted_until_us = self.agenda.now_us + mute_us
            return fault
        draw = self._chance.random()
        for share, name in (
            (w.lost, "F1"), (w.answer_lost, "F2"), (w.error_before, "F3"), (w.error_after, "F4"),
            (w.unknown, "F5"), (w.broken, "F9"), (w.slow, "F10"),
        ):  # fmt: skip
            if draw < share:
                return name
            draw -= share
        return ""

    def _arrive(self, loop: VirtualLoop, answered: asyncio.Future[Answer], sent: Sent, fault: str) -> None:
        executes = fault != "F3" and not (fault == "F5" and self._chance.random() < 0.5)
        answer = Answer(0, b"")
        if executes:
            answer = self.venue.answer(sent.request)
            sent.executed_ms = self.agenda.now_ms
            sent.status = 400 if answer.refused else answer.status
            if self.on_answer is not None:
                self.on_answer(sent)
        down_us = self.latency_us()
        match fault:
            case "F2":
                if self._chance.random() < 0.5:
                    self._fail_later(loop, answered, down_us)
                return
            case "F3" | "F4":
                status = self._chance.choice((500, 502, 503))
                body = self._chance.choice((b"Service Unavailable", _HTML))
                answer = Answer(status, body)
            case "F5":
                answer = self.rules.outcome_unknown(self._chance)
            case "F9":
                kind = self._chance.choice(("reset", "truncated", "html", "garbage", "empty"))
                if kind == "reset":
                    self._fail_later(loop, answered, down_us)
                    return
                bodies = {
                    "truncated": answer.body[: len(answer.body) // 2],
                    "html": _HTML,
                    "garbage": b"\x00<<{",
                }
                status = 502 if kind == "html" else answer.status
                answer = Answer(status, bodies.get(kind, b""), answer.headers)
        self.hand(loop, down_us, lambda: self._tell(answered, answer))

    def _tell(self, answered: asyncio.Future[Answer], answer: Answer) -> None:
        """The agent learns an answer, and with it whether the exchange wants silence."""
        if answered.done():
            return
        if answer.status in (418, 429):
            wait_ms = int(answer.headers.get("Retry-After", "0")) * 1_000
            self.silent_until_ms = max(self.silent_until_ms, self.agenda.now_ms + wait_ms)
        answered.set_result(answer)

    def _fail_later(self, loop: VirtualLoop, answered: asyncio.Future[Answer], in_us: int) -> None:
        def fail() -> None:
            if not answered.done():
                answered.set_exception(ResetError("the connection was reset"))

        self.hand(loop, in_us, fail)

    def hand(self, loop: VirtualLoop, in_us: int, act: Callable[[], None]) -> None:
        """Let a process learn something, if it is still the one that waits."""
        if not loop.lost:
            self.agenda.push(self.agenda.now_us + in_us, loop, moment(act))

    # --- the user's socket ------------------------------------------------------------------------------

    async def dial(self, loop: VirtualLoop) -> UserSocket | NotOpened:
        refused = await self.knock()
        if refused is not None:
            return refused
        now_ms = self.agenda.now_ms
        self._dials = [at for at in self._dials if at > now_ms - 300_000] + [now_ms]
        socket = UserSocket(self, loop)
        self.sockets.append(socket)
        return socket

    async def knock(self) -> NotOpened | None:
        """Why a connection is not opened."""
        await asyncio.sleep(self.latency_us() * 2 / SECOND)
        if self.weather.unreachable or self.venue.trading.standing.unavailable:
            return NotOpened("cannot connect (unreachable)")
        if self.weather.refuses_sockets:
            self.counters.fire("F27")
            return NotOpened("the connection was refused with HTTP 429", 5_000.0)
        return None

    def copies_of_event(self) -> tuple[int, ...]:
        """How much later than usual each copy of an event arrives; empty: it is lost."""
        weather, chance = self.weather, self._chance
        if weather.unreachable:
            return ()
        if weather.silent:
            self.counters.fire("F22")
            self.lost_event_us = self.agenda.now_us
            return ()
        if chance.random() < weather.event_lost or self.agenda.now_us < self.muted_until_us:
            self.counters.fire("F12")
            self.lost_event_us = self.agenda.now_us
            return ()
        late_us = 0
        if chance.random() < weather.event_swapped:
            self.counters.fire("F13")
            late_us = 500 * MS
        if chance.random() < weather.event_doubled:
            self.counters.fire("F11")
            return late_us, late_us
        return (late_us,)

    def drop_sockets(self, code: int | None = None) -> None:
        for socket in list(self.sockets):
            socket.end(code)
        for line in self.market_lines:
            line.cut()

    def forget(self, loop: VirtualLoop) -> None:
        """A process is gone, and its connections with it."""
        for socket in [s for s in self.sockets if s.loop is loop]:
            socket.leave()
        self.market_lines = [line for line in self.market_lines if line.loop is not loop]

    # --- the market's socket ------------------------------------------------------------------------------

    def market_line(self, loop: VirtualLoop, heard: Callable[[str, Any], None]) -> MarketLine:
        line = MarketLine(self, loop, heard)
        self.market_lines.append(line)
        return line

    @property
    def watched(self) -> bool:
        """Whether anybody wants every quote."""
        return any(line.closely for line in self.market_lines)

    @property
    def reaches_listeners(self) -> bool:
        """Whether what the market says now is heard by everybody who listens."""
        heard = not self.weather.unreachable and not self.weather.silent
        return heard and bool(self.market_lines) and all(line.up for line in self.market_lines)

    def broadcast(self, kind: str, what: Any, *, to_all: bool = False) -> None:
        """The market says something to everybody who listens; quotes between bars to who watches closely."""
        if self.weather.unreachable:
            return
        if self.weather.silent:
            self.counters.fire("F22")
            return
        for line in self.market_lines:
            if line.up and (kind != "quote" or to_all or line.closely):
                self.hand(line.loop, self.latency_us(), line.deliver(kind, what))


def _give_up(answered: asyncio.Future[Answer]) -> None:
    if not answered.done():
        answered.set_exception(TimeoutError())


class MarketLine:
    """One process's subscription to candles and quotes."""

    def __init__(self, network: Network, loop: VirtualLoop, heard: Callable[[str, Any], None]) -> None:
        self.loop = loop
        self.up = True
        self.closely = False
        """Something is held or under way: every quote counts."""
        self._heard = heard
        self._network = network

    def deliver(self, kind: str, what: Any) -> Callable[[], None]:
        return lambda: self._heard(kind, what)

    def cut(self) -> None:
        """Down for some seconds, then dialed again."""
        if not self.up:
            return
        self.up = False
        network = self._network
        network.hand(self.loop, 0, lambda: self._heard("down", None))

        def again() -> None:
            if network.weather.unreachable:
                network.agenda.plan(16 * SECOND, again)
                return
            self.up = True
            network.hand(self.loop, 0, lambda: self._heard("up", None))

        network.agenda.plan(2 * SECOND, again)


class _Transport:
    def __init__(self, socket: UserSocket) -> None:
        self._socket = socket

    def abort(self) -> None:
        self._socket.leave()


class UserSocket:
    """A socket of the exchange's WebSocket API, both ends of it."""

    def __init__(self, network: Network, loop: VirtualLoop) -> None:
        self.loop = loop
        self.transport = _Transport(self)
        self._network = network
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._code: int | None = None
        self._open = True
        self._last_us = 0
        self._held: bytes | None = None
        self._numbers = 0

    # as the agent's user stream sees it

    async def send(self, text: str) -> None:
        if not self._open:
            raise self._closed()
        network = self._network
        network.agenda.plan(network.latency_us(), lambda: self._hear(text))

    async def recv(self, decode: bool = False) -> bytes:
        frame = await self._queue.get()
        if frame is None:
            self._queue.put_nowait(None)
            raise self._closed()
        return frame

    async def ping(self) -> asyncio.Future[float]:
        if not self._open:
            raise self._closed()
        pong: asyncio.Future[float] = self.loop.create_future()
        network = self._network
        if not network.weather.unreachable:
            network.hand(
                self.loop, network.latency_us(), lambda: None if pong.done() else pong.set_result(0.03)
            )
        return pong

    async def wait_closed(self) -> None:
        return None

    def _closed(self) -> ConnectionClosedError:
        close = None if self._code is None else Close(self._code, "the server goes away")
        return ConnectionClosedError(close, None)

    # as the venue sees it

    def push_event(self, frame: Any) -> None:
        network, chance = self._network, self._network._chance
        weather, data = network.weather, orjson.dumps(frame)
        if not self._open or weather.unreachable:
            return
        if weather.silent:
            network.counters.fire("F22")
            network.lost_event_us = network.agenda.now_us
            return
        if chance.random() < weather.event_lost or network.agenda.now_us < network.muted_until_us:
            network.counters.fire("F12")
            network.lost_event_us = network.agenda.now_us
            return
        if self._held is None and chance.random() < weather.event_swapped:
            network.counters.fire("F13")
            self._held = data
            network.agenda.plan(500 * MS, self._let_go)
            return
        self._deliver(data)
        if chance.random() < weather.event_doubled:
            network.counters.fire("F11")
            self._deliver(data)
        self._let_go()

    def next_subscription(self) -> int:
        self._numbers += 1
        return self._numbers - 1

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None and self._open:
            self._deliver(held)

    def _deliver(self, data: bytes) -> None:
        """Frames of one connection do not overtake each other."""
        network = self._network
        at_us = max(self._last_us + 1, network.agenda.now_us + network.latency_us())
        self._last_us = at_us
        network.hand(self.loop, at_us - network.agenda.now_us, lambda: self._tell(data))

    def _tell(self, data: bytes) -> None:
        """As an answer over HTTP, a frame may say until when the exchange wants silence."""
        if b'"retryAfter"' in data:
            until_ms = int(orjson.loads(data)["error"]["data"]["retryAfter"])
            self._network.silent_until_ms = max(self._network.silent_until_ms, until_ms)
        self._queue.put_nowait(data)

    def _hear(self, text: str) -> None:
        if self._open:
            answer = self._network.venue.frames.answer(read_request(text), self)
            self._deliver(orjson.dumps(answer))

    def end(self, code: int | None) -> None:
        """The server or the network ends the connection."""
        if self._open:
            self._code = code
            self.leave()
            self._network.hand(self.loop, self._network.latency_us(), lambda: self._queue.put_nowait(None))

    def leave(self) -> None:
        self._open = False
        self._network.venue.trading.streams.leave(self)
        if self in self._network.sockets:
            self._network.sockets.remove(self)
