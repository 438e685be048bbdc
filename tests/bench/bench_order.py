"""From a closed bar to the order at the exchange, and from a price to the sale: loop, ledger and all.

The exchange is one that only notes when it was asked, so what is measured is ours: queue, step, durable
commit (SQLite, synchronous FULL), dispatch. A network comes on top.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.compose.engine import keep_for_good
from agent.compose.ledger_journal import LedgerJournal
from agent.compose.unreachable import Unreachable
from agent.core import events as e
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.order import Fact, Intent
from agent.core.ports import Canceled, Placed
from agent.core.verdict import Approved
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import Runtime
from agent.store.batch import Scope
from agent.store.ledger import Ledger
from agent.store.prepare import prepare
from agent.store.writer import Watch, Writer
from tests.bench.stopwatch import line
from tests.playbook import Playbook, signal_candle

TRADES = 200


@dataclass(frozen=True, slots=True)
class Taken:
    """One way to the exchange: what a clock on the wall says, and what processors did meanwhile."""

    ms: float
    cpu_ms: float


class _Asked(Unreachable):
    """Notes when an order arrives; never answers by itself."""

    def __init__(self) -> None:
        self.at_ns = 0
        self.cpu_ns = 0
        self.came = asyncio.Event()

    def _note(self) -> None:
        self.at_ns, self.cpu_ns = time.perf_counter_ns(), time.process_time_ns()

    async def place(self, approved: Approved) -> Placed:
        self._note()
        self.came.set()
        return e.OutcomeUnknown(approved.intent.client_id, "bench")

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        self._note()
        self.came.set()
        return e.CancelFailed(cancel.client_id, None, "bench"), None


class StillClock:
    """Venue time as the playbook left it."""

    def __init__(self, now_ms: int) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        return self.at_ms

    def machine_ms(self) -> float:
        return time.monotonic() * 1000

    async def sleep_until(self, venue_ms: int) -> None:
        await asyncio.sleep(3600)

    async def sleep_machine(self, ms: float) -> None:
        await asyncio.sleep(ms / 1000)


class Books:
    """A deep book one tick wide, at once."""

    def __init__(self, play: Playbook) -> None:
        self._play = play

    async def book(self) -> Book:
        trusted = self._play.state.prices.trusted
        assert trusted is not None
        deep = trusted.bid_qty * 1000
        return Book((BookLevel(trusted.bid, deep),), (BookLevel(trusted.ask, deep),), self._play.now_ms)


class OpenLatch:
    def set(self, reason: str, at_ms: int) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool:
        return False


def run() -> Iterator[str]:
    entries, exits, syncs = asyncio.run(_measure())
    cpu = [taken.cpu_ms for taken in (*entries, *exits)]
    yield line("closed bar received -> entry order at the exchange", [taken.ms for taken in entries], "ms")
    yield line("price update -> exit order at the exchange", [taken.ms for taken in exits], "ms")
    yield line("of either, processor time of all threads", cpu, "ms")
    yield line("of either, this disk alone: 12 KB written and synced", syncs, "ms")


async def _measure() -> tuple[list[Taken], list[Taken], list[float]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trades.db"
        prepare(path)
        entries, exits, syncs = [], [], []
        with (Path(directory) / "blocks").open("wb", buffering=0) as blocks:
            blocks.write(bytes(1_048_576))
            os.fsync(blocks.fileno())
            syncs.extend(_synced(blocks.fileno()) for _ in range(TRADES))
        for number in range(TRADES):
            scope = Scope("bench", f"bench@{number}", "paper", "paper-1", "ADA/USDT")
            ledger = Ledger.open(path, scope)
            # As the writer does when half a second has nothing to be written, and as a start ends.
            ledger.tidy()
            keep_for_good()
            writer = Writer(ledger, Watch(), tidy=ledger.tidy)
            try:
                entries.append(await _timed(*entering(), LedgerJournal(writer, "bench")))
                exits.append(await _timed(*leaving(), LedgerJournal(writer, "bench")))
            finally:
                writer.close()
                ledger.close()
        return entries, exits, syncs


def _synced(descriptor: int) -> float:
    """Milliseconds that the disk takes for a commit's worth of blocks that are there."""
    start = time.perf_counter_ns()
    os.pwrite(descriptor, bytes(12_288), 0)
    os.fdatasync(descriptor)
    return (time.perf_counter_ns() - start) / 1e6


async def _timed(play: Playbook, event: e.Event, journal: LedgerJournal) -> Taken:
    """What it takes from handing `event` to the loop until the exchange is asked."""
    clock, asked = StillClock(play.now_ms), _Asked()
    runtime = Runtime(play.state, clock, journal, OpenLatch(), random.Random(7))
    runtime.connect(
        Dispatcher(asked, Books(play), OpenLatch(), runtime.sink, runtime.intent_of)  # type: ignore[arg-type]
    )
    loop = asyncio.ensure_future(runtime.run())
    await asyncio.sleep(0)
    start, cpu_start = time.perf_counter_ns(), time.process_time_ns()
    runtime.sink(event)
    await asyncio.wait_for(asked.came.wait(), 10)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await runtime.settle_writes()
    return Taken((asked.at_ns - start) / 1e6, (asked.cpu_ns - cpu_start) / 1e6)


def entering() -> tuple[Playbook, e.Event]:
    """An agent that is ready, and the bar whose close lets it buy."""
    play = Playbook()
    play.ready()
    candle: Candle = signal_candle(play.last_bar)
    play.at(candle.open_ms + play.setup.bar_ms)
    play.walk(candle.close)
    return play, e.BarClosed(candle, e.ClosedBy.FLAG)


def leaving() -> tuple[Playbook, e.Event]:
    """An agent that holds, and the price at which it leaves."""
    play = Playbook()
    play.ready()
    position = play.enter()
    play.later(play.setup.bar_ms)
    target = position.levels.target
    assert target is not None
    play.walk(target - 0.001)
    bid = play.instrument.price(target + 0.0001, "up")
    quote = Quote(bid, bid * 1000, bid + play.instrument.tick, bid * 1000, play.now_ms, DataSource.WEBSOCKET)
    return play, e.QuoteSeen(quote, True)


assert Fact.WORKING, "the playbook rests the stop through it"
