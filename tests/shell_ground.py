"""The shell's surroundings, by hand: a clock that is moved, a disk, a latch, an exchange and a market.

Nothing sleeps. `settle` lets everything that can go on go on; whatever waits then waits for the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterable
from typing import Any

from agent.core.boot import boot
from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    CancelFailed,
    Event,
    FillsSeen,
    LookupFailed,
    LookupFoundNothing,
    OutcomeUnknown,
)
from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, Quote
from agent.core.order import Intent, Order
from agent.core.ports import Canceled, Lookup, MarketDataError, Placed, Sink
from agent.core.position import Position
from agent.core.records import Row
from agent.core.state import AgentState, Durable, Halt, Setup
from agent.core.verdict import Approved, ApprovedPair
from agent.shell.journal import Changes
from agent.shell.runtime import JournalError
from agent.store.codec import decode, encode, from_text, to_text


async def settle(rounds: int = 60) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


class HandClock:
    """Venue time that goes where the test says; machine time is the same."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.waits = 0

    def now_ms(self) -> int:
        return self.at_ms

    def machine_ms(self) -> float:
        return float(self.at_ms)

    async def sleep_until(self, venue_ms: int) -> None:
        self.waits += 1
        if venue_ms > self.at_ms:
            waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append((venue_ms, waits))
            await waits

    async def sleep_machine(self, ms: float) -> None:
        await self.sleep_until(int(self.at_ms + ms))

    async def to(self, at_ms: int) -> None:
        """Move time on, and let what waited for it happen."""
        assert at_ms >= self.at_ms
        self.at_ms = at_ms
        due = [waits for until, waits in self.waiting if until <= at_ms]
        self.waiting = [(until, waits) for until, waits in self.waiting if until > at_ms]
        for waits in due:
            if not waits.done():
                waits.set_result(None)
        await settle()

    async def later(self, ms: int) -> None:
        """Move time on in steps small enough that no deadline is passed by far."""
        end = self.at_ms + ms
        while self.at_ms < end:
            upcoming = [
                until for until, waits in self.waiting if self.at_ms < until < end and not waits.done()
            ]
            await self.to(min(upcoming, default=end))


