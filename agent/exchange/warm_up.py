"""Enough history for the indicators: from the archive what is there, from REST what is missing.

Belongs here: loading, checking and joining closed bars up to now. Stays true: only believable bars are used
and kept; a bar that REST shows last is not used, because it may be open; archived bars are used only when the
exchange confirms the newest of them, since a simulated exchange may be another world at the same address.
Where the exchange's history begins later than wanted, what it has is used, and the window knows its error.
What takes long with 100,000 bars runs in a thread: prices of an open position pass meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, Protocol

import numpy as np

from agent.core.events import WarmedUp, WarmupAdvanced
from agent.core.market import Candle
from agent.core.parameters import ExitParams, SellerParams
from agent.core.ports import Clock, MarketDataError, Sink
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow, warmup_bars_needed
from agent.exchange.bar_sequence import same_candle
from agent.exchange.timeframes import BarSource
from agent.exchange.waiting import BackOff

_log = logging.getLogger(__name__)

_PAGE: Final = 1_000
#: The newest archived bars, compared with the exchange's.
_COMPARED: Final = 200
#: Another source is asked so often before history begins without it.
_DEEPER_TRIES: Final = 4


class CandleHistory(Protocol):
    """The archive of this venue, pair and timeframe. Called in a thread."""

    def save(self, candles: Sequence[Candle]) -> None: ...

    def read(self, since_ms: int, until_ms: int) -> CandleSeries: ...

    def discard(self) -> None: ...


class CandlePages(Protocol):
    """The exchange's history, for those who can wait (`BinancePublic`)."""

    async def past_candles(self, since_ms: int, limit: int) -> list[Candle]: ...


class OlderBars(Protocol):
    """Another source of what lies before the exchange's history (`DeeperHistory`)."""

    async def before(self, since_ms: int, ours: Mapping[int, Candle]) -> list[Candle]: ...


