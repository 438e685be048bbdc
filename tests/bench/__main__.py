"""`make bench`: every figure, one line each, and at the end each bar with what was measured.

Nothing is asserted: times are this machine's, under the load it has. Compare runs of the same minute.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time

from agent.core.money import forbid_float_money
from tests.bench import (
    bars,
    bench_chart,
    bench_emergency,
    bench_engine,
    bench_memory,
    bench_order,
    bench_process,
    bench_rehearsal,
    bench_signed,
    bench_simulation,
    bench_step,
    bench_strategy,
    bench_window,
    bench_year,
)

BENCHES = {
    "step": bench_step.run,
    "strategy": bench_strategy.run,
    "order": bench_order.run,
    "signed": bench_signed.run,
    "engine": bench_engine.run,
    "process": bench_process.run,
    "year": bench_year.run,
    "memory": bench_memory.run,
    "chart": bench_chart.run,
    "window": bench_window.run,
    "emergency": bench_emergency.run,
    "simulation": bench_simulation.run,
    "rehearsal": bench_rehearsal.run,
}


def main() -> int:
    forbid_float_money()
    logging.disable(logging.CRITICAL)
    # The rehearsal takes a quarter of an hour and is run when it is asked for.
    wanted = sys.argv[1:] or [name for name in BENCHES if name != "rehearsal"]
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 1
    print(
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    printed = []
    for name in wanted:
        for text in BENCHES[name]():
            print(text, flush=True)
            printed.append(text)
    print()
    for text in bars.verdicts(printed, wanted):
        print(text)
    return 0


sys.exit(main())
