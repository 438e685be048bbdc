"""The loaded candles, and their form at any zoom.

Law: columns of numpy, times strictly increasing. History (all but the last candle) changes rarely and
raises `version`; the last candle changes with every tick and does not. When there are more candles than
pixels, buckets of `k` bars, anchored in time so that panning does not make them flicker, become one:
first open, highest high, lowest low, last close, summed volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

OPEN, HIGH, LOW, CLOSE, VOLUME, EMA_FAST, EMA_SLOW = range(7)
_COLUMNS = 7


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle; `open_ms` is its open time in UTC milliseconds, the EMAs may be missing (nan)."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    ema_fast: float = float("nan")
    ema_slow: float = float("nan")

    @property
    def row(self) -> tuple[float, ...]:
        return (self.open, self.high, self.low, self.close, self.volume, self.ema_fast, self.ema_slow)


@dataclass(frozen=True, slots=True)
class Bars:
    """A stretch of bars to draw: `x` their centres in bars since 1970, `columns` as in `Candles`."""

    x: Floats
    columns: Floats


class Candles:
    """All loaded candles of one market and timeframe."""

    def __init__(self, bar_ms: int) -> None:
        self.bar_ms = bar_ms
        self.version = 0
        self._times: Times = np.empty(0, np.int64)
        self._columns: Floats = np.empty((_COLUMNS, 0))
        self._count = 0
        self._bucketed: tuple[int, int, Bars] | None = None
        self._highest: tuple[int, float] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def open_ms(self) -> Times:
        return self._times[: self._count]

    @property
    def columns(self) -> Floats:
        """Rows open, high, low, close, volume, fast EMA, slow EMA."""
        return self._columns[:, : self._count]

    @property
    def first_x(self) -> float:
        return float(self.open_ms[0]) / self.bar_ms

    @property
    def last_x(self) -> float:
        return float(self.open_ms[-1]) / self.bar_ms

    @property
    def highest(self) -> float:
        """The highest price of all; there must be candles."""
        if self._highest is None or self._highest[0] != self.version:
            self._highest = (self.version, float(self.columns[HIGH, :-1].max(initial=-np.inf)))
        return max(self._highest[1], float(self.columns[HIGH, -1]))

    def candle(self, index: int) -> Candle:
        return Candle(int(self.open_ms[index]), *(float(value) for value in self.columns[:, index]))

    def replace(self, open_ms: ArrayLike, columns: list[ArrayLike | None]) -> None:
        """Take these candles instead of all there were. Raises ValueError for unusable columns."""
        times, rows = _checked(open_ms, columns)
        self._times, self._columns = times.copy(), rows
        self._count = len(times)
        self.version += 1

    def prepend(self, open_ms: ArrayLike, columns: list[ArrayLike | None]) -> int:
        """Add older candles; those not older than the oldest loaded are left out. Answers how many came."""
        times, rows = _checked(open_ms, columns)
        if self._count:
            fresh = int(np.searchsorted(times, self.open_ms[0]))
            times, rows = times[:fresh], rows[:, :fresh]
        if not len(times):
            return 0
        self._times = np.concatenate([times, self.open_ms])
        self._columns = np.concatenate([rows, self.columns], axis=1)
        self._count = len(self._times)
        self.version += 1
        return len(times)

    def put(self, candle: Candle) -> bool:
        """Replace the candle of that open time or append a newer one; True if a bar was appended.

        Raises ValueError for a candle before the last one that is not loaded.
        """
        _check_row(candle)
        if not self._count or candle.open_ms > int(self.open_ms[-1]):
            self._reserve()
            self._times[self._count] = candle.open_ms
            self._columns[:, self._count] = candle.row
            self._count += 1
            self.version += 1
            return True
        index = int(np.searchsorted(self.open_ms, candle.open_ms))
        if self.open_ms[index] != candle.open_ms:
            raise ValueError(f"no candle opens at {candle.open_ms} ms and it is not newer than the last")
        self.columns[:, index] = candle.row
        if index != self._count - 1:
            self.version += 1
        return False

    def set_emas(self, fast: ArrayLike, slow: ArrayLike) -> None:
        """Replace both averages, one value for each loaded candle (nan where there is none)."""
        for row, values in ((EMA_FAST, fast), (EMA_SLOW, slow)):
            given = np.asarray(values, np.float64)
            if given.shape != (self._count,):
                raise ValueError(f"an EMA of {given.shape} values for {self._count} candles")
            self.columns[row] = given
        self.version += 1

    def index_at(self, x: float) -> int:
        """The candle nearest to `x` (bars since 1970); there must be candles."""
        wanted = x * self.bar_ms
        right = int(np.clip(np.searchsorted(self.open_ms, wanted), 1, max(1, self._count - 1)))
        left = right - 1
        if right >= self._count:
            return left
        return left if wanted - self.open_ms[left] <= self.open_ms[right] - wanted else right

    def span(self, left: float, right: float) -> slice:
        """The candles any part of which lies between `left` and `right` (bars since 1970)."""
        begin = int(np.searchsorted(self.open_ms, (left - 0.5) * self.bar_ms))
        end = int(np.searchsorted(self.open_ms, (right + 0.5) * self.bar_ms, side="right"))
        return slice(begin, end)

    def history(self, k: int) -> Bars:
        """Everything before the bucket of the last candle, `k` bars to one. Cached until history changes."""
        if self._bucketed is None or self._bucketed[:2] != (k, self.version):
            end = self._count - 1 if k == 1 else self._last_bucket(k)
            self._bucketed = (
                k,
                self.version,
                bucketed(self.open_ms[:end], self.columns[:, :end], self.bar_ms, k),
            )
        return self._bucketed[2]

    def latest(self, k: int) -> Bars:
        """The bucket of the last candle, as it is now."""
        begin = self._count - 1 if k == 1 else self._last_bucket(k)
        return bucketed(self.open_ms[begin:], self.columns[:, begin:], self.bar_ms, k)

    def _last_bucket(self, k: int) -> int:
        last_key = int(self.open_ms[-1]) // (self.bar_ms * k)
        return int(np.searchsorted(self.open_ms, last_key * self.bar_ms * k))

    def _reserve(self) -> None:
        if self._count < len(self._times):
            return
        room = max(512, self._count // 4)
        self._times = np.concatenate([self.open_ms, np.zeros(room, np.int64)])
        self._columns = np.concatenate([self.columns, np.full((_COLUMNS, room), np.nan)], axis=1)


def bucketed(open_ms: Times, columns: Floats, bar_ms: int, k: int) -> Bars:
    """Buckets of `k` bars, anchored at multiples of `k` bars since 1970."""
    if k <= 1 or not len(open_ms):
        return Bars(open_ms / bar_ms, columns)
    keys = open_ms // (bar_ms * k)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    ends = np.concatenate([starts[1:], [len(keys)]]) - 1
    rows = np.empty((_COLUMNS, len(starts)))
    rows[OPEN] = columns[OPEN, starts]
    rows[HIGH] = np.maximum.reduceat(columns[HIGH], starts)
    rows[LOW] = np.minimum.reduceat(columns[LOW], starts)
    rows[CLOSE] = columns[CLOSE, ends]
    rows[VOLUME] = np.add.reduceat(columns[VOLUME], starts)
    rows[EMA_FAST] = columns[EMA_FAST, ends]
    rows[EMA_SLOW] = columns[EMA_SLOW, ends]
    return Bars(keys[starts].astype(np.float64) * k + (k - 1) / 2, rows)


def _checked(open_ms: ArrayLike, columns: list[ArrayLike | None]) -> tuple[Times, Floats]:
    times = np.asarray(open_ms, np.int64)
    if times.ndim != 1:
        raise ValueError(f"open times of shape {times.shape}, one dimension is needed")
    rows = np.full((_COLUMNS, len(times)), np.nan)
    for row, values in enumerate(columns):
        if values is None:
            continue
        given = np.asarray(values, np.float64)
        if given.shape != times.shape:
            raise ValueError(f"column {row} has shape {given.shape}, the open times {times.shape}")
        rows[row] = given
    if len(times) > 1 and not (np.diff(times) > 0).all():
        where = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
        raise ValueError(f"open times must increase; row {where} ({times[where]} ms) does not")
    bad = ~np.isfinite(rows[: VOLUME + 1]).all(axis=0)
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise ValueError(f"candle {where} ({times[where]} ms) holds a number that is not finite")
    return times, rows


def _check_row(candle: Candle) -> None:
    if not np.isfinite(candle.row[: VOLUME + 1]).all():
        raise ValueError(f"the candle at {candle.open_ms} ms holds a number that is not finite")
