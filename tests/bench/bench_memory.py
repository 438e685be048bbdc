"""Memory of the engine over simulated days: the demo market at 1,000 times life, resident size over its days.

The slope is a line through the second half of the samples, when caches are full; BENCH_MEMORY_S makes the run
longer (thirty days take 2,600 seconds).
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from tests.bench.bench_process import ROOT, _rss_mib, _start

SPEED: Final = 1_000
SECONDS: Final = float(os.environ.get("BENCH_MEMORY_S", "120"))


def run() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        market = _start("agent.localexchange", "--seed", "7", "--speed", str(SPEED))
        assert market.stdout is not None
        where = json.loads(market.stdout.readline())
        engine = _start(
            *("agent.main", "--headless", "--config", str(ROOT / "config.example.json")),
            *("--data-dir", str(Path(made) / "data"), "--clock", "exchange"),
            *("--exchange-url", where["rest"], "--exchange-ws-url", where["ws"]),
        )
        try:
            assert engine.stdout is not None
            while not engine.stdout.readline().startswith("RUNNING"):
                assert engine.poll() is None, "the engine ended"
            times, sizes = [], []
            start = time.monotonic()
            while time.monotonic() - start < SECONDS:
                time.sleep(1)
                times.append((time.monotonic() - start) * SPEED / 86_400)
                sizes.append(_rss_mib(engine.pid))
        finally:
            for process in (engine, market):
                process.terminate()
                process.wait(10)
    half = len(times) // 2
    slope = float(np.polyfit(times[half:], sizes[half:], 1)[0])
    yield f"{f'memory: after {times[-1]:.1f} simulated days':<58} {sizes[-1]:10.1f} MiB"
    yield f"{'memory: slope over the second half':<58} {slope:10.2f} MiB a simulated day"
