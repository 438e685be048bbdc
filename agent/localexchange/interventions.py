"""The operator's hand in the market: a price, a bar, a course of bars.

Belongs here: laying what the operator wants over a source of base candles. Stays true: only what has not
happened yet changes; after an intervention the source goes on with its own moves from the new level; a
later intervention replaces what an earlier one had planned. How it works: planned minutes are kept as they
are, and from a minute on all prices of the source are scaled; one minute, the one an intervention falls
into, may have a path of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from agent.localexchange.minutes import BLOCK_MINUTES, Minutes, MinuteSource
from agent.localexchange.noise import Floats, Ints
from agent.localexchange.path import Seconds


class NothingTradesError(Exception):
    """An intervention into a time without a market."""


@dataclass(frozen=True, slots=True)
class _Scaled:
    from_minute: int
    ratio: float


@dataclass(frozen=True, slots=True)
class _Planned:
    open: int
    high: int
    low: int
    close: int
    volume: int


class Interventions:
    """A source with interventions; itself a source."""

    def __init__(self, source: MinuteSource) -> None:
        self._source = source
        self._scaled: list[_Scaled] = []
        self._planned: dict[int, _Planned] = {}
        self._paths: dict[int, Seconds] = {}

    @property
    def end_minute(self) -> int | None:
        return self._source.end_minute

    @property
    def holes(self) -> Ints:
        return self._source.holes

    def block(self, index: int) -> Minutes:
        block = self._source.block(index)
        first, last = index * BLOCK_MINUTES, (index + 1) * BLOCK_MINUTES
        if self._scaled and self._scaled[0].from_minute < last:
            number = first + np.arange(BLOCK_MINUTES, dtype=np.int64)
            ratio = np.ones(BLOCK_MINUTES)
            for scaled in self._scaled:
                ratio[number >= scaled.from_minute] = scaled.ratio
            block = replace(
                block,
                open=_times(block.open, ratio),
                high=_times(block.high, ratio),
                low=_times(block.low, ratio),
                close=_times(block.close, ratio),
            )
        planned = [(minute - first, p) for minute, p in self._planned.items() if first <= minute < last]
        if planned:
            block = _copied(block)
            for row, p in planned:
                block.open[row], block.high[row] = p.open, p.high
                block.low[row], block.close[row] = p.low, p.close
                block.volume[row], block.traded[row] = p.volume, True
        return block

    def own_path(self, minute: int) -> Seconds | None:
        """The path an intervention gave this minute, if one did."""
        return self._paths.get(minute)

    def own_paths(self, index: int) -> list[Seconds]:
        """All such paths of a block."""
        return [path for minute, path in self._paths.items() if minute // BLOCK_MINUTES == index]

    def break_off(self, path: Seconds, place: int, price: int) -> None:
        """From the second after `place` of this minute on the price is `price`."""
        minute = path.first
        prices = path.price.copy()
        prices[0, place + 1 :] = price
        self._forget_after(minute)
        if place + 1 >= prices.shape[1]:
            # Nothing of this minute is left to change.
            self._go_on_from(minute + 1, price)
            return
        self._paths[minute] = replace(path, price=prices)
        self._planned[minute] = _Planned(
            int(prices[0, 0]), int(prices.max()), int(prices.min()), price, int(path.amount.sum())
        )
        self._go_on_from(minute + 1, price)

    def plan(self, minutes: Minutes) -> None:
        """These minutes will be as given; afterwards the market goes on from their last close."""
        self._forget_after(minutes.first - 1)
        for row in range(len(minutes)):
            self._planned[minutes.first + row] = _Planned(
                int(minutes.open[row]),
                int(minutes.high[row]),
                int(minutes.low[row]),
                int(minutes.close[row]),
                int(minutes.volume[row]),
            )
        self._go_on_from(minutes.first + len(minutes), int(minutes.close[-1]))

    def _forget_after(self, minute: int) -> None:
        """Drop everything planned later than `minute`; what lies behind stays."""
        position = bisect_right(self._scaled, minute, key=lambda s: s.from_minute)
        del self._scaled[position:]
        for later in [m for m in self._planned if m > minute]:
            del self._planned[later]
            self._paths.pop(later, None)

    def _go_on_from(self, minute: int, price: int) -> None:
        end = self._source.end_minute
        if end is not None and minute >= end:
            return
        before = self._source.block((minute - 1) // BLOCK_MINUTES)
        row = (minute - 1) % BLOCK_MINUTES
        if not before.traded[row]:
            raise NothingTradesError
        self._scaled.append(_Scaled(minute, price / float(before.close[row])))


def _times(ticks: Ints, ratio: Floats) -> Ints:
    return np.maximum(1, np.rint(ticks * ratio)).astype(np.int64)


def _copied(block: Minutes) -> Minutes:
    return Minutes(
        block.first,
        block.open.copy(),
        block.high.copy(),
        block.low.copy(),
        block.close.copy(),
        block.volume.copy(),
        block.traded.copy(),
    )


def spread_over(
    first: int, minutes: int, opened: Ints, high: Ints, low: Ints, closed: Ints, volume: Ints
) -> Minutes:
    """Bars of `minutes` minutes each, one after the other from minute `first`, as their minutes.

    Each bar touches its extremes in the order of its direction: an up bar the low first, a down bar the high.
    Summed up again the minutes give exactly the bars.
    """
    if minutes == 1:
        return Minutes(first, opened, high, low, closed, volume, np.ones(len(opened), dtype=np.bool_))
    up = closed >= opened
    one, two = np.where(up, low, high), np.where(up, high, low)
    knots = (0, minutes // 3, 2 * minutes // 3, minutes)
    bounds = np.empty((len(opened), minutes + 1), dtype=np.int64)
    for row, values in enumerate(zip(opened, one, two, closed, strict=True)):
        bounds[row] = np.rint(np.interp(np.arange(minutes + 1), knots, [float(v) for v in values]))
    start, end = bounds[:, :-1], bounds[:, 1:]
    running = volume[:, None] * np.arange(1, minutes + 1, dtype=np.int64) // minutes
    return Minutes(
        first,
        start.ravel(),
        np.maximum(start, end).ravel(),
        np.minimum(start, end).ravel(),
        end.ravel(),
        np.diff(running, axis=1, prepend=0).ravel(),
        np.ones(start.size, dtype=np.bool_),
    )
