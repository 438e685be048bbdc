"""Each promised bar is read from the line a bench prints, and judged."""

from __future__ import annotations

from tests.bench.bars import BARS, verdicts
from tests.bench.bench_window import figure
from tests.bench.stopwatch import line

WELL = (
    line("closed bar received -> entry order at the exchange", [3.0, 19.0], "ms"),
    line("price update -> exit order at the exchange", [3.0, 9.0], "ms"),
    line("  update: 20,000 candles, 200 in view", [900.0, 2_400.0], "us") + "  [ 187.0 ms,  216 x]",
    line("  update: 1,000 candles, 200 in view", [900.0, 9_000.0], "us"),
    line("  pan: 20,000 candles, all in view", [1_900.0, 3_900.0], "us"),
    line("window: engine event -> painted, 10 updates/s", [20.0, 60.0], "ms"),
    line("window: an engine callback's lateness, repainting at full rate", [0.1, 0.9], "ms"),
    line("window: an engine callback's lateness, 10 updates/s", [0.1, 40.0], "ms"),
    figure("window: emergency click -> latch on disk", 20, "ms"),
    figure("window: emergency click -> cancel at the exchange", 53, "ms"),
    figure("window: emergency click -> flat", 300, "ms"),
    figure("a year: restart to RUNNING (all reconciled)", 4.4, "s"),
    figure("engine: memory after 20 s (first start)", 128, "MiB"),
    figure("memory: slope over the second half", 0.1, "MiB a simulated day"),
    figure("window: start to first paint, cold (offscreen)", 613, "ms"),
    figure("simulation: busy days per core-second", 3.1, ""),
)


def test_every_bar_is_found_in_what_the_benches_print() -> None:
    *found, last = list(verdicts(WELL, ("all",)))[1:]
    assert [text for text in found if not text.endswith("passed")] == []
    measured = {text[:44].strip(): float(text[44:].split()[0]) for text in found}
    assert measured["headless engine memory"] == 128
    assert measured["chart update at 20,000 candles, CPU p99"] == 2.4
    assert last == f"{len(BARS)} passed, 0 failed, 0 not measured (all)"


def test_the_worst_line_counts_and_what_was_not_measured_is_said() -> None:
    slow = line("price update -> exit order at the exchange", [3.0, 10.1], "ms")
    few = figure("simulation: busy days per core-second", 2.7, "")
    found = list(verdicts((WELL[1], slow, few), ("order",)))
    assert [text.split()[-1] for text in found if "FAILED" in text] == ["FAILED", "FAILED"]
    assert found[-1] == f"0 passed, 2 failed, {len(BARS) - 2} not measured (order)"
