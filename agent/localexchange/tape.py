"""One pair's market as it was and is: base candles, bars of any interval, trades by the second.

Belongs here: reading a source up to a given time, and the operator's interventions on top of it (a price,
a shaped bar). Stays true: nothing after the asked time is ever told; every bar, of whatever interval, is
summed from the same minutes and seconds, exactly; an intervention changes only what has not happened yet.
How it works: blocks of a source are loaded when first needed and forgotten when many newer ones came.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from agent.localexchange import intervals
from agent.localexchange.intervals import MINUTE_MS, SECOND_MS
from agent.localexchange.minutes import BLOCK_MINUTES, Minutes, MinuteSource, joined
from agent.localexchange.noise import Ints
from agent.localexchange.pairs import Pair
from agent.localexchange.path import SECONDS, Seconds, seconds_of

_BLOCKS_KEPT: Final = 160
_PATHS_KEPT: Final = 8

#: Trade number one was in this second; one number a second from then on.
TRADE_EPOCH_S: Final = 1_500_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """A kline. Prices in ticks, `volume` and `taker_buy` in steps, the quote amounts in tick-steps."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    taker_buy: int
    taker_buy_quote: int
    first_trade: int
    last_trade: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade; `id` also numbers the second it happened in."""

    id: int
    at_ms: int
    price: int
    amount: int
    taker_buys: bool


@dataclass(frozen=True, slots=True)
class _Flows:
    """Per minute of a block: what only the path knows."""

    quote: Ints
    trades: Ints
    taker_buy: Ints
    taker_buy_quote: Ints


class Tape:
    """What has been traded in `pair` up to any moment."""

    def __init__(self, pair: Pair, source: MinuteSource, seed: int, listed_ms: int) -> None:
        self.pair = pair
        self.listed_ms = listed_ms
        self._source = source
        self._seed = seed
        self._first_minute = listed_ms // MINUTE_MS
        self._blocks: OrderedDict[int, Minutes] = OrderedDict()
        self._flows: OrderedDict[int, _Flows] = OrderedDict()
        self._paths: OrderedDict[int, Seconds] = OrderedDict()

    @property
    def end_ms(self) -> int | None:
        """When the data run out; None for an endless market."""
        end = self._source.end_minute
        return None if end is None else end * MINUTE_MS

    # -- base data -------------------------------------------------------------------------------

    def _block(self, index: int) -> Minutes:
        block = self._blocks.get(index)
        if block is None:
            block = self._source.block(index)
            self._blocks[index] = block
            if len(self._blocks) > _BLOCKS_KEPT:
                self._flows.pop(self._blocks.popitem(last=False)[0], None)
        else:
            self._blocks.move_to_end(index)
        return block

    def _block_flows(self, index: int) -> _Flows:
        flows = self._flows.get(index)
        if flows is None:
            path = seconds_of(self._block(index), self._seed)
            bought = np.where(path.taker_buys, path.amount, 0)
            flows = _Flows(
                (path.price * path.amount).sum(axis=1),
                (path.amount > 0).sum(axis=1),
                bought.sum(axis=1),
                (path.price * bought).sum(axis=1),
            )
            self._flows[index] = flows
        return flows

    def minutes(self, from_minute: int, to_minute: int) -> Minutes:
        """Base candles of [from_minute, to_minute), which must not be empty."""
        assert from_minute < to_minute
        pieces = []
        for index in range(from_minute // BLOCK_MINUTES, (to_minute - 1) // BLOCK_MINUTES + 1):
            first = index * BLOCK_MINUTES
            start, stop = max(from_minute, first) - first, min(to_minute, first + BLOCK_MINUTES) - first
            pieces.append(self._block(index).cut(start, stop))
        return joined(pieces)

    def _flow_columns(self, from_minute: int, to_minute: int) -> _Flows:
        pieces = []
        for index in range(from_minute // BLOCK_MINUTES, (to_minute - 1) // BLOCK_MINUTES + 1):
            first = index * BLOCK_MINUTES
            part = slice(max(from_minute, first) - first, min(to_minute, first + BLOCK_MINUTES) - first)
            f = self._block_flows(index)
            pieces.append((f.quote[part], f.trades[part], f.taker_buy[part], f.taker_buy_quote[part]))
        quote, trades, taker_buy, taker_buy_quote = (np.concatenate(c) for c in zip(*pieces, strict=True))
        return _Flows(quote, trades, taker_buy, taker_buy_quote)

    def path(self, minute: int) -> Seconds:
        """The sixty trades of one minute."""
        path = self._paths.get(minute)
        if path is None:
            path = seconds_of(self.minutes(minute, minute + 1), self._seed)
            self._paths[minute] = path
            if len(self._paths) > _PATHS_KEPT:
                self._paths.popitem(last=False)
        return path

    def exists(self, minute: int) -> bool:
        """Whether anything was traded in that minute."""
        end = self._source.end_minute
        if minute < self._first_minute or (end is not None and minute >= end):
            return False
        return bool(self.minutes(minute, minute + 1).traded[0])

    # -- bars ------------------------------------------------------------------------------------

    def bars(self, interval: str, from_ms: int, to_ms: int, now_ms: int) -> list[Bar]:
        """Every bar that opens in [from_ms, to_ms] and has a trade at or before `now_ms`, oldest first.

        The bar that contains `now_ms` is as far as it got.
        """
        from_ms = max(from_ms, self.listed_ms)
        to_ms = min(to_ms, now_ms)
        if from_ms > to_ms:
            return []
        first_open = intervals.open_of(interval, from_ms)
        if first_open < from_ms and first_open >= self.listed_ms:
            first_open = intervals.next_open(interval, first_open)
        if first_open > to_ms:
            return []
        until_ms = intervals.next_open(interval, intervals.open_of(interval, to_ms))
        if interval == "1s":
            return self._second_bars(first_open, to_ms, now_ms)
        closed_to = min(until_ms, now_ms // MINUTE_MS * MINUTE_MS)
        grid = intervals.opens(interval, first_open, until_ms)
        bars = self._closed_minutes_as_bars(grid, first_open, closed_to)
        if closed_to < until_ms:
            running = self._running_minute(now_ms)
            if running is not None:
                open_ms = intervals.open_of(interval, running.open_ms)
                whole = bars.pop() if bars and bars[-1].open_ms == open_ms else None
                bars.append(_added(whole, running, open_ms, 0))
        return [_told(bar, intervals.next_open(interval, bar.open_ms) - 1, now_ms) for bar in bars]

    def span(self, from_ms: int, now_ms: int) -> Bar | None:
        """Everything traded from the minute that opens at `from_ms` up to `now_ms`, as one bar."""
        minute_ms = now_ms // MINUTE_MS * MINUTE_MS
        grid = np.array([from_ms], dtype=np.int64)
        bars = self._closed_minutes_as_bars(grid, from_ms, minute_ms)
        running = self._running_minute(now_ms)
        if running is not None:
            bars = [_added(bars[0] if bars else None, running, from_ms, now_ms)]
        return bars[0] if bars else None

    def _closed_minutes_as_bars(self, grid: Ints, first_ms: int, to_ms: int) -> list[Bar]:
        start = max(first_ms // MINUTE_MS, self._first_minute)
        stop = to_ms // MINUTE_MS
        end = self._source.end_minute
        if end is not None:
            stop = min(stop, end)
        if start >= stop:
            return []
        m, f = self.minutes(start, stop), self._flow_columns(start, stop)
        seen = np.flatnonzero(m.traded)
        if not len(seen):
            return []
        at_ms = (start + seen) * MINUTE_MS
        bar_of = np.searchsorted(grid, at_ms, side="right") - 1
        heads = np.flatnonzero(np.diff(bar_of, prepend=-1))
        tails = np.append(heads[1:], len(seen)) - 1
        opens = grid[bar_of[heads]]
        columns = (
            opens,
            m.open[seen[heads]],
            np.maximum.reduceat(m.high[seen], heads),
            np.minimum.reduceat(m.low[seen], heads),
            m.close[seen[tails]],
            np.add.reduceat(m.volume[seen], heads),
            np.add.reduceat(f.quote[seen], heads),
            np.add.reduceat(f.trades[seen], heads),
            np.add.reduceat(f.taker_buy[seen], heads),
            np.add.reduceat(f.taker_buy_quote[seen], heads),
            (start + seen[heads]) * SECONDS - TRADE_EPOCH_S,
            (start + seen[tails]) * SECONDS + SECONDS - 1 - TRADE_EPOCH_S,
        )
        bars = []
        for open_ms, o, h, low, c, v, q, n, tb, tq, ft, lt in zip(
            *(c.tolist() for c in columns), strict=True
        ):
            bars.append(Bar(open_ms, 0, o, h, low, c, v, q, n, tb, tq, ft, lt, False))
        return bars

    def _running_minute(self, now_ms: int) -> Bar | None:
        """The minute that contains `now_ms`, as far as it got; None when nothing trades."""
        minute = now_ms // MINUTE_MS
        if not self.exists(minute):
            return None
        count = (now_ms - minute * MINUTE_MS) // SECOND_MS + 1
        return _bar_of_seconds(self.path(minute), minute, 0, count, MINUTE_MS)

    def _second_bars(self, first_ms: int, to_ms: int, now_ms: int) -> list[Bar]:
        bars = []
        for second in range(first_ms // SECOND_MS, to_ms // SECOND_MS + 1):
            minute, place = divmod(second, SECONDS)
            if self.exists(minute):
                bar = _bar_of_seconds(self.path(minute), minute, place, place + 1, SECOND_MS)
                bars.append(_told(bar, bar.close_ms, now_ms))
        return bars

    def bar_at(self, interval: str, open_ms: int, now_ms: int) -> Bar | None:
        """The bar that opened at `open_ms`, or None when nothing was traded in it up to `now_ms`."""
        found = self.bars(interval, open_ms, open_ms, now_ms)
        return found[0] if found else None

    def klines(
        self, interval: str, start_ms: int | None, end_ms: int | None, limit: int, now_ms: int
    ) -> list[Bar]:
        """As REST klines: from the start forward, or the newest ones up to the end; `limit` bars at most."""
        end_ms = now_ms if end_ms is None else min(end_ms, now_ms)
        if self.end_ms is not None:
            end_ms = min(end_ms, self.end_ms - 1)
        span = limit
        if start_ms is not None:
            start_ms = max(start_ms, self.listed_ms)
            while True:
                to_ms = min(end_ms, intervals.shifted(interval, start_ms, span))
                found = self.bars(interval, start_ms, to_ms, now_ms)
                if len(found) >= limit or to_ms >= end_ms:
                    return found[:limit]
                span *= 2
        while True:
            newest = intervals.open_of(interval, end_ms)
            from_ms = max(self.listed_ms, intervals.shifted(interval, newest, 1 - span))
            found = self.bars(interval, from_ms, end_ms, now_ms)
            if len(found) >= limit or from_ms <= self.listed_ms:
                return found[-limit:]
            span *= 2

    # -- trades ----------------------------------------------------------------------------------

    def last_trade(self, now_ms: int) -> Trade | None:
        """The newest trade at or before `now_ms`."""
        end = self._source.end_minute
        minute, count = now_ms // MINUTE_MS, now_ms % MINUTE_MS // SECOND_MS + 1
        if end is not None and minute >= end:
            minute, count = end - 1, SECONDS
        while minute >= self._first_minute:
            if self.exists(minute):
                path = self.path(minute)
                done = np.flatnonzero(path.amount[0, :count])
                if len(done):
                    return _trade(path, minute, int(done[-1]))
            minute, count = minute - 1, SECONDS
        return None

    def trades(self, from_s: int, to_s: int) -> list[Trade]:
        """Every trade of the seconds [from_s, to_s), oldest first. The caller keeps to_s in the past."""
        found: list[Trade] = []
        for minute in range(max(from_s // SECONDS, self._first_minute), (to_s - 1) // SECONDS + 1):
            if not self.exists(minute):
                continue
            path = self.path(minute)
            start, stop = max(0, from_s - minute * SECONDS), min(SECONDS, to_s - minute * SECONDS)
            places = start + np.flatnonzero(path.amount[0, start:stop])
            found.extend(_trade(path, minute, place) for place in places.tolist())
        return found

    def newest_trades(self, count: int, now_ms: int) -> list[Trade]:
        """The last `count` trades up to `now_ms`, oldest first."""
        last = self.last_trade(now_ms)
        if last is None:
            return []
        to_s = last.at_ms // SECOND_MS + 1
        found: list[Trade] = []
        while len(found) < count and to_s > self._first_minute * SECONDS:
            from_s = to_s - max(SECONDS, count - len(found))
            found = self.trades(from_s, to_s) + found
            to_s = from_s
        return found[-count:]


def _trade(path: Seconds, minute: int, place: int) -> Trade:
    second = minute * SECONDS + place
    row = minute - path.first
    return Trade(
        second - TRADE_EPOCH_S,
        second * SECOND_MS,
        int(path.price[row, place]),
        int(path.amount[row, place]),
        bool(path.taker_buys[row, place]),
    )


def _bar_of_seconds(path: Seconds, minute: int, start: int, stop: int, length_ms: int) -> Bar:
    price, amount = path.price[0, start:stop], path.amount[0, start:stop]
    bought = np.where(path.taker_buys[0, start:stop], amount, 0)
    second = minute * SECONDS + start
    return Bar(
        second * SECOND_MS,
        second * SECOND_MS + length_ms - 1,
        int(price[0]),
        int(price.max()),
        int(price.min()),
        int(price[-1]),
        int(amount.sum()),
        int((price * amount).sum()),
        int((amount > 0).sum()),
        int(bought.sum()),
        int((price * bought).sum()),
        second - TRADE_EPOCH_S,
        minute * SECONDS + stop - 1 - TRADE_EPOCH_S,
        False,
    )


def _added(whole: Bar | None, running: Bar, open_ms: int, close_ms: int) -> Bar:
    """`running` appended to `whole`, under the given times."""
    if whole is None:
        return replace(running, open_ms=open_ms, close_ms=close_ms)
    return Bar(
        open_ms,
        close_ms,
        whole.open,
        max(whole.high, running.high),
        min(whole.low, running.low),
        running.close,
        whole.volume + running.volume,
        whole.quote + running.quote,
        whole.trades + running.trades,
        whole.taker_buy + running.taker_buy,
        whole.taker_buy_quote + running.taker_buy_quote,
        whole.first_trade,
        running.last_trade,
        False,
    )


def _told(bar: Bar, close_ms: int, now_ms: int) -> Bar:
    """With the close time of its interval, and whether that has passed."""
    return replace(bar, close_ms=close_ms, closed=close_ms < now_ms)
