"""A ledger after a year: what a restart reads back, what the figures cost, how long until reconciled."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agent.store.batch import Scope
from agent.store.ledger import Ledger
from agent.store.reading import Reader
from agent.store.statistics import read_statistics
from tests.bench.bench_process import ROOT, _start
from tests.bench.stopwatch import line
from tests.bench.year import write_year


def run() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        market = _start("agent.localexchange", "--seed", "7", "--speed", "1")
        try:
            assert market.stdout is not None
            where = json.loads(market.stdout.readline())
            venue = f"binance@{where['rest'].rpartition('/')[2]}"
            scope = Scope("agent", venue, "paper", "paper-1", "ADA/USDT")
            now_ms = int(time.time() * 1000)
            counts = write_year(directory / "trades.db", scope, now_ms)
            size = (directory / "trades.db").stat().st_size / 2**20
            yield f"{'a year: rows in the ledger':<58} {sum(counts.values()):12,d} ({size:.0f} MiB)"
            yield from _reading(directory / "trades.db", scope, now_ms)
            yield from _restart(directory, where)
        finally:
            market.terminate()
            market.wait(10)


def _reading(path: Path, scope: Scope, now_ms: int) -> Iterator[str]:
    loads, figures = [], []
    for _ in range(3):
        start = time.perf_counter()
        ledger = Ledger.open(path, scope, read_only=True)
        ledger.load()
        loads.append((time.perf_counter() - start) * 1000)
        ledger.close()
        reader = Reader.open(path)
        start = time.perf_counter()
        read_statistics(reader, scope, now_ms)
        figures.append((time.perf_counter() - start) * 1000)
        reader.close()
    yield line("a year: reading back what a restart needs", loads, "ms")
    yield line("a year: all figures of `stats`", figures, "ms")


def _restart(directory: Path, where: dict[str, str]) -> Iterator[str]:
    start = time.monotonic()
    engine = _start(
        *("agent.main", "--headless", "--config", str(ROOT / "config.example.json")),
        *("--data-dir", str(directory), "--clock", "exchange"),
        *("--exchange-url", where["rest"], "--exchange-ws-url", where["ws"]),
    )
    try:
        assert engine.stdout is not None
        while not engine.stdout.readline().startswith("RUNNING"):
            assert engine.poll() is None, "the engine ended"
        yield f"{'a year: restart to RUNNING (all reconciled)':<58} {time.monotonic() - start:10.2f} s"
    finally:
        engine.terminate()
        engine.wait(10)
