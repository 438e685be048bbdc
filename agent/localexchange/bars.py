"""Bars and trades, and how bars add up.

Belongs here: the two records of what was traded and the arithmetic of joining them. Stays true: everything
is an integer (prices in ticks, amounts in steps, quote amounts in tick-steps), so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from agent.core.value import Value, replace
from agent.localexchange.intervals import MINUTE_MS, SECOND_MS
from agent.localexchange.minutes import Minutes
from agent.localexchange.noise import Ints
from agent.localexchange.path import SECONDS, Seconds

#: Trade number one was in this second; one number a second from then on.
TRADE_EPOCH_S: Final = 1_500_000_000


class Bar(Value, frozen=True):
    """A kline. `close_ms` is the last millisecond of its span; `closed` says that this has passed."""

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


class Trade(Value, frozen=True):
    """One trade; `id` also numbers the second it happened in."""

    id: int
    at_ms: int
    price: int
    amount: int
    taker_buys: bool


class Flows(Value, frozen=True):
    """What only the path knows of every minute."""

    quote: Ints
    trades: Ints
    taker_buy: Ints
    taker_buy_quote: Ints

    def cut(self, part: slice) -> Flows:
        return Flows(self.quote[part], self.trades[part], self.taker_buy[part], self.taker_buy_quote[part])

    def put(self, row: int, one: Flows) -> None:
        """Replace one minute's numbers."""
        self.quote[row], self.trades[row] = one.quote[0], one.trades[0]
        self.taker_buy[row], self.taker_buy_quote[row] = one.taker_buy[0], one.taker_buy_quote[0]


def flows_of(path: Seconds) -> Flows:
    bought = np.where(path.taker_buys, path.amount, 0)
    return Flows(
        (path.price * path.amount).sum(axis=1),
        (path.amount > 0).sum(axis=1),
        bought.sum(axis=1),
        (path.price * bought).sum(axis=1),
    )


def joined_flows(pieces: list[Flows]) -> Flows:
    if len(pieces) == 1:
        return pieces[0]
    return Flows(
        np.concatenate([p.quote for p in pieces]),
        np.concatenate([p.trades for p in pieces]),
        np.concatenate([p.taker_buy for p in pieces]),
        np.concatenate([p.taker_buy_quote for p in pieces]),
    )


class _Groups(Value, frozen=True):
    """Traded minutes and where the bars begin and end among them."""

    seen: Ints
    heads: Ints
    tails: Ints
    opens_ms: Ints


def _grouped(minutes: Minutes, grid: Ints) -> _Groups:
    seen = np.flatnonzero(minutes.traded)
    bar_of = np.searchsorted(grid, (minutes.first + seen) * MINUTE_MS, side="right") - 1
    heads = np.flatnonzero(np.diff(bar_of, prepend=-1))
    tails = np.append(heads[1:], len(seen)) - 1
    return _Groups(seen, heads, tails[: len(heads)], grid[bar_of[heads]])


def _prices_and_volume(minutes: Minutes, g: _Groups) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    return (
        minutes.open[g.seen[g.heads]],
        np.maximum.reduceat(minutes.high[g.seen], g.heads),
        np.minimum.reduceat(minutes.low[g.seen], g.heads),
        minutes.close[g.seen[g.tails]],
        np.add.reduceat(minutes.volume[g.seen], g.heads),
    )


def columns(minutes: Minutes, grid: Ints) -> Ints:
    """Open time, open, high, low, close and volume of bars: a row each. A bar never traded is left out."""
    groups = _grouped(minutes, grid)
    if not len(groups.heads):
        return np.empty((0, 6), dtype=np.int64)
    return np.column_stack((groups.opens_ms, *_prices_and_volume(minutes, groups)))


def summed(minutes: Minutes, flows: Flows, grid: Ints) -> Iterator[Bar]:
    """Minutes added up to bars that open at the times of `grid`; a bar never traded is left out.

    Their `close_ms` is still 0: see `told`.
    """
    g = _grouped(minutes, grid)
    if not len(g.heads):
        return
    parts = (
        g.opens_ms,
        *_prices_and_volume(minutes, g),
        np.add.reduceat(flows.quote[g.seen], g.heads),
        np.add.reduceat(flows.trades[g.seen], g.heads),
        np.add.reduceat(flows.taker_buy[g.seen], g.heads),
        np.add.reduceat(flows.taker_buy_quote[g.seen], g.heads),
        (minutes.first + g.seen[g.heads]) * SECONDS - TRADE_EPOCH_S,
        (minutes.first + g.seen[g.tails]) * SECONDS + SECONDS - 1 - TRADE_EPOCH_S,
    )
    for at, o, h, low, c, v, q, n, tb, tq, ft, lt in zip(*(x.tolist() for x in parts), strict=True):
        yield Bar(at, 0, o, h, low, c, v, q, n, tb, tq, ft, lt, False)


def bar_of_seconds(path: Seconds, start: int, stop: int, length_ms: int) -> Bar:
    """Seconds start..stop of a one-minute path as a bar."""
    price, amount = path.price[0, start:stop], path.amount[0, start:stop]
    bought = np.where(path.taker_buys[0, start:stop], amount, 0)
    second = path.first * SECONDS + start
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
        path.first * SECONDS + stop - 1 - TRADE_EPOCH_S,
        False,
    )


def trade_at(path: Seconds, place: int) -> Trade:
    """The trade of one second of a one-minute path."""
    second = path.first * SECONDS + place
    return Trade(
        second - TRADE_EPOCH_S,
        second * SECOND_MS,
        int(path.price[0, place]),
        int(path.amount[0, place]),
        bool(path.taker_buys[0, place]),
    )


def added(whole: Bar | None, more: Bar, open_ms: int, close_ms: int) -> Bar:
    """`more` appended to `whole`, under the given times."""
    if whole is None:
        return replace(more, open_ms=open_ms, close_ms=close_ms)
    return Bar(
        open_ms,
        close_ms,
        whole.open,
        max(whole.high, more.high),
        min(whole.low, more.low),
        more.close,
        whole.volume + more.volume,
        whole.quote + more.quote,
        whole.trades + more.trades,
        whole.taker_buy + more.taker_buy,
        whole.taker_buy_quote + more.taker_buy_quote,
        whole.first_trade,
        more.last_trade,
        False,
    )


def told(bar: Bar, close_ms: int, now_ms: int) -> Bar:
    """With the close time of its interval, and whether that has passed."""
    return replace(bar, close_ms=close_ms, closed=close_ms < now_ms)
