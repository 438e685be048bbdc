"""The feed: sockets first, REST when they fail, one stream of events for the core.

Belongs here: where data comes from at this moment and whether it is fresh; bars are `feed_bars`', quotes are
`feed_quotes`'. Stays true: the socket leads while it is up and klines come through it; otherwise REST leads,
at once and without being told, and hands back when klines come again; both are reported when they change. A
socket that is silent is asked about: when REST shows news that it did not bring, it is replaced; when the
market simply stands still, it stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from agent.core.events import FeedReported, Impairment
from agent.core.market import DataSource
from agent.core.ports import Clock, MarketData, Sink
from agent.exchange import feed_terms as terms
from agent.exchange.ailments import Ailments
from agent.exchange.bar_builder import BarBuilder
from agent.exchange.binance_sockets import SocketListener
from agent.exchange.feed_bars import BarDesk
from agent.exchange.feed_quotes import QuoteDesk
from agent.exchange.feed_rest import FeedRest
from agent.exchange.feed_terms import CandleArchive, FeedCounters, FeedTerms
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from agent.exchange.pace import Pace
from agent.exchange.timeframes import BarSource

_log = logging.getLogger(__name__)


class MarketSockets(Protocol):
    """What the feed needs of its sockets (`BinanceSockets`, `UnifiedSockets`)."""

    @property
    def tells_closing(self) -> bool:
        """Whether a bar's last push says that it is; otherwise the clock closes bars, through REST."""
        ...

    @property
    def last_heard_ms(self) -> float: ...

    def reconnect(self, why: str) -> None: ...

    async def run(self, listener: SocketListener) -> None: ...


class MarketFeed:
    """`Feed` over REST and, where given, sockets. `archive` keeps the closed bars for the next start.

    `by_rest` is what the source is called while requests lead.
    """

    def __init__(
        self,
        market: MarketData,
        sockets: MarketSockets | None,
        source: BarSource,
        clock: Clock,
        told: FeedTerms,
        archive: CandleArchive,
        by_rest: DataSource = DataSource.REST,
    ) -> None:
        self._market = market
        self._sockets = sockets
        self._source = source
        self._clock = clock
        self._told = told
        self._archive = archive
        self._by_rest = by_rest
        self._watching = False
        self._life: _Life | None = None
        self._present: dict[Impairment, str] = {}
        self.counters = FeedCounters()

    def watch_closely(self, watching: bool) -> None:
        self._watching = watching
        if self._life is not None:
            self._life.watch_closely(watching)

    async def run(self, sink: Sink, after_open_ms: int) -> None:
        """Deliver bars after the one opened at `after_open_ms`, quotes and health, until canceled."""
        self._life = _Life(
            self._market,
            self._sockets,
            self._source,
            self._clock,
            self._told,
            self._archive,
            self.counters,
            sink,
            Ailments(sink, self._present),
            after_open_ms,
            self._by_rest,
        )
        self._life.watch_closely(self._watching)
        try:
            await self._life.run()
        finally:
            self._life = None


