"""The chart's CPU for each update of the last price and for each frame of a pan, with everything shown.

Offscreen, 900 x 600, the last 200 bars or all of them in view, at 1,000, 5,000 and 20,000 candles; beside it
the same scene as one QPicture of all candles (naive_chart), measured in the same minute.
"""

from __future__ import annotations

import gc
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.bench.stopwatch import line, microseconds, percentile

SIZES = (1_000, 5_000, 20_000)
TRADES = 40
_PER_SECOND = 20


def run() -> Iterator[str]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")
    from PySide6.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    yield "chart: CPU, offscreen 900 x 600, all overlays; in brackets the same scene as one QPicture"
    for size in SIZES:
        for bars in (200, size):
            yield from _scene(size, bars, application.processEvents)


def _scene(size: int, bars: int, settle: Callable[[], None]) -> Iterator[str]:
    from tests.bench.naive_chart import NaiveChart
    from tests.ui.chart_scene import full_view, market

    def measure(work: Callable[[float], None], values: Iterator[float], runs: int) -> list[float]:
        def once() -> None:
            work(next(values))
            settle()

        microseconds(once, 5)
        return microseconds(once, runs, time.process_time_ns)

    view, seen = full_view(size, TRADES)
    view.show_bars(bars)
    view.show()
    settle()
    gc.freeze()  # as the window does
    last = seen.candle(-1)
    prices = itertools.cycle(last.low + (last.high - last.low) * step / 6 for step in range(7))
    sides = itertools.cycle((-3.0, -3.0, 3.0, 3.0))
    updates = measure(lambda price: view.update_last(replace(last, close=price)), prices, 200)
    view.pan(-0.1 * bars)
    pans = measure(view.pan, sides, 100)
    view.close()
    naive = NaiveChart(market(size), TRADES)
    naive.show(bars)
    naive.widget.show()
    settle()
    beside = (measure(naive.tick, prices, 5), measure(naive.pan, sides, 5))
    naive.widget.close()
    gc.unfreeze()
    name = f"{size:,} candles, {'all' if bars == size else bars} in view"
    for what, ours, theirs in zip(("update", "pan"), (updates, pans), beside, strict=True):
        middle, slow = percentile(ours, 0.5), percentile(theirs, 0.5)
        note = f"  [{slow / 1000:6.1f} ms, {slow / middle:4.0f} x]"
        if what == "update":
            note += f"  {middle * _PER_SECOND / 10_000:.1f} % of a core at {_PER_SECOND}/s"
        yield line(f"  {what}: {name}", ours, "us") + note
