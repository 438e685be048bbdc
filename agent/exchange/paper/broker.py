"""The paper broker: the `Exchange` whose orders meet real books and go nowhere.

It is given a source of books and never a client that could send an order. What stays true:

- An order is executed and durable before it is answered. A kill between the two leaves an order that
  `look_up` finds afterwards, exactly as at a real exchange.
- An order whose book cannot be read was certainly not placed: that is a refusal. Only a write whose
  fate is open, and an answer that was told to get lost, are OutcomeUnknown.
- A change that could not be written stays in memory and is written before anything else is done or
  answered; until then every question fails. So memory never runs ahead of the disk by more than one
  unanswered step, and never behind it.
- Every operation first settles the bars observed before it; quotes that reach an open order are met by
  `run` with a fresh book. Both deliver their reports and fills through `run`'s sink.
"""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import Final, Protocol

from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    BarClosed,
    CancelFailed,
    Event,
    FillsSeen,
    InstrumentSeen,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    QuoteSeen,
)
from agent.core.instrument import Instrument
from agent.core.market import Book, Quote
from agent.core.order import Intent
from agent.core.ports import Canceled, Clock, Lookup, MarketDataError, Placed, Sink
from agent.core.verdict import Approved, ApprovedPair
from agent.exchange.paper import account
from agent.exchange.paper.misbehaviour import Rule, well_behaved
from agent.exchange.paper.observation import Observation
from agent.exchange.paper.settlement import settle
from agent.exchange.paper.state import Moved, PaperState, Refusal, Ticket, open_account, report_of
from agent.exchange.paper.store import PaperStore, PaperStoreError
from agent.exchange.paper.terms import Terms

NOT_PLACED: Final = 0
"""Our own code, no exchange's: the order did not get as far as an account that could refuse it."""

BOOK_TIMEOUT_MS: Final = 5_000
RETRY_AFTER_MS: Final = 1_000

MAX_JUMP: Final = Decimal("0.05")
"""A quote further than this from the book read right after it was a bad tick and reaches nothing."""


class BookSource(Protocol):
    """The one thing the broker needs of `MarketData`. Raises MarketDataError."""

    async def book(self) -> Book: ...


class _NoBookError(Exception):
    """No book to trade against; the message says why."""


