"""The state machines, over the whole product of states and events, written out by hand a second time."""

from __future__ import annotations

from itertools import product

import pytest

from agent.core.order import TERMINAL, TRANSITIONS, Fact, OrderStatus, next_status
from agent.core.phase import PHASE_MOVES, Phase, PhaseEvent, next_phase
from agent.core.position import (
    IN_FLIGHT_STATES,
    MOVES,
    OPEN_STATES,
    PositionEvent,
    PositionState,
    diagram,
    move,
)

# --- positions -------------------------------------------------------------------------------------------

S, E = PositionState, PositionEvent

#: Every move that may happen. What is not here must assert.
POSITIONS = {
    (S.INITIALIZING, E.EXCHANGE_ANSWERED): S.CONNECTED,
    (S.CONNECTED, E.WARMED_UP): S.MONITORING,
    (S.CONNECTED, E.DISCONNECTED): S.INITIALIZING,
    (S.MONITORING, E.DISCONNECTED): S.CONNECTED,
    (S.MONITORING, E.SIGNAL_SEEN): S.SIGNAL,
    (S.MONITORING, E.ENTRY_FILLED): S.IN_POSITION,
    (S.SIGNAL, E.RISK_ASKED): S.RISK_CHECK,
    (S.SIGNAL, E.RISK_REFUSED): S.MONITORING,
    (S.RISK_CHECK, E.RISK_REFUSED): S.MONITORING,
    (S.RISK_CHECK, E.RISK_APPROVED): S.ENTERING,
    (S.ENTERING, E.NOTHING_FILLED): S.MONITORING,
    (S.ENTERING, E.ENTRY_FILLED): S.IN_POSITION,
    (S.IN_POSITION, E.ENTRY_FILLED): S.IN_POSITION,
    (S.IN_POSITION, E.EXIT_WANTED): S.EXITING,
    (S.IN_POSITION, E.FLAT): S.CLOSED,
    (S.EXITING, E.ENTRY_FILLED): S.EXITING,
    (S.EXITING, E.EXIT_WANTED): S.EXITING,
    (S.EXITING, E.EXIT_INCOMPLETE): S.EXITING,
    (S.EXITING, E.FLAT): S.CLOSED,
    (S.CLOSED, E.ENTRY_FILLED): S.EXITING,
    (S.CLOSED, E.ARCHIVED): S.MONITORING,
}


@pytest.mark.parametrize(("state", "event"), list(product(PositionState, PositionEvent)))
def test_every_position_state_meets_every_event(state: PositionState, event: PositionEvent) -> None:
    expected = POSITIONS.get((state, event))
    if expected is None:
        with pytest.raises(AssertionError, match=f"impossible: {event} in {state}"):
            move(state, event)
    else:
        assert move(state, event) is expected
        assert MOVES[state, event].why, "a surprising row says why"


def test_the_path_of_the_specification_is_walkable() -> None:
    walk = [E.EXCHANGE_ANSWERED, E.WARMED_UP, E.SIGNAL_SEEN, E.RISK_ASKED, E.RISK_APPROVED, E.ENTRY_FILLED]
    walk += [E.EXIT_WANTED, E.EXIT_INCOMPLETE, E.FLAT, E.ARCHIVED]
    state, seen = S.INITIALIZING, [S.INITIALIZING]
    for event in walk:
        state = move(state, event)
        seen.append(state)
    assert seen == [
        S.INITIALIZING, S.CONNECTED, S.MONITORING, S.SIGNAL, S.RISK_CHECK, S.ENTERING, S.IN_POSITION,
        S.EXITING, S.EXITING, S.CLOSED, S.MONITORING,
    ]  # fmt: skip


def test_only_fills_lead_into_states_that_own_something() -> None:
    for (state, event), to in MOVES.items():
        if to.to in OPEN_STATES and state not in OPEN_STATES:
            assert event is E.ENTRY_FILLED


def test_from_every_state_that_owns_something_flat_can_be_reached() -> None:
    for start in OPEN_STATES:
        reached, grown = {start}, True
        while grown:
            more = {m.to for (a, _), m in MOVES.items() if a in reached} - reached
            reached, grown = reached | more, bool(more)
        assert S.CLOSED in reached
    assert OPEN_STATES.isdisjoint(IN_FLIGHT_STATES)


def test_the_diagram_draws_every_move_once() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert sorted(lines[1:]) == sorted(f"    {a} --> {to}: {event}" for (a, event), to in POSITIONS.items())


# --- the agent's phase -----------------------------------------------------------------------------------

P, V = Phase, PhaseEvent

