"""How orders trade: as takers when they arrive, as makers when the market comes to them.

Belongs here: carrying out a plan, starting stops, filling resting orders from the market's own trades. Stays
true: a resting order trades at its own price, never for more than the market traded; price goes before time;
what cannot rest expires with Binance's reason.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.money import floor_to
from agent.localexchange.venue.floor import Floor
from agent.localexchange.venue.order import Order
from agent.localexchange.venue.plan import Ending, Plan, Yields, plan
from agent.localexchange.venue.prices import Prices
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.words import Expiry, Force, Kind, Side, Status


def plan_of(floor: Floor, order: Order, prices: Prices) -> Plan:
    """What an accepted order would do now."""
    own = [o for o in floor.registry.open_orders(order.terms.symbol) if o.resting and o.id != order.id]
    return plan(order.terms, order.leaves, prices, own, floor.twist(order))


def claim(floor: Floor, order: Order, at_ms: int) -> None:
    """Of a pair only one trades: the other ends before this one begins."""
    for leg in floor.pair_of(order):
        partner = floor.registry.order(leg)
        if leg != order.id and partner.open:
            floor.expire(partner, Expiry.OCO_TRIGGER, at_ms)


def carry_out(floor: Floor, order: Order, what: Plan, prices: Prices) -> Order:
    """Trade as planned; then rest or expire. What the plan costs has been made sure of before."""
    terms = order.terms
    if terms.force is Force.FOK and (what.ending is not Ending.COMPLETE or what.qty != order.leaves):
        return floor.expire(order, Expiry.UNFILLED_FOK, prices.at_ms)
    for step in what.steps:
        if isinstance(step, Yields):
            floor.prevent(step.order, prices.at_ms)
        else:
            order = floor.fill(order, step.price, step.qty, prices, maker=False)
            prices.took(terms.side, step.price, step.qty)
    if order.status is Status.FILLED:
        return order
    if what.ending is Ending.PREVENTED:
        return floor.prevent(order, prices.at_ms)
    if what.ending is Ending.CUT_SHORT:
        return cut_short(floor, order, prices.at_ms)
    if not terms.kind.limited:
        return floor.expire(order, Expiry.INSUFFICIENT_LIQUIDITY, prices.at_ms)
    if terms.force is Force.IOC:
        return floor.expire(order, Expiry.UNFILLED_IOC, prices.at_ms)
    return order


def cut_short(floor: Floor, order: Order, at_ms: int) -> Order:
    """Fate ends it here."""
    if floor.twist(order).rest_ends is Status.EXPIRED_IN_MATCH:
        return floor.prevent(order, at_ms)
    if not order.terms.kind.limited:
        return floor.expire(order, Expiry.INSUFFICIENT_LIQUIDITY, at_ms)
    why = Expiry.UNFILLED_IOC if order.terms.force is Force.IOC else Expiry.EXCHANGE_CANCELED
    return floor.expire(order, why, at_ms)


def trigger(floor: Floor, order: Order, prices: Prices) -> Order:
    """A conditional order's price was reached: it becomes an order at its limit or at the market."""
    claim(floor, order, prices.at_ms)
    order = floor.start(order, prices.at_ms)
    what = plan_of(floor, order, prices)
    if not order.terms.kind.limited:
        floor.release(order, prices.at_ms)
        try:
            must_afford(floor, order, what)
        except RefusedError:
            return floor.expire(order, Expiry.REJECTED, prices.at_ms)
    return carry_out(floor, order, what, prices)


def must_afford(floor: Floor, order: Order, what: Plan) -> None:
    """Raises RefusedError when an order at the market costs more than is free."""
    needed = what.quote if order.terms.side is Side.BUY else order.leaves
    floor.ledger.must_have(order.paid_asset, needed)


def reached(order: Order, price: Decimal) -> bool:
    """Whether the market traded at or through a resting order's price."""
    if order.terms.side is Side.BUY:
        return price <= order.terms.price
    return price >= order.terms.price


def next_in_line(floor: Floor, symbol: str, price: Decimal) -> list[Order]:
    """Resting orders the market's trade reaches: the best price first, the oldest at the same price."""
    found = [o for o in floor.registry.open_orders(symbol) if o.resting and reached(o, price)]
    return sorted(found, key=lambda o: (-abs(o.terms.price - price), o.id))


def touch(floor: Floor, order: Order, qty: Decimal, prices: Prices) -> Order:
    """The market trades `qty` with a resting order, or as much of it as fate allows."""
    claim(floor, order, prices.at_ms)
    twist = floor.twist(order)
    if twist.share is None:
        return floor.fill(order, order.terms.price, min(qty, order.leaves), prices, maker=True)
    step = prices.listing.step
    allowed = floor_to(order.qty * twist.share, step) - order.filled
    piece = max(step, floor_to(order.qty * twist.share / max(1, twist.pieces), step))
    while allowed > 0 and order.open:
        size = min(piece, allowed)
        order = floor.fill(order, order.terms.price, size, prices, maker=True)
        allowed -= size
    return cut_short(floor, order, prices.at_ms) if order.open else order


def would_take(kind: Kind, what: Plan) -> bool:
    """Whether an order that must not take would."""
    return kind is Kind.LIMIT_MAKER and bool(what.steps or what.ending is Ending.PREVENTED)
