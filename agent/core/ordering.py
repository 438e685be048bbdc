"""What becomes known about orders, and how an unknown outcome is resolved.

Reports may come twice, late or in the wrong order; fills are counted by trade id. An order without a
believable answer is UNKNOWN and is looked up again and again; "never placed" is concluded only after
`PROVEN_ABSENT_AFTER_MS` (a sale that could take what is not its position's: `NOT_EVEN_STALE_MS`) and
`DEFINITE_NOT_FOUNDS` definite answers, and even then a late fill counts. Where look-ups fail, readings of the
account may prove it of what rests (see `absence`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.account import day_of
from agent.core.commands import AlertLevel, LookUpOrder, ReadFills
from agent.core.events import (
    CancelFailed,
    FillsSeen,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
)
from agent.core.fees import ask_fee_price, fee_value
from agent.core.leaving import drive, entry_ended, exit_ended
from agent.core.money import plain
from agent.core.order import (
    PROVEN_ABSENT_AFTER_MS,
    TERMINAL,
    Fact,
    Fill,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    next_status,
)
from agent.core.phase import PhaseEvent
from agent.core.position import PositionEvent, PositionState
from agent.core.resting import rest_moved
from agent.core.selling import NOT_EVEN_STALE_MS, cancel, finds_only_its_own
from agent.core.turn import Turn
from agent.core.value import replace

DEFINITE_NOT_FOUNDS: Final = 3
#: An accepted order that the exchange says it does not know has ended once this passed. Stale answers are
#: known to last for 30 s; much longer, and what it protected stays without a stop for a minute.
VANISHED_AFTER_MS: Final = 45_000
#: A cancel that left the order working is repeated after this, never at the speed of the network.
CANCEL_AGAIN_MS: Final = 1_000
LOOKUP_EVERY_MS: Final = (1_000, 2_000, 4_000, 8_000)
#: A look-up that is due is asked for at once. So much later, time was lost: this process hung or its machine
#: slept, or somebody moved the clock, and nobody knows how much of it really passed.
TIME_WAS_LOST_MS: Final = 10_000


def on_report(turn: Turn, event: OrderReported) -> None:
    report = event.report
    order = turn.state.orders.get(report.client_id)
    if order is None:
        return
    before = order
    for fill in report.fills:
        order = _book(turn, order, fill)
    detail = report.reason or order.detail
    order = replace(
        order,
        status=next_status(order.status, report.fact),
        exchange_order_id=report.exchange_order_id or order.exchange_order_id,
        reported_qty=max(order.reported_qty, report.executed_qty),
        detail=detail,
    )
    if order.status is not OrderStatus.UNKNOWN:
        order = replace(order, unknown_since_ms=None, not_found=0, next_lookup_ms=None)
    if order.is_working:
        turn.change(verified_ms={**turn.state.verified_ms, report.client_id: turn.at_ms})
        order = _trigger_noted(turn, order, report.triggered)
    if order.is_working and order.cancel_sent_ms is not None:
        order = _still_working(turn, order, order.cancel_sent_ms)
    if order.status in TERMINAL and not order.is_settled and order.next_lookup_ms is None:
        turn.ask(ReadFills(report.client_id))
        order = replace(order, next_lookup_ms=turn.at_ms + LOOKUP_EVERY_MS[0])
    turn.put_order(order)
    _after_change(turn, before, order)


def _trigger_noted(turn: Turn, order: Order, triggered: bool) -> Order:
    """Whether a stop that is a limit lies in the book now. One that never waited says it of every order."""
    if order.intent.type is not OrderType.STOP_LOSS_LIMIT:
        return order
    if not triggered:
        return order if order.waited else replace(order, waited=True)
    return replace(order, triggered_ms=turn.at_ms) if order.waited and order.triggered_ms is None else order


def on_fills(turn: Turn, event: FillsSeen) -> None:
    for fill in event.fills:
        before = turn.state.orders.get(fill.client_id)
        if before is None:
            continue
        after = _book(turn, before, fill)
        if after is before:
            continue
        if after.is_settled:
            after = replace(after, next_lookup_ms=None)
        elif before.status in TERMINAL and after.is_working:
            # It lives after all; what became of the rest is asked in this very step.
            after = replace(after, next_lookup_ms=turn.at_ms)
        turn.put_order(after)
        _after_change(turn, before, after)


def on_refused(turn: Turn, event: OrderRefused) -> None:
    order = turn.state.orders.get(event.client_id)
    if order is None:
        return
    after = order.with_fact(Fact.WAS_REFUSED, f"{event.detail} ({event.code})")
    if after.is_settled:
        # The answer came after it had been given up and looked up: there is nothing left to ask.
        after = replace(after, next_lookup_ms=None)
    turn.put_order(after)
    if after.status is not OrderStatus.REJECTED:
        return
    entering, lacking = order.intent.purpose is Purpose.ENTRY, "insufficient balance" in event.detail.lower()
    if order.intent.purpose is Purpose.EXIT and lacking and turn.state.sellable is None:
        # The account says what there is to be sold; until it does, as much as the ledger owns is tried.
        turn.change(sellable=Decimal("Infinity"), account_seen_ms=None)
    text = f"order {event.client_id} refused: {event.detail} ({event.code})"
    if entering and lacking:
        # The ledger says that it could be paid. Whatever is true, trying again will not make it so.
        turn.phase_event(PhaseEvent.FAILED)
        turn.alert(
            AlertLevel.ERROR, "order", f"{text}; entries stop until somebody has looked and starts again"
        )
    else:
        turn.alert(AlertLevel.WARNING if entering else AlertLevel.ERROR, "order", text)
    _after_change(turn, order, after)


def on_placing_blocked(turn: Turn, event: PlacingBlocked) -> None:
    """The request never left this process, so the order certainly does not exist."""
    order = turn.state.orders.get(event.client_id)
    if order is None or order.status is not OrderStatus.PENDING_NEW:
        return
    after = turn.put_order(order.with_fact(Fact.WAS_REFUSED, event.detail))
    _after_change(turn, order, after)


def on_unknown(turn: Turn, event: OutcomeUnknown) -> None:
    order = turn.state.orders.get(event.client_id)
    if order is None or order.status is not OrderStatus.PENDING_NEW:
        return
    mark_unknown(turn, order, event.detail)


def mark_unknown(turn: Turn, order: Order, detail: str) -> None:
    lost = replace(
        order.with_fact(Fact.ANSWER_LOST, detail),
        unknown_since_ms=turn.at_ms,
        next_lookup_ms=turn.at_ms + LOOKUP_EVERY_MS[0],
    )
    turn.put_order(lost)
    turn.alert(
        AlertLevel.WARNING,
        "order",
        f"order {order.intent.client_id}: outcome unknown ({detail}), looking it up",
    )
    turn.ask(LookUpOrder(order.intent.client_id))


def on_found_nothing(turn: Turn, event: LookupFoundNothing) -> None:
    order = turn.state.orders.get(event.client_id)
    if order is None:
        return
    order = without_lost_time(turn, order)
    if order.is_working:
        _not_known_any_more(turn, order)
    if order.status is not OrderStatus.UNKNOWN:
        return
    order = order.found_nowhere()
    # The request may have left later than it was decided, but not later than it was given up.
    since = order.unknown_since_ms if order.unknown_since_ms is not None else turn.at_ms
    old_enough = turn.at_ms >= since + _proven_absent_after_ms(turn, order)
    if old_enough and order.not_found >= DEFINITE_NOT_FOUNDS:
        text = f"order {event.client_id} was never placed"
        conclude_absent(turn, order, "the exchange has no such order", text)
        return
    _look_again(turn, order)
    if order.intent.side is Side.SELL:
        # What is left may be sold by another order already, if this one cannot sell more than is held.
        drive(turn, order.intent.position_id)


def conclude_absent(turn: Turn, order: Order, detail: str, told: str) -> None:
    """It is proven: nothing more comes of this order, and what it was for is done anew."""
    absent = replace(order.with_fact(Fact.PROVEN_ABSENT, detail), next_lookup_ms=None)
    turn.put_order(absent)
    turn.alert(AlertLevel.WARNING, "order", told)
    _after_change(turn, order, absent)


def without_lost_time(turn: Turn, order: Order) -> Order:
    """Where time was lost, what was gathered before proves nothing: the proof of an absence begins anew."""
    due_ms = order.next_lookup_ms
    if due_ms is None or order.unknown_since_ms is None or turn.at_ms <= due_ms + TIME_WAS_LOST_MS:
        return order
    return replace(order, unknown_since_ms=turn.at_ms, not_found=0)


def _proven_absent_after_ms(turn: Turn, order: Order) -> int:
    """A sale is made again as soon as it is given up. Where other coins lie beside its position, the second
    one would sell those, so no answer may be one from before the first. What rests sells nothing unless its
    position is being left: a second one is canceled when the first turns up."""
    position = turn.state.positions.get(order.intent.position_id)
    if order.intent.side is Side.BUY or position is None:
        return PROVEN_ABSENT_AFTER_MS
    waits = order.intent.rests and position.state is PositionState.IN_POSITION
    if waits or finds_only_its_own(turn, position, order.intent.qty):
        return PROVEN_ABSENT_AFTER_MS
    return NOT_EVEN_STALE_MS


def _not_known_any_more(turn: Turn, order: Order) -> None:
    """The exchange accepted it and denies it now: its end must be found in the trades, or is an end."""
    since = order.unknown_since_ms if order.unknown_since_ms is not None else turn.at_ms
    doubted = replace(order, not_found=order.not_found + 1, unknown_since_ms=since)
    client_id = order.intent.client_id
    turn.ask(ReadFills(client_id))
    if doubted.not_found < DEFINITE_NOT_FOUNDS or turn.at_ms < since + VANISHED_AFTER_MS:
        _look_again(turn, doubted)
        return
    ended = doubted.with_fact(Fact.HAS_EXPIRED, "the exchange does not know the order any more")
    ended = replace(ended, next_lookup_ms=None if ended.is_settled else turn.at_ms + LOOKUP_EVERY_MS[0])
    turn.put_order(ended)
    turn.alert(AlertLevel.ERROR, "order", f"order {client_id} vanished from the exchange")
    _after_change(turn, order, ended)


def on_lookup_failed(turn: Turn, event: LookupFailed) -> None:
    order = turn.state.orders.get(event.client_id)
    if order is not None and not order.is_settled:
        _look_again(turn, order)


def on_cancel_failed(turn: Turn, event: CancelFailed) -> None:
    """Often it has filled meanwhile; only a look-up can tell."""
    order = turn.state.orders.get(event.client_id)
    if order is None or order.is_settled:
        return
    turn.put_order(replace(order, next_lookup_ms=turn.at_ms + CANCEL_AGAIN_MS))
    turn.ask(LookUpOrder(event.client_id))


def _still_working(turn: Turn, order: Order, canceled_ms: int) -> Order:
    """A canceled order reported as working: the cancel is under way, or it was lost."""
    again_ms = canceled_ms + CANCEL_AGAIN_MS
    if turn.at_ms >= again_ms:
        return replace(order, cancel_sent_ms=None)
    return replace(order, next_lookup_ms=again_ms)


def _look_again(turn: Turn, order: Order) -> None:
    # A stop that rested for hours is asked about as often as a new one, once a sale waits for its end.
    since = order.unknown_since_ms
    if since is None:
        since = max(order.intent.created_ms, order.cancel_sent_ms or 0)
    waited = turn.at_ms - since
    pause = next((p for p in LOOKUP_EVERY_MS if waited < 2 * p), LOOKUP_EVERY_MS[-1])
    turn.put_order(replace(order, next_lookup_ms=turn.at_ms + pause))


def _book(turn: Turn, order: Order, fill: Fill) -> Order:
    """Count a fill once: order, position, cash, and the day's trades."""
    after = order.with_fill(fill)
    if after is order:
        return order
    turn.put_order(after)
    state = turn.state
    instrument, setup = state.instrument, state.setup
    base, quote = setup.base, setup.quote
    position = state.positions.get(order.intent.position_id)
    assert position is not None, f"fill {fill.trade_id} for a position that is not there"
    assert instrument is None or instrument.base == base
    turn.change_durable(account=state.durable.account.after_fill(fill, quote))
    first = position.opened_ms is None and fill.side is Side.BUY
    fee_in_quote = fee_value(turn.state, fill)
    if fill.fee and fill.fee_currency not in (base, quote):
        position = position.noted(f"fee_in_{fill.fee_currency}")
        if fee_in_quote is None:
            ask_fee_price(turn, fill.fee_currency)
        else:
            after = replace(after, fee_values={**after.fee_values, fill.trade_id: fee_in_quote})
            turn.put_order(after)
    position = position.with_fill(fill, base=base, fee_in_quote=fee_in_quote)
    if order.is_settled:
        position = position.noted("late_fill")
        _tell_late_fill(turn, order, fill)
    if fill.side is Side.BUY:
        position = replace(position, closed_ms=None).moved(PositionEvent.ENTRY_FILLED)
        turn.phase_event(PhaseEvent.HOLDING_APPEARED)
    elif position.held_qty < 0:
        text = f"position {position.id} sold {plain(-position.held_qty)} {base} more than it owned"
        turn.alert(AlertLevel.CRITICAL, "oversold", text)
    turn.put_position(position)
    day = turn.state.durable.day
    if first and day is not None and day_of(fill.at_ms) >= day.day:
        turn.change_durable(day=replace(day, trades=day.trades + 1))
    return after


