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
    OrderCommand,
    PlaceOrder,
    PlacePair,
    ReadAccount,
    ReadBook,
    ReadFeePrice,
    ReadFills,
    ReadQuote,
    ReplaceByPair,
    ReplaceOrder,
)
from agent.core.events import (
    AccountUnreadable,
    BookSeen,
    BookUnreadable,
    CancelFailed,
    Event,
    FeePriceSeen,
    LookupFailed,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
    QuoteSeen,
)
from agent.core.order import Fact, Intent, OrderReport, Purpose
from agent.core.ports import Exchange, FeePrices, MarketData, MarketDataError, Sink
from agent.core.verdict import ApprovedPair

STOPPING: Final = "the agent is stopping"
LATCHED: Final = "the halt latch is set"
BROKE: Final = "the request broke inside the agent"
NOT_CANCELED: Final = "the resting order could not be canceled"


class LatchPort(Protocol):
    """The halt latch as the dispatcher sees it."""

    def is_set(self) -> bool: ...


class Dispatcher:
    """Runs requests against one exchange and one source of market data; results go to `sink`.

    `intent_of` finds the intent of a client order id; the core only asks about orders it knows. Without
    `fee_prices` a fee in a third currency stays without a value.
    """

    def __init__(
        self,
        exchange: Exchange,
        market: MarketData,
        latch: LatchPort,
        sink: Sink,
        intent_of: Callable[[str], Intent],
        fee_prices: FeePrices | None = None,
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._latch = latch
        self._sink = sink
        self._intent_of = intent_of
        self._fee_prices = fee_prices
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    def send(self, command: Command) -> None:
        """Start carrying out one command; returns at once. Commands that ask for no request are ignored."""
        if self._closing:
            if isinstance(command, OrderCommand):
                self.block(command, STOPPING)
            return
        match command:
            case PlaceOrder(approved=approved):
                self._start(self._place(command), OutcomeUnknown(approved.intent.client_id, BROKE))
            case ReplaceOrder(cancel_client_id=resting, approved=approved):
                lost = OutcomeUnknown(approved.intent.client_id, BROKE)
                self._start(self._replace(command), CancelFailed(resting, None, BROKE), lost)
            case PlacePair(pair=pair):
                self._start(self._place_pair(pair), *_lost(pair))
            case ReplaceByPair(cancel_client_id=resting, pair=pair):
                self._start(self._replace_by_pair(command), CancelFailed(resting, None, BROKE), *_lost(pair))
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
            case ReadFeePrice(currency=currency):
                self._start(self._read_fee_price(currency))

    def block(self, command: OrderCommand, why: str) -> None:
        """Report an order command that is not sent."""
        match command:
            case CancelOrder(client_id=client_id):
                self._sink(CancelFailed(client_id, None, why))
            case PlacePair(pair=pair) | ReplaceByPair(pair=pair):
                self._block_pair(pair, why)
            case PlaceOrder(approved=approved) | ReplaceOrder(approved=approved):
                self._sink(PlacingBlocked(approved.intent.client_id, why))
        if isinstance(command, ReplaceOrder | ReplaceByPair):
            self._sink(CancelFailed(command.cancel_client_id, None, why))

    def _block_pair(self, pair: ApprovedPair, why: str) -> None:
        for leg in pair.legs:
            self._sink(PlacingBlocked(leg.client_id, why))

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
            self._sink(PlacingBlocked(command.approved.intent.client_id, NOT_CANCELED))

    async def _place_pair(self, pair: ApprovedPair) -> None:
        for placed in await self._exchange.place_pair(pair):
            self._sink(placed)

    async def _replace_by_pair(self, command: ReplaceByPair) -> None:
        canceled = await self._exchange.cancel(self._intent_of(command.cancel_client_id))
        self._sink(canceled)
        if isinstance(canceled, OrderReported) and _gone_unsold(canceled.report):
            # Also when the agent is stopping meanwhile: what was canceled here must not stay so.
            await self._place_pair(command.pair)
        else:
            self._block_pair(command.pair, NOT_CANCELED)

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

    async def _read_fee_price(self, currency: str) -> None:
        if self._fee_prices is None:
            return
        try:
            price = await self._fee_prices.fee_price(currency)
        except MarketDataError:
            # Nothing waits for it; the core asks again when it next needs it.
            return
        self._sink(FeePriceSeen(currency, price))


def _gone_unsold(report: OrderReport) -> bool:
    return report.fact is Fact.WAS_CANCELED and not report.executed_qty


def _lost(pair: ApprovedPair) -> tuple[OutcomeUnknown, ...]:
    return tuple(OutcomeUnknown(leg.client_id, BROKE) for leg in pair.legs)
