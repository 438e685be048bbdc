"""Orders that take base currency out of a position now, and what they leave to each other.

Every one is sized from fills and approved against what other sales may still take, so that together they
never sell more than the position owns. When to leave is not decided here (see `leaving`), nor what rests
meanwhile (see `guarding`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.commands import AlertLevel, CancelOrder, PlaceOrder, ReplaceOrder
from agent.core.guard import Guard, selling_in
from agent.core.instrument import Instrument
from agent.core.money import ZERO
from agent.core.order import (
    PROVEN_ABSENT_AFTER_MS,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
)
from agent.core.position import Position
from agent.core.records import VerdictRow
from agent.core.risk import Approved, Refused, approve_sale
from agent.core.turn import Turn
from agent.core.value import replace

#: Wait before the n-th retry of an exit, in venue time: the first at once, then ever more patiently.
EXIT_RETRY_MS: Final = (0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
#: So long an order without an answer must have been missing before another takes its place.
LOST_FOR_MS: Final = 3_000
#: Answers are known to be up to 30 s old. After so long even such a one tells of the time when an order that
#: left could come no more (`PROVEN_ABSENT_AFTER_MS`).
NOT_EVEN_STALE_MS: Final = PROVEN_ABSENT_AFTER_MS + 30_000
#: The longest wait between two sales that each sold something: a book that is thin, not gone.
THIN_BOOK_MS: Final = 1_000


def cancel(turn: Turn, order: Order) -> None:
    """Ask for the end of a working order."""
    turn.put_order(replace(order, cancel_sent_ms=turn.at_ms))
    turn.ask(CancelOrder(order.intent.client_id))


def cancel_guard(turn: Turn, guard: Guard) -> None:
    """Ask for the end of what rests, in one request. What is being canceled or in doubt is left alone."""
    if any(leg.cancel_sent_ms is not None for leg in guard.working) or not guard.working:
        return
    first, *others = guard.working
    cancel(turn, first)
    for leg in others:
        turn.put_order(replace(leg, cancel_sent_ms=turn.at_ms))


def open_sales(turn: Turn, position_id: int) -> Decimal:
    """Base currency that sell orders of the position may still take."""
    return selling_in(turn.state.orders_of(position_id))


def cannot_oversell(turn: Turn, position: Position, order: Order) -> bool:
    """Whether a sale of unknown outcome may be treated as if it were not there.

    An exchange sells nothing that the account does not hold. Where what else it holds of this currency is
    less than the order asks for, the order, should it come late, can only sell what this position owns, or
    be refused. It must have been looked for in vain before, so that it is not just being executed.
    """
    since = order.unknown_since_ms
    if order.status is not OrderStatus.UNKNOWN or since is None or order.filled:
        return False
    if not order.not_found or turn.at_ms < since + LOST_FOR_MS or turn.state.reconciled_ms is None:
        return False
    return finds_only_its_own(turn, position, order.intent.qty)


def may_be_sold_already(turn: Turn, position: Position, instrument: Instrument) -> bool:
    """Whether the last run may have made a sale that no row knows (see `adopting`).

    One more would then sell what lies beside. The account tells once it was compared; where it cannot be
    read, time does.
    """
    state = turn.state
    if state.reconciled_ms is not None or turn.at_ms >= state.began_ms + NOT_EVEN_STALE_MS:
        return False
    return not finds_only_its_own(turn, position, instrument.qty(position.held_qty))


def finds_only_its_own(turn: Turn, position: Position, qty: Decimal) -> bool:
    """Whether the account holds too little beside the position for a sale of `qty` to be executed out of
    that."""
    others = (p.held_qty for p in turn.state.open_positions() if p.id != position.id)
    base = turn.state.setup.base
    # What a purchase without an end may have brought already lies beside as well.
    coming = (
        order.intent.qty - order.filled
        for order in turn.state.orders.values()
        if order.intent.side is Side.BUY and not _has_surely_ended(turn, order)
    )
    beside = sum(others, sum(coming, turn.state.durable.account.foreign.get(base, ZERO)))
    instrument = turn.state.instrument
    if instrument is not None and instrument.qty(position.held_qty) > qty:
        # Sold in parts: the last part would find what lies beside, however little.
        return beside < instrument.step
    return beside < qty


def _has_surely_ended(turn: Turn, order: Order) -> bool:
    """Whether it brings nothing any more. One that was given up may have brought something that stale answers
    did not show, until the whole account was read anew."""
    if order.status is not OrderStatus.NOT_PLACED:
        return order.is_settled
    since, agreed_ms = order.unknown_since_ms, turn.state.reconciled_ms
    given_up_ms = since if since is not None else order.intent.created_ms
    return agreed_ms is not None and agreed_ms >= given_up_ms + NOT_EVEN_STALE_MS


def is_dust(turn: Turn, position: Position, instrument: Instrument) -> bool:
    """Whether what is held can no longer be sold."""
    return _is_nothing(turn, position, instrument, position.held_qty)


def _is_nothing(turn: Turn, position: Position, instrument: Instrument, qty: Decimal) -> bool:
    price = turn.state.bid() or position.exit_price or position.entry_price
    assert price is not None, "an open position has at least its entry price"
    return instrument.is_dust(qty, price)


def sell(
    turn: Turn, position: Position, instrument: Instrument, under: Guard | None, lost: Decimal = ZERO
) -> None:
    """Sell what is held at the market, in one request with the cancel of what rests over it.

    `lost` is what sales of unknown outcome were for that cannot oversell any more.
    """
    qty = instrument.most(_at_most(turn, position, under), market=True)
    if qty <= 0 or (turn.state.sellable is not None and _is_nothing(turn, position, instrument, qty)):
        retry_later(turn, position.id)
        return
    intent = Intent(
        client_id=turn.new_client_id(),
        position_id=position.id,
        purpose=Purpose.EXIT,
        side=Side.SELL,
        type=OrderType.MARKET,
        qty=qty,
        price=None,
        stop_price=None,
        time_in_force=None,
        created_ms=turn.at_ms,
        reason=position.exit_reason or "exit",
    )
    # What rests is canceled by the same request, so what it still could sell does not count.
    selling = open_sales(turn, position.id) - (under.leaves_qty if under else ZERO) - lost
    verdict = approve_sale(intent, position.held_qty, selling)
    if isinstance(verdict, Refused):
        turn.alert(AlertLevel.ERROR, "exit", f"position {position.id}: {verdict.reason}")
        retry_later(turn, position.id)
        return
    put_approved(turn, verdict)
    if turn.state.sellable is not None:
        turn.change(sellable=max(ZERO, turn.state.sellable - qty))
    if under is None:
        turn.ask(PlaceOrder(verdict))
    else:
        turn.ask(ReplaceOrder(give_way(turn, under), verdict))


def _at_most(turn: Turn, position: Position, under: Guard | None) -> Decimal:
    """What is held, or what the account has of it, once it refused a sale for lack of coins."""
    if turn.state.sellable is None:
        return position.held_qty
    return min(position.held_qty, turn.state.sellable + (under.leaves_qty if under else ZERO))


def give_way(turn: Turn, guard: Guard) -> str:
    """The leg to cancel so that something else takes the place of what rests; all legs count as asked."""
    for leg in guard.working:
        turn.put_order(replace(leg, cancel_sent_ms=turn.at_ms))
    return guard.working[0].intent.client_id


def put_approved(turn: Turn, approved: Approved) -> None:
    """The order becomes part of the state, its verdict a row beside it."""
    intent = approved.intent
    turn.put_order(Order(intent, OrderStatus.PENDING_NEW))
    turn.keep(VerdictRow(turn.at_ms, intent.position_id, intent.client_id, True, approved.checks))


def retry_later(turn: Turn, position_id: int, *, at_most_ms: int = EXIT_RETRY_MS[-1]) -> None:
    """A sale ended before all was sold: the next one may follow, the first time at once."""
    tried = turn.state.exit_attempts.get(position_id, 0)
    turn.change(exit_attempts={**turn.state.exit_attempts, position_id: tried + 1})
    wait_to_sell(turn, position_id, min(EXIT_RETRY_MS[min(tried, len(EXIT_RETRY_MS) - 1)], at_most_ms))


def wait_to_sell(turn: Turn, position_id: int, for_ms: int) -> None:
    """Not now, and without a try: the position is looked at again then."""
    turn.change(exit_retry_ms={**turn.state.exit_retry_ms, position_id: turn.at_ms + for_ms})
