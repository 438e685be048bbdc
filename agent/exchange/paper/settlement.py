"""Open orders meet a closed candle: how an account catches up on time it did not watch.

A candle says which prices were traded, not in which order and not how much was on offer, so the rules
take the worse reading of everything it leaves open:

- An order that became active before the bar opened sees its open, high and low. One that became active
  while the bar ran sees only its close, the one price that certainly came later.
- SELL stop: reached when low <= stop, at min(open, stop) worsened by the slippage. BUY stop: reached when
  high >= stop, at max(open, stop) worsened. On a close-only bar the close stands for all three.
- STOP_LOSS_LIMIT: reached the same way; it trades at that price if its limit allows, otherwise it goes
  into the book and this bar can fill it by its close only.
- SELL limit in the book: filled when high >= limit, BUY limit when low <= limit, at the limit itself.
- Stops go before limits, then oldest first: of two orders that one bar reaches, the loss is booked.
- What is reached is filled whole: a candle has no book. (A BUY stop as far as the money goes.)

Fills carry the bar's last millisecond. Settling the same bar twice changes nothing the second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from agent.core.market import BookLevel, Candle
from agent.core.order import OrderStatus, Side
from agent.exchange.paper.posting import Posting
from agent.exchange.paper.state import Moved, PaperOrder, PaperState, Phase
from agent.exchange.paper.terms import EXACT, Terms, is_inside


@dataclass(frozen=True, slots=True)
class Span:
    """The prices of a bar that an order certainly lived through."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @classmethod
    def lived_by(cls, order: PaperOrder, candle: Candle) -> Span:
        close = _exact(candle.close)
        if order.phase_since_ms > candle.open_ms:
            return cls(close, close, close, close)
        return cls(_exact(candle.open), _exact(candle.high), _exact(candle.low), close)

    def stopped_at(self, stop: Decimal, side: Side) -> Decimal | None:
        """The price, before slippage, at which a stop is executed; None when it is not reached."""
        if side is Side.SELL:
            return min(self.open, stop) if self.low <= stop else None
        return max(self.open, stop) if self.high >= stop else None

    def best_for(self, side: Side) -> Decimal:
        """The price most favourable to a resting limit."""
        return self.low if side is Side.BUY else self.high


def settle(state: PaperState, candle: Candle, bar_ms: int, terms: Terms) -> Moved:
    """Fill what the closed `candle` of `bar_ms` milliseconds reached, by the rules above."""
    if not state.open_orders:
        return Moved(state)
    ends_ms = candle.open_ms + bar_ms
    with localcontext(EXACT):
        posting = Posting(state, terms, ends_ms - 1)
        for order in sorted(state.open_orders, key=lambda o: (o.phase is Phase.IN_BOOK, o.order_id)):
            if order.phase_since_ms >= ends_ms or posting.now(order).is_settled:
                continue
            span = Span.lived_by(order, candle)
            if order.phase is Phase.WAITING:
                _stop(posting, order, span, terms)
            else:
                _reach(posting, order, span.best_for(order.ticket.side))
        return posting.moved()


def _stop(posting: Posting, order: PaperOrder, span: Span, terms: Terms) -> None:
    ticket = order.ticket
    assert ticket.stop_price is not None, "only a stop waits"
    stopped_at = span.stopped_at(ticket.stop_price, ticket.side)
    if stopped_at is None:
        return
    price = terms.worsened(stopped_at, ticket.side)
    order = posting.begin(order)
    if ticket.price is None:
        taken = posting.fill(order, (BookLevel(price, order.leaves_qty),))
        if not taken.is_settled:
            posting.end(taken, OrderStatus.EXPIRED)
    elif is_inside(price, ticket.price, ticket.side):
        posting.fill(order, (BookLevel(price, order.leaves_qty),))
    elif ticket.rests:
        _reach(posting, posting.enter(order, Phase.IN_BOOK), span.close)
    else:
        posting.end(order, OrderStatus.EXPIRED)


def _reach(posting: Posting, order: PaperOrder, traded: Decimal) -> None:
    ticket = order.ticket
    assert ticket.price is not None, "only a limit lies in the book"
    if is_inside(traded, ticket.price, ticket.side):
        order = posting.begin(order)
        posting.fill(order, (BookLevel(ticket.price, order.leaves_qty),))


def _exact(price: float) -> Decimal:
    return Decimal(repr(price))
