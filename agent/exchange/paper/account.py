"""The paper account: what an exchange does with an order, as functions over a value. No I/O, no clock.

How orders fill against a book:

- MARKET walks the book for its size; what the book cannot give EXPIRES. LIMIT IOC takes the levels
  whose price *after worsening* is inside its limit, the rest EXPIRES. LIMIT GTC does the same and the
  rest stays in the book. One fill for each book level.
- A taker's price is the level's own or mid * (1 +/- slippage) rounded against us to the tick,
  whichever is worse: see `terms`.
- A limit in the book is reached when the other side's best price is at or beyond it. It then trades at
  its own price, never better, for the quantity that came. It supplied the liquidity, so no slippage is
  added; this alone can be better than the backtest's cost model.
- A stop is reached by the price we could trade at: a SELL by the best bid, a BUY by the best ask.
  STOP_LOSS then is a market order, STOP_LOSS_LIMIT a limit order that first takes and then rests.
- Two orders that sell the same as one list (OCO) share what they lock. The one that starts to trade, be it
  for a part, expires the other; canceling one cancels both.
- The fee leaves what was received: base currency on BUY, quote currency on SELL.

Candles are the other way to fill an open order: see `settlement`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import localcontext

from agent.core.market import Book, BookLevel, Quote
from agent.core.order import OrderStatus, OrderType, Side
from agent.exchange.paper.depth import Depth
from agent.exchange.paper.posting import Posting
from agent.exchange.paper.refusals import UNKNOWN_ORDER, is_reached, pair_refusal_of, refusal_of
from agent.exchange.paper.state import Moved, PaperOrder, PaperState, Phase, Refusal, Ticket
from agent.exchange.paper.terms import EXACT, Terms, is_inside


def place(state: PaperState, ticket: Ticket, book: Book, terms: Terms, at_ms: int) -> Moved | Refusal:
    """Accept `ticket` and fill it as far as `book` allows at once."""
    with localcontext(EXACT):
        refusal = refusal_of(state, ticket, book, terms)
        if refusal is not None:
            return refusal
        posting = Posting(state, terms, at_ms)
        if ticket.stop_price is not None:
            posting.accept(ticket, Phase.WAITING)
        elif ticket.type is OrderType.LIMIT_MAKER:
            posting.accept(ticket, Phase.IN_BOOK)
        else:
            _take(posting, posting.accept(ticket, Phase.TAKING), Depth(book), terms)
        return posting.moved()


def place_pair(
    state: PaperState, stop: Ticket, target: Ticket, book: Book, terms: Terms, at_ms: int
) -> Moved | Refusal:
    """Accept a stop and a target above it as one list, or neither."""
    with localcontext(EXACT):
        refusal = pair_refusal_of(state, stop, target, book, terms)
        if refusal is not None:
            return refusal
        posting = Posting(state, terms, at_ms)
        posting.accept(stop, Phase.WAITING)
        posting.accept(target, Phase.IN_BOOK, shares_lock=True)
        return posting.moved()


def cancel(state: PaperState, client_id: str, terms: Terms, at_ms: int) -> Moved | Refusal:
    """Cancel an open order, with its list if it is in one. One that is settled or never was gives -2011."""
    with localcontext(EXACT):
        order = state.open_order(client_id)
        if order is None:
            return UNKNOWN_ORDER
        posting = Posting(state, terms, at_ms)
        posting.end(order, OrderStatus.CANCELED)
        partner = state.partner(order)
        if partner is not None:
            posting.end(partner, OrderStatus.CANCELED)
        return posting.moved()


@dataclass(frozen=True, slots=True)
class Replaced:
    """Both halves of a cancelReplace; `placed` is None when the cancel failed and nothing was tried."""

    canceled: Moved | Refusal
    placed: Moved | Refusal | None

    @property
    def moved(self) -> Moved | None:
        """Everything that happened as one step, or None when nothing did."""
        if isinstance(self.canceled, Refusal):
            return None
        if isinstance(self.placed, Moved):
            return self.canceled.then(self.placed)
        return self.canceled


def replace(
    state: PaperState, cancel_client_id: str, ticket: Ticket, book: Book, terms: Terms, at_ms: int
) -> Replaced:
    """STOP_ON_FAILURE: cancel, and only if that succeeded place. The cancel stands if `ticket` is refused."""
    canceled = cancel(state, cancel_client_id, terms, at_ms)
    if isinstance(canceled, Refusal):
        return Replaced(canceled, None)
    return Replaced(canceled, place(canceled.state, ticket, book, terms, at_ms))


def reached_by(state: PaperState, quote: Quote) -> frozenset[int]:
    """Numbers of the open orders whose stop or limit `quote` reaches."""
    top = Book((BookLevel(quote.bid, quote.bid_qty),), (BookLevel(quote.ask, quote.ask_qty),), quote.at_ms)
    return frozenset(order.order_id for order in state.open_orders if _is_met(order, top))


def tick(state: PaperState, book: Book, terms: Terms, at_ms: int) -> Moved:
    """Let every open order that `book` reaches meet it."""
    met = frozenset(order.order_id for order in state.open_orders if _is_met(order, book))
    return meet(state, met, book, terms, at_ms)


def meet(state: PaperState, order_ids: Collection[int], book: Book, terms: Terms, at_ms: int) -> Moved:
    """Let the orders of these numbers meet `book`, oldest first; numbers of settled orders are ignored.

    Their stops count as reached whatever `book` says: a real stop that was touched does not wait to see
    whether the price stays there. Orders of other numbers do not move, so that a book asked for one
    order never touches another that was accepted after the book was read.
    """
    with localcontext(EXACT):
        posting, depth = Posting(state, terms, at_ms), Depth(book)
        for order in state.open_orders:
            if order.order_id not in order_ids or posting.now(order).is_settled:
                continue
            if order.phase is Phase.IN_BOOK:
                _wait_for(posting, order, depth)
            else:
                _take(posting, posting.enter(posting.begin(order), Phase.TAKING), depth, terms)
        return posting.moved()


def _take(posting: Posting, order: PaperOrder, depth: Depth, terms: Terms) -> None:
    ticket = order.ticket
    taken = posting.fill(order, depth.offers(ticket.side, ticket.price, terms))
    depth.remove(ticket.side, taken.executed_qty - order.executed_qty)
    if taken.is_settled:
        return
    if ticket.rests:
        posting.enter(taken, Phase.IN_BOOK)
    else:
        posting.end(taken, OrderStatus.EXPIRED)


def _wait_for(posting: Posting, order: PaperOrder, depth: Depth) -> None:
    ticket = order.ticket
    assert ticket.price is not None, "only a limit lies in the book"
    if not any(True for _ in depth.arrivals(ticket.side, ticket.price)):
        return
    order = posting.begin(order)
    filled = posting.fill(order, depth.arrivals(ticket.side, ticket.price))
    depth.remove(ticket.side, filled.executed_qty - order.executed_qty)


def _is_met(order: PaperOrder, book: Book) -> bool:
    ticket = order.ticket
    if order.phase is Phase.WAITING:
        return is_reached(ticket, book)
    levels = book.asks if ticket.side is Side.BUY else book.bids
    return bool(levels) and is_inside(levels[0].price, ticket.price, ticket.side)
