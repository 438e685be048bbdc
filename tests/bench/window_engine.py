"""An engine for the window's bench, as a process of its own: it publishes, and measures its own lateness.

It stamps every state with the machine's monotonic time (the same for all processes), publishes at random
moments about ten times a second. Every ten milliseconds another process writes the time into a pipe, and the
callback that reads it notes how late it comes: as a frame from a socket would. (A timer cannot tell: the loop
rounds it to whole milliseconds.)
`python -m tests.bench.window_engine DIR`; a line on standard input ends it, and it prints its lateness.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.command_line.place import our_versions
from agent.control.door import Answer, Done
from agent.control.server import ControlServer
from agent.core.events import Operator
from agent.core.instant import iso_utc
from agent.core.market import Candle
from agent.store.candles import CandleStore, SeriesKey

VENUE = "binance@api.binance.com"
BAR_MS = 900_000
BARS = 20_000
START_MS = 1_735_689_600_000
EVERY_S = 0.1


class Door:
    """A position whose price walks."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = copy.deepcopy(dict(document))
        self.price = 0.5

    def moved(self) -> None:
        self.price = max(0.1, self.price * (1 + random.gauss(0, 0.0004)))
        now_ms = START_MS + BARS * BAR_MS + int(time.monotonic() * 1000) % BAR_MS
        text = f"{self.price:.4f}"
        self._document = {
            **self._document,
            "at": iso_utc(now_ms),
            "published_ns": time.monotonic_ns(),
            "price": {"bid": text, "ask": text, "last": self.price, "at": iso_utc(now_ms), "trusted": True},
            "bar": {
                "open_ms": START_MS + BARS * BAR_MS, "open": 0.5, "high": max(0.5, self.price),
                "low": min(0.5, self.price), "close": self.price, "volume": 1000.0,
            },
        }  # fmt: skip

    def snapshot(self) -> Mapping[str, Any]:
        return self._document

    async def settled(self) -> None:
        return None

    async def ask(self, event: Operator) -> Answer:
        return Done("RUNNING", "done")

    async def emergency(self, by: str) -> Answer:
        return Done("HALTED", "latched")


def candles(directory: Path) -> None:
    chance = random.Random(7)
    price, rows = 0.5, []
    for i in range(BARS):
        close = max(0.05, price * (1 + chance.gauss(0, 0.003)))
        high, low = max(price, close) * 1.001, min(price, close) * 0.999
        rows.append(Candle(START_MS + i * BAR_MS, price, high, low, close, chance.uniform(1e4, 1e6)))
        price = close
    store = CandleStore(directory / "candles.db")
    store.series(SeriesKey(VENUE, "ADA/USDT", "15m")).save(rows)
    store.close()


async def serve(directory: Path, document: Mapping[str, Any]) -> list[float]:
    door = Door(document)
    door.moved()
    server = ControlServer(door, our_versions())
    ready = asyncio.Event()
    running = asyncio.ensure_future(server.run(directory, 1, lambda _port: ready.set()))
    await ready.wait()
    print("ready", flush=True)
    late: list[float] = []
    publishing = asyncio.ensure_future(_publish(door, server))
    with _timed(late):
        await asyncio.to_thread(sys.stdin.readline)
    for task in (publishing, running):
        task.cancel()
    await asyncio.gather(publishing, running, return_exceptions=True)
    return late


async def _publish(door: Door, server: ControlServer) -> None:
    chance = random.Random(3)
    while True:
        await asyncio.sleep(chance.expovariate(1 / EVERY_S))
        door.moved()
        server.changed()


_CALLS = """
import os, struct, time
while True:
    time.sleep(0.01)
    os.write(1, struct.pack("q", time.monotonic_ns()))
"""


@contextlib.contextmanager
def _timed(late: list[float]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    calling = subprocess.Popen([sys.executable, "-S", "-c", _CALLS], stdout=subprocess.PIPE)
    assert calling.stdout is not None
    pipe = calling.stdout.fileno()

    def called() -> None:
        now_ns = time.monotonic_ns()
        late.extend(
            (now_ns - sent_ns) / 1e6 for (sent_ns,) in struct.iter_unpack("q", os.read(pipe, 8 * 512))
        )

    loop.add_reader(pipe, called)
    try:
        yield
    finally:
        loop.remove_reader(pipe)
        calling.kill()
        calling.wait()


def main() -> None:
    directory = Path(sys.argv[1])
    document = json.loads((directory / "document.json").read_text())
    candles(directory)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        late = runner.run(serve(directory, document))
    print(json.dumps(late), flush=True)


if __name__ == "__main__":
    main()
