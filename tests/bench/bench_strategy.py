"""Indicators and replay: a live bar, warming up, whole histories beside the same rules in plain loops."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from agent.config.strategy import exit_params, seller_params
from agent.core.parameters import ExitParams, SellerParams
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow
from agent.replay.bar_form import run_bar_form
from agent.store.candles import CandleStore, SeriesKey
from tests.bench.stopwatch import line, microseconds
from tests.unit.config_documents import accepted

BARS = 20_000


def walk(bars: int) -> CandleSeries:
    """A random walk of 15-minute candles around 0.5."""
    chance = np.random.default_rng(7)
    close = 0.5 * np.exp(np.cumsum(chance.normal(0, 0.003, bars)))
    opened = np.concatenate(([0.5], close[:-1]))
    spread = np.abs(chance.normal(0, 0.002, bars)) * close
    volume = chance.lognormal(12, 1, bars)
    times = np.arange(bars, dtype=np.int64) * 900_000
    high, low = np.maximum(opened, close) + spread, np.minimum(opened, close) - spread
    return CandleSeries(times, opened, high, low, close, volume)


def run() -> Iterator[str]:
    config = accepted()
    seller, exits = seller_params(config), exit_params(config)
    series = walk(105_000)
    part = series.part(0, 7_732)
    window = SignalWindow.warm(seller, exits, part)
    candle = series.candle(7_732)
    yield line(
        "indicators: one live bar, default windows", microseconds(lambda: window.push(candle), 2_000), "us"
    )
    for bars in (7_000, 105_000):
        some = series.part(0, bars)
        taken = [t / 1000 for t in microseconds(lambda s=some: SignalWindow.warm(seller, exits, s), 5)]  # type: ignore[misc]
        yield line(f"warm-up: {bars} bars, computing only", taken, "ms")
    yield from _from_store(series, seller, exits)
    some = series.part(0, BARS)
    start = time.perf_counter()
    run_bar_form(some, seller, exits)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    plain_loops(some, 2_000)
    plain = (time.perf_counter() - start) / 2_000 * BARS
    yield f"{'replay: bar form':<58} {BARS / ours:12,.0f} bars/s"
    yield f"{'replay: indicators in plain pandas loops (2,000 bars)':<58} {BARS / plain:12,.0f} bars/s"
    yield f"{'replay: ours against plain loops':<58} {plain / ours:12.1f} times"


def _from_store(series: CandleSeries, seller: SellerParams, exits: ExitParams) -> Iterator[str]:
    """What a restart does: read the stored bars and warm up on them."""
    with tempfile.TemporaryDirectory() as made:
        store = CandleStore(Path(made) / "candles.db")
        stored = store.series(SeriesKey("bench", "ADA/USDT", "15m"))
        stored.save(list(series))
        for bars in (7_732, len(series)):
            since_ms = int(series.open_ms[-bars])

            def warm(since_ms: int = since_ms) -> None:
                SignalWindow.warm(seller, exits, stored.read(since_ms, 1 << 62))

            taken = [t / 1000 for t in microseconds(warm, 5)]
            yield line(f"warm-up: {bars} bars, read from candles.db and computed", taken, "ms")
        store.close()


def plain_loops(series: CandleSeries, bars: int) -> int:
    """The entry rule as one would first write it: a pandas window per bar, recomputed each time."""
    table = pd.DataFrame({"c": series.close, "h": series.high, "l": series.low, "v": series.volume})
    found = 0
    for i in range(1_500, 1_500 + bars):
        seen = table.iloc[: i + 1]
        fast = seen["c"].ewm(span=96, adjust=False).mean().iloc[-1]
        slow = seen["c"].ewm(span=672, adjust=False).mean().iloc[-1]
        volume = seen["v"].iloc[-672:]
        z = (volume.iloc[-1] - volume.mean()) / volume.std(ddof=0)
        found += bool(fast < slow and z > 2)
    return found
