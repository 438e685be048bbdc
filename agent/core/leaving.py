"""Leaving a position: deciding to go, and knowing when it is gone.

`drive` looks at one position and its orders and does the next right thing; it is called after every
change, so a lost answer or a restart ends in the same place as an undisturbed run. Exits are retried
until flat: each retry is a new intent, sized from fills, sent only when the previous one has ended.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.booking import balance_row, position_booked
from agent.core.closing import close_out, now_flat, stop_reason
from agent.core.commands import AlertLevel
from agent.core.exits import entered_at, profit_hit
from agent.core.guard import Guard, guards_in
from agent.core.guarding import (
    alive_guards,
    count_protection,
    protect,
)
from agent.core.instrument import Instrument
from agent.core.money import ZERO, plain
from agent.core.order import TERMINAL, Order, Purpose, Side
from agent.core.position import (
    OPEN_STATES,
    Position,
    PositionEvent,
    PositionState,
)
from agent.core.selling import (
    THIN_BOOK_MS,
    cancel,
    cancel_guard,
    cannot_oversell,
    is_dust,
    may_be_sold_already,
    open_sales,
    retry_later,
    sell,
    wait_to_sell,
)
from agent.core.state import HaltReason
from agent.core.turn import Turn
from agent.core.value import replace

#: After so many sales that could not take the place of an order list, the list is canceled first.
REPLACE_TRIES: Final = 2
#: Fills of an entry come within moments of each other; a stop for each of them would only be replaced.
ENTRY_GRACE_MS: Final = 1_000


# --- going ---------------------------------------------------------------------------------------


def want_exit(turn: Turn, position_id: int, reason: str, *, level: float | None = None) -> None:
    """Decide to leave now. The first reason stays; what never filled ends with its entry order."""
    position = turn.state.positions[position_id]
    if position.state is not PositionState.IN_POSITION:
        return
    leaving = replace(position, exit_reason=reason, exit_level=level)
    if position.entry_bar_open_ms is not None:
        held = (turn.at_ms - position.entry_bar_open_ms) // position.plan.bar_ms
        leaving = replace(leaving, bars_held=max(held, position.bars_held))
        if held == 0:
            leaving = leaving.noted("entry_bar_exit")
    begin_exit(turn, leaving)


def begin_exit(turn: Turn, leaving: Position) -> None:
    """`leaving` says why and where; from here on it is sold until nothing is left."""
    position_id, reason = leaving.id, leaving.exit_reason
    turn.put_position(leaving.moved(PositionEvent.EXIT_WANTED))
    turn.alert(AlertLevel.INFO, "exit", f"position {position_id}: leaving, {reason}")
    drive(turn, position_id)


def want_exit_all(turn: Turn, reason: str) -> None:
    """Leave everything: entries on their way are canceled, what is held is sold."""
    for order in tuple(turn.state.orders.values()):
        if order.intent.purpose is Purpose.ENTRY and order.is_working and order.cancel_sent_ms is None:
            cancel(turn, order)
    for position in turn.state.open_positions():
        want_exit(turn, position.id, reason)


def leave_without_waiting(turn: Turn) -> None:
    """What is leaving already does so now: no pause after a failed sale, and none for a price."""
    turn.change(exit_retry_ms={})
    go_on_leaving(turn)


def go_on_leaving(turn: Turn) -> None:
    """A sale that waited, for a believed price or for anything else, is tried."""
    for position in turn.state.open_positions():
        if position.state is PositionState.EXITING:
            drive(turn, position.id)


# --- the next right thing ------------------------------------------------------------------------


def drive(turn: Turn, position_id: int) -> None:
    """Bring one position forward as far as what is known allows."""
    position = turn.state.positions.get(position_id)
    if position is None:
        return
    orders = turn.state.orders_of(position_id)
    entries = [o for o in orders if o.intent.purpose is Purpose.ENTRY]
    entry_over = all(o.is_settled for o in entries)
    if position.state is PositionState.ENTERING:
        if entry_over and all(o.filled == 0 for o in entries):
            _nothing_filled(turn, position, entries)
        return
    if position.state not in OPEN_STATES:
        _let_go(turn, position, orders)
        return
    position = _levels_at_entry(turn, position)
    count_protection(turn, position)
    if position.state is PositionState.IN_POSITION:
        _stay(turn, turn.state.positions[position_id], entry_over)
    else:
        _leave(turn, turn.state.positions[position_id], entry_over)


def _let_go(turn: Turn, position: Position, orders: tuple[Order, ...]) -> None:
    """Nothing is held: no order may be left that could still trade, and late fills change the books."""
    for order in orders:
        if order.is_working and not order.intent.rests and order.cancel_sent_ms is None:
            cancel(turn, order)
    for guard in alive_guards(turn, position.id):
        if guard.leaves_qty > 0:
            cancel_guard(turn, guard)
    if position.booked_pnl is not None and position.booked_pnl != position.pnl_quote:
        position_booked(turn, position)


def _nothing_filled(turn: Turn, position: Position, entries: list[Order]) -> None:
    # The position stays known for a while: a fill may still turn up and is then adopted.
    turn.put_position(replace(position, closed_ms=turn.at_ms).moved(PositionEvent.NOTHING_FILLED))
    detail = "; ".join(o.detail for o in entries if o.detail) or "no fill inside the limit"
    turn.alert(AlertLevel.WARNING, "entry", f"position {position.id}: nothing filled ({detail})")
    now_flat(turn)


def _levels_at_entry(turn: Turn, position: Position) -> Position:
    """From the first fill on: the levels that depend on the real entry price, and the bar it happened in."""
    assert position.opened_ms is not None, "an open position has a first fill"
    entry_price = position.entry_price
    assert entry_price is not None, "an open position was bought"
    plan, price = position.plan, float(entry_price)
    # Nothing is entered before its signal has closed, whatever another clock says about the fill.
    first_bar = plan.signal_open_ms + plan.bar_ms
    bar_open = max(position.opened_ms // plan.bar_ms * plan.bar_ms, first_bar)
    if position.entry_bar_open_ms == bar_open and position.levels.entry_price == price:
        return position
    levels = entered_at(plan.levels, price, plan.exits)
    position = replace(position, levels=levels, entry_bar_open_ms=bar_open)
    if bar_open != first_bar:
        position = position.noted("entered_late")
    return turn.put_position(position)


def entry_ended(turn: Turn, order: Order) -> None:
    """An entry order has ended: what was bought is the position."""
    position = turn.state.positions.get(order.intent.position_id)
    if position is None or position.entry_price is None:
        return
    bought = f"{plain(position.bought_qty)} at {plain(position.entry_price.quantize(Decimal('1e-8')))}"
    turn.alert(AlertLevel.INFO, "position", f"position {position.id}: bought {bought}")
    balance_row(turn)


def _stay(turn: Turn, position: Position, entry_over: bool) -> None:
    instrument, durable = turn.state.instrument, turn.state.durable
    if durable.halt is not None or durable.flattening:
        want_exit(turn, position.id, durable.halt.reason.name if durable.halt else "MANUAL")
        return
    if instrument is None:
        return
    assert position.opened_ms is not None, "an open position has a first fill"
    part_due = position.opened_ms + ENTRY_GRACE_MS
    if not entry_over:
        _protect_part(turn, position, instrument, part_due)
        return
    if turn.state.protect_retry_ms.get(position.id) == part_due:
        left = {k: v for k, v in turn.state.protect_retry_ms.items() if k != position.id}
        turn.change(protect_retry_ms=left)
    gone = position.sold_qty > 0 or position.external_qty > 0
    sold_at_rest = gone and is_dust(turn, position, instrument)
    if sold_at_rest or instrument.qty(position.held_qty) <= 0:
        if _sales_to_come(turn, position.id):
            return
        close_out(turn, position, instrument)
        return
    due = turn.state.rest_due_ms.get(position.id)
    if due is not None and turn.at_ms >= due:
        _rest_is_overdue(turn, position)
        return
    protect(turn, position, instrument)


def _sales_to_come(turn: Turn, position_id: int) -> bool:
    """Whether something may still be sold, or was and is not booked: what looks like dust is none then."""
    over = (o for o in turn.state.orders_of(position_id) if o.status in TERMINAL)
    unbooked = any(o.intent.side is Side.SELL and not o.is_settled for o in over)
    return unbooked or bool(open_sales(turn, position_id))


def _protect_part(turn: Turn, position: Position, instrument: Instrument, due: int) -> None:
    """The entry has bought something and is not over: after a moment what is there is protected."""
    if turn.at_ms >= due:
        protect(turn, position, instrument)
    elif turn.state.protect_retry_ms.get(position.id) != due:
        turn.change(protect_retry_ms={**turn.state.protect_retry_ms, position.id: due})


def _rest_is_overdue(turn: Turn, position: Position) -> None:
    """What rests was reached and did not sell everything in time: the rest goes to the market."""
    hit = profit_hit(position.levels, position.plan.exits)
    stopped = any(guard.is_triggered for guard in alive_guards(turn, position.id))
    if stopped or hit is None:
        want_exit(turn, position.id, stop_reason(position), level=position.levels.stop)
    else:
        want_exit(turn, position.id, hit.reason, level=hit.price)


def _leave(turn: Turn, position: Position, entry_over: bool) -> None:
    instrument = turn.state.instrument
    if instrument is None:
        return
    orders = turn.state.orders_of(position.id)
    exits = [o for o in orders if o.intent.purpose is Purpose.EXIT and not o.is_settled]
    if not all(cannot_oversell(turn, position, o) for o in exits):
        return
    guards = tuple(g for g in alive_guards(turn, position.id) if not g.is_spent)
    missing = tuple(g for g in guards if all(cannot_oversell(turn, position, leg) for leg in g.legs))
    lost = sum((o.leaves_qty for o in exits), ZERO) + sum((g.leaves_qty for g in missing), ZERO)
    guards = tuple(g for g in guards if g not in missing)
    if any(not guard.is_steady for guard in guards):
        return
    if len(guards) > 1:
        # One that was thought dead came back: what both could sell is more than is held.
        for extra in guards[:-1]:
            cancel_guard(turn, extra)
        return
    for order in orders:
        if order.intent.purpose is Purpose.ENTRY and order.is_working and order.cancel_sent_ms is None:
            cancel(turn, order)
    if is_dust(turn, position, instrument):
        if not entry_over:
            return
        for guard in guards:
            cancel_guard(turn, guard)
        if not (guards or missing or exits):
            close_out(turn, position, instrument)
        return
    if turn.at_ms < turn.state.exit_retry_ms.get(position.id, 0) or _must_wait_for_price(turn, position):
        return
    over = guards[0] if guards else None
    if over is None and may_be_sold_already(turn, position, instrument):
        wait_to_sell(turn, position.id, THIN_BOOK_MS)
        return
    if over is not None and _must_end_first(turn, position, over):
        cancel_guard(turn, over)
        return
    sell(turn, position, instrument, over, lost)


def _must_end_first(turn: Turn, position: Position, over: Guard) -> bool:
    """Whether what rests is to be gone before the sale is sized: it is selling, or cannot be replaced."""
    if over.filled > 0:
        return True
    return over.is_pair and turn.state.exit_attempts.get(position.id, 0) >= REPLACE_TRIES


def _must_wait_for_price(turn: Turn, position: Position) -> bool:
    """The daily-loss liquidation is decided on a price, so it is not sent into one nobody confirmed.

    Somebody who stops everything does not ask for a price, also when the day's loss had decided before.
    """
    halted = turn.state.durable.halt
    if halted is not None and halted.reason is HaltReason.EMERGENCY:
        return False
    return position.exit_reason == HaltReason.DAILY_LOSS.name and not turn.state.prices.connection_ok


def exit_ended(turn: Turn, order: Order) -> None:
    """An exit order has ended: what is left is sold by a new intent, with pauses when nothing is sold."""
    position = turn.state.positions.get(order.intent.position_id)
    if position is None or position.state is not PositionState.EXITING:
        return
    if order.filled == 0:
        # What is just selling at rest cannot be replaced any more: the usual race, and no failure.
        guards = guards_in(turn.state.orders_of(position.id))
        level = AlertLevel.WARNING if any(g.filled or not g.is_settled for g in guards) else AlertLevel.ERROR
        text = f"exit order {order.intent.client_id} sold nothing ({order.detail or order.status})"
        turn.alert(level, "order", text)
        retry_later(turn, position.id)
    elif order.filled < order.intent.qty:
        turn.put_position(position.moved(PositionEvent.EXIT_INCOMPLETE))
        retry_later(turn, position.id, at_most_ms=THIN_BOOK_MS)
