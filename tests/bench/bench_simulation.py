"""How many busy days of bad luck a core lives in a second: a few worlds, one after another."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

from tests.bench.bench_process import ROOT

#: Few seeds are no usual days: the first twelve have a tenth fewer orders.
SEEDS = "0:60"


def run() -> Iterator[str]:
    words = (sys.executable, "-m", "agent.simulation", "--seeds", SEEDS)
    ended = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    found = re.search(r"([\d.]+) days per core-second", ended.stdout)
    assert found is not None, ended.stdout + ended.stderr
    yield f"{'simulation: busy days per core-second':<58} {float(found[1]):10.2f}"
