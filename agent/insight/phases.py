"""How far the way to live is walked: days and trades per mode, and what was exercised, counted from rows.

A day is 24 hours in which the engine was alive and knew what the account was worth, on the exchange's own
hosts; nothing that ran against another address counts. Whether that opens the next mode is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from agent.insight.facts import ScopeRun

MINUTES_A_DAY: Final = 1_440
MODES: Final = ("paper", "testnet", "live")
#: Hosts of `exchange@host` in a scope's venue that are the exchange itself: its production and its sandbox.
REAL_HOSTS: Final = frozenset({"api.binance.com", "testnet.binance.vision", "production", "sandbox"})


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """One mode. `days` with fractions; the rest are counts (see `ScopeRun`)."""

    mode: str
    days: float
    trades: int
    wins: int
    criticals: int
    emergencies: int
    daily_losses: int
    manual_closes: int
    restarts: int
    days_needed: float | None = None
    trades_needed: int | None = None

    @property
    def win_rate(self) -> float | None:
        return self.wins / self.trades if self.trades else None

    @property
    def is_done(self) -> bool:
        """Whether days and trades are enough; a mode that asks for nothing is never done."""
        if self.days_needed is None or self.trades_needed is None:
            return False
        return self.days >= self.days_needed and self.trades >= self.trades_needed


def is_real_venue(venue: str) -> bool:
    """Whether `exchange@host` names the exchange's own hosts."""
    return venue.partition("@")[2] in REAL_HOSTS


def phase_progress(
    runs: Iterable[ScopeRun],
    *,
    exchange: str,
    pair: str,
    needed: dict[str, tuple[float, int]],
    is_real: Callable[[str], bool] = is_real_venue,
) -> tuple[PhaseProgress, ...]:
    """Paper, testnet and live on `exchange` with `pair`, over every account.

    `needed` gives days and trades by mode.
    """
    ours = [
        run for run in runs if run.pair == pair and is_real(run.venue) and run.venue.split("@")[0] == exchange
    ]
    found = []
    for mode in MODES:
        its = [run for run in ours if run.mode == mode]
        days, trades = needed.get(mode, (None, None))
        found.append(
            PhaseProgress(
                mode=mode,
                days=sum(run.minutes for run in its) / MINUTES_A_DAY,
                trades=sum(run.trades for run in its),
                wins=sum(run.wins for run in its),
                criticals=sum(run.criticals for run in its),
                emergencies=sum(run.emergencies for run in its),
                daily_losses=sum(run.daily_losses for run in its),
                manual_closes=sum(run.manual_closes for run in its),
                restarts=sum(max(0, run.starts - 1) for run in its),
                days_needed=days,
                trades_needed=trades,
            )
        )
    return tuple(found)
