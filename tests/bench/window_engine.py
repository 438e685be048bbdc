"""An engine for the window's bench, as a process of its own: it publishes, and measures its own lateness.

It stamps every state with the machine's monotonic time (the same for all processes), publishes at random
moments about ten times a second, and every ten milliseconds notes how late a callback of its loop was.
`python -m tests.bench.window_engine DIR`; a line on standard input ends it, and it prints its lateness.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import sys
import time
from collections.abc import Mapping
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
    timing = asyncio.ensure_future(_time(late))
    await asyncio.to_thread(sys.stdin.readline)
    for task in (publishing, timing, running):
        task.cancel()
    await asyncio.gather(publishing, timing, running, return_exceptions=True)
    return late


async def _publish(door: Door, server: ControlServer) -> None:
    chance = random.Random(3)
    while True:
        await asyncio.sleep(chance.expovariate(1 / EVERY_S))
        door.moved()
        server.changed()


async def _time(late: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.01
        await asyncio.sleep(0.01)
        late.append((loop.time() - due) * 1000)


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
