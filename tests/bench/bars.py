"""The bars the product promises, beside what was measured: one line each, passed or not, or not measured.

A figure is found by the beginning of the line a bench prints, and read from it: its p99, or its only number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

#: Where the figures of a line begin.
_COLUMN: Final = 58


@dataclass(frozen=True, slots=True)
class Bar:
    """`figure` begins the measured lines (the worst of them counts); `least`: more is better."""

    what: str
    figure: str
    limit: float
    unit: str
    per_unit: float = 1.0
    least: bool = False

    def read(self, line: str) -> float | None:
        """What a line says, in the bar's unit."""
        if not line.strip().startswith(self.figure):
            return None
        found = re.search(r"p99\s+([\d.,]+)", line) or re.match(r"\s*([\d.,]+)", line[_COLUMN:])
        return None if found is None else float(found[1].replace(",", "")) / self.per_unit


BARS: Final = (
    Bar("closed bar -> order on the wire, p99", "closed bar received -> entry order", 20, "ms"),
    Bar("price -> exit order on the wire, p99", "price update -> exit order", 10, "ms"),
    Bar("emergency stop: latch durable", "window: emergency click -> latch on disk", 50, "ms"),
    Bar("emergency stop: cancels sent", "window: emergency click -> cancel at the exchange", 1_000, "ms"),
    Bar("emergency stop: flat", "window: emergency click -> flat", 10_000, "ms"),
    Bar("restart to reconciled, one-year ledger", "a year: restart to RUNNING", 5, "s"),
    Bar("headless engine memory", "engine: memory after", 200, "MiB"),
    Bar("memory slope", "memory: slope over the second half", 1, "MiB/day"),
    Bar("chart update at 20,000 candles, CPU p99", "update: 20,000 candles", 2.5, "ms", 1_000),
    Bar("chart pan frame at 20,000 candles, CPU p99", "pan: 20,000 candles", 4, "ms", 1_000),
    Bar("engine event -> painted, p99", "window: engine event -> painted", 100, "ms"),
    Bar(
        "engine callback late at full repaint, p99",
        "window: an engine callback's lateness, repainting",
        1,
        "ms",
    ),
    Bar("cold start to first paint", "window: start to first paint, cold", 1_500, "ms"),
    Bar("simulated busy days per core-second", "simulation: busy days per core-second", 2.8, "", least=True),
)


def verdicts(lines: Iterable[str], benches: Iterable[str]) -> Iterator[str]:
    """One line for each bar, from all lines that were printed. `benches` ran: others are only named."""
    printed = list(lines)
    yield f"{'bar':<44} {'measured':>10} {'bar':>10}"
    failed = unknown = 0
    for bar in BARS:
        values = [value for line in printed if (value := bar.read(line)) is not None]
        wanted = f"{'>=' if bar.least else '<='} {bar.limit:g} {bar.unit}".strip()
        if not values:
            unknown += 1
            yield f"{bar.what:<44} {'-':>10} {wanted:>14}  not measured"
            continue
        worst = min(values) if bar.least else max(values)
        passed = worst >= bar.limit if bar.least else worst <= bar.limit
        failed += not passed
        yield f"{bar.what:<44} {worst:10.2f} {wanted:>14}  {'passed' if passed else 'FAILED'}"
    passed_all = len(BARS) - failed - unknown
    yield f"{passed_all} passed, {failed} failed, {unknown} not measured ({', '.join(benches)})"
