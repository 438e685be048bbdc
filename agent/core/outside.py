"""What others do to the account: orders and trades that are not ours, coins that went, a wiped testnet.

Stays true: what is not ours is told once, shown, counted where it takes room, and never touched. Coins of
ours that are gone are given up only on proof (`reconcile` says what that is), at the best bid of that moment,
as a flow and not as a result. Only on a testnet may the exchange's past disappear.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.account import holdings_total
from agent.core.booking import book_flow
from agent.core.closing import close_out
from agent.core.commands import AlertLevel
from agent.core.events import AccountSeen
from agent.core.guarding import protecting_order
from agent.core.leaving import drive
from agent.core.money import ZERO, plain
from agent.core.order import Fact, Order, OrderReport, OrderStatus, Side, next_status
from agent.core.position import TESTNET_RESET, Position, PositionEvent, PositionState
from agent.core.turn import Turn
from agent.core.value import replace
from agent.core.worth import equity

#: Trades of others that were told stay known, so that overlapping readings do not tell them again.
_TOLD: Final = 500


def note_strangers(turn: Turn, event: AccountSeen) -> None:
    """Keep the open orders that are not ours, and tell of new ones and of new trades."""
    setup, ours = turn.state.setup, turn.state.orders
    theirs = tuple(
        r for r in event.open_orders if r.client_id not in ours and not r.client_id.startswith(setup.tag)
    )
    known = {r.client_id for r in turn.state.strangers}
    for report in theirs:
        if report.client_id not in known:
            turn.alert(
                AlertLevel.WARNING, "stranger", f"{_order_words(report)} is not ours and is left alone"
            )
    if theirs != turn.state.strangers:
        turn.change(strangers=theirs)
    traded = [f for f in event.fills if f.client_id not in ours and not f.client_id.startswith(setup.tag)]
    if not traded:
        return
    told = turn.state.told_trades
    # A canceled order may go by the id of its cancel, so the trade's own id counts as well.
    known_trades = {f.trade_id for o in ours.values() for f in o.fills} | set(told)
    fresh = [f for f in traded if f.trade_id not in known_trades]
    for fill in fresh:
        did = "bought" if fill.side.value == "BUY" else "sold"
        text = f"trade {fill.trade_id} is not ours: {did} {plain(fill.qty)} at {plain(fill.price)}"
        turn.alert(AlertLevel.WARNING, "stranger", text)
    if fresh:
        turn.change(told_trades=(*told, *(f.trade_id for f in fresh))[-_TOLD:])


def _order_words(report: OrderReport) -> str:
    at = f" at {plain(report.price)}" if report.price else ""
    return f"order {report.client_id} ({report.side} {report.type} {plain(report.qty)}{at})"


def give_up_missing(turn: Turn, missing: Decimal) -> bool:
    """Take what is proven to be gone out of the positions. False while no believed price can value it.

    What a resting order holds cannot be taken by anybody, so positions without one lose first, and among them
    the newest.
    """
    bid, instrument = turn.state.bid(), turn.state.instrument
    if bid is None or instrument is None:
        return False
    left = missing
    held = sorted(
        turn.state.open_positions(),
        key=lambda p: (protecting_order(turn, p.id) is not None, -p.id),
    )
    for position in held:
        part = min(left, position.held_qty)
        if part > 0:
            _take(turn, position, part, bid)
            base = turn.state.setup.base
            text = f"position {position.id}: {plain(part)} {base} left the account without a sale of ours"
            turn.alert(AlertLevel.ERROR, "external", f"{text}; that part is closed as EXTERNAL")
        left -= part
    assert left <= 0, "no more is missing than was ours"
    for position in held:
        drive(turn, position.id)
    return True


def _take(turn: Turn, position: Position, part: Decimal, price: Decimal) -> Position:
    before = equity(turn.state)
    taken = replace(
        position,
        external_qty=position.external_qty + part,
        external_value=position.external_value + part * price,
    )
    turn.put_position(taken.noted("external"))
    book_flow(turn, before, equity(turn.state))
    return turn.state.positions[position.id]


def accept_reset(turn: Turn, event: AccountSeen, to_ms: int) -> None:
    """The testnet began anew after `to_ms`: orders and holdings of before are gone, the account is what it
    shows now. What was bought since then is there and stays; what still rests for a position of before would
    sell the testnet's own coins, and is canceled."""
    state, instrument = turn.state, turn.state.instrument
    assert state.setup.mode == "testnet", "nowhere else does the past of an exchange disappear"
    assert instrument is not None
    open_ids = {report.client_id for report in event.open_orders}
    for order in tuple(state.orders.values()):
        is_there = order.intent.client_id in open_ids or any(f.at_ms > to_ms for f in order.fills)
        if not order.is_settled and not is_there:
            turn.put_order(_ended(order))
    before = equity(turn.state)
    gone = [p for p in turn.state.open_positions() if p.opened_ms is None or p.opened_ms <= to_ms]
    for position in gone:
        price = turn.state.bid() or position.entry_price or ZERO
        held = position.held_qty
        taken = replace(
            position,
            external_qty=position.external_qty + held,
            external_value=position.external_value + held * price,
            exit_reason=TESTNET_RESET,
        )
        turn.put_position(taken.noted("testnet_reset"))
    cash = holdings_total(event.holdings, state.setup.quote)
    account = replace(turn.state.durable.account, cash=cash, history_from_ms=to_ms + 1)
    turn.change_durable(account=account)
    book_flow(turn, before, equity(turn.state))
    for position in gone:
        close_out(turn, turn.state.positions[position.id], instrument)
        drive(turn, position.id)
    for position in turn.state.in_flight():
        entries = [o for o in turn.state.orders_of(position.id) if o.intent.side is Side.BUY]
        if position.state is PositionState.ENTERING and all(o.is_settled for o in entries):
            ended = replace(position, closed_ms=turn.at_ms)
            turn.put_position(ended.moved(PositionEvent.NOTHING_FILLED))
    text = "the testnet was reset: its orders, trades and balances of before are gone; counting starts anew"
    turn.alert(AlertLevel.CRITICAL, "testnet reset", text)


def _ended(order: Order) -> Order:
    status = next_status(order.status, Fact.HAS_EXPIRED)
    if status is not OrderStatus.EXPIRED and not order.is_settled:
        status = order.status
    return replace(
        order,
        status=status,
        reported_qty=order.filled,
        unknown_since_ms=None,
        next_lookup_ms=None,
        detail="the testnet was reset",
    )
