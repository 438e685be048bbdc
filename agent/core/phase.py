"""What the agent as a whole is doing: STOPPED to HALTED, as a table.

Only RUNNING may enter. Every phase manages the positions that exist: no gate stops that. HALTED is a
latch: nothing but a deliberate clearing leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    EXITS_ONLY = "EXITS_ONLY"
    ERROR = "ERROR"
    HALTED = "HALTED"


class PhaseEvent(StrEnum):
    START_ASKED = "start_asked"
    READY = "ready"
    PAUSE_ASKED = "pause_asked"
    STOPPED_FLAT = "stopped_flat"
    STOPPED_HOLDING = "stopped_holding"
    FLAT = "flat"
    HOLDING_APPEARED = "holding_appeared"
    FAILED = "failed"
    HALT = "halt"
    HALT_CLEARED = "halt_cleared"


def _moves() -> dict[tuple[Phase, PhaseEvent], Phase]:
    p, e = Phase, PhaseEvent
    working = (p.STARTING, p.RUNNING, p.PAUSED, p.ERROR)
    table: dict[tuple[Phase, PhaseEvent], Phase] = {
        (p.STARTING, e.READY): p.RUNNING,
        # Stopping with a position open ends where the position ends.
        (p.EXITS_ONLY, e.FLAT): p.STOPPED,
        # A fill nobody expected any more needs somebody to sell it.
        (p.STOPPED, e.HOLDING_APPEARED): p.EXITS_ONLY,
        (p.HALTED, e.HALT_CLEARED): p.STOPPED,
    }
    table |= {(start, e.START_ASKED): p.STARTING for start in (p.STOPPED, p.PAUSED, p.EXITS_ONLY, p.ERROR)}
    table |= {(start, e.PAUSE_ASKED): p.PAUSED for start in (p.STARTING, p.RUNNING, p.ERROR)}
    table |= {(start, e.STOPPED_FLAT): p.STOPPED for start in (*working, p.EXITS_ONLY)}
    table |= {(start, e.STOPPED_HOLDING): p.EXITS_ONLY for start in working}
    table |= {(start, e.FAILED): p.ERROR for start in (p.STARTING, p.RUNNING, p.PAUSED, p.EXITS_ONLY)}
    table |= {(start, e.HALT): p.HALTED for start in Phase}
    return table


#: (phase, event) -> next phase. A pair that is missing leaves the phase as it is.
PHASE_MOVES: Final[Mapping[tuple[Phase, PhaseEvent], Phase]] = _moves()


def next_phase(phase: Phase, event: PhaseEvent) -> Phase:
    return PHASE_MOVES.get((phase, event), phase)