class HandDisk:
    """A journal that keeps text, as a real one would: what comes back went through the codec."""

    def __init__(self) -> None:
        self.steps: list[Changes] = []
        self.rows: list[Row] = []
        self.failing: str | None = None
        self.breaks: Exception | None = None
        self.breaks_at_once: Exception | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._durable: str | None = None
        self._positions: dict[int, str] = {}
        self._orders: dict[str, str] = {}

    def hold(self) -> None:
        """Commits wait from now on."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def write(self, changes: Changes, state: AgentState) -> Awaitable[None]:
        if self.breaks_at_once is not None:
            raise self.breaks_at_once
        return _Commit(self, changes)

    async def commit(self, changes: Changes) -> None:
        await self._open.wait()
        if self.failing is not None:
            raise JournalError(self.failing)
        if self.breaks is not None:
            raise self.breaks
        self.steps.append(changes)
        self.rows += changes.rows
        if changes.durable is not None:
            self._durable = to_text(encode(changes.durable))
        for position in changes.positions:
            self._positions[position.id] = to_text(encode(position))
        for order in changes.orders:
            self._orders[order.intent.client_id] = to_text(encode(order))

    def state(self, setup: Setup, at_ms: int, latched: Halt | None = None) -> AgentState:
        """What the next run starts from: nothing but what was written."""
        durable = None if self._durable is None else decode(Durable, from_text(self._durable))
        positions = [decode(Position, from_text(text)) for text in self._positions.values()]
        orders = [decode(Order, from_text(text)) for text in self._orders.values()]
        return boot(setup, durable, positions, orders, at_ms, latched)


class _Commit:
    """Begins when it is awaited, so that a killed process leaves nothing half-begun behind."""

    def __init__(self, disk: HandDisk, changes: Changes) -> None:
        self._disk = disk
        self._changes = changes

    def __await__(self) -> Generator[Any, None, None]:
        return self._disk.commit(self._changes).__await__()


class HandLatch:
    def __init__(self) -> None:
        self.reason: str | None = None
        self.set_at_ms: list[int] = []
        self.broken: Exception | None = None

    def set(self, reason: str, at_ms: int) -> None:
        if self.broken is not None:
            raise self.broken
        self.reason = reason
        self.set_at_ms.append(at_ms)

    def clear(self) -> None:
        if self.broken is not None:
            raise self.broken
        self.reason = None

    def is_set(self) -> bool:
        return self.reason is not None


class HandExchange:
    """An exchange that answers what the test put down; without an answer it waits for one."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[tuple[str, str]] = []
        self.placed: list[Intent] = []
        self._answers: dict[Any, Any] = dict(answers)
        self._more = asyncio.Event()

    def put_down(self, request: str, answer: Any, client_id: str | None = None) -> None:
        """`answer` to `request`, or to it about one order: a value is answered, an exception raised, a
        function called with the intent."""
        self._answers[request if client_id is None else (request, client_id)] = answer
        self._more.set()

    async def _answer(self, request: str, client_id: str, argument: Any) -> Any:
        self.asked.append((request, client_id))
        while (request, client_id) not in self._answers and request not in self._answers:
            self._more.clear()
            await self._more.wait()
        answer = self._answers.get((request, client_id), self._answers.get(request))
        if isinstance(answer, BaseException):
            raise answer
        return answer(argument) if callable(answer) else answer

    async def place(self, approved: Approved) -> Placed:
        self.placed.append(approved.intent)
        answer: Placed = await self._answer("place", approved.intent.client_id, approved.intent)
        return answer

    async def cancel(self, intent: Intent) -> Canceled:
        answer: Canceled = await self._answer("cancel", intent.client_id, intent)
        return answer

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        self.placed.append(approved.intent)
        answer: tuple[Canceled, Placed | None] = await self._answer(
            "replace", cancel.client_id, approved.intent
        )
        return answer

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        self.placed += pair.legs
        answer: tuple[Placed, Placed] = await self._answer("place_pair", pair.list_id, pair)
        return answer

    async def look_up(self, intent: Intent) -> Lookup:
        answer: Lookup = await self._answer("look_up", intent.client_id, intent)
        return answer

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed:
        answer: FillsSeen | LookupFailed = await self._answer("fills_of", intent.client_id, intent)
        return answer

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        answer: AccountSeen | AccountUnreadable = await self._answer("account", "", fills_since_ms)
        return answer

    async def run(self, sink: Sink) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def lost(intent: Intent) -> OutcomeUnknown:
    return OutcomeUnknown(intent.client_id, "time-out")


def not_found(intent: Intent) -> LookupFoundNothing:
    return LookupFoundNothing(intent.client_id)


def cancel_lost(intent: Intent) -> CancelFailed:
    return CancelFailed(intent.client_id, None, "time-out")


class HandMarket:
    """Market data on request: what the test put down, or a failure in the test's words."""

    def __init__(self, instrument: Instrument) -> None:
        self.rules = instrument
        self.book_now: Book | None = None
        self.quote_now: Quote | None = None
        self.fails: str | None = None

    async def instrument(self) -> Instrument:
        return self.rules

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        raise MarketDataError("no candles on request here")

    async def book(self) -> Book:
        book: Book = self._unless_failing(self.book_now)
        return book

    async def quote(self) -> Quote:
        quote: Quote = self._unless_failing(self.quote_now)
        return quote

    async def server_time_ms(self) -> int:
        raise MarketDataError("no time on request here")

    async def close(self) -> None:
        pass

    def _unless_failing(self, value: Any) -> Any:
        if self.fails is not None or value is None:
            raise MarketDataError(self.fails or "nothing to see yet")
        return value


class Mishaps:
    """Everything the loop's exception handler was told: for tests in which something has to go wrong."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.told.append(context))

    @property
    def errors(self) -> list[BaseException]:
        return [context["exception"] for context in self.told if "exception" in context]


def only(events: Iterable[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
