"""A feed on a local exchange that runs at speed, and what it told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.core.events import (
    BarClosed,
    BarDiffered,
    ClosedBy,
    Event,
    FeedReported,
    Healed,
    Impaired,
    Impairment,
    QuoteSeen,
)
from agent.core.market import Candle, DataSource
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.binance_sockets import BinanceSockets
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import FeedTerms
from agent.exchange.weight_gate import WeightGate
from agent.localexchange.serve import Running, Settings, serve
from tests.clocks import VenueTime

E = TypeVar("E")

#: A Wednesday, 10:07:30 UTC.
START_MS = 1_750_241_250_000
PATIENCE_S = 15.0


@dataclass
class Archive:
    """Keeps candles in memory."""

    candles: list[Candle] = field(default_factory=list)

    def save(self, candles: Sequence[Candle]) -> None:
        self.candles += candles


class Ground:
    """A running exchange and the parts that see it. `venue` is the exchange's own clock."""

    def __init__(self, running: Running, timeframe: str, ahead_ms: int, sockets: bool) -> None:
        self.running = running
        self.clock: Clock = VenueTime(running.exchange.clock, ahead_ms)
        self.gate = WeightGate(self.clock)
        self.addresses = Addresses.replaced("binance", running.rest, running.ws)
        self.market = BinancePublic(self.addresses, "ADA/USDT", timeframe, self.gate, self.clock)
        self.source = self.market.source
        self.sockets = self.new_sockets() if sockets else None
        self.archive = Archive()
        self.feed = MarketFeed(
            self.market,
            self.sockets,
            self.source,
            self.clock,
            FeedTerms(poll_idle_s=60, max_missing_bars=3),
            self.archive,
        )
        self.events: list[Event] = []
        self._news = asyncio.Event()

    def new_sockets(self, **more: Any) -> BinanceSockets:
        return BinanceSockets(
            self.addresses,
            self.market.symbol,
            [self.source.interval],
            self.clock,
            **{"ping_interval_s": 20.0, "chance": random.Random(7), **more},
        )

    # -- the exchange ----------------------------------------------------------------------------

    def fault(self, kind: str, ident: str = "", **entry: object) -> None:
        fault = self.running.exchange.faults.add({"id": ident or kind, "fault": kind, **entry})
        self.running._sockets.suffer(fault)

    def lift(self, ident: str) -> None:
        self.running.exchange.faults.clear(ident)

    def fired(self, ident: str) -> int:
        faults = self.running.exchange.faults.described()
        return next(int(f["fired"]) for f in faults if f["id"] == ident)

    @property
    def connections(self) -> int:
        """Market sockets that are open."""
        return len(self.running._sockets._open)

    # -- the feed --------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    @contextlib.asynccontextmanager
    async def feeding(self, behind: int = 0) -> AsyncIterator[None]:
        """The feed runs, `behind` bars behind the last closed one."""
        bar = self.source.bar_ms
        self.after_open_ms = self.clock.now_ms() // bar * bar - bar * (1 + behind)
        task = asyncio.create_task(self.feed.run(self.hear, self.after_open_ms))
        try:
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait for what the feed tells."""
        async with asyncio.timeout(patience_s):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.1)

    def seen(self, kind: type[E]) -> list[E]:
        return [e for e in self.events if isinstance(e, kind)]

    def bars(self, *by: ClosedBy) -> list[Candle]:
        return [e.candle for e in self.seen(BarClosed) if not by or e.closed_by in by]

    def not_by_flag(self) -> list[Candle]:
        """Bars since the first one that was decided on its flag, that were not."""
        closed = self.seen(BarClosed)
        first = next(i for i, e in enumerate(closed) if e.closed_by is ClosedBy.FLAG)
        return [e.candle for e in closed[first:] if e.closed_by is not ClosedBy.FLAG]

    async def bars_more(self, count: int, *by: ClosedBy) -> None:
        """Wait until `count` further bars were decided (in that way)."""
        before = len(self.bars(*by))
        await self.until(lambda: len(self.bars(*by)) >= before + count)

    async def led_by(self, source: DataSource) -> None:
        """Wait until the last report names this source and fresh data."""
        await self.until(lambda: self.reports()[-1:] == [FeedReported(source, True)])

    def reports(self) -> list[FeedReported]:
        return self.seen(FeedReported)

    def impaired(self, by: Impairment) -> bool:
        """Whether it is impaired now."""
        now = False
        for event in self.events:
            if isinstance(event, Impaired | Healed) and event.by is by:
                now = isinstance(event, Impaired)
        return now

    def was_impaired(self, by: Impairment) -> bool:
        return any(e.by is by for e in self.seen(Impaired))

    def quotes(self) -> list[QuoteSeen]:
        return self.seen(QuoteSeen)

    def differences(self) -> list[BarDiffered]:
        return self.seen(BarDiffered)

    # -- the truth -------------------------------------------------------------------------------

    async def assert_whole(self, *, except_opens: Sequence[int] = ()) -> None:
        """Every bar once, in order, without gaps, and equal to what REST says now."""
        bars, bar_ms = self.bars(), self.source.bar_ms
        opens = [c.open_ms for c in bars]
        assert opens == [self.after_open_ms + bar_ms * (i + 1) for i in range(len(opens))]
        self.running.exchange.faults.clear("all")
        theirs = {c.open_ms: c for c in await self.market.candles(opens[0], len(opens))}
        for candle in bars:
            if candle.open_ms not in except_opens:
                assert candle == theirs[candle.open_ms]


@contextlib.asynccontextmanager
async def ground(
    timeframe: str = "1m",
    speed: float = 240.0,
    *,
    ahead_ms: int = 0,
    sockets: bool = True,
    **settings: Any,
) -> AsyncIterator[Ground]:
    running = await serve(Settings(**{"seed": 11, "start_ms": START_MS, "speed": speed, **settings}))
    try:
        made = Ground(running, timeframe, ahead_ms, sockets)
        try:
            yield made
        finally:
            await made.market.close()
    finally:
        await running.close()
