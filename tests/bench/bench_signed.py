"""From a closed bar or a price to the bytes of a signed order: loop, ledger, gate, signature, connection.

The exchange is the local one as a process of its own. The moment that counts is the last word before the
request's bytes are written to a connection that stands; what the exchange answers is no part of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from agent.compose.engine import keep_for_good
from agent.compose.ledger_journal import LedgerJournal
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core import events as e
from agent.core.order import Intent
from agent.exchange.addresses import Addresses
from agent.exchange.last_word import LastWord
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.weight_gate import WeightGate
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import Runtime
from agent.store.batch import Scope
from agent.store.ledger import Ledger
from agent.store.prepare import prepare
from agent.store.writer import Watch, Writer
from tests.bench.bench_order import Books, OpenLatch, StillClock, Taken, entering, leaving
from tests.bench.bench_process import _start
from tests.bench.stopwatch import line
from tests.playbook import Playbook

TRADES: Final = 100
_WINDOW_MS: Final = 10_000
"""Over which an exchange counts orders."""


class _Wall:
    """Real time, for the connection."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def machine_ms(self) -> float:
        return time.monotonic() * 1_000

    async def sleep_until(self, venue_ms: int) -> None:
        await asyncio.sleep(max(0.0, (venue_ms - self.now_ms()) / 1_000))

    async def sleep_machine(self, ms: float) -> None:
        await asyncio.sleep(ms / 1_000)


class _Noting:
    """Notes when an order's bytes are about to be written, and holds none back."""

    def __init__(self) -> None:
        self.at_ns = self.cpu_ns = 0
        self.came = asyncio.Event()

    def last_word(self, intent: Intent) -> LastWord:
        return self._note

    def _note(self) -> None:
        self.at_ns, self.cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        self.came.set()


def run() -> Iterator[str]:
    market = _start("agent.localexchange", "--seed", "7", "--speed", "1")
    try:
        assert market.stdout is not None
        entries, exits = asyncio.run(_measure(json.loads(market.stdout.readline())))
    finally:
        market.terminate()
        market.wait(10)
    yield line("closed bar received -> signed entry on the wire", [taken.ms for taken in entries], "ms")
    yield line("price update -> signed exit on the wire", [taken.ms for taken in exits], "ms")
    cpu = [taken.cpu_ms for taken in (*entries, *exits)]
    yield line("of either, processor time of all threads, signed", cpu, "ms")


async def _measure(told: dict[str, Any]) -> tuple[list[Taken], list[Taken]]:
    clock = _Wall()
    gate = WeightGate(clock)
    exchange = SignedBinance(
        Addresses.replaced("binance", told["rest"], told["ws"]),
        ExchangeKeys(Secret(told["key"]), Secret(told["secret"]), None),
        "ADA/USDT",
        gate,
        clock,
        chance=random.Random(5),
        halted=lambda: False,
        use_stream=False,
    )
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "trades.db"
            prepare(path)
            entries: list[Taken] = []
            exits: list[Taken] = []
            for number in range(TRADES):
                scope = Scope("bench", f"bench@{number}", "testnet", "account", "ADA/USDT")
                with contextlib.closing(Ledger.open(path, scope)) as ledger:
                    ledger.tidy()
                    keep_for_good()
                    with contextlib.closing(Writer(ledger, Watch(), tidy=ledger.tidy)) as writer:
                        for found, begun in ((entries, entering), (exits, leaving)):
                            # A quick machine would use up the orders of ten seconds, and entries would wait.
                            if gate.orders.full(clock.now_ms()) is not None:
                                await clock.sleep_until((clock.now_ms() // _WINDOW_MS + 1) * _WINDOW_MS)
                            journal = LedgerJournal(writer, "bench")
                            found.append(await _timed(exchange, journal, begun))
            return entries, exits
    finally:
        await exchange.close()


async def _timed(
    exchange: SignedBinance, journal: LedgerJournal, begun: Callable[[], tuple[Playbook, e.Event]]
) -> Taken:
    """From handing the event to the loop until the order's bytes are written."""
    play, event = begun()
    noting = _Noting()
    exchange._guard = noting  # type: ignore[assignment]
    # As the connection is kept while it idles.
    assert await exchange._client.measure_time(), "the exchange tells its time"
    runtime = Runtime(play.state, StillClock(play.now_ms), journal, OpenLatch(), random.Random(7))
    dispatcher = Dispatcher(exchange, Books(play), OpenLatch(), runtime.sink, runtime.intent_of)  # type: ignore[arg-type]
    runtime.connect(dispatcher)
    loop = asyncio.ensure_future(runtime.run())
    await asyncio.sleep(0)
    start, cpu_start = time.perf_counter_ns(), time.process_time_ns()
    runtime.sink(event)
    await asyncio.wait_for(noting.came.wait(), 10)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await dispatcher.close(5.0)
    await runtime.settle_writes()
    return Taken((noting.at_ns - start) / 1e6, (noting.cpu_ns - cpu_start) / 1e6)
