"""What many worlds add up to, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.simulation.world import Result

#: The faults of the catalogue that a world can meet, and why the others are tested elsewhere.
SIMULATED: Final = tuple(
    f"F{n}"
    for n in (
        *range(1, 35),
        *range(36, 47),
        49,
        50,
    )
)
NOT_SIMULATED: Final = {
    "F35": "a database from yesterday: restoring is tested with the backup",
    "F47": "Telegram: its own matrix",
    "F48": "a second instance: the lock is a file lock of real processes",
    "F51": "floods of the control channel: its own tests",
    "F52": "migrations killed half-way: the store's tests",
}


@dataclass(slots=True)
class Totals:
    without: frozenset[str] = frozenset()
    """Faults that the rules of these worlds do not know."""
    worlds: int = 0
    days: float = 0.0
    orders: int = 0
    entries: int = 0
    fills: int = 0
    crashes: int = 0
    lives: int = 0
    violations: int = 0
    cpu_s: float = 0.0
    unknown: int = 0
    naked_ms: int = 0
    naked_calm_ms: int = 0
    held_ms: int = 0
    unprotected_ms: list[int] = field(default_factory=list)
    unprotected_calm_ms: list[int] = field(default_factory=list)
    fired: dict[str, int] = field(default_factory=dict)
    unknown_ms: list[int] = field(default_factory=list)
    restart_ms: list[int] = field(default_factory=list)
    emergency_flat_ms: list[int] = field(default_factory=list)
    emergency_cut: int = 0

    def add(self, result: Result) -> None:
        figures = result.figures
        self.worlds += 1
        self.days += result.days
        self.orders += figures.orders
        self.entries += figures.entries
        self.fills += figures.fills
        self.crashes += result.crashes
        self.lives += result.lives
        self.violations += result.violation is not None
        self.cpu_s += result.cpu_s
        self.unknown += figures.unknown
        self.naked_ms += figures.naked_ms
        self.naked_calm_ms += figures.naked_calm_ms
        self.emergency_flat_ms += figures.emergency_flat_ms
        self.emergency_cut += figures.emergency_cut
        self.held_ms += figures.held_ms
        self.unknown_ms += figures.unknown_ms
        self.unprotected_ms += figures.unprotected_ms
        self.unprotected_calm_ms += figures.unprotected_calm_ms
        self.restart_ms += figures.restart_ms
        for name, times in result.fired.items():
            self.fired[name] = self.fired.get(name, 0) + times

    @property
    def missing(self) -> list[str]:
        """Faults that should have happened and did not."""
        return [name for name in SIMULATED if not self.fired.get(name) and name not in self.without]

    def lines(self) -> list[str]:
        ordered = sorted(self.fired.items(), key=lambda item: int(item[0][1:]))
        rate = self.days / self.cpu_s if self.cpu_s else 0.0
        share = 100 * self.naked_ms / self.held_ms if self.held_ms else 0.0
        return [
            f"{self.worlds} worlds, {self.days:g} days, {self.orders} orders ({self.entries} entries), "
            f"{self.fills} fills, {self.crashes} crashes, {self.lives} starts",
            f"{rate:.2f} days per core-second, {self.orders / max(self.days, 0.01):.1f} orders and"
            f" {self.crashes / max(self.days, 0.01):.1f} crashes a day"
            if rate
            else "",
            "faults: " + ", ".join(f"{name} {times}" for name, times in ordered),
            f"never happened: {', '.join(self.missing) or 'none'}",
            f"orders of unknown outcome: {self.unknown}, resolved after {_quantiles(self.unknown_ms)}"
            " of a venue that may be asked, however many answers it loses",
            f"from start to reconciled, of the same: {_quantiles(self.restart_ms)}",
            f"unprotected {self.naked_ms / 1000:.0f} s of {self.held_ms / 3_600_000:.0f} h held"
            f" ({share:.2f} %), of which {self.naked_calm_ms / 1000:.0f} s in calm",
            f"unprotected at a time: {_quantiles(self.unprotected_ms)} (the agent dead, asleep or cut off"
            f" included); in calm: {_quantiles(self.unprotected_calm_ms)}",
            f"from a halt in calm to flat: {_quantiles(self.emergency_flat_ms)}"
            f" ({len(self.emergency_flat_ms)} times); left out: {self.emergency_cut} more, in which the venue"
            " could not be asked or the agent did not live before all was sold",
        ]


def _quantiles(values: list[int]) -> str:
    if not values:
        return "none"
    ordered = sorted(values)
    half, most = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {half / 1000:.1f} s, p99 {most / 1000:.1f} s, longest {ordered[-1] / 1000:.1f} s"