PHASES = {
    V.START_ASKED: {
        P.STOPPED: P.STARTING,
        P.PAUSED: P.STARTING,
        P.EXITS_ONLY: P.STARTING,
        P.ERROR: P.STARTING,
    },
    V.READY: {P.STARTING: P.RUNNING},
    V.PAUSE_ASKED: {P.STARTING: P.PAUSED, P.RUNNING: P.PAUSED, P.ERROR: P.PAUSED},
    V.STOPPED_FLAT: {
        P.STARTING: P.STOPPED,
        P.RUNNING: P.STOPPED,
        P.PAUSED: P.STOPPED,
        P.ERROR: P.STOPPED,
        P.EXITS_ONLY: P.STOPPED,
    },
    V.STOPPED_HOLDING: {
        P.STARTING: P.EXITS_ONLY,
        P.RUNNING: P.EXITS_ONLY,
        P.PAUSED: P.EXITS_ONLY,
        P.ERROR: P.EXITS_ONLY,
    },
    V.FLAT: {P.EXITS_ONLY: P.STOPPED},
    V.HOLDING_APPEARED: {P.STOPPED: P.EXITS_ONLY},
    V.FAILED: {P.STARTING: P.ERROR, P.RUNNING: P.ERROR, P.PAUSED: P.ERROR, P.EXITS_ONLY: P.ERROR},
    V.HALT: dict.fromkeys(Phase, P.HALTED),
    V.HALT_CLEARED: {P.HALTED: P.STOPPED},
}


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, PhaseEvent)))
def test_every_phase_meets_every_event(phase: Phase, event: PhaseEvent) -> None:
    assert next_phase(phase, event) is PHASES[event].get(phase, phase)


def test_nothing_but_a_deliberate_clearing_leaves_the_halt() -> None:
    leaving = {
        event for (phase, event), to in PHASE_MOVES.items() if phase is P.HALTED and to is not P.HALTED
    }
    assert leaving == {V.HALT_CLEARED}


def test_only_a_ready_start_leads_to_running() -> None:
    assert {key for key, to in PHASE_MOVES.items() if to is P.RUNNING} == {(P.STARTING, V.READY)}


# --- orders ----------------------------------------------------------------------------------------------

Q, F = OrderStatus, Fact

SEEN = {
    F.WORKING: Q.NEW,
    F.PART_FILLED: Q.PARTIALLY_FILLED,
    F.FULLY_FILLED: Q.FILLED,
    F.WAS_CANCELED: Q.CANCELED,
    F.HAS_EXPIRED: Q.EXPIRED,
}
LIVE = {F.PART_FILLED: Q.PARTIALLY_FILLED, F.FULLY_FILLED: Q.FILLED, F.WAS_CANCELED: Q.CANCELED,
        F.HAS_EXPIRED: Q.EXPIRED}  # fmt: skip

ORDERS = {
    Q.PENDING_NEW: {**SEEN, F.WAS_REFUSED: Q.REJECTED, F.ANSWER_LOST: Q.UNKNOWN},
    Q.UNKNOWN: {**SEEN, F.WAS_REFUSED: Q.REJECTED, F.PROVEN_ABSENT: Q.NOT_PLACED},
    Q.NEW: LIVE,
    Q.PARTIALLY_FILLED: {k: v for k, v in LIVE.items() if k is not F.PART_FILLED},
    Q.FILLED: {},
    # What was over may turn out to have been executed; never to be alive again.
    Q.CANCELED: {F.FULLY_FILLED: Q.FILLED},
    Q.EXPIRED: {F.FULLY_FILLED: Q.FILLED},
    # What was thought never to have existed may turn out to exist.
    Q.NOT_PLACED: SEEN,
    Q.REJECTED: LIVE,
}


@pytest.mark.parametrize(("status", "fact"), list(product(OrderStatus, Fact)))
def test_every_order_status_meets_every_fact(status: OrderStatus, fact: Fact) -> None:
    assert next_status(status, fact) is ORDERS[status].get(fact, status)


def test_no_answer_never_makes_a_refusal_or_an_absence() -> None:
    for status in OrderStatus:
        after = next_status(status, F.ANSWER_LOST)
        assert after is (Q.UNKNOWN if status in (Q.PENDING_NEW, Q.UNKNOWN) else status)
    proven = {status for (status, fact), to in TRANSITIONS.items() if to is Q.NOT_PLACED}
    assert proven == {Q.UNKNOWN}, "absence is proven of what was unknown, and of nothing else"


def test_terminal_stays_terminal_except_for_executions() -> None:
    for status, fact in product(TERMINAL, Fact):
        after = next_status(status, fact)
        if after not in TERMINAL:
            assert status in (Q.NOT_PLACED, Q.REJECTED)
            assert fact in (F.PART_FILLED, F.WORKING)
        if status is Q.FILLED:
            assert after is Q.FILLED


def test_no_machine_has_a_state_or_an_event_that_the_tables_here_never_name() -> None:
    """A new one would pass unnoticed where "nothing happens" is the rule for what is not written."""
    assert {state for state, _ in POSITIONS} | set(POSITIONS.values()) == set(PositionState)
    assert {event for _, event in POSITIONS} == set(PositionEvent)
    assert set(PHASES) == set(PhaseEvent)
    named = {phase for event, moves in PHASES.items() if event is not V.HALT for phase in moves}
    assert named | {to for moves in PHASES.values() for to in moves.values()} == set(Phase)
    assert set(ORDERS) == set(OrderStatus)
    assert {fact for moves in ORDERS.values() for fact in moves} == set(Fact)
    assert set(MOVES) == set(POSITIONS)
    assert {key for key, to in TRANSITIONS.items() if to is not key[0]} == {
        (status, fact) for status, moves in ORDERS.items() for fact, to in moves.items() if to is not status
    }
