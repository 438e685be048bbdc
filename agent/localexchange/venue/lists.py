"""How the orders of a list hang together.

Belongs here: one leg ending the other, the working order bringing the pending ones, the end of a list. Stays
true: of a pair at most one trades; a pending order that cannot be placed expires as REJECTED and takes its
partner with it; a list is done when none of its orders is open.
"""

from __future__ import annotations

from agent.core.value import replace
from agent.localexchange.venue.floor import Floor
from agent.localexchange.venue.matching import carry_out, must_afford, plan_of, would_take
from agent.localexchange.venue.order import Order, OrderList
from agent.localexchange.venue.prices import Prices
from agent.localexchange.venue.refusals import RefusedError, would_match, would_trigger
from agent.localexchange.venue.words import Expiry, Status


def follow(floor: Floor, prices: Prices) -> None:
    """Let every list follow what happened to its orders."""
    while floor.unfollowed:
        order = floor.registry.order(floor.unfollowed.pop(0))
        order_list = floor.registry.order_list(order.list_id)
        if order_list.done:
            continue
        if order.id in order_list.pair:
            _follow_pair(floor, order_list, order, prices)
        if order.id == order_list.working_id:
            _follow_working(floor, order_list, order, prices)
        _finish(floor, order_list, prices.at_ms)


def _follow_pair(floor: Floor, order_list: OrderList, order: Order, prices: Prices) -> None:
    if order.open or order.expiry is Expiry.OCO_TRIGGER:
        return
    for partner in _open_ones(floor, order_list.pair):
        if partner.id != order.id:
            floor.expire(partner, Expiry.OCO_TRIGGER, prices.at_ms)


def _follow_working(floor: Floor, order_list: OrderList, order: Order, prices: Prices) -> None:
    pending = [o for o in _open_ones(floor, order_list.pending_ids) if o.status is Status.PENDING_NEW]
    if order.status is Status.FILLED and pending:
        _bring(floor, pending, prices)
    elif not order.open:
        for one in pending:
            floor.expire(one, Expiry.OTO_PHASE_ONE_EXPIRED, prices.at_ms)


def _bring(floor: Floor, pending: list[Order], prices: Prices) -> None:
    """The working order is filled: place what was pending, all of it or nothing."""
    try:
        for order in pending:
            _check(floor, order, prices)
        if any(order.terms.kind.limited or order.terms.kind.conditional for order in pending):
            floor.hold(pending, prices.at_ms)
    except RefusedError:
        for order in pending:
            floor.expire(order, Expiry.REJECTED, prices.at_ms)
        return
    for order in pending:
        started = floor.start(order, prices.at_ms)
        if started.working:
            carry_out(floor, started, plan_of(floor, started, prices), prices)


def _check(floor: Floor, order: Order, prices: Prices) -> None:
    """Raises RefusedError when a pending order cannot be placed now."""
    refusal = floor.twist(order).refusal
    if refusal is not None:
        raise refusal
    if order.terms.kind.conditional:
        if order.terms.starts_at(prices.last()):
            raise would_trigger()
        return
    what = plan_of(floor, order, prices)
    if would_take(order.terms.kind, what):
        raise would_match()
    if not order.terms.kind.limited:
        must_afford(floor, order, what)


def cancel_list(floor: Floor, order_list: OrderList, cancel_id: str, at_ms: int) -> list[Order]:
    """Cancel whatever of it is open."""
    canceled = [floor.cancel(order, cancel_id, at_ms) for order in _open_ones(floor, order_list.order_ids)]
    _finish(floor, order_list, at_ms)
    return canceled


def _finish(floor: Floor, order_list: OrderList, at_ms: int) -> None:
    if _open_ones(floor, order_list.order_ids) or floor.registry.order_list(order_list.id).done:
        return
    done = replace(order_list, done=True, updated_ms=at_ms)
    floor.registry.put_list(done)
    floor.tell_list(done)


def _open_ones(floor: Floor, ids: tuple[int, ...]) -> list[Order]:
    return [order for i in ids if (order := floor.registry.order(i)).open]