class WarmUp:
    """Run once per start. `sink` receives WarmupAdvanced; the window itself is returned."""

    def __init__(
        self,
        market: CandlePages,
        history: CandleHistory,
        source: BarSource,
        clock: Clock,
        params: SellerParams,
        exits: ExitParams,
        sink: Sink,
        deeper: OlderBars | None = None,
    ) -> None:
        self._market = market
        self._deeper = deeper
        self._history = history
        self._bar_ms = source.bar_ms
        self._clock = clock
        self._params = params
        self._exits = exits
        self._sink = sink
        self.needed = warmup_bars_needed(params, exits)
        self._bars: dict[int, Candle] = {}
        self._refused: set[int] = set()
        self._older: list[Candle] = []
        self._failures = 0

    async def run(self) -> WarmedUp:
        """Load and compute. Retries for ever; raises MarketDataError when that would not help."""
        back_off = BackOff()
        while True:
            try:
                return await self._load()
            except MarketDataError as error:
                if error.permanent:
                    raise
                _log.warning("loading history: %s", error)
                await self._clock.sleep_machine(back_off.next_ms())

    async def _load(self) -> WarmedUp:
        now_ms = self._clock.now_ms()
        open_ms = now_ms - now_ms % self._bar_ms
        since_ms = open_ms - self.needed * self._bar_ms
        if not self._bars:
            await self._recall(since_ms, open_ms)
        self._advance()
        for first_ms, end_ms in await asyncio.to_thread(self._holes, since_ms, open_ms):
            await self._fetch(first_ms, end_ms)
        if self._bars:
            # Once more, for what was left out or could not be believed the first time.
            for first_ms, end_ms in await asyncio.to_thread(self._holes, min(self._bars), open_ms):
                await self._fetch(first_ms, end_ms)
        await self._catch_up()
        await self._look_deeper(since_ms)
        return await asyncio.to_thread(self._computed)

    async def _recall(self, since_ms: int, open_ms: int) -> None:
        """Bars of the archive, if they are this market's."""
        stored = await asyncio.to_thread(self._history.read, since_ms, open_ms + 400 * self._bar_ms)
        if len(stored) == 0:
            return
        last_ms = int(stored.open_ms[-1])
        why = None
        if last_ms >= open_ms:
            why = "they lie in the future"
        else:
            from_ms = max(since_ms, last_ms - (_COMPARED - 1) * self._bar_ms)
            theirs = self._closed(await self._market.past_candles(from_ms, _PAGE))
            ours = {c.open_ms: c for c in stored.part(max(0, len(stored) - _COMPARED), len(stored))}
            shared = [c for c in theirs if c.open_ms in ours]
            differing = [c for c in shared if not same_candle(c, ours[c.open_ms])]
            if not shared:
                why = "the exchange does not show them any more"
            elif 2 * len(differing) > len(shared):
                why = "the exchange shows others"
        if why is not None:
            _log.warning("%d archived candles are discarded: %s", len(stored), why)
            await asyncio.to_thread(self._history.discard)
            return
        self._bars = await asyncio.to_thread(_by_time, stored)
        if differing:
            _log.warning("%d archived candles were corrected by the exchange", len(differing))
        await self._keep(theirs)

    async def _fetch(self, first_ms: int, end_ms: int) -> None:
        """Every closed bar the exchange has in [first_ms, end_ms), page by page."""
        while first_ms < end_ms:
            rows = await self._market.past_candles(
                first_ms, min(_PAGE, (end_ms - first_ms) // self._bar_ms + 1)
            )
            newest_ms = max((row.open_ms for row in rows), default=first_ms - self._bar_ms)
            await self._keep(row for row in self._closed(rows, end_ms) if row.open_ms < end_ms)
            self._advance()
            # An empty page lies before the listing of the pair: what follows may exist.
            first_ms = newest_ms + self._bar_ms if newest_ms >= first_ms else first_ms + _PAGE * self._bar_ms

    async def _catch_up(self) -> None:
        """What closed while the rest was loaded."""
        while self._bars:
            first_ms = max(self._bars) + self._bar_ms
            rows = await self._market.past_candles(first_ms, _PAGE)
            closed = self._closed(rows)
            await self._keep(closed)
            if len(rows) < _PAGE or not closed:
                self._advance()
                return

    async def _look_deeper(self, since_ms: int) -> None:
        """Where the exchange's history is short: older bars for the averages, if another source has them."""
        if self._deeper is None or not self._bars or self._older:
            return
        try:
            self._older = await self._deeper.before(since_ms, self._bars)
        except MarketDataError as error:
            self._failures += 1
            if self._failures < _DEEPER_TRIES:
                raise
            _log.warning("%s: history begins with the exchange's first candle", error)
        if self._older:
            self._advance()

    def _closed(self, rows: Sequence[Candle], end_ms: int = 0) -> list[Candle]:
        """Believable rows that are certainly closed: a later bar is shown, or they end before `end_ms`,
        the open time of a bar that was in progress when the loading began."""
        now_ms = self._clock.now_ms()
        believable = []
        for row in rows:
            if row.faults(self._bar_ms) or row.open_ms > now_ms:
                self._refused.add(row.open_ms - row.open_ms % self._bar_ms)
            else:
                believable.append(row)
        newest_ms = max((row.open_ms for row in believable), default=0)
        return [row for row in believable if row.open_ms < newest_ms or row.open_ms < end_ms - self._bar_ms]

    async def _keep(self, candles: Iterable[Candle]) -> None:
        new = [candle for candle in candles if self._bars.get(candle.open_ms) != candle]
        for candle in new:
            self._bars[candle.open_ms] = candle
            self._refused.discard(candle.open_ms)
        if new:
            await asyncio.to_thread(self._history.save, new)

    def _holes(self, since_ms: int, end_ms: int) -> list[tuple[int, int]]:
        times = [since_ms - self._bar_ms, *sorted(t for t in self._bars if since_ms <= t < end_ms), end_ms]
        return [
            (before + self._bar_ms, after)
            for before, after in pairwise(times)
            if after - before > self._bar_ms
        ]

    def _advance(self) -> None:
        loaded = len(self._bars) + len(self._older)
        self._sink(WarmupAdvanced(min(loaded, self.needed), self.needed))

    def _computed(self) -> WarmedUp:
        times = sorted(self._bars)[-self.needed :]
        if not times:
            raise MarketDataError("the exchange has no closed candles of this pair yet")
        holes = int(np.count_nonzero(np.diff(times) > self._bar_ms))
        if holes:
            _log.warning("the exchange's history has %d holes in the %d bars used", holes, len(times))
        if self._refused & set(range(times[0], times[-1], self._bar_ms)):
            _log.warning("%d candles of history could not be believed and are left out", len(self._refused))
        series = CandleSeries.of([self._bars[t] for t in times])
        self._bars = {}
        window = SignalWindow.empty(self._params, self._exits)
        if self._older:
            # A z-score of volumes holds one source's bars alone.
            window = window.extend(self._older).without_volumes()
        window = window.extend(series)
        return WarmedUp(window, times[-1], float(series.close[-1]))


def _by_time(series: CandleSeries) -> dict[int, Candle]:
    return {candle.open_ms: candle for candle in series}
