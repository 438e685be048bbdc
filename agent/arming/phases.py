"""The way to live, as gates: paper first, then testnet, each for its days and trades. PURE.

Counted are days and trades on the exchange's own hosts (`agent.insight.phases`). A rehearsal on the local
exchange (at least `min_phase_trades` trades, nothing CRITICAL) stands in for the paper phase and for nothing
else. Where the exchange has no sandbox, paper has to last as long as both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.config.model import AgentSection
from agent.insight.facts import ScopeRun
from agent.insight.phases import PhaseProgress

_LOOPBACK = ("127.", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition, with its numbers whether it passed or not, and what to do about it."""

    name: str
    passed: bool
    numbers: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """What was traded on the local exchange with this pair."""

    trades: int
    criticals: int

    def passed(self, trades_needed: int) -> bool:
        return self.trades >= trades_needed and self.criticals == 0


def rehearsals_of(runs: Iterable[ScopeRun], exchange: str, pair: str) -> Rehearsals:
    """The best of the rehearsals: each is one venue, so a bad one does not spoil the next."""
    found = [
        Rehearsals(run.trades, run.criticals)
        for run in runs
        if run.pair == pair
        and run.venue.partition("@")[0] == exchange
        and run.venue.partition("@")[2].startswith(_LOOPBACK)
    ]
    return max(found, key=lambda r: (r.criticals == 0, r.trades), default=Rehearsals(0, 0))


def phase_gates(
    phases: Sequence[PhaseProgress], rehearsals: Rehearsals, wanted: AgentSection, *, has_sandbox: bool
) -> tuple[Gate, ...]:
    """Two gates: paper and testnet."""
    by_mode = {phase.mode: phase for phase in phases}
    paper, testnet = by_mode.get("paper"), by_mode.get("testnet")
    trades = wanted.min_phase_trades
    if not has_sandbox:
        days = wanted.min_paper_days + wanted.min_testnet_days
        return (
            _gate("paper phase", paper, days, 2 * trades, rehearsals=None),
            Gate("testnet phase", True, "the exchange has no sandbox: paper lasts as long as both"),
        )
    return (
        _gate("paper phase", paper, wanted.min_paper_days, trades, rehearsals=rehearsals),
        _gate("testnet phase", testnet, wanted.min_testnet_days, trades, rehearsals=None),
    )


def _gate(
    name: str, seen: PhaseProgress | None, days: int, trades: int, *, rehearsals: Rehearsals | None
) -> Gate:
    had_days, had_trades = (seen.days, seen.trades) if seen is not None else (0.0, 0)
    # Rounded down: a minute short of a week is no week.
    lived = f"{math.floor(had_days * 10) / 10:.1f} of {days} days"
    numbers = f"{lived}, {had_trades} of {trades} trades on the exchange itself"
    passed = had_days >= days and had_trades >= trades
    if rehearsals is not None:
        numbers += f", or a rehearsal: {rehearsals.trades} of {trades} trades"
        if rehearsals.criticals:
            numbers += f", {rehearsals.criticals} CRITICAL"
        passed = passed or rehearsals.passed(trades)
    mode = name.partition(" ")[0]
    fix = "" if passed else f"let it trade in {mode} mode until then"
    return Gate(name, passed, numbers, fix)
