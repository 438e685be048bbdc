"""The emergency stop from the window: from the click to the latch on disk and to the cancel at the exchange.

A real engine in testnet mode holds a position with a resting stop on the local exchange, while the window's
chart repaints as fast as it can. The click is the one on `Stop now`, after the question was put.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.bench_window import ROOT, figure

SPEED = 60


def run() -> Iterator[str]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [str(ROOT / "tests" / "ui"), str(ROOT / "tests" / "e2e")]
    with tempfile.TemporaryDirectory() as directory:
        yield from _measured(Path(directory))


def _measured(directory: Path) -> list[str]:
    from configurations import WISH, quick, written
    from PySide6.QtCore import QTimer
    from testnet_ground import TESTNET, credentials
    from window_ground import house, place_of, play, window_on

    found: list[str] = []

    async def scenario() -> None:
        async with house() as built:
            market = await built.market(*credentials.options, speed=SPEED)
            stop = {"backtest_params": {"use_stop_loss": True, "atr_stop_mult": 5.0}}
            written(directory, quick(**{**TESTNET, **stop}))
            environment = credentials.environment(directory)
            agent = await built.agent(directory, *market.address, env=environment)
            async with agent.watched() as watch:
                await watch.entries_allowed()
                async with window_on(place_of(directory), directory) as eyes:
                    await market.signal(**WISH)
                    await watch.until(
                        "protected", lambda s: s["positions"] and s["positions"][0]["protected_by"]
                    )
                    await eyes.until("held", lambda: eyes.picture.holdings)
                    view = eyes.controller.chart.view  # type: ignore[union-attr]
                    again = QTimer()
                    again.timeout.connect(view.update)
                    again.start(0)
                    eyes.click(eyes.window.control.emergency_button)
                    venue_ms, clicked_ns = await market.now_ms(), time.time_ns()
                    eyes.click_answer("emergency")
                    await eyes.until(
                        "flat", lambda: eyes.picture.status.halt and eyes.picture.status.halt.flat
                    )
                    flat_ns = time.time_ns()
                    again.stop()
                    latched_ns = (directory / "halt.latch").stat().st_mtime_ns
                    ledger = await market.control("ledger")
                    found.extend(_lines(ledger, venue_ms, clicked_ns, latched_ns))
                    flat_ms = (flat_ns - clicked_ns) / 1e6
                    found.append(figure("window: emergency click -> flat", flat_ms, "ms"))

    play(scenario)
    return found


def _lines(ledger: dict[str, Any], venue_ms: int, clicked_ns: int, latched_ns: int) -> list[str]:
    acts = [
        request["ts"]
        for request in ledger["requests"]
        if request["ts"] >= venue_ms
        and request["method"] in ("DELETE", "POST")
        and "order" in request["path"].lower()
    ]
    first = figure("window: emergency click -> latch on disk", (latched_ns - clicked_ns) / 1e6, "ms")
    if not acts:
        return [first, "window: emergency click -> cancel at the exchange: none was seen"]
    wire = (min(acts) - venue_ms) / SPEED
    return [first, figure("window: emergency click -> cancel at the exchange", wire, "ms")]
