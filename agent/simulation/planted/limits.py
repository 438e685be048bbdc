"""Bugs in the limits of risk and of the exchange."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.compose import silences
from agent.core import (
    daily,
    deciding,
    entering,
    risk,
)
from agent.core.records import Outcome
from agent.core.turn import Turn
from agent.exchange.weight_gate import WeightGate
from agent.simulation.planted.mutant import Mutant, bug


@bug("the most open positions are not counted")
def positions_not_counted(m: Mutant) -> None:
    def sizes(state: Any, *others: Any) -> Any:
        return tuple(c for c in was(state, *others) if c.name != "open positions")

    def judged(turn: Turn, features: Any) -> Any:
        outcome, reason = judge(turn, features)
        return (Outcome.ENTERED, "") if outcome is Outcome.IN_POSITION else (outcome, reason)

    was = m.put(risk, "_size_checks", sizes)
    judge = m.put(deciding, "_judge", judged)
    m.put(entering, "_room_taken", lambda turn: 0)


@bug("a position may be three times as large as allowed")
def cap_ignored(m: Mutant) -> None:
    def size(*asked: Any) -> Any:
        sizes = was(*asked)
        return replace(sizes, by_risk=sizes.by_cap * 3, by_cap=sizes.by_cap * 3)

    was = m.put(risk, "position_size", size)
    m.put(risk, "_size_checks", lambda state, *others: ())


@bug("the wish for silence after a 429 or 418 is ignored")
def ban_ignored(m: Mutant) -> None:
    m.put(WeightGate, "_block", lambda self, until_ms: None)


@bug("a ban is forgotten over a restart")
def ban_forgotten(m: Mutant) -> None:
    m.put(silences.Silences, "keep", lambda self, venue, until_ms: None)


@bug("a signal on stale data is entered")
def late_signal_entered(m: Mutant) -> None:
    m.put(entering, "signal_deadline_ms", lambda turn, pending: pending.decided_ms + 10**12)


@bug("the day's loss is not watched")
def daily_loss_not_watched(m: Mutant) -> None:
    m.put(daily, "check_daily_loss", lambda turn: None)

    def checks(state: Any) -> Any:
        return tuple(c for c in was(state) if c.name != "daily loss")

    was = m.put(risk, "_day_checks", checks)
