"""What the operator asks for. Every request is answered with what will happen, in words."""

from __future__ import annotations

from agent.core.commands import AlertLevel, Answer, ClearLatch
from agent.core.daily import halt
from agent.core.entering import refuse_all_signals
from agent.core.events import (
    ClearHaltRequested,
    CloseRequested,
    EmergencyRequested,
    Impairment,
    Operator,
    PauseRequested,
    ResumeRequested,
    StartRequested,
    StopRequested,
)
from agent.core.impairing import heal
from agent.core.leaving import want_exit, want_exit_all
from agent.core.phase import Phase, PhaseEvent
from agent.core.position import PositionState
from agent.core.state import HaltReason
from agent.core.turn import Turn


def on_operator(turn: Turn, event: Operator) -> None:
    match event:
        case StartRequested() | ResumeRequested():
            answer = _start(turn)
        case PauseRequested():
            answer = _pause(turn)
        case StopRequested(flatten=flatten):
            answer = _stop(turn, flatten)
        case EmergencyRequested(by=by):
            answer = _emergency(turn, by)
        case ClearHaltRequested():
            answer = _clear_halt(turn)
        case CloseRequested(position_id=position_id):
            answer = _close(turn, position_id)
    if answer.ok and not isinstance(event, EmergencyRequested):
        turn.alert(AlertLevel.INFO, "operator", f"{event.by}: {answer.text}")
    turn.ask(answer)


def _start(turn: Turn) -> Answer:
    phase = turn.state.phase
    if phase is Phase.HALTED:
        return Answer(False, "halted: clear the halt first (clear-halt), then start")
    if phase in (Phase.RUNNING, Phase.STARTING):
        return Answer(True, f"already {phase.value}")
    turn.phase_event(PhaseEvent.START_ASKED)
    turn.change_durable(flattening=False)
    return Answer(True, "starting: entries begin once history, account and prices are ready")


def _pause(turn: Turn) -> Answer:
    if turn.state.phase is Phase.PAUSED:
        return Answer(True, "already paused")
    if not turn.phase_event(PhaseEvent.PAUSE_ASKED):
        return Answer(False, f"nothing to pause while {turn.state.phase.value}")
    refuse_all_signals(turn, "paused by the operator")
    return Answer(True, "paused: no entries; open positions keep their exits")


def _stop(turn: Turn, flatten: bool) -> Answer:
    refuse_all_signals(turn, "stopped by the operator")
    holding = turn.state.open_positions() or turn.state.in_flight()
    if turn.state.phase is Phase.HALTED:
        return Answer(True, "already halted; what is held is being sold")
    if not holding:
        turn.phase_event(PhaseEvent.STOPPED_FLAT)
        return Answer(True, "stopped, nothing is held")
    turn.phase_event(PhaseEvent.STOPPED_HOLDING)
    if flatten:
        turn.change_durable(flattening=True)
        want_exit_all(turn, "MANUAL")
        return Answer(True, f"stopping: {_to_sell(turn)} at market")
    return Answer(
        True, "no entries any more; open positions are managed to their exits, then the agent stops"
    )


def _emergency(turn: Turn, by: str) -> Answer:
    text = f"emergency stop by {by}: canceling orders, {_to_sell(turn)}, entries latched off"
    halt(turn, HaltReason.EMERGENCY, by, text)
    return Answer(True, text)


def _clear_halt(turn: Turn) -> Answer:
    state = turn.state
    halted = state.durable.halt
    if halted is None and Impairment.HALT_LATCH not in state.impairments:
        return Answer(False, "nothing is halted")
    if state.open_positions() or state.in_flight():
        return Answer(False, "not flat yet: the halt can be cleared once everything is sold")
    if any(not o.is_settled for o in state.orders.values()):
        return Answer(
            False, "an order is not resolved yet: the halt can be cleared once its outcome is known"
        )
    since_ms = -1 if halted is None else halted.at_ms
    if state.reconciled_ms is None or state.reconciled_ms <= since_ms or state.doubted_cash is not None:
        return Answer(False, "not reconciled since the halt: try again in a minute")
    heal(turn, Impairment.HALT_LATCH)
    if halted is None:
        turn.ask(ClearLatch())
        return Answer(True, "the halt latch is written anew; nothing was halted, entries go on")
    turn.change_durable(halt=None)
    turn.phase_event(PhaseEvent.HALT_CLEARED)
    turn.ask(ClearLatch())
    day = state.durable.day
    later = " (no entries until the next UTC day)" if day is not None and day.loss_limit_hit else ""
    return Answer(True, f"halt cleared, the agent is STOPPED; start it to trade again{later}")


def _close(turn: Turn, position_id: int | None) -> Answer:
    held = [p for p in turn.state.open_positions() if position_id in (None, p.id)]
    if not held:
        which = "no position is open" if position_id is None else f"no open position has the id {position_id}"
        return Answer(False, which)
    for position in held:
        want_exit(turn, position.id, "MANUAL")
    leaving = [p for p in held if p.state is PositionState.EXITING]
    already = f" ({len(leaving)} already leaving)" if leaving else ""
    return Answer(True, f"selling {_positions(len(held))} at market{already}")


def _to_sell(turn: Turn) -> str:
    """What an order to sell everything finds."""
    held = len(turn.state.open_positions())
    if held:
        return f"selling {_positions(held)}"
    return "selling what the entry under way buys" if turn.state.in_flight() else "nothing is held to sell"


def _positions(count: int) -> str:
    return f"{count} position{'' if count == 1 else 's'}"
