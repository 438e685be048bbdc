"""One pair's market as it was and is: bars of any interval, trades by the second.

Belongs here: reading the record up to a given time, and the operator's interventions after it. Stays true:
nothing after the asked time is ever told; every bar, of whatever interval, is summed from the same minutes
and seconds, exactly. A closed bar shorter than a day of which recorded data lack a minute is not told at
all: half a bar would be taken for a whole one.
"""

from __future__ import annotations

import numpy as np

from agent.localexchange import intervals
from agent.localexchange.bars import Bar, Trade, added, bar_of_seconds, columns, summed, told, trade_at
from agent.localexchange.intervals import DAY_MS, MINUTE_MS, SECOND_MS
from agent.localexchange.interventions import NothingTradesError
from agent.localexchange.minutes import Minutes, MinuteSource
from agent.localexchange.noise import Ints
from agent.localexchange.pairs import Pair
from agent.localexchange.path import SECONDS, Seconds
from agent.localexchange.record import Record


class Tape:
    """What has been traded in `pair` up to any moment."""

    def __init__(self, pair: Pair, source: MinuteSource, seed: int, listed_ms: int) -> None:
        self.pair = pair
        self.listed_ms = listed_ms
        self._hidden: dict[str, set[int]] = {}
        self._record = Record(source, seed, listed_ms // MINUTE_MS)

    @property
    def end_ms(self) -> int | None:
        """When the data run out; None for an endless market."""
        end = self._record.end_minute
        return None if end is None else end * MINUTE_MS

    # -- bars ------------------------------------------------------------------------------------

    def bars(self, interval: str, from_ms: int, to_ms: int, now_ms: int) -> list[Bar]:
        """Every bar that opens in [from_ms, to_ms] and has a trade at or before `now_ms`, oldest first.

        The bar that contains `now_ms` is as far as it got; the one the pair was listed in begins there.
        """
        from_ms, to_ms = max(from_ms, self.listed_ms), min(to_ms, now_ms)
        first = intervals.open_of(interval, from_ms)
        if first < from_ms and from_ms > self.listed_ms:
            first = intervals.next_open(interval, first)
        if first > to_ms:
            return []
        if interval == "1s":
            return self._second_bars(first, to_ms, now_ms)
        until_ms = intervals.next_open(interval, intervals.open_of(interval, to_ms))
        grid = intervals.opens(interval, first, until_ms)
        bars = self._closed_minutes(grid, first, min(until_ms, now_ms // MINUTE_MS * MINUTE_MS))
        if now_ms < until_ms:
            running = self._running_minute(now_ms)
            if running is not None:
                open_ms = intervals.open_of(interval, running.open_ms)
                whole = bars.pop() if bars and bars[-1].open_ms == open_ms else None
                bars.append(added(whole, running, open_ms, 0))
        done = [told(bar, intervals.next_open(interval, bar.open_ms) - 1, now_ms) for bar in bars]
        return self._unbroken(interval, done)

    def _unbroken(self, interval: str, bars: list[Bar]) -> list[Bar]:
        """Without the closed bars that recorded data only hold a part of."""
        if not bars or intervals.FIXED_MS.get(interval, DAY_MS) >= DAY_MS:
            return bars
        starts = np.array([bar.open_ms for bar in bars]) // MINUTE_MS
        ends = np.array([bar.close_ms + 1 for bar in bars]) // MINUTE_MS
        whole = self._record.whole(starts, ends).tolist()
        return [bar for bar, good in zip(bars, whole, strict=True) if good or not bar.closed]

    def span(self, from_ms: int, now_ms: int) -> Bar | None:
        """Everything traded from the minute that opens at `from_ms` up to `now_ms`, as one bar."""
        bars = self._closed_minutes(np.array([from_ms]), from_ms, now_ms // MINUTE_MS * MINUTE_MS)
        whole = bars[0] if bars else None
        running = self._running_minute(now_ms)
        if running is not None:
            return added(whole, running, from_ms, now_ms)
        return whole if whole is None else told(whole, now_ms, now_ms)

    def bar_at(self, interval: str, open_ms: int, now_ms: int) -> Bar | None:
        """The bar that opened at `open_ms`, or None when nothing was traded in it up to `now_ms`."""
        found = self.bars(interval, open_ms, open_ms, now_ms)
        return found[0] if found else None

    def hide(self, interval: str, open_ms: int) -> None:
        """Leave a bar out of `klines`, as if it had never been."""
        self._hidden.setdefault(interval, set()).add(open_ms)

    def klines(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Bar]:
        """As REST klines: from the start forward, or the newest ones up to the end; `limit` bars at most.

        A hole in the data makes a span of `limit` bars hold fewer: then a wider one is read.
        """
        end_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        if self.end_ms is not None:
            end_ms = min(end_ms, self.end_ms - 1)
        bars = limit
        if start_ms is not None:
            start_ms = max(start_ms, self.listed_ms)
            while True:
                to_ms = min(end_ms, intervals.shifted(interval, start_ms, bars))
                found = self._shown(interval, start_ms, to_ms, now_ms)
                if len(found) >= limit or to_ms >= end_ms:
                    return found[:limit]
                bars *= 2
        newest = intervals.open_of(interval, end_ms)
        while True:
            from_ms = max(self.listed_ms, intervals.shifted(interval, newest, 1 - bars))
            found = self._shown(interval, from_ms, end_ms, now_ms)
            if len(found) >= limit or from_ms <= self.listed_ms:
                return found[-limit:]
            bars *= 2

    def _shown(self, interval: str, from_ms: int, to_ms: int, now_ms: int) -> list[Bar]:
        found, hidden = self.bars(interval, from_ms, to_ms, now_ms), self._hidden.get(interval)
        return [bar for bar in found if bar.open_ms not in hidden] if hidden else found

    def closed_columns(self, interval: str, before_ms: int, count: int) -> Ints:
        """The last `count` bars that closed by the open time `before_ms`, as `bars.columns` has them."""
        first_ms = max(intervals.shifted(interval, before_ms, -count), self.listed_ms)
        span = self._whole_minutes(first_ms, before_ms)
        if span is None:
            return np.empty((0, 6), dtype=np.int64)
        rows = columns(self._record.minutes(*span), intervals.opens(interval, first_ms, before_ms))
        starts = rows[:, 0] // MINUTE_MS
        return rows[self._record.whole(starts, starts + intervals.FIXED_MS[interval] // MINUTE_MS)]

    def _closed_minutes(self, grid: Ints, first_ms: int, to_ms: int) -> list[Bar]:
        """Whole minutes of [first_ms, to_ms) added up to bars that open at the times of `grid`."""
        span = self._whole_minutes(first_ms, to_ms)
        if span is None:
            return []
        return list(summed(self._record.minutes(*span), self._record.flows(*span), grid))

    def _whole_minutes(self, first_ms: int, to_ms: int) -> tuple[int, int] | None:
        """The recorded minutes of [first_ms, to_ms); None when there are none."""
        start, stop = max(first_ms // MINUTE_MS, self._record.first_minute), to_ms // MINUTE_MS
        if self._record.end_minute is not None:
            stop = min(stop, self._record.end_minute)
        return (start, stop) if start < stop else None

    def _running_minute(self, now_ms: int) -> Bar | None:
        """The minute that contains `now_ms`, as far as it got; None when nothing trades."""
        minute = now_ms // MINUTE_MS
        if not self._record.exists(minute):
            return None
        return bar_of_seconds(self.path(minute), 0, _seconds_done(now_ms), MINUTE_MS)

    def _second_bars(self, first_ms: int, to_ms: int, now_ms: int) -> list[Bar]:
        bars = []
        for second in range(first_ms // SECOND_MS, to_ms // SECOND_MS + 1):
            minute, place = divmod(second, SECONDS)
            if self._record.exists(minute):
                bar = bar_of_seconds(self.path(minute), place, place + 1, SECOND_MS)
                bars.append(told(bar, bar.close_ms, now_ms))
        return bars

    # -- trades ----------------------------------------------------------------------------------

    def path(self, minute: int) -> Seconds:
        """The sixty trades of one minute that exists, also those to come."""
        return self._record.path(minute)

    def last_trade(self, now_ms: int) -> Trade | None:
        """The newest trade at or before `now_ms`."""
        minute, count = now_ms // MINUTE_MS, _seconds_done(now_ms)
        end = self._record.end_minute
        if end is not None and minute >= end:
            minute, count = end - 1, SECONDS
        while minute >= self._record.first_minute:
            if self._record.exists(minute):
                path = self.path(minute)
                done = np.flatnonzero(path.amount[0, :count])
                if len(done):
                    return trade_at(path, int(done[-1]))
            minute, count = minute - 1, SECONDS
        return None

    def trades(self, from_s: int, to_s: int) -> list[Trade]:
        """Every trade of the seconds [from_s, to_s), oldest first. The caller keeps to_s in the past."""
        found: list[Trade] = []
        for minute in range(max(from_s // SECONDS, self._record.first_minute), (to_s - 1) // SECONDS + 1):
            if not self._record.exists(minute):
                continue
            path = self.path(minute)
            start, stop = max(0, from_s - minute * SECONDS), min(SECONDS, to_s - minute * SECONDS)
            places = start + np.flatnonzero(path.amount[0, start:stop])
            found.extend(trade_at(path, place) for place in places.tolist())
        return found

    def newest_trades(self, count: int, now_ms: int) -> list[Trade]:
        """The last `count` trades up to `now_ms`, oldest first."""
        last = self.last_trade(now_ms)
        if last is None:
            return []
        to_s = last.at_ms // SECOND_MS + 1
        found: list[Trade] = []
        while len(found) < count and to_s > self._record.first_minute * SECONDS:
            from_s = to_s - max(SECONDS, count - len(found))
            found = self.trades(from_s, to_s) + found
            to_s = from_s
        return found[-count:]

    # -- interventions -----------------------------------------------------------------------------

    def move_to(self, price: int, now_ms: int) -> None:
        """The price is `price` ticks from the next second on. Raises NothingTradesError."""
        minute = now_ms // MINUTE_MS
        if not self._record.exists(minute):
            raise NothingTradesError
        self._record.interventions.break_off(self.path(minute), _seconds_done(now_ms) - 1, price)
        self._record.changed_from(minute)

    def plan(self, minutes: Minutes) -> None:
        """These minutes, all to come, will be as given. Raises NothingTradesError."""
        if not self._record.exists(minutes.first):
            raise NothingTradesError
        self._record.interventions.plan(minutes)
        self._record.changed_from(minutes.first)

    def level(self, minute: int) -> int:
        """The price at which a minute would open as things stand. Raises NothingTradesError."""
        if not self._record.exists(minute):
            raise NothingTradesError
        return int(self._record.minutes(minute, minute + 1).open[0])


def _seconds_done(now_ms: int) -> int:
    """How many seconds of the minute that contains `now_ms` have a trade by now."""
    return now_ms // SECOND_MS % SECONDS + 1
