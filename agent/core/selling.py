"""Orders that take base currency out of a position: the sale that leaves now, the stop that rests.

Every one is sized from fills and approved against what other sales may still take, so that together they
never sell more than the position owns. When to leave is not decided here: see `leaving`.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from agent.core.commands import AlertLevel, CancelOrder, PlaceOrder, ReplaceOrder
from agent.core.instrument import Instrument
from agent.core.money import HUNDRED, ONE, ZERO, Price, plain
from agent.core.order import Intent, Order, OrderStatus, OrderType, Purpose, Side
from agent.core.position import Position
from agent.core.records import VerdictRow
from agent.core.risk import Approved, Refused, approve_sale
from agent.core.turn import Turn

#: Wait before the n-th retry of an exit, in venue time: the first at once, then ever more patiently.
EXIT_RETRY_MS: Final = (0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
#: The longest wait between two sales that each sold something: a book that is thin, not gone.
THIN_BOOK_MS: Final = 1_000
#: Wait after the n-th resting stop that ended without selling anything.
PROTECT_RETRY_MS: Final = (2_000, 4_000, 8_000, 16_000, 30_000)


def cancel(turn: Turn, order: Order) -> None:
    """Ask for the end of a working order."""
    turn.put_order(replace(order, cancel_sent_ms=turn.at_ms))
    turn.ask(CancelOrder(order.intent.client_id))


def open_sales(turn: Turn, position_id: int) -> Decimal:
    """Base currency that sell orders of the position may still take."""
    sales = (o for o in turn.state.orders_of(position_id) if o.intent.side is Side.SELL)
    return sum((o.leaves_qty for o in sales), ZERO)


def is_dust(turn: Turn, position: Position, instrument: Instrument) -> bool:
    """Whether what is held can no longer be sold."""
    price = turn.state.bid() or position.exit_price or position.entry_price
    assert price is not None, "an open position has at least its entry price"
    return instrument.is_dust(position.held_qty, price)


def sell(turn: Turn, position: Position, instrument: Instrument, under_stop: Order | None) -> None:
    """Sell what is held at the market, in one request with the cancel of the stop that lies under it."""
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
    selling = open_sales(turn, position.id) - (under_stop.leaves_qty if under_stop else ZERO)
    verdict = approve_sale(intent, position.held_qty, selling)
    if isinstance(verdict, Refused):
        turn.alert(AlertLevel.ERROR, "exit", f"position {position.id}: {verdict.reason}")
        retry_later(turn, position.id)
        return
    _put(turn, verdict)
    if under_stop is None:
        turn.ask(PlaceOrder(verdict))
    else:
        turn.put_order(replace(under_stop, cancel_sent_ms=turn.at_ms))
        turn.ask(ReplaceOrder(under_stop.intent.client_id, verdict))


def _put(turn: Turn, approved: Approved) -> None:
    """The order becomes part of the state, its verdict a row beside it."""
    intent = approved.intent
    turn.put_order(Order(intent, OrderStatus.PENDING_NEW))
    turn.keep(VerdictRow(turn.at_ms, intent.position_id, intent.client_id, True, approved.checks))


def retry_later(turn: Turn, position_id: int, *, at_most_ms: int = EXIT_RETRY_MS[-1]) -> None:
    """A sale ended before all was sold: the next one may follow, the first time at once."""
    tried = turn.state.exit_attempts.get(position_id, 0)
    wait = min(EXIT_RETRY_MS[min(tried, len(EXIT_RETRY_MS) - 1)], at_most_ms)
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


def protect(turn: Turn, position: Position, instrument: Instrument) -> None:
    """See to it that exactly one stop rests on the exchange, if one is wanted."""
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
    qty = instrument.most(position.held_qty, market=True)
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
    verdict = approve_sale(intent, position.held_qty, open_sales(turn, position.id))
    if isinstance(verdict, Refused):
        return
    _put(turn, verdict)
    turn.ask(PlaceOrder(verdict))


def _tell_unprotected(turn: Turn, position: Position, why: str) -> None:
    """Once for each position: its stop cannot rest on the exchange, so only the agent watches it."""
    noted = position.noted("no_resting_stop")
    if noted is not position:
        turn.put_position(noted)
        text = f"position {position.id}: no stop can rest on the exchange ({why}); the agent watches it alone"
        turn.alert(AlertLevel.ERROR, "unprotected", text)


def protect_later(turn: Turn, position_id: int) -> None:
    """A resting stop ended without selling anything: another follows, later each time."""
    stops = (o for o in turn.state.orders_of(position_id) if o.intent.purpose is Purpose.PROTECT)
    failed = sum(1 for o in stops if o.is_settled and o.filled == 0)
    wait = PROTECT_RETRY_MS[min(failed, len(PROTECT_RETRY_MS)) - 1]
    turn.change(protect_retry_ms={**turn.state.protect_retry_ms, position_id: turn.at_ms + wait})


def count_protection(turn: Turn, position: Position) -> None:
    """Keep the time without a resting stop: since when, and how much in all."""
    protected = protecting_order(turn, position.id) is not None
    since = position.unprotected_since_ms
    if protected and since is not None:
        spent = position.unprotected_ms + turn.at_ms - since
        turn.put_position(replace(position, unprotected_since_ms=None, unprotected_ms=spent))
    elif not protected and since is None:
        turn.put_position(replace(position, unprotected_since_ms=turn.at_ms))
