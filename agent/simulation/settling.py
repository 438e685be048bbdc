"""Whether a healed world has come to rest, and what keeps one from it.

Stays true: at rest, no order's outcome is open, nothing waits to be written or sold, and the account was read
after the last fill. It is asked after every moment, so what is seldom true is asked first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.phase import Phase

if TYPE_CHECKING:
    from agent.simulation.world import World


def at_rest(world: World, begun_ms: int) -> bool:
    """Whether everything since `begun_ms` (venue time) is settled."""
    process, paper = world.process, world.terms.paper
    state = process.state if process else None
    if process is None or state is None or process.writer is None:
        return False
    if state.reconciled_ms is None or state.reconciled_ms <= begun_ms or state.doubted_cash is not None:
        return False
    if process.writer.backlog or state.pending or state.in_flight():
        return False
    if any(p.exit_reason is not None for p in state.open_positions()):
        return False
    orders = state.orders.values()
    if any(not o.is_settled and not (o.is_working and o.intent.rests) for o in orders):
        return False
    if (state.phase is Phase.HALTED or state.durable.flattening) and state.open_positions():
        return False
    if paper:
        return True
    at_venue = {world.rules.own_id(o.terms.client_id) for o in world.venue.open_orders}
    if any(o.is_working and k not in at_venue for k, o in state.orders.items()):
        return False
    fills_ms = [p.last_fill_ms or 0 for p in state.positions.values()]
    fills_ms += [t.at_ms for t in world.venue.desk.venue.registry.trades[-1:]]
    return state.reconciled_ms > max(fills_ms, default=0)


def described(world: World) -> str:
    """What is open, in one line."""
    process = world.process
    state = process.state if process else None
    if process is None or state is None:
        return "no agent"
    orders = [
        f"{o.intent.purpose} {o.status} {o.filled}/{o.reported_qty} {o.detail}"
        for o in state.orders.values()
        if not o.is_settled
    ]
    open_ = [f"#{p.id} {p.state} {p.held_qty} {p.exit_reason}" for p in state.open_positions()]
    return (
        f"{state.phase}, reconciled {state.reconciled_ms}, open {open_}, orders {orders}, "
        f"impaired {dict(state.impairments)}, doubted {state.doubted_cash}, "
        f"under way {len(state.in_flight())}, pending {len(state.pending)}, "
        f"unwritten {process.writer.backlog if process.writer else None}"
    )