class _Life:
    """From one start of the feed to its end. It listens to the sockets."""

    def __init__(
        self,
        market: MarketData,
        sockets: MarketSockets | None,
        source: BarSource,
        clock: Clock,
        told: FeedTerms,
        archive: CandleArchive,
        counters: FeedCounters,
        sink: Sink,
        ailments: Ailments,
        after_open_ms: int,
        by_rest: DataSource,
    ) -> None:
        self._by_rest = by_rest
        self._sockets = sockets
        self._source = source
        self._clock = clock
        self._sink = sink
        self._counters = counters
        self._pace = Pace(clock)
        self._ailments = ailments
        self._rest = FeedRest(market, clock, counters)
        self._bars = BarDesk(
            source.bar_ms,
            after_open_ms,
            self._rest,
            archive,
            clock,
            self._pace,
            told,
            sink,
            self._ailments,
            counters,
            flags=sockets is None or sockets.tells_closing,
        )
        self._quotes = QuoteDesk(self._rest, clock, self._pace, told, sink, self._heard_ms)
        self._builder = BarBuilder(source.part_ms, source.bar_ms) if source.is_built else None
        self._watching = False
        self._started_ms = clock.machine_ms()
        self._up = False
        self._kline_ms = float("-inf")
        self._opened_ms = float("-inf")
        self._silent = False
        self._reported: FeedReported | None = None

    async def run(self) -> None:
        self._report()
        # Every patience depends on how fast venue time runs: measure it before anything is waited for.
        await self._clock.sleep_machine(120.0)
        self._pace.look()
        loops: list[Coroutine[Any, Any, None]] = [
            self._bars.keep_reading(),
            self._bars.keep_verifying(),
            self._bars.keep_saving(),
            self._quotes.keep_asking(),
            self._keep_watching(),
        ]
        if self._sockets is not None:
            loops += [self._sockets.run(self), self._keep_checking_silence()]
        async with asyncio.TaskGroup() as tasks:
            for loop in loops:
                tasks.create_task(loop)

    def watch_closely(self, watching: bool) -> None:
        self._watching = watching
        self._lead()

    # -- the sockets' words ----------------------------------------------------------------------

    def socket_up(self) -> None:
        self._up = True
        self._silent = False
        # A fresh connection has as long as an old one to bring its first kline; until then REST leads.
        self._opened_ms = self._clock.machine_ms()
        self._kline_ms = float("-inf")

    def socket_down(self, why: str) -> None:
        if self._up:
            _log.warning("market streams are down: %s", why)
        self._up = False
        self._quotes.forget()
        self._report()

    def socket_kline(self, frame: KlineFrame) -> None:
        if frame.interval != self._source.interval:
            return
        self._kline_ms = self._clock.machine_ms()
        candle, closed = frame.candle, frame.closed
        if self._builder is not None:
            if candle.faults(self._source.part_ms):
                # A part that cannot be believed leaves the bar unbuilt; REST decides it.
                self._counters.bad_candles += 1
                return
            built = self._builder.hear(candle, closed)
            if built is None:
                return
            candle, closed = built.candle, built.closed
        self._bars.pushed(candle, closed)
        if not self._leads_by_socket:
            self._silent = False
            self._report()

    def socket_top(self, frame: TopFrame) -> None:
        self._quotes.pushed(frame)

    def socket_unreadable(self, frame: Unreadable) -> None:
        self._counters.garbage_frames += 1
        if self._counters.garbage_frames.bit_count() == 1:
            # The 1st, 2nd, 4th, 8th, ...: a flood of them must not become a flood of lines.
            _log.warning("unreadable frame no. %d: %s", self._counters.garbage_frames, frame.detail)

    # -- loops -----------------------------------------------------------------------------------

    async def _keep_watching(self) -> None:
        while True:
            jump_ms = self._pace.look()
            if jump_ms is not None:
                self._jumped(jump_ms)
            self._bars.judge()
            self._quotes.beat()
            self._report()
            await self._clock.sleep_machine(terms.WATCH_EVERY_MS)

    def _jumped(self, jump_ms: int) -> None:
        _log.warning("time jumped by %.1f s: connecting again", jump_ms / 1_000)
        self._quotes.forget()
        self._bars.look_again()
        if self._sockets is not None:
            self._want_reconnect(f"time jumped by {jump_ms / 1_000:.1f} s")

    async def _keep_checking_silence(self) -> None:
        """Klines stopped coming: is it the socket or the market?"""
        while True:
            await self._clock.sleep_machine(terms.WATCH_EVERY_MS)
            if not self._up or self._silent or self._silent_for_ms <= self._silence_ms:
                continue
            if self._kline_ms == float("-inf"):
                self._found_silent("the market streams brought no kline")
                continue
            theirs, ours = await self._bars.read_progress(), self._bars.last_push
            if self._silent_for_ms <= self._silence_ms:
                continue
            if theirs is not None and theirs == ours:
                self._kline_ms = self._clock.machine_ms()
            else:
                self._found_silent("the market streams fell silent")

    def _found_silent(self, why: str) -> None:
        self._silent = True
        self._want_reconnect(why)
        self._report()

    def _want_reconnect(self, why: str) -> None:
        assert self._sockets is not None
        self._counters.reconnects_wanted += 1
        self._sockets.reconnect(why)

    # -- where data comes from -------------------------------------------------------------------

    @property
    def _leads_by_socket(self) -> bool:
        return self._reported is not None and self._reported.source is DataSource.WEBSOCKET

    @property
    def _silence_ms(self) -> float:
        return self._pace.machine_patience_ms(*terms.SILENCE)

    @property
    def _silent_for_ms(self) -> float:
        return self._clock.machine_ms() - max(self._kline_ms, self._opened_ms)

    def _heard_ms(self) -> float:
        return self._sockets.last_heard_ms if self._sockets is not None else float("-inf")

    def _source_now(self) -> DataSource:
        if self._up and not self._silent and self._kline_ms > float("-inf"):
            return DataSource.WEBSOCKET
        return self._by_rest if self._rest.answers else DataSource.NONE

    def _staleness(self, source: DataSource) -> str | None:
        """Why the data cannot be acted on; None when it can."""
        if source is DataSource.NONE:
            return "neither the market streams nor REST deliver"
        age_ms = self._clock.now_ms() - self._bars.newest_close_ms
        if age_ms > self._source.bar_ms + self._pace.patience_ms(*terms.STALE_WAIT):
            return f"the newest closed bar ended {age_ms / 1_000:.0f} s ago"
        if not self._quotes.is_young:
            return "nobody told the price lately"
        return None

    def _report(self) -> None:
        source = self._source_now()
        stale = self._staleness(source)
        report = FeedReported(source, stale is None)
        if report != self._reported:
            before, self._reported = self._reported, report
            if before is not None and before.source is DataSource.WEBSOCKET is not source:
                self._counters.fallbacks += 1
            self._sink(report)
            self._lead()
        if stale is None:
            self._ailments.gone(Impairment.FEED_STALE)
        elif self._clock.machine_ms() - self._started_ms > terms.START_GRACE_MS:
            self._ailments.found(Impairment.FEED_STALE, stale)

    def _lead(self) -> None:
        by_socket = self._leads_by_socket
        self._bars.lead(by_socket, self._watching)
        self._quotes.lead(by_socket, self._watching)
