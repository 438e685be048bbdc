"""A stretch of closed candles as columns: what indicators over history and the warm-up are computed on.

Columns are read-only float64 arrays (open times int64 milliseconds UTC) of one length, oldest bar first. A
series says nothing about gaps: the strategy counts bars, as the backtester does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.core.market import Candle
from agent.core.value import Value

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


class CandleSeries(Value, frozen=True, eq=False):
    """Candles by column. Build one with `of` or `from_columns`, which freeze the arrays."""

    open_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        length = len(self.open_ms)
        for column in (self.open_ms, self.open, self.high, self.low, self.close, self.volume):
            assert column.shape == (length,), "columns of one length"
            column.flags.writeable = False

    @classmethod
    def of(cls, candles: Sequence[Candle]) -> CandleSeries:
        n = len(candles)

        def column(values: Iterable[float]) -> Floats:
            return np.fromiter(values, dtype=np.float64, count=n)

        return cls(
            np.fromiter((c.open_ms for c in candles), dtype=np.int64, count=n),
            column(c.open for c in candles),
            column(c.high for c in candles),
            column(c.low for c in candles),
            column(c.close for c in candles),
            column(c.volume for c in candles),
        )

    def __len__(self) -> int:
        return len(self.open_ms)

    def __iter__(self) -> Iterator[Candle]:
        columns = (self.open_ms, self.open, self.high, self.low, self.close, self.volume)
        for row in zip(*(column.tolist() for column in columns), strict=True):
            yield Candle(*row)

    def candle(self, i: int) -> Candle:
        return Candle(
            int(self.open_ms[i]),
            float(self.open[i]),
            float(self.high[i]),
            float(self.low[i]),
            float(self.close[i]),
            float(self.volume[i]),
        )

    def part(self, start: int, stop: int) -> CandleSeries:
        """Bars [start, stop), sharing memory with this series."""
        s = slice(start, stop)
        return CandleSeries(
            self.open_ms[s], self.open[s], self.high[s], self.low[s], self.close[s], self.volume[s]
        )


def true_ranges(high: Floats, low: Floats, close: Floats, previous_close: float | None) -> Floats:
    """Wilder's true range of each bar: max(high - low, |high - previous close|, |low - previous close|).

    `previous_close` is the close before the first bar given; without one that bar's true range is its
    high - low.
    """
    spans = high - low
    if len(spans) == 0:
        return spans
    before = np.empty_like(close)
    before[1:] = close[:-1]
    before[0] = close[0] if previous_close is None else previous_close
    ranges: Floats = np.maximum(spans, np.maximum(np.abs(high - before), np.abs(low - before)))
    if previous_close is None:
        ranges[0] = spans[0]
    return ranges
