"""Resting orders of unknown outcome that no look-up tells of: what readings of the account prove.

Where looking up single orders fails for long while the account can be read, a lost stop would leave its
position unprotected for as long. A resting order that neither lies open nor has traded is not there. One
reading proves nothing, because each of its parts may be 30 s old: the trades may be those of before the order
sold, the open orders those of after. So one must begin when even such answers tell of the time when the order
could come no more, and another `PROOF_MS` after that one was read; each must reach back to the order, agree
with the ledger to the last coin, and show no coins held back for the order. Entries and exits wait for their
look-ups.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.events import AccountSeen
from agent.core.guard import selling_in
from agent.core.money import ZERO
from agent.core.order import Order, OrderStatus, Side
from agent.core.ordering import DEFINITE_NOT_FOUNDS, conclude_absent, without_lost_time
from agent.core.selling import NOT_EVEN_STALE_MS
from agent.core.state import AgentState
from agent.core.turn import Turn

#: Answers are known to be stale for up to 30 s; what every reading says for longer is so.
PROOF_MS: Final = 35_000
#: Readings while such an order is searched for: with three of them everything is proven.
SEARCH_EVERY_MS: Final = 18_000


def is_searched_for(order: Order) -> bool:
    return order.status is OrderStatus.UNKNOWN and order.intent.rests


def search_due_ms(state: AgentState, seen_ms: int) -> int | None:
    """When the account, read at `seen_ms`, is read next for the sake of such orders; None without any."""
    due_ms: int | None = None
    # Asked at every event.
    for order in state.moving_orders():
        if is_searched_for(order) and order.unknown_since_ms is not None:
            tellable_ms = order.unknown_since_ms + NOT_EVEN_STALE_MS
            due_ms = tellable_ms if due_ms is None else min(due_ms, tellable_ms)
    return None if due_ms is None else max(due_ms, seen_ms + SEARCH_EVERY_MS)


def note_absent(turn: Turn, event: AccountSeen, *, agrees: bool, overlap_ms: int) -> None:
    """Take a reading as a not-found for every such order that it could show and does not.

    `agrees`: it says of cash, coins and trades what the ledger says. `overlap_ms`: so long before an order
    was made the trades must have been read from.
    """
    open_ids = {report.client_id for report in event.open_orders}
    held_back = _held_back_unexplained(turn.state, event)
    missed = turn.state.missed_since_ms
    still_missed: dict[str, int] = {}
    proven: list[str] = []
    for order in turn.state.moving_orders():
        client_id = order.intent.client_id
        if not is_searched_for(order) or client_id in open_ids:
            continue
        order = without_lost_time(turn, order)
        since_ms = order.unknown_since_ms
        if since_ms is None or event.asked_ms is None:
            continue
        first_ms, tellable_ms = missed.get(client_id), since_ms + NOT_EVEN_STALE_MS
        if first_ms is not None and first_ms < tellable_ms:
            # Time was lost since then: begun anew.
            first_ms = None
        reaches_back = event.fills_since_ms + overlap_ms <= order.intent.created_ms
        if event.asked_ms < tellable_ms or not reaches_back:
            if first_ms is not None:
                still_missed[client_id] = first_ms
            continue
        if not agrees or held_back >= order.intent.qty:
            continue
        order = turn.put_order(order.found_nowhere())
        still_missed[client_id] = turn.at_ms if first_ms is None else first_ms
        enough = order.not_found >= DEFINITE_NOT_FOUNDS
        if enough and first_ms is not None and event.asked_ms >= first_ms + PROOF_MS:
            proven.append(client_id)
    if still_missed != missed:
        turn.change(missed_since_ms=still_missed)
    for client_id in proven:
        text = f"order {client_id} is not at the exchange: it neither rests nor has it traded"
        conclude_absent(turn, turn.state.orders[client_id], "neither an open order nor a trade", text)


def _held_back_unexplained(state: AgentState, event: AccountSeen) -> Decimal:
    """Base currency that the account holds back for orders, beyond those it shows."""
    holding = event.holdings.get(state.setup.base)
    if holding is None:
        return ZERO
    shown = [report for report in event.open_orders if report.side is Side.SELL]
    ours = (state.orders[r.client_id] for r in shown if r.client_id in state.orders)
    others = (r.qty - r.executed_qty for r in shown if r.client_id not in state.orders)
    return holding.locked - selling_in(ours) - sum(others, ZERO)
