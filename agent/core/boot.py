"""The first state of a run: from nothing, or from what the last run left behind.

Nothing stored is trusted to be current: an order that had no answer yet is UNKNOWN and is looked up, a
signal that was waiting for its book is gone, and the account is read before any entry. Positions keep
the plan of their entry whatever the config says now. `at_ms` is the machine's word, which may be wrong by
hours until the exchange was asked: what is stored with the exchange's times is not judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.account import Account
from agent.core.order import Fact, Order, OrderStatus, next_status
from agent.core.phase import Phase
from agent.core.position import Position, PositionState
from agent.core.state import AgentState, Durable, Halt, HaltReason, Setup
from agent.core.value import replace
from agent.core.worth import balance


def fresh(at_ms: int) -> Durable:
    """Nothing was ever stored for this agent, venue, mode and pair."""
    return Durable(
        phase=Phase.STOPPED,
        phase_since_ms=at_ms,
        halt=None,
        day=None,
        account=Account(last_fill_ms=at_ms),
        next_position_id=1,
        decided_open_ms=None,
    )


def boot(
    setup: Setup,
    durable: Durable | None,
    positions: Iterable[Position],
    orders: Iterable[Order],
    at_ms: int,
    latched: Halt | None,
) -> AgentState:
    """The state to start from. `latched` is what the latch file says: it counts even without a row."""
    if latched is not None and latched.at_ms > at_ms:
        # Written by a process that had another clock; a halt cannot be younger than now.
        latched = replace(latched, at_ms=at_ms)
    durable = durable if durable is not None else fresh(at_ms)
    if durable.phase in (Phase.RUNNING, Phase.ERROR):
        durable = replace(durable, phase=Phase.STARTING, phase_since_ms=at_ms)
    if latched is not None and durable.halt is None:
        durable = replace(durable, halt=latched)
    if durable.halt is not None and durable.phase is not Phase.HALTED:
        durable = replace(durable, phase=Phase.HALTED, phase_since_ms=at_ms)
    kept = {p.id: p for p in positions if p.state not in (PositionState.SIGNAL, PositionState.RISK_CHECK)}
    state = AgentState(
        setup=setup,
        durable=durable,
        now_ms=at_ms,
        began_ms=at_ms,
        positions=kept,
        orders={o.intent.client_id: _reopened(o, at_ms) for o in orders if o.intent.position_id in kept},
        last_balance_row_ms=at_ms,
    )
    return _with_capital(_with_newest_fill(state))


def _with_newest_fill(state: AgentState) -> AgentState:
    """A ledger of an older version: what is known now is all that was ever known."""
    account = state.durable.account
    if account.last_fill_ms is not None:
        return state
    newest_ms = max((f.at_ms for o in state.orders.values() for f in o.fills), default=state.now_ms)
    account = replace(account, last_fill_ms=newest_ms)
    return state.but(durable=replace(state.durable, account=account))


def _with_capital(state: AgentState) -> AgentState:
    """Another `capital` counts from here on; what that changes in our balance is a flow, not a result."""
    account, day = state.durable.account, state.durable.day
    if account.capital == state.setup.capital:
        return state
    before = balance(state.but(setup=replace(state.setup, capital=account.capital)))
    account = replace(account, capital=state.setup.capital, capital_mark=account.realized_pnl)
    state = state.but(durable=replace(state.durable, account=account))
    after = balance(state)
    if day is not None and day.start_equity is not None and before is not None and after is not None:
        day = replace(day, flows=day.flows + after - before)
        state = state.but(durable=replace(state.durable, day=day))
    return state


def _reopened(order: Order, at_ms: int) -> Order:
    """An order as it must be seen after a restart: whatever was not final is looked up at once."""
    if order.is_settled:
        return order
    status = order.status
    if status is OrderStatus.PENDING_NEW:
        status = next_status(status, Fact.ANSWER_LOST)
    unknown_since = order.unknown_since_ms
    if status is OrderStatus.UNKNOWN and unknown_since is None:
        unknown_since = at_ms
    return replace(
        order,
        status=status,
        unknown_since_ms=unknown_since,
        next_lookup_ms=at_ms,
        not_found=0,
        cancel_sent_ms=None,
        # Learned again by the look-up, and with it that what was triggered must have sold soon.
        triggered_ms=None,
    )


def latched_halt(reason: str, at_ms: int) -> Halt | None:
    """The halt that a latch file asks for; None when it names none, because it is damaged.

    A file that cannot be read lets no entry through, and sells nothing either: nobody asked for that.
    """
    known = next((one for one in HaltReason if one.value == reason), None)
    return None if known is None else Halt(known, at_ms, "latch file")
