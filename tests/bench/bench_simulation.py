"""How many busy days of bad luck a core lives in a second: a few worlds, one after another.

A core of a shared machine is not equally quick in each minute. The same worlds are lived three times; the
best of the rounds is what the code costs. Beside each stands how quick plain Python was in that minute.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.bench_process import ROOT

#: Few seeds are no usual days: the first twelve have a tenth fewer orders.
SEEDS = "0:60"
ROUNDS = 3
#: Calls of an empty function that say how quick this core is now.
_CALLS = 2_000_000


def run() -> Iterator[str]:
    words = (sys.executable, "-m", "agent.simulation", "--seeds", SEEDS)
    lived, calls = [], []
    for _ in range(ROUNDS):
        before = _calls_per_core_us()
        ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
        found = re.search(r"([\d.]+) days per core-second", ended.stdout)
        assert found is not None, ended.stdout + ended.stderr
        lived.append(float(found[1]))
        calls.append((before + _calls_per_core_us()) / 2)
    yield f"{'simulation: busy days per core-second, best round':<58} {max(lived):10.2f}"
    yield f"{'  each round':<58} {_listed(lived)}"
    yield f"{'  plain Python calls per core-microsecond meanwhile':<58} {_listed(calls)}"
    per_call = [days / quick for days, quick in zip(lived, calls, strict=True)]
    yield f"{'  days per million plain calls':<58} {_listed(per_call)}"


def _calls_per_core_us() -> float:
    def nothing() -> None:
        return None

    began_ns = time.process_time_ns()
    for _ in range(_CALLS):
        nothing()
    return _CALLS / ((time.process_time_ns() - began_ns) / 1_000)


def _listed(values: list[float]) -> str:
    return " ".join(f"{value:10.2f}" for value in values)
