"""What stands in the way of entries: said once when it begins, once when it is over.

Managing a position is never impaired. What repeating cannot cure puts the agent into ERROR; with
`auto_resume` off, anything else pauses it until somebody resumes.
"""

from __future__ import annotations

from typing import Final

from agent.core.commands import AlertLevel
from agent.core.entering import refuse_all_signals
from agent.core.events import Impairment
from agent.core.phase import Phase, PhaseEvent
from agent.core.turn import Turn

#: Unreachable after every retry, a ledger that nobody can explain, a configuration that is refused, a latch
#: that nobody can read.
_GRAVE: Final = frozenset(
    {
        Impairment.EXCHANGE_UNREACHABLE,
        Impairment.LEDGER_DIFFERENCE,
        Impairment.SETUP_REFUSED,
        Impairment.HALT_LATCH,
    }
)


def impair(
    turn: Turn, by: Impairment, detail: str, *, permanent: bool = False, expected: bool = False
) -> None:
    """Block entries until `heal`. What every start goes through (`expected`) blocks them in silence."""
    is_new = by not in turn.state.impairments or by in turn.state.expected
    turn.change(impairments={**turn.state.impairments, by: detail})
    if expected:
        if is_new:
            turn.change(expected=turn.state.expected | {by})
        return
    turn.change(expected=turn.state.expected - {by})
    failed = permanent and turn.phase_event(PhaseEvent.FAILED)
    if is_new or failed:
        level = AlertLevel.CRITICAL if _is_grave(turn, by, permanent) else AlertLevel.ERROR
        turn.alert(level, by.value, f"{by.value}: {detail}; entries are blocked")
    if permanent:
        refuse_all_signals(turn, detail)
    elif is_new and not turn.state.setup.auto_resume and turn.state.phase is Phase.RUNNING:
        turn.phase_event(PhaseEvent.PAUSE_ASKED)


def _is_grave(turn: Turn, by: Impairment, permanent: bool) -> bool:
    """What is grave by itself, or a gate that failed while something is open and only a person can mend."""
    if by in _GRAVE:
        return True
    state = turn.state
    is_open = bool(state.open_positions() or state.in_flight() or state.unknown_orders())
    return is_open and permanent


def heal(turn: Turn, by: Impairment) -> bool:
    """Over; false when it was not there."""
    if by not in turn.state.impairments:
        return False
    turn.change(impairments={k: v for k, v in turn.state.impairments.items() if k is not by})
    if by in turn.state.expected:
        turn.change(expected=turn.state.expected - {by})
        return True
    turn.alert(AlertLevel.INFO, by.value, f"{by.value}: over")
    return True
