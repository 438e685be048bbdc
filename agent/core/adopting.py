"""Sales of ours that no row knows: what a broken disk, or a ledger from a backup, forgot.

A sale does not wait for a disk (see the loop), so a process that dies beside one may have sold what its
ledger still holds. Such a sale carries our mark and is newer than the newest fill the ledger knows: it
becomes an order of the position it sold, with the fills that were read. One that still rests is ended.
Without that, what it sold would be sold once more, out of coins that are not ours. A purchase is never sent
without its row, so one that no row knows came with a ledger of another time: it blocks entries until somebody
has looked (see `reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from agent.core.commands import AlertLevel
from agent.core.events import AccountSeen
from agent.core.money import ZERO, Qty, plain
from agent.core.order import (
    Fill,
    Intent,
    Order,
    OrderStatus,
    OrderType,
    Purpose,
    Side,
    created_ms_in,
)
from agent.core.position import Position
from agent.core.records import VerdictRow
from agent.core.selling import cancel
from agent.core.state import AgentState
from agent.core.turn import Turn
from agent.core.value import replace

#: An answer to placing and a row of own trades may date the same trade differently.
_SAME_MOMENT_MS: Final = 1_000
FOUND: Final = "found at the exchange with our mark, in no row"


def forgotten(state: AgentState, fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Trades with our mark that the ledger never knew: of no order of ours, and newer than all it knows.

    Older ones belong to trades that ended long ago, which the core does not remember and the ledger does.
    """
    newest_ms = state.durable.account.last_fill_ms
    if newest_ms is None:
        return ()
    unknown = [
        fill
        for fill in fills
        if fill.at_ms > newest_ms
        and fill.client_id not in state.orders
        and fill.client_id.startswith(state.setup.tag)
    ]
    if not unknown:
        return ()
    counted = {fill.trade_id for order in state.orders.values() for fill in order.fills}
    return tuple(fill for fill in unknown if fill.trade_id not in counted)


def bought_unknown(state: AgentState, fills: Iterable[Fill]) -> Decimal:
    """Base currency that forgotten trades bought and did not sell again; zero when it is only dust."""
    lost = forgotten(state, fills)
    fees = sum((fill.fee for fill in lost if fill.fee_currency == state.setup.base), ZERO)
    net = sum((fill.qty if fill.side is Side.BUY else -fill.qty for fill in lost), ZERO) - fees
    instrument = state.instrument
    if net <= 0 or (instrument is not None and instrument.is_dust(net, lost[-1].price)):
        return ZERO
    return net


def adopt_sales(turn: Turn, event: AccountSeen) -> bool:
    """Give every forgotten sale to the position it sells; whether there are fills to be booked now.

    What fits none stays a difference.
    """
    found = False
    by_order: dict[str, list[Fill]] = {}
    for fill in forgotten(turn.state, event.fills):
        if fill.side is Side.SELL and not is_somebody_elses(turn.state, fill.client_id):
            by_order.setdefault(fill.client_id, []).append(fill)
    for client_id, fills in by_order.items():
        qty = sum((fill.qty for fill in fills), ZERO)
        owner = _owner(turn, qty, min(fill.at_ms for fill in fills))
        if owner is not None:
            _adopt(turn, owner, client_id, qty, OrderStatus.UNKNOWN)
            found = True
    for report in event.open_orders:
        ours = report.client_id.startswith(turn.state.setup.tag) and report.client_id not in turn.state.orders
        if not ours or report.side is not Side.SELL or is_somebody_elses(turn.state, report.client_id):
            continue
        owner = _owner(turn, report.qty - report.executed_qty, turn.at_ms)
        if owner is not None:
            order = _adopt(turn, owner, report.client_id, report.qty, OrderStatus.NEW)
            cancel(turn, replace(order, exchange_order_id=report.exchange_order_id))
    return found


def is_somebody_elses(state: AgentState, client_id: str) -> bool:
    """Whether an order with our mark, and in no row, was made after this run began: by a second agent that
    works with a copy of our ledger. It is left alone, and entries are blocked."""
    created_ms = created_ms_in(client_id, state.setup.tag)
    return created_ms is not None and created_ms > state.began_ms


def _owner(turn: Turn, qty: Decimal, sold_ms: int) -> Position | None:
    """The smallest open position that the sale fits into."""
    fits = [
        p
        for p in turn.state.open_positions()
        if p.held_qty >= qty and p.opened_ms is not None and p.opened_ms <= sold_ms + _SAME_MOMENT_MS
    ]
    return min(fits, key=lambda p: (p.held_qty, p.id), default=None)


def _adopt(turn: Turn, owner: Position, client_id: str, qty: Decimal, status: OrderStatus) -> Order:
    intent = Intent(
        client_id=client_id,
        position_id=owner.id,
        purpose=Purpose.EXIT,
        side=Side.SELL,
        type=OrderType.MARKET,
        qty=Qty(qty),
        price=None,
        stop_price=None,
        time_in_force=None,
        created_ms=turn.at_ms,
        reason=FOUND,
    )
    since_ms = turn.at_ms if status is OrderStatus.UNKNOWN else None
    order = Order(intent, status, unknown_since_ms=since_ms, next_lookup_ms=since_ms, detail=FOUND)
    turn.put_position(owner.noted("adopted_sale"))
    turn.put_order(order)
    turn.keep(VerdictRow(turn.at_ms, owner.id, client_id, True, ()))
    text = f"position {owner.id}: a sale of {plain(qty)} {turn.state.setup.base} was {FOUND} ({client_id})"
    turn.alert(AlertLevel.ERROR, "adopted", text)
    return order
