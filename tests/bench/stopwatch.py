"""Measuring: repeated runs, percentiles, and one line per figure."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def microseconds(
    work: Callable[[], object], runs: int, clock_ns: Callable[[], int] = time.perf_counter_ns
) -> list[float]:
    """How long each of `runs` calls took; with `time.process_time_ns`, how much CPU."""
    taken = []
    for _ in range(runs):
        start = clock_ns()
        work()
        taken.append((clock_ns() - start) / 1000)
    return taken


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def line(what: str, values: Sequence[float], unit: str) -> str:
    return f"{what:<58} p50 {percentile(values, 0.5):9.1f}  p99 {percentile(values, 0.99):9.1f} {unit}"