def _tell_late_fill(turn: Turn, order: Order, fill: Fill) -> None:
    dead = order.status in (OrderStatus.NOT_PLACED, OrderStatus.REJECTED)
    executed = f"{plain(fill.qty)} at {plain(fill.price)}"
    text = f"order {fill.client_id} was {order.status} and has filled after all: {executed}"
    turn.alert(AlertLevel.ERROR if dead else AlertLevel.WARNING, "late fill", text)


def _after_change(turn: Turn, before: Order, after: Order) -> None:
    """An order moved: tell the position, and let it do the next right thing."""
    ended = after.is_settled and not before.is_settled
    if ended and after.intent.purpose is Purpose.ENTRY:
        entry_ended(turn, after)
    if ended and after.intent.purpose is Purpose.EXIT:
        exit_ended(turn, after)
    if after.intent.rests:
        rest_moved(turn, before, after)
    drive(turn, after.intent.position_id)


def order_deadlines(turn: Turn) -> None:
    """Orders whose time has come: cancel what is too old, look up what is unknown, fetch missing fills."""
    timeout = turn.state.setup.limits.order_timeout_ms
    for order in turn.state.moving_orders():
        too_old = turn.at_ms >= order.intent.created_ms + timeout
        if order.status is OrderStatus.PENDING_NEW:
            if too_old:
                mark_unknown(turn, order, "no answer in time")
            continue
        if order.next_lookup_ms is not None:
            if turn.at_ms >= order.next_lookup_ms:
                _ask_again(turn, order)
        elif order.cancel_sent_ms is not None:
            if turn.at_ms >= order.cancel_sent_ms + timeout:
                _ask_again(turn, order)
        elif order.is_working and not order.intent.rests and too_old:
            cancel(turn, order)


def _ask_again(turn: Turn, order: Order) -> None:
    _look_again(turn, without_lost_time(turn, order))
    if order.status in TERMINAL:
        turn.ask(ReadFills(order.intent.client_id))
    else:
        turn.ask(LookUpOrder(order.intent.client_id))


def order_wake_ms(order: Order, timeout_ms: int) -> int | None:
    """When `order_deadlines` has something to do for this order, or None."""
    if order.is_at_rest:
        return None
    if order.next_lookup_ms is not None:
        return order.next_lookup_ms
    if order.cancel_sent_ms is not None:
        return order.cancel_sent_ms + timeout_ms
    if order.status is OrderStatus.PENDING_NEW or not order.intent.rests:
        return order.intent.created_ms + timeout_ms
    return None
