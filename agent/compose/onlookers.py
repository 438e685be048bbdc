"""What people see of the engine after every step: state line, progress, pushed alerts and decisions.

Also what must be said when it ends: which positions stay open, and whether anything protects them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import asdict
from math import isfinite
from typing import Any, Final

from agent.compose.progress import WarmupProgress
from agent.control.messages import Notice, NoticeKind
from agent.control.server import ControlServer
from agent.core.commands import Alert, Command, Keep
from agent.core.instant import iso_utc
from agent.core.money import plain
from agent.core.phase import Phase
from agent.core.records import DecisionRow
from agent.core.snapshot import state_line
from agent.core.state import AgentState

LOG: Final = logging.getLogger("agent")


class Onlookers:
    """After every step: what people see of it."""

    def __init__(
        self, control: ControlServer, progress: WarmupProgress, watch: Callable[[bool], None]
    ) -> None:
        self._control = control
        self._progress = progress
        self._watch = watch
        self._phase: Phase | None = None
        self._unheard = False
        self._watching: bool | None = None

    def __call__(self, state: AgentState, commands: tuple[Command, ...]) -> None:
        self._control.changed()
        self._progress.show(state.warmup)
        if state.phase is not self._phase:
            self._phase = state.phase
            self._say(state_line(state))
        watching = bool(state.open_positions()) or bool(state.in_flight())
        if watching is not self._watching:
            self._watching = watching
            self._watch(watching)
        for command in commands:
            if isinstance(command, Alert):
                body = {
                    "level": command.level.value,
                    "kind": command.kind,
                    "text": command.text,
                    "at": iso_utc(state.now_ms),
                }
                self._control.notice(Notice(NoticeKind.ALERT, body))
            elif isinstance(command, Keep) and isinstance(command.row, DecisionRow):
                self._control.notice(Notice(NoticeKind.DECISION, decision_body(command.row)))

    def _say(self, line: str) -> None:
        """On standard output, for as long as somebody reads it."""
        if self._unheard:
            return
        try:
            # In one piece: the log may write to the same place from its thread.
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        except OSError as error:
            self._unheard = True
            LOG.warning("nobody reads standard output any more (%s): changes of state are only logged", error)


def decision_body(row: DecisionRow) -> dict[str, Any]:
    """The row's fields by their names; what is not finite is not known."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(row).items()
    }


def left_open(state: AgentState) -> list[str]:
    """What the operator must know about when nobody watches any more."""
    lines = []
    for position in state.open_positions():
        resting = [o for o in state.orders_of(position.id) if o.is_working]
        guard = (
            f"protected by {resting[0].intent.client_id}" if resting else "NOT PROTECTED by any resting order"
        )
        held = f"{plain(position.held_qty)} {state.setup.base}"
        lines.append(f"position {position.id} stays open: {held}, {guard}")
    return lines
