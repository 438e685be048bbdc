"""What an order would do to the book, before it does it.

Belongs here: walking the offers for a taker. Stays true: a plan changes nothing; its matches are on the step
grid, in the order of price, within the limit; where an order of the same account stands in the way,
self-trade prevention decides who yields.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Final

from agent.core.money import ZERO, floor_to
from agent.core.value import Value
from agent.localexchange.venue.order import Order, Terms, quote_value
from agent.localexchange.venue.prices import Offer, Prices
from agent.localexchange.venue.twist import Twist
from agent.localexchange.venue.words import Prevention, Side


class Ending(Enum):
    """Why a plan goes no further."""

    COMPLETE = "everything is matched"
    BOOK_EMPTY = "nothing more is offered within the limit"
    PREVENTED = "the rest would trade with the same account"
    CUT_SHORT = "fate allows no more"


class Match(Value, frozen=True):
    price: Decimal
    qty: Decimal


class Yields(Value, frozen=True):
    """A resting order of the same account that gives way."""

    order: Order


class Plan(Value, frozen=True):
    steps: tuple[Match | Yields, ...]
    ending: Ending

    @property
    def matches(self) -> list[Match]:
        return [step for step in self.steps if isinstance(step, Match)]

    @property
    def qty(self) -> Decimal:
        return sum((m.qty for m in self.matches), ZERO)

    @property
    def quote(self) -> Decimal:
        return sum((quote_value(m.price, m.qty) for m in self.matches), ZERO)


#: What an order does that waits for its stop price.
NO_PLAN: Final = Plan((), Ending.BOOK_EMPTY)


def plan(terms: Terms, leaves: Decimal, prices: Prices, own: list[Order], twist: Twist) -> Plan:
    """How `terms` would trade at once. `own`: resting orders of the account in this symbol.

    `leaves` is what is still to be done, in base; for orders in quote currency it is ignored.
    """
    step = prices.listing.step
    in_quote = terms.quote_qty > 0
    wanted = terms.quote_qty if in_quote else leaves
    allowed = wanted if twist.share is None else wanted * twist.share
    if not in_quote:
        allowed = floor_to(allowed, step)
    if allowed <= 0:
        return Plan((), Ending.CUT_SHORT)
    opposed = _opposed(terms, own)
    steps: list[Match | Yields] = []
    done = ZERO
    for offer in prices.offers(terms.side):
        if not terms.allows(offer.price):
            break
        while opposed and _meets(terms.side, opposed[0], offer):
            if terms.prevention is not Prevention.EXPIRE_TAKER:
                steps.append(Yields(opposed.pop(0)))
            if terms.prevention is not Prevention.EXPIRE_MAKER:
                return Plan(tuple(steps), Ending.PREVENTED)
        room = floor_to((allowed - done) / offer.price, step) if in_quote else allowed - done
        qty = min(offer.qty, room)
        if qty > 0:
            whole = allowed / offer.price if in_quote else allowed
            steps.extend(_pieces(offer.price, qty, whole, twist, step))
            done += quote_value(offer.price, qty) if in_quote else qty
        if room <= offer.qty:
            return Plan(tuple(steps), Ending.COMPLETE if allowed == wanted else Ending.CUT_SHORT)
    return _at_the_end(terms, steps, opposed)


def _at_the_end(terms: Terms, steps: list[Match | Yields], opposed: list[Order]) -> Plan:
    """The market offers nothing more; orders of the same account may still stand within the limit."""
    reached = [order for order in opposed if terms.allows(order.terms.price)]
    if reached and terms.prevention is not Prevention.EXPIRE_TAKER:
        steps.extend(Yields(order) for order in reached)
    prevented = reached and terms.prevention is not Prevention.EXPIRE_MAKER
    return Plan(tuple(steps), Ending.PREVENTED if prevented else Ending.BOOK_EMPTY)


def _opposed(terms: Terms, own: list[Order]) -> list[Order]:
    """Those of the other side, the best price first."""
    opposed = [order for order in own if order.terms.side is not terms.side]
    return sorted(opposed, key=lambda o: o.terms.price, reverse=terms.side is Side.SELL)


def _meets(side: Side, order: Order, offer: Offer) -> bool:
    """Whether a taker would come to `order` before or with `offer`."""
    return order.terms.price <= offer.price if side is Side.BUY else order.terms.price >= offer.price


def _pieces(price: Decimal, qty: Decimal, whole: Decimal, twist: Twist, step: Decimal) -> Iterator[Match]:
    """One match, or as many as the twist wants."""
    if twist.pieces <= 1:
        yield Match(price, qty)
        return
    size = max(step, floor_to(whole / twist.pieces, step))
    while qty > 0:
        piece = min(size, qty)
        yield Match(price, piece)
        qty -= piece
