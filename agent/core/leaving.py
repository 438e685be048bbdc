"""Leaving a position: watching its levels, protecting it, selling it, and knowing when it is gone.

`drive` looks at one position and its orders and does the next right thing; it is called after every
change, so a lost answer or a restart ends in the same place as an undisturbed run. Exits are retried
until flat: each retry is a new intent, sized from fills, sent only when the previous one has ended.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from agent.core.booking import balance_row, position_booked
from agent.core.commands import AlertLevel, CancelOrder, PlaceOrder, ReplaceOrder
from agent.core.entering import release_waiting
from agent.core.exits import ExitHit, ExitKind, check_bar, check_price, entered_at
from agent.core.instrument import Instrument
from agent.core.market import Candle
from agent.core.money import HUNDRED, ONE, ZERO, Price, plain
from agent.core.order import Intent, Order, OrderStatus, OrderType, Purpose, Side
from agent.core.phase import PhaseEvent
from agent.core.position import OPEN_STATES, Position, PositionEvent, PositionState
from agent.core.records import DustRow
from agent.core.risk import Refused, approve_sale
from agent.core.state import HaltReason
from agent.core.turn import Turn

#: Wait before the n-th retry of an exit, in venue time: the first at once, then ever more patiently.
EXIT_RETRY_MS: Final = (0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
#: Wait after the n-th resting stop that ended without selling anything.
PROTECT_RETRY_MS: Final = (2_000, 4_000, 8_000, 16_000, 30_000)


# --- watching the levels -------------------------------------------------------------------------


def check_prices(turn: Turn) -> None:
    """Every believed price update: is a level reached at the price we could sell at (the best bid)?"""
    bid = turn.state.bid()
    if bid is None:
        return
    for position in turn.state.open_positions():
        if position.state is not PositionState.IN_POSITION or position.entry_bar_open_ms is None:
            continue
        entry_bar_over = turn.at_ms >= position.entry_bar_open_ms + position.plan.bar_ms
        stop_only = not entry_bar_over and position.plan.entry_bar_exits != "all"
        hit = check_price(position.levels, float(bid), position.plan.exits, stop_only=stop_only)
        if hit is not None:
            want_exit(turn, position.id, hit.reason, level=hit.price)


def check_closed_bar(turn: Turn, candle: Candle) -> None:
    """The bar-form check on every bar since entry: what was touched but not acted on, and the time limit."""
    for position in turn.state.open_positions():
        if position.entry_bar_open_ms is None:
            continue
        held = (candle.open_ms - position.entry_bar_open_ms) // position.plan.bar_ms
        if position.state is not PositionState.IN_POSITION or held <= position.bars_held:
            continue
        position = turn.put_position(replace(position, bars_held=held))
        hit = check_bar(position.levels, candle, held, position.plan.exits)
        if hit is not None:
            _leave_on_bar(turn, position, hit, candle)


def _leave_on_bar(turn: Turn, position: Position, hit: ExitHit, candle: Candle) -> None:
    """A level seen only at the close, an overdue time limit, or the time limit itself, in its time."""
    late = turn.at_ms > candle.open_ms + position.plan.bar_ms + turn.state.setup.late_after_ms
    in_time = hit.kind is ExitKind.TIME and position.bars_held == position.plan.exits.max_hold and not late
    leaving = replace(position, exit_reason=hit.reason, exit_level=hit.price, seen_at_close=not in_time)
    _begin_exit(turn, leaving if in_time else leaving.noted("seen_at_close"))


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
    _begin_exit(turn, leaving)


def _begin_exit(turn: Turn, leaving: Position) -> None:
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


def go_on_leaving(turn: Turn) -> None:
    """A believed price is there: a sale that waited for one, or for anything else, is tried."""
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
    _count_protection(turn, position)
    if position.state is PositionState.IN_POSITION:
        _stay(turn, turn.state.positions[position_id], entry_over)
    else:
        _leave(turn, turn.state.positions[position_id], entry_over)


def _let_go(turn: Turn, position: Position, orders: tuple[Order, ...]) -> None:
    """Nothing is held: no order may be left that could still trade, and late fills change the books."""
    for order in orders:
        if order.is_working and order.cancel_sent_ms is None:
            cancel(turn, order)
    if position.booked_pnl is not None and position.booked_pnl != position.pnl_quote:
        position_booked(turn, position)


def _nothing_filled(turn: Turn, position: Position, entries: list[Order]) -> None:
    # The position stays known for a while: a fill may still turn up and is then adopted.
    turn.put_position(replace(position, closed_ms=turn.at_ms).moved(PositionEvent.NOTHING_FILLED))
    detail = "; ".join(o.detail for o in entries if o.detail) or "no fill inside the limit"
    turn.alert(AlertLevel.WARNING, "entry", f"position {position.id}: nothing filled ({detail})")
    _now_flat(turn)


def _levels_at_entry(turn: Turn, position: Position) -> Position:
    """From the first fill on: the levels that depend on the real entry price, and the bar it happened in."""
    assert position.opened_ms is not None, "an open position has a first fill"
    entry_price = position.entry_price
    assert entry_price is not None, "an open position was bought"
    plan, price = position.plan, float(entry_price)
    bar_open = position.opened_ms // plan.bar_ms * plan.bar_ms
    if position.entry_bar_open_ms == bar_open and position.levels.entry_price == price:
        return position
    levels = entered_at(plan.levels, price, plan.exits)
    position = replace(position, levels=levels, entry_bar_open_ms=bar_open)
    if bar_open != plan.signal_open_ms + plan.bar_ms:
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
    if instrument is None or not entry_over:
        return
    sold_by_stop = position.sold_qty > 0 and _is_dust(turn, position, instrument)
    if sold_by_stop or instrument.qty(position.held_qty) <= 0:
        if _open_sales(turn, position.id):
            return
        _close(
            turn, replace(position, exit_reason=position.exit_reason or _stop_reason(position)), instrument
        )
        return
    _protect(turn, position, instrument)


def _leave(turn: Turn, position: Position, entry_over: bool) -> None:
    instrument = turn.state.instrument
    if instrument is None:
        return
    orders = turn.state.orders_of(position.id)
    if any(o.intent.purpose is Purpose.EXIT and not o.is_settled for o in orders):
        return
    stops = [o for o in orders if o.intent.purpose is Purpose.PROTECT and not o.is_settled]
    if any(not o.is_working or o.cancel_sent_ms is not None for o in stops):
        return
    if len(stops) > 1:
        # One that was thought dead came back: what both could sell is more than is held.
        for extra in stops[:-1]:
            cancel(turn, extra)
        return
    for order in orders:
        if order.intent.purpose is Purpose.ENTRY and order.is_working and order.cancel_sent_ms is None:
            cancel(turn, order)
    if _is_dust(turn, position, instrument):
        if not entry_over:
            return
        for stop in stops:
            cancel(turn, stop)
        if not stops:
            _close(turn, position, instrument)
        return
    if turn.at_ms < turn.state.exit_retry_ms.get(position.id, 0) or _must_wait_for_price(turn, position):
        return
    _sell(turn, position, instrument, stops[0] if stops else None)


def _must_wait_for_price(turn: Turn, position: Position) -> bool:
    """The daily-loss liquidation is decided on a price, so it is not sent into one nobody confirmed."""
    return position.exit_reason == HaltReason.DAILY_LOSS.name and not turn.state.prices.connection_ok


def _sell(turn: Turn, position: Position, instrument: Instrument, under_stop: Order | None) -> None:
    qty = instrument.most(position.held_qty, market=True)
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
    # The stop is canceled by the same request, so what it still could sell does not count.
    selling = _open_sales(turn, position.id) - (under_stop.leaves_qty if under_stop else ZERO)
    verdict = approve_sale(intent, position.held_qty, selling)
    if isinstance(verdict, Refused):
        turn.alert(AlertLevel.ERROR, "exit", f"position {position.id}: {verdict.reason}")
        _retry_later(turn, position.id)
        return
    turn.put_order(Order(intent, OrderStatus.PENDING_NEW))
    if under_stop is None:
        turn.ask(PlaceOrder(verdict))
    else:
        turn.put_order(replace(under_stop, cancel_sent_ms=turn.at_ms))
        turn.ask(ReplaceOrder(under_stop.intent.client_id, verdict))


def exit_ended(turn: Turn, order: Order) -> None:
    """An exit order has ended: what is left is sold by a new intent, with pauses when nothing is sold."""
    position = turn.state.positions.get(order.intent.position_id)
    if position is None or position.state is not PositionState.EXITING:
        return
    if order.filled == 0:
        turn.alert(
            AlertLevel.ERROR,
            "order",
            f"exit order {order.intent.client_id} sold nothing ({order.detail or order.status})",
        )
        _retry_later(turn, position.id)
    elif order.filled < order.intent.qty:
        turn.put_position(position.moved(PositionEvent.EXIT_INCOMPLETE))


def _retry_later(turn: Turn, position_id: int) -> None:
    tried = turn.state.exit_attempts.get(position_id, 0)
    wait = EXIT_RETRY_MS[min(tried, len(EXIT_RETRY_MS) - 1)]
    turn.change(
        exit_attempts={**turn.state.exit_attempts, position_id: tried + 1},
        exit_retry_ms={**turn.state.exit_retry_ms, position_id: turn.at_ms + wait},
    )


# --- protection ----------------------------------------------------------------------------------


def wanted_stop(turn: Turn, position: Position, instrument: Instrument) -> Price | None:
    """Where a stop should rest on the exchange, or None when the config wants none."""
    setup = turn.state.setup
    stop = position.levels.stop if position.plan.exits.use_stop_loss and setup.protective_stop else None
    if stop is not None and stop > 0:
        return instrument.price(stop, "down")
    if setup.disaster_stop_percent is not None and position.entry_price is not None:
        return instrument.price(position.entry_price * (ONE - setup.disaster_stop_percent / HUNDRED), "down")
    return None


def protecting_order(turn: Turn, position_id: int) -> Order | None:
    for order in turn.state.orders_of(position_id):
        if order.intent.purpose is Purpose.PROTECT and order.is_working:
            return order
    return None


def _protect(turn: Turn, position: Position, instrument: Instrument) -> None:
    stop = wanted_stop(turn, position, instrument)
    alive = [
        o
        for o in turn.state.orders_of(position.id)
        if o.intent.purpose is Purpose.PROTECT and not o.is_settled
    ]
    for extra in alive[:-1]:
        if extra.is_working and extra.cancel_sent_ms is None:
            cancel(turn, extra)
    if stop is None or alive or turn.at_ms < turn.state.protect_retry_ms.get(position.id, 0):
        return
    qty = instrument.qty(position.held_qty)
    breaches = instrument.breaches(qty, stop, market=True)
    if "STOP_LOSS" not in instrument.order_types:
        breaches = (f"{instrument.symbol} has no STOP_LOSS orders",)
    if breaches:
        _tell_unprotected(turn, position, "; ".join(breaches))
        return
    intent = Intent(
        client_id=turn.new_client_id(),
        position_id=position.id,
        purpose=Purpose.PROTECT,
        side=Side.SELL,
        type=OrderType.STOP_LOSS,
        qty=qty,
        price=None,
        stop_price=stop,
        time_in_force=None,
        created_ms=turn.at_ms,
        reason=f"protective stop at {plain(stop)}",
    )
    verdict = approve_sale(intent, position.held_qty, _open_sales(turn, position.id))
    if isinstance(verdict, Refused):
        return
    turn.put_order(Order(intent, OrderStatus.PENDING_NEW))
    turn.ask(PlaceOrder(verdict))


def _tell_unprotected(turn: Turn, position: Position, why: str) -> None:
    """Once for each position: its stop cannot rest on the exchange, so only the agent watches it."""
    noted = position.noted("no_resting_stop")
    if noted is not position:
        turn.put_position(noted)
        text = f"position {position.id}: no stop can rest on the exchange ({why}); the agent watches it alone"
        turn.alert(AlertLevel.ERROR, "unprotected", text)


def stop_ended(turn: Turn, order: Order) -> None:
    """A resting stop is gone: it was reached and the rest goes too, or another is placed a little later."""
    position = turn.state.positions.get(order.intent.position_id)
    if (
        position is None
        or position.state is not PositionState.IN_POSITION
        or order.status is OrderStatus.FILLED
    ):
        return
    turn.alert(
        AlertLevel.ERROR,
        "unprotected",
        f"position {position.id}: stop {order.intent.client_id} is {order.status}"
        f" ({order.detail or 'no reason given'})",
    )
    if order.filled > 0 or "immediately" in order.detail.lower():
        want_exit(turn, position.id, _stop_reason(position), level=position.levels.stop)
        return
    stops = (o for o in turn.state.orders_of(position.id) if o.intent.purpose is Purpose.PROTECT)
    failed = sum(1 for o in stops if o.is_settled and o.filled == 0)
    wait = PROTECT_RETRY_MS[min(failed, len(PROTECT_RETRY_MS)) - 1]
    turn.change(protect_retry_ms={**turn.state.protect_retry_ms, position.id: turn.at_ms + wait})


def _count_protection(turn: Turn, position: Position) -> None:
    """Keep the time without a resting stop: since when, and how much in all."""
    protected = protecting_order(turn, position.id) is not None
    since = position.unprotected_since_ms
    if protected and since is not None:
        spent = position.unprotected_ms + turn.at_ms - since
        turn.put_position(replace(position, unprotected_since_ms=None, unprotected_ms=spent))
    elif not protected and since is None:
        turn.put_position(replace(position, unprotected_since_ms=turn.at_ms))


def _stop_reason(position: Position) -> str:
    return "STOP" if position.plan.exits.policy == "target" else "stop"


# --- the end -------------------------------------------------------------------------------------


def cancel(turn: Turn, order: Order) -> None:
    turn.put_order(replace(order, cancel_sent_ms=turn.at_ms))
    turn.ask(CancelOrder(order.intent.client_id))


def _open_sales(turn: Turn, position_id: int) -> Decimal:
    """Base currency that sell orders of the position may still take."""
    sales = (o for o in turn.state.orders_of(position_id) if o.intent.side is Side.SELL)
    return sum((o.leaves_qty for o in sales), ZERO)


def _is_dust(turn: Turn, position: Position, instrument: Instrument) -> bool:
    price = turn.state.bid() or position.exit_price or position.entry_price
    assert price is not None, "an open position has at least its entry price"
    return instrument.is_dust(position.held_qty, price)


def _close(turn: Turn, position: Position, instrument: Instrument) -> None:
    left = position.held_qty
    if left > 0:
        turn.keep(DustRow(turn.at_ms, position.id, instrument.base, left))
        position = replace(position, dust_qty=position.dust_qty + left).noted("dust")
    if position.unprotected_since_ms is not None:
        spent = position.unprotected_ms + turn.at_ms - position.unprotected_since_ms
        position = replace(position, unprotected_since_ms=None, unprotected_ms=spent)
    position = turn.put_position(replace(position, closed_ms=turn.at_ms).moved(PositionEvent.FLAT))
    turn.change(
        exit_retry_ms={k: v for k, v in turn.state.exit_retry_ms.items() if k != position.id},
        exit_attempts={k: v for k, v in turn.state.exit_attempts.items() if k != position.id},
        protect_retry_ms={k: v for k, v in turn.state.protect_retry_ms.items() if k != position.id},
    )
    position_booked(turn, position)
    _now_flat(turn)


def _now_flat(turn: Turn) -> None:
    """One position less: perhaps the last one, perhaps room for a signal that waits."""
    if not turn.state.open_positions() and not turn.state.in_flight():
        turn.phase_event(PhaseEvent.FLAT)
    release_waiting(turn)
