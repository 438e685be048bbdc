"""Carrying out what the core asked for, and bringing back what came of it.

Order commands arrive here only after their transaction is durable. Each request is a task of its own, so
that a slow answer delays nothing else. A request that dies of our own mistake becomes an unknown outcome
and an error on the loop, never silence. The halt latch is read right before every entry request. After
`close` no order is sent any more and nothing is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from agent.core.commands import (
    CancelOrder,
    Command,
    LookUpOrder,
    PlaceOrder,
    ReadAccount,
    ReadBook,
    ReadFills,
    ReadQuote,
    ReplaceOrder,
)
from agent.core.events import (
    AccountUnreadable,
    BookSeen,
    BookUnreadable,
    CancelFailed,
    Event,
    LookupFailed,
    OutcomeUnknown,
    PlacingBlocked,
    QuoteSeen,
)
from agent.core.order import Intent, Purpose
from agent.core.ports import Exchange, MarketData, MarketDataError, Sink

STOPPING: Final = "the agent is stopping"
LATCHED: Final = "the halt latch is set"
BROKE: Final = "the request broke inside the agent"


class LatchPort(Protocol):
    """The halt latch as the dispatcher sees it."""

    def is_set(self) -> bool: ...


class Dispatcher:
    """Runs requests against one exchange and one source of market data; results go to `sink`.

    `intent_of` finds the intent of a client order id; the core only asks about orders it knows.
    """

    def __init__(
        self,
        exchange: Exchange,
        market: MarketData,
        latch: LatchPort,
        sink: Sink,
        intent_of: Callable[[str], Intent],
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._latch = latch
        self._sink = sink
        self._intent_of = intent_of
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def send(self, command: Command) -> None:
        """Start carrying out one command; returns at once. Commands that ask for no request are ignored."""
        if self._closing:
            if isinstance(command, PlaceOrder | ReplaceOrder | CancelOrder):
                self.block(command, STOPPING)
            return
        match command:
            case PlaceOrder(approved=approved):
                self._start(self._place(command), OutcomeUnknown(approved.intent.client_id, BROKE))
            case ReplaceOrder(cancel_client_id=resting, approved=approved):
                lost = OutcomeUnknown(approved.intent.client_id, BROKE)
                self._start(self._replace(command), CancelFailed(resting, None, BROKE), lost)
            case CancelOrder(client_id=client_id):
                self._start(self._cancel(client_id), CancelFailed(client_id, None, BROKE))
            case LookUpOrder(client_id=client_id):
                self._start(self._look_up(client_id), LookupFailed(client_id, BROKE))
            case ReadFills(client_id=client_id):
                self._start(self._read_fills(client_id), LookupFailed(client_id, BROKE))
            case ReadAccount(fills_since_ms=since):
                self._start(self._read_account(since), AccountUnreadable(BROKE))
            case ReadBook(asked_by=asked_by):
                self._start(self._read_book(asked_by), BookUnreadable(asked_by, BROKE))
            case ReadQuote():
                self._start(self._read_quote())

    def block(self, command: PlaceOrder | ReplaceOrder | CancelOrder, why: str) -> None:
        """Report an order command that is not sent."""
        if isinstance(command, CancelOrder):
            self._sink(CancelFailed(command.client_id, None, why))
            return
        self._sink(PlacingBlocked(command.approved.intent.client_id, why))
        if isinstance(command, ReplaceOrder):
            self._sink(CancelFailed(command.cancel_client_id, None, why))

    async def close(self, grace_s: float) -> None:
        """Let requests under way finish for at most `grace_s`; no new one starts."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=grace_s)
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    def _start(self, request: Coroutine[Any, Any, None], *if_broken: Event) -> None:
        task = asyncio.get_running_loop().create_task(request)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, if_broken))

    def _ended(self, task: asyncio.Task[None], if_broken: tuple[Event, ...]) -> None:
        self._tasks.discard(task)
        error = None
        if not task.cancelled():
            error = task.exception()
            if error is None:
                return
        elif self._closing:
            # Its outcome is unknown to the next run too, which looks it up.
            return
        for event in if_broken:
            self._sink(event)
        self._report("a request broke", error, task)

    @staticmethod
    def _report(message: str, error: BaseException | None, task: asyncio.Task[None]) -> None:
        context: dict[str, Any] = {"message": message, "task": task}
        if error is not None:
            context["exception"] = error
        task.get_loop().call_exception_handler(context)

    async def _place(self, command: PlaceOrder) -> None:
        intent = command.approved.intent
        if intent.purpose is Purpose.ENTRY and (self._closing or self._latch.is_set()):
            self._sink(PlacingBlocked(intent.client_id, STOPPING if self._closing else LATCHED))
            return
        self._sink(await self._exchange.place(command.approved))

    async def _replace(self, command: ReplaceOrder) -> None:
        resting = self._intent_of(command.cancel_client_id)
        canceled, placed = await self._exchange.replace(resting, command.approved)
        self._sink(canceled)
        if placed is not None:
            self._sink(placed)
        else:
            self._sink(
                PlacingBlocked(command.approved.intent.client_id, "the resting order could not be canceled")
            )

    async def _cancel(self, client_id: str) -> None:
        self._sink(await self._exchange.cancel(self._intent_of(client_id)))

    async def _look_up(self, client_id: str) -> None:
        self._sink(await self._exchange.look_up(self._intent_of(client_id)))

    async def _read_fills(self, client_id: str) -> None:
        self._sink(await self._exchange.fills_of(self._intent_of(client_id)))

    async def _read_account(self, since_ms: int) -> None:
        self._sink(await self._exchange.account(since_ms))

    async def _read_book(self, asked_by: int) -> None:
        try:
            book = await self._market.book()
        except MarketDataError as error:
            self._sink(BookUnreadable(asked_by, str(error)))
            return
        self._sink(BookSeen(book, asked_by))

    async def _read_quote(self) -> None:
        try:
            quote = await self._market.quote()
        except MarketDataError:
            # Nothing was learned; the core asks again as long as it has reason to.
            return
        self._sink(QuoteSeen(quote, trusted=True))
