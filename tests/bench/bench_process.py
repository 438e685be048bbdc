"""The engine as a process: from its start to RUNNING, its memory, its share of a core at real speed."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WATCH_S = 20


def run() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        market = _start("agent.localexchange", "--seed", "7", "--speed", "1")
        try:
            assert market.stdout is not None
            where = json.loads(market.stdout.readline())
            for again in ("first start", "restart"):
                yield from _engine(Path(directory), where, again)
        finally:
            market.terminate()
            market.wait(10)


def _engine(directory: Path, where: dict[str, str], which: str) -> Iterator[str]:
    start = time.monotonic()
    engine = _start(
        *("agent.main", "--headless", "--config", str(ROOT / "config.example.json")),
        *("--data-dir", str(directory / "data"), "--clock", "exchange"),
        *("--exchange-url", where["rest"], "--exchange-ws-url", where["ws"]),
    )
    try:
        assert engine.stdout is not None
        while not engine.stdout.readline().startswith("RUNNING"):
            assert engine.poll() is None, "the engine ended"
        yield f"{f'engine: {which} to RUNNING':<58} {time.monotonic() - start:10.2f} s"
        before = _cpu_s(engine.pid)
        time.sleep(WATCH_S)
        share = (_cpu_s(engine.pid) - before) / WATCH_S * 100
        yield f"{f'engine: memory after {WATCH_S} s ({which})':<58} {_rss_mib(engine.pid):10.1f} MiB"
        yield f"{f'engine: share of one core at 1x ({which})':<58} {share:10.2f} %"
    finally:
        engine.terminate()
        engine.wait(10)


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _rss_mib(pid: int) -> float:
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith("VmRSS:"):
            return int(row.split()[1]) / 1024
    raise AssertionError("no VmRSS")
