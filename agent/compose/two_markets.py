"""Signals from one market, prices from another: both as the one feed and the one market the engine knows.

Belongs here: testnet, where candles are the production market's and quotes the sandbox's. Stays true: a
price of the signal market never reaches the core as a quote, and a bar of the execution market never as a
bar; the feed is fresh only while both are; what is wrong with either is one impairment with both reasons.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from agent.core.events import Event, FeedReported, Healed, Impaired, Impairment, QuoteSeen
from agent.core.market import DataSource
from agent.core.ports import Clock, Feed, Sink
from agent.exchange.ailments import Ailments
from agent.exchange.feed_terms import START_GRACE_MS
from agent.exchange.quote_feed import QuoteFeed

_NO_QUOTES: Final = "nobody told the price where orders go lately"


class TwoFeeds:
    """`Feed` of bars from one market and quotes from another."""

    def __init__(self, bars: Feed, quotes: QuoteFeed, clock: Clock) -> None:
        self._bars = bars
        self._quotes = quotes
        self._clock = clock

    def watch_closely(self, watching: bool) -> None:
        # The signal market's price decides nothing, so nobody needs it every second.
        self._quotes.watch_closely(watching)

    async def run(self, sink: Sink, after_open_ms: int) -> None:
        joined = _Joined(sink, self._clock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bars.run(joined.from_signals, after_open_ms))
            tasks.create_task(self._quotes.run(sink, joined.quotes_are_young))


class _Joined:
    """What both say of their freshness, as one word."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._ailments = Ailments(sink)
        self._started_ms = clock.machine_ms()
        self._reported = FeedReported(DataSource.NONE, False)
        self._told: FeedReported | None = None
        self._stale_bars: str | None = None
        self._young = False

    def from_signals(self, event: Event) -> None:
        match event:
            case QuoteSeen():
                return
            case FeedReported():
                self._reported = event
                self._tell()
            case Impaired(by=Impairment.FEED_STALE, detail=detail):
                self._stale_bars = f"signal candles: {detail}"
                self._tell()
            case Healed(by=Impairment.FEED_STALE):
                self._stale_bars = None
                self._tell()
            case _:
                self._sink(event)

    def quotes_are_young(self, young: bool) -> None:
        self._young = young
        self._tell()

    def _tell(self) -> None:
        report = replace(self._reported, fresh=self._reported.fresh and self._young)
        if report != self._told:
            self._told = report
            self._sink(report)
        old_enough = self._clock.machine_ms() - self._started_ms > START_GRACE_MS
        stale_quotes = _NO_QUOTES if not self._young and old_enough else None
        wrong = "; ".join(filter(None, (self._stale_bars, stale_quotes)))
        if wrong:
            self._ailments.found(Impairment.FEED_STALE, wrong)
        else:
            self._ailments.gone(Impairment.FEED_STALE)
