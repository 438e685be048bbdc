"""What becomes known about orders that rest for a position: reached, sold in part, ended.

Stays true: a list ends as a whole, but what became of each leg only its own word tells; what ended without
selling everything is followed at once by a sale, or by what rests in its place.
"""

from __future__ import annotations

from typing import Final

from agent.core.closing import stop_reason
from agent.core.commands import AlertLevel
from agent.core.exits import profit_hit
from agent.core.guard import Guard, guards_in
from agent.core.guarding import (
    PAIR_AGAIN_MS,
    alive_guards,
    given_up,
    pair_later,
    protect_later,
    rest_grace_ms,
)
from agent.core.leaving import want_exit
from agent.core.order import Order, OrderStatus, Purpose
from agent.core.position import Position, PositionState
from agent.core.turn import Turn
from agent.core.value import replace

#: The other leg of a list that is ending is asked for after this, if it has not told itself.
PARTNER_MS: Final = 500


def rest_moved(turn: Turn, before: Order, after: Order) -> None:
    """Something became known about what rests: it was reached, sold a part, or has ended."""
    position = turn.state.positions.get(after.intent.position_id)
    if position is None:
        return
    reached = after.triggered_ms is not None and before.triggered_ms is None
    reached |= after.intent.purpose is Purpose.TARGET and after.filled > before.filled
    if reached and after.filled < after.intent.qty:
        rest_reached(turn, position.id)
    if after.is_settled and not before.is_settled:
        guards = guards_in(turn.state.orders_of(position.id))
        guard = next(g for g in guards if any(leg.intent == after.intent for leg in g.legs))
        _leg_ended(turn, position, guard, after)


def rest_reached(turn: Turn, position_id: int) -> None:
    """What rests should be selling now; if it has not sold everything in a moment, the market gets it."""
    if position_id not in turn.state.rest_due_ms:
        due = {**turn.state.rest_due_ms, position_id: turn.at_ms + rest_grace_ms(turn)}
        turn.change(rest_due_ms=due)


def _leg_ended(turn: Turn, position: Position, guard: Guard, ended: Order) -> None:
    if not guard.is_settled:
        # A list ends as a whole, but what became of the other leg only its own word tells.
        for leg in guard.legs:
            if leg.is_working:
                look = min(leg.next_lookup_ms or turn.at_ms + PARTNER_MS, turn.at_ms + PARTNER_MS)
                turn.put_order(replace(leg, next_lookup_ms=look))
        return
    if position.state is not PositionState.IN_POSITION or guard.filled >= ended.intent.qty:
        return
    if guard.filled > 0:
        hit = profit_hit(position.levels, position.plan.exits)
        if guard.target is not None and guard.target.filled and hit is not None:
            want_exit(turn, position.id, hit.reason, level=hit.price)
        else:
            want_exit(turn, position.id, stop_reason(position), level=position.levels.stop)
        return
    refused = ended.status is OrderStatus.REJECTED
    if guard.is_pair and refused:
        # The stop alone is wanted at once; the list gets another chance later.
        pair_later(turn, position.id, turn.at_ms + PAIR_AGAIN_MS)
        text = f"position {position.id}: stop and target could not rest together ({ended.detail})"
        turn.alert(AlertLevel.WARNING, "protection", text)
        return
    if alive_guards(turn, position.id) or (ended.status is OrderStatus.CANCELED and given_up(guard)):
        # Another rests, or we asked for its end: what follows is placed at once.
        return
    client_id, why = ended.intent.client_id, ended.detail or "no reason given"
    text = f"position {position.id}: stop {client_id} is {ended.status} ({why})"
    turn.alert(AlertLevel.ERROR, "unprotected", text)
    if "immediately" in ended.detail.lower():
        want_exit(turn, position.id, stop_reason(position), level=position.levels.stop)
        return
    protect_later(turn, position.id)
