"""The feed of the quick profile: closed bars and quotes, each by the real bar sequence.

Belongs here: what `exchange/feed.py` does with its second-by-second loops, at a twentieth of their cost: bars
by push, by REST at close + 5 s or after a gap, quotes as they come, REST prices while the socket is silent.
Stays true: bars leave through `BarSequence` alone.
"""

from __future__ import annotations

from typing import Any, Final

from agent.core.events import (
    BarClosed,
    BarDiffered,
    ClosedBy,
    FeedReported,
    Impairment,
    QuoteSeen,
)
from agent.core.market import Candle, DataSource, Quote
from agent.core.ports import Clock, MarketData, MarketDataError, Sink
from agent.exchange.ailments import Ailments
from agent.exchange.bar_sequence import BarSequence, Decided, Differed, Outcome, Rejected
from agent.exchange.feed_terms import CandleArchive
from agent.simulation.agenda import VirtualLoop
from agent.simulation.network import MarketLine, Network

FLAG_WAIT_MS: Final = 5_000
#: Where nothing says that a bar is over, the clock does.
CLOSED_AFTER_MS: Final = 2_000
#: With every quote, and with those of closing bars alone.
SILENT_AFTER_MS: Final = (420_000, 1_000_000)
ASK_AGAIN_MS: Final = 15_000
POLL_CLOSELY_MS: Final = 10_000
POLL_IDLE_MS: Final = 120_000


class QuickFeed:
    """`Feed` of one process."""

    def __init__(
        self, network: Network, loop: VirtualLoop, market: MarketData, clock: Clock, archive: CandleArchive,
        bar_ms: int, *, tells_closing: bool = True,
    ) -> None:  # fmt: skip
        self._tells_closing = tells_closing
        self._wait_ms = FLAG_WAIT_MS if tells_closing else CLOSED_AFTER_MS
        self._network = network
        self._loop = loop
        self._market = market
        self._clock = clock
        self._archive = archive
        self._bar_ms = bar_ms
        self._watching = False
        self._line: MarketLine | None = None
        self._heard_ms = 0.0
        self._source = DataSource.NONE
        self._present: dict[Impairment, str] = {}

    def watch_closely(self, watching: bool) -> None:
        if watching and not self._watching:
            self._heard_ms = max(self._heard_ms, self._clock.machine_ms() - SILENT_AFTER_MS[0] / 2)
        self._watching = watching
        if self._line is not None:
            self._line.closely = watching

    async def run(self, sink: Sink, after_open_ms: int) -> None:
        self._sink = sink
        self._ailments = Ailments(sink, self._present)
        self._sequence = BarSequence(self._bar_ms, after_open_ms)
        self._heard_ms = self._clock.machine_ms()
        if self._line is None:
            self._line = self._network.market_line(self._loop, self._heard)
            self._line.closely = self._watching
        await self._read_bars(ClosedBy.BACKFILL)
        await self._read_quote()
        again_ms = 0
        while True:
            now_ms = self._clock.now_ms()
            due_ms = self._sequence.due_at_ms(self._wait_ms)
            silent = not self._alive
            pause_ms = POLL_CLOSELY_MS if self._watching else POLL_IDLE_MS
            # A bar that is due and does not come is asked for again, never at the speed of the network.
            until_ms = (
                now_ms + pause_ms if silent else max(again_ms, now_ms + 1_000, min(due_ms, now_ms + 900_000))
            )
            await self._clock.sleep_until(until_ms)
            if not self._alive:
                await self._read_quote()
            if self._sequence.missing(self._clock.now_ms(), self._wait_ms) is not None:
                await self._read_bars(ClosedBy.REST)
                again_ms = self._clock.now_ms() + ASK_AGAIN_MS
            self._report()

    @property
    def _alive(self) -> bool:
        line = self._line
        silent_after_ms = SILENT_AFTER_MS[0 if self._watching else 1]
        return line is not None and line.up and self._clock.machine_ms() - self._heard_ms < silent_after_ms

    def _heard(self, kind: str, what: Any) -> None:
        if kind == "down":
            self._report()
            return
        self._heard_ms = self._clock.machine_ms()
        if kind == "bar":
            if self._tells_closing:
                self._take(self._sequence.hear(what, ClosedBy.FLAG, self._clock.now_ms()))
        elif kind == "quote":
            self._sink(QuoteSeen(what, trusted=True))
        self._report()

    def _report(self) -> None:
        source = DataSource.WEBSOCKET if self._alive else DataSource.REST
        if source is not self._source:
            self._source = source
            self._sink(FeedReported(source, fresh=True))

    async def _read_bars(self, by: ClosedBy) -> None:
        try:
            rows = await self._market.candles(self._sequence.next_open_ms, 1_000)
        except MarketDataError:
            return
        now_ms = self._clock.now_ms()
        # What is shown last may be open, whatever our clock says.
        for row in rows[:-1]:
            late = now_ms > row.open_ms + self._bar_ms + 30_000
            self._take(self._sequence.hear(row, ClosedBy.BACKFILL if late else by, now_ms))

    async def _read_quote(self) -> None:
        try:
            quote = await self._market.quote()
        except MarketDataError:
            return
        self._sink(QuoteSeen(quote, trusted=True))
        self._report()

    def _take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Decided(candle=candle, closed_by=closed_by):
                    self._archive.save([candle])
                    self._sink(BarClosed(candle, closed_by))
                case Differed(decided=decided, theirs=theirs):
                    self._sink(BarDiffered(decided, theirs))
                case Rejected():
                    self._ailments.found(Impairment.BAD_CANDLE, "; ".join(outcome.faults))
        if outcomes and not self._sequence.bad_bars:
            self._ailments.gone(Impairment.BAD_CANDLE)


class KeptCandles:
    """The candle store of one machine, in memory: it outlives processes."""

    def __init__(self) -> None:
        self._bars: dict[int, Candle] = {}

    def series(self, key: Any) -> KeptCandles:
        return self

    def save(self, candles: Any) -> None:
        for candle in candles:
            self._bars[candle.open_ms] = candle

    def read(self, since_ms: int, until_ms: int) -> Any:
        from agent.core.series import CandleSeries

        return CandleSeries.of([self._bars[at] for at in sorted(self._bars) if since_ms <= at < until_ms])

    def discard(self) -> None:
        self._bars.clear()

    def close(self) -> None:
        return None


def quote_of(bid: Any, ask: Any, at_ms: int) -> Quote:
    return Quote(bid[0], bid[1], ask[0], ask[1], at_ms, DataSource.WEBSOCKET)