class PaperBroker:
    """One paper account on one pair.

    `fee_bp`, `slippage_bp`: basis points. `initial_balance`: quote currency, for an account that does not
    exist yet. `bar_ms`: length of the observed bars. `book_timeout_ms`: machine time.
    """

    def __init__(
        self,
        *,
        market: BookSource,
        instrument: Instrument,
        fee_bp: Decimal,
        slippage_bp: Decimal,
        initial_balance: Decimal,
        bar_ms: int,
        store: PaperStore,
        clock: Clock,
        book_timeout_ms: int = BOOK_TIMEOUT_MS,
        misbehave: Rule = well_behaved,
    ) -> None:
        self._market = market
        self._terms = Terms(instrument, fee_bp, slippage_bp)
        self._initial_balance = initial_balance
        self._bar_ms = bar_ms
        self._store = store
        self._clock = clock
        self._book_timeout_ms = book_timeout_ms
        self._misbehave = misbehave
        self._observed = Observation(bar_ms)
        self._state: PaperState | None = None
        self._unwritten: Moved | None = None
        self._untold: list[Event] = []
        self._one_at_a_time = asyncio.Lock()
        self._work = asyncio.Event()
        self._outbox: deque[Event] = deque()

    # --- orders ------------------------------------------------------------------------------------

    async def place(self, approved: Approved) -> Placed:
        intent = approved.intent
        misbehaviour = self._misbehave(intent)
        await self._delay(misbehaviour.delay_ms)
        try:
            book = misbehaviour.seen_by_order(await self._read_book())
        except _NoBookError as error:
            return OrderRefused(intent.client_id, NOT_PLACED, f"not placed: {error}")
        async with self._one_at_a_time:
            try:
                state = await self._current()
            except PaperStoreError as error:
                return OrderRefused(intent.client_id, NOT_PLACED, f"not placed: {error}")
            result = account.place(state, Ticket.of(intent), book, self._terms, self._clock.now_ms())
            if isinstance(result, Refusal):
                return OrderRefused(intent.client_id, result.code, result.detail)
            try:
                await self._commit(result)
            except PaperStoreError as error:
                return OutcomeUnknown(intent.client_id, str(error))
        if misbehaviour.lose_answer:
            return OutcomeUnknown(intent.client_id, "the answer was lost")
        return _word_on(intent, result)

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        stop, target = pair.legs
        misbehaviour = self._misbehave(stop)
        await self._delay(misbehaviour.delay_ms)
        try:
            book = misbehaviour.seen_by_order(await self._read_book())
        except _NoBookError as error:
            return _both_refused(pair, NOT_PLACED, f"not placed: {error}")
        async with self._one_at_a_time:
            try:
                state = await self._current()
            except PaperStoreError as error:
                return _both_refused(pair, NOT_PLACED, f"not placed: {error}")
            now_ms = self._clock.now_ms()
            tickets = Ticket.of(stop), Ticket.of(target)
            result = account.place_pair(state, *tickets, book, self._terms, now_ms)
            if isinstance(result, Refusal):
                return _both_refused(pair, result.code, result.detail)
            try:
                await self._commit(result)
            except PaperStoreError as error:
                return OutcomeUnknown(stop.client_id, str(error)), OutcomeUnknown(
                    target.client_id, str(error)
                )
        if misbehaviour.lose_answer:
            lost = "the answer was lost"
            return OutcomeUnknown(stop.client_id, lost), OutcomeUnknown(target.client_id, lost)
        return _word_on(stop, result), _word_on(target, result)

    async def cancel(self, intent: Intent) -> Canceled:
        misbehaviour = self._misbehave(intent)
        await self._delay(misbehaviour.delay_ms)
        async with self._one_at_a_time:
            try:
                state = await self._current()
                result = account.cancel(state, intent.client_id, self._terms, self._clock.now_ms())
                if isinstance(result, Refusal):
                    return CancelFailed(intent.client_id, result.code, result.detail)
                await self._commit(result)
            except PaperStoreError as error:
                return CancelFailed(intent.client_id, None, str(error))
        self._tell_others(intent, result)
        if misbehaviour.lose_answer:
            return CancelFailed(intent.client_id, None, "the answer was lost")
        return _word_on(intent, result)

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        intent = approved.intent
        misbehaviour = self._misbehave(intent)
        await self._delay(misbehaviour.delay_ms)
        try:
            book = misbehaviour.seen_by_order(await self._read_book())
        except _NoBookError as error:
            # Nothing was touched: the order that was to be replaced still stands.
            return CancelFailed(cancel.client_id, None, f"not tried: {error}"), None
        async with self._one_at_a_time:
            try:
                state = await self._current()
            except PaperStoreError as error:
                return CancelFailed(cancel.client_id, None, f"not tried: {error}"), None
            result = account.replace(
                state, cancel.client_id, Ticket.of(intent), book, self._terms, self._clock.now_ms()
            )
            if isinstance(result.canceled, Refusal):
                return CancelFailed(cancel.client_id, result.canceled.code, result.canceled.detail), None
            assert result.placed is not None, "a cancel that succeeded is followed by a try to place"
            assert result.moved is not None
            try:
                await self._commit(result.moved)
            except PaperStoreError as error:
                return _both_unknown(cancel, intent, str(error))
        self._tell_others(cancel, result.canceled)
        if misbehaviour.lose_answer:
            return _both_unknown(cancel, intent, "the answer was lost")
        if isinstance(result.placed, Refusal):
            refused = OrderRefused(intent.client_id, result.placed.code, result.placed.detail)
            return _word_on(cancel, result.canceled), refused
        return _word_on(cancel, result.canceled), _word_on(intent, result.placed)

    # --- questions ---------------------------------------------------------------------------------

    async def look_up(self, intent: Intent) -> Lookup:
        async with self._one_at_a_time:
            try:
                order = (await self._current()).open_order(intent.client_id)
                if order is None:
                    order = await self._store.order(intent.client_id)
            except PaperStoreError as error:
                return LookupFailed(intent.client_id, str(error))
        if order is None:
            return LookupFoundNothing(intent.client_id)
        return OrderReported(report_of(order))

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed:
        async with self._one_at_a_time:
            try:
                await self._current()
                return FillsSeen(await self._store.fills_of(intent.client_id))
            except PaperStoreError as error:
                return LookupFailed(intent.client_id, str(error))

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        async with self._one_at_a_time:
            try:
                asked_ms = self._clock.now_ms()
                state = await self._current()
                fills = await self._store.fills_since(fills_since_ms)
            except PaperStoreError as error:
                return AccountUnreadable(str(error))
        return AccountSeen(
            holdings=dict(state.balances),
            open_orders=tuple(report_of(order) for order in state.open_orders),
            fills=fills,
            fills_since_ms=fills_since_ms,
            asked_ms=asked_ms,
        )

    # --- the market --------------------------------------------------------------------------------

    def observe(self, event: Event) -> None:
        """Take what the feed saw. The composer passes every feed event here; most are none of ours."""
        if isinstance(event, QuoteSeen):
            if event.trusted and not event.quote.is_crossed:
                self._observe_quote(event.quote)
        elif isinstance(event, BarClosed):
            if not self._observed.covered(event.candle):
                self._observed.bars.append(event.candle)
                self._work.set()
        elif isinstance(event, InstrumentSeen):
            self._terms = Terms(event.instrument, self._terms.fee_bp, self._terms.slippage_bp)

    def _observe_quote(self, quote: Quote) -> None:
        self._observed.see(quote)
        if self._state is None:
            self._observed.unchecked = quote
            return
        for order_id in account.reached_by(self._state, quote):
            self._observed.reached.setdefault(order_id, quote)
            self._work.set()

    async def run(self, sink: Sink) -> None:
        """Fill open orders from what is observed and deliver it, until canceled."""
        self._work.set()
        unreadable = False
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                done = await self._look_after_orders()
                unreadable = False
            except PaperStoreError as error:
                if not unreadable:
                    sink(AccountUnreadable(str(error)))
                done, unreadable = False, True
            while self._outbox:
                sink(self._outbox.popleft())
            if not done:
                await self._clock.sleep_machine(RETRY_AFTER_MS)
                self._work.set()

    async def close(self) -> None:
        """Nothing to let go: the account is already where it belongs."""

    async def _look_after_orders(self) -> bool:
        """Deal with the bars and quotes that wait. False when that has to be tried again."""
        async with self._one_at_a_time:
            await self._current()
        # What is reached while the book is on its way needs a newer book, in the next round.
        reached = dict(self._observed.reached)
        if not reached:
            return True
        try:
            book = await self._read_book()
        except _NoBookError:
            return False
        met = [number for number, quote in reached.items() if _agree(quote, book)]
        async with self._one_at_a_time:
            state = await self._current()
            await self._commit_and_tell(account.meet(state, met, book, self._terms, self._clock.now_ms()))
        for number in reached:
            del self._observed.reached[number]
        return True

    # --- the account -------------------------------------------------------------------------------

    async def _current(self) -> PaperState:
        """The account as of now: loaded or opened, with every observed bar settled. The lock is held."""
        if self._state is None:
            state = await self._store.load()
            if state is None:
                opened = open_account(self._terms.instrument, self._initial_balance, self._clock.now_ms())
                await self._commit(Moved(opened))
            else:
                assert state.symbol == self._terms.instrument.symbol, "a store keeps the account of one pair"
                self._state = state
            quote, self._observed.unchecked = self._observed.unchecked, None
            if quote is not None:
                self._observe_quote(quote)
        assert self._state is not None
        await self._write()
        moved = Moved(self._state)
        while self._observed.bars:
            bar = self._observed.bars.popleft()
            moved = moved.then(settle(moved.state, bar, self._bar_ms, self._terms))
        await self._commit_and_tell(moved)
        return self._state

    def _tell_others(self, intent: Intent, moved: Moved) -> None:
        """The other leg of a canceled list ended unasked."""
        others = (order for order in moved.orders if order.ticket.client_id != intent.client_id)
        self._outbox.extend(OrderReported(report_of(order)) for order in others)
        self._work.set()

    async def _commit_and_tell(self, moved: Moved) -> None:
        """Commit what happened unasked, and let `run` deliver it once it is durable."""
        if not moved.orders:
            return
        self._untold.extend(OrderReported(report_of(order, moved.fills)) for order in moved.orders)
        if moved.fills:
            self._untold.append(FillsSeen(moved.fills))
        await self._commit(moved)

    async def _commit(self, moved: Moved) -> None:
        assert self._unwritten is None, "an earlier change must be on disk first"
        self._state, self._unwritten = moved.state, moved
        await self._write()

    async def _write(self) -> None:
        """Make the last change durable if it is not. A write that fails or is abandoned is repeated."""
        if self._unwritten is None:
            return
        try:
            await self._store.save(self._unwritten.state, self._unwritten.settled, self._unwritten.fills)
        except PaperStoreError:
            self._work.set()
            raise
        self._unwritten = None
        self._outbox.extend(self._untold)
        self._untold.clear()

    async def _read_book(self) -> Book:
        try:
            async with asyncio.timeout(self._book_timeout_ms / 1000):
                book = await self._market.book()
        except MarketDataError as error:
            raise _NoBookError(f"the order book could not be read ({error})") from error
        except TimeoutError:
            raise _NoBookError(f"the order book did not come within {self._book_timeout_ms} ms") from None
        if book.mid is None or book.bids[0].price >= book.asks[0].price:
            raise _NoBookError("the order book is one-sided or crossed")
        return book

    async def _delay(self, ms: float) -> None:
        if ms:
            await self._clock.sleep_machine(ms)


def _word_on(intent: Intent, moved: Moved) -> OrderReported:
    order = next(o for o in moved.orders if o.ticket.client_id == intent.client_id)
    return OrderReported(report_of(order, moved.fills))


def _both_refused(pair: ApprovedPair, code: int, detail: str) -> tuple[OrderRefused, OrderRefused]:
    stop, target = pair.legs
    return OrderRefused(stop.client_id, code, detail), OrderRefused(target.client_id, code, detail)


def _both_unknown(cancel: Intent, placed: Intent, why: str) -> tuple[CancelFailed, OutcomeUnknown]:
    return CancelFailed(cancel.client_id, None, why), OutcomeUnknown(placed.client_id, why)


def _agree(quote: Quote, book: Book) -> bool:
    assert book.mid is not None, "only whole books are used"
    return abs(quote.mid - book.mid) <= MAX_JUMP * book.mid
