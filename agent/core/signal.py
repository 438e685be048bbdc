"""The entry signal on live bars: the same features as over the whole history, one closed bar at a time.

A `SignalWindow` is a value: `push` returns the next window and what the bar means, and leaves the old window
untouched. It keeps the two exponential averages and the last values that the rolling windows need, nothing
else, so its size does not grow. Rolling means and deviations are summed afresh over their window each time
(two passes), so no error accumulates however long it runs; they equal the backtester's within 1e-9.

The averages forget where they started only slowly: `seed_weight` is what is left of the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agent.core.fibonacci import Ladder, ladder_between, swing_high
from agent.core.market import Candle
from agent.core.parameters import ExitParams, SellerParams
from agent.core.series import CandleSeries, Floats, true_ranges
from agent.core.value import Value, replace

__all__ = [
    "BORDERLINE",
    "ENTRY_SEED_WEIGHT",
    "WARM_SEED_WEIGHT",
    "Features",
    "SellerParams",
    "SignalWindow",
    "warmup_bars_needed",
]

#: A z-score this near its threshold may fall on the other side in another summation order.
BORDERLINE: Final = 1e-6
#: Warm: the averages carry less than this of the bar they were seeded with.
WARM_SEED_WEIGHT: Final = 1e-9
#: No entry while the averages carry more than this of their seed.
ENTRY_SEED_WEIGHT: Final = 1e-3

_EMPTY: Final = np.empty(0, dtype=np.float64)
_EMPTY.flags.writeable = False


class Measures(Value, frozen=True):
    """What is measured of one closed bar. Prices in quote currency; None where a value is undefined.

    `atr`, `vol_z` and `tr_z` are undefined until their windows are full, the z-scores also while their
    deviation is 0, `cloc` on a bar without range.
    """

    open_ms: int
    low: float
    close: float
    ema_f: float
    ema_s: float
    atr: float | None
    vol_z: float | None
    tr_z: float | None
    cloc: float | None
    downtrend: bool
    exhaustion: bool


class Features(Measures, frozen=True):
    """What one closed bar means. `swing_high` and `ladder` are searched on signal bars only (`exhaustion`); a
    swing high that is not above `low` makes no ladder. `borderline`: a z-score lies within 1e-6 of its
    threshold.
    """

    borderline: bool
    swing_high: float | None
    ladder: Ladder | None


def warmup_bars_needed(params: SellerParams, exits: ExitParams | None = None) -> int:
    """Bars after which the averages carry less than 1e-9 of their seed, plus z_window + atr_window.

    Given `exits`, at least as many as the swing search looks back.
    """
    remaining = _seed_decay(params)
    bars = 1 if remaining == 0 else math.floor(math.log(WARM_SEED_WEIGHT) / math.log(remaining)) + 1
    bars += params.z_window + params.atr_window
    return bars if exits is None else max(bars, exits.fib_swing_lookback + exits.fib_swing_lookahead + 1)


class SignalWindow(Value, frozen=True, eq=False):
    """All that later bars need from the bars so far. Start with `empty` or `warm`, go on with `push`."""

    params: SellerParams
    exits: ExitParams
    bars_seen: int
    last_open_ms: int
    last_close: float
    ema_f: float
    ema_s: float
    true_ranges: Floats
    """Up to atr_window values, oldest first, as the three columns below."""
    volumes: Floats
    """Up to z_window values."""
    range_sums: Floats
    """Up to z_window values of atr * atr_window: what tr_z is the z-score of."""
    highs: Floats
    """Up to fib_swing_lookback values."""

    @classmethod
    def empty(cls, params: SellerParams, exits: ExitParams) -> SignalWindow:
        nan = math.nan
        return cls(params, exits, 0, -1, nan, nan, nan, _EMPTY, _EMPTY, _EMPTY, _EMPTY)

    @classmethod
    def warm(
        cls, params: SellerParams, exits: ExitParams, candles: CandleSeries | Sequence[Candle]
    ) -> SignalWindow:
        """A window that has seen `candles` (closed, in order, oldest first)."""
        return cls.empty(params, exits).extend(candles)

    @property
    def seed_weight(self) -> float:
        """What the slower average still carries of the bar it was seeded with, 1 to 0: its error bound."""
        return 1.0 if self.bars_seen == 0 else _seed_decay(self.params) ** self.bars_seen

    @property
    def entries_allowed(self) -> bool:
        """Whether the averages have forgotten their seed well enough to enter on."""
        return self.seed_weight <= ENTRY_SEED_WEIGHT

    def extend(self, candles: CandleSeries | Sequence[Candle]) -> SignalWindow:
        """The window after many bars, without features: for warming up, whole or in chunks.

        Equal to pushing the bars one by one.
        """
        series = candles if isinstance(candles, CandleSeries) else CandleSeries.of(candles)
        if len(series) == 0:
            return self
        assert int(series.open_ms[0]) > self.last_open_ms, "bars go forward"
        assert bool((np.diff(series.open_ms) > 0).all()), "bars go forward"
        params = self.params
        closes = series.close.tolist()
        previous_close = self.last_close if self.bars_seen else None
        ranges = np.concatenate(
            (self.true_ranges, true_ranges(series.high, series.low, series.close, previous_close))
        )
        return SignalWindow(
            params=params,
            exits=self.exits,
            bars_seen=self.bars_seen + len(series),
            last_open_ms=int(series.open_ms[-1]),
            last_close=closes[-1],
            ema_f=_ema(self.ema_f if self.bars_seen else None, closes, params.ema_fast),
            ema_s=_ema(self.ema_s if self.bars_seen else None, closes, params.ema_slow),
            true_ranges=_last(ranges, params.atr_window),
            volumes=_last(np.concatenate((self.volumes, series.volume)), params.z_window),
            range_sums=_last(
                np.concatenate((self.range_sums, _new_range_sums(ranges, len(series), params))),
                params.z_window,
            ),
            highs=_last(np.concatenate((self.highs, series.high)), self.exits.fib_swing_lookback),
        )

    def without_volumes(self) -> SignalWindow:
        """For history of another source than the bars to come: averages and ranges stay, volumes do not.

        `vol_z` is then undefined until its window is full of the new source's bars.
        """
        return replace(self, volumes=_EMPTY)

    def push(self, candle: Candle) -> tuple[SignalWindow, Features]:
        """The window after `candle`, and the candle's features."""
        assert candle.open_ms > self.last_open_ms, "bars go forward"
        params = self.params
        if self.bars_seen:
            ema_f = _ema(self.ema_f, (candle.close,), params.ema_fast)
            ema_s = _ema(self.ema_s, (candle.close,), params.ema_slow)
            true_range = max(
                candle.high - candle.low,
                abs(candle.high - self.last_close),
                abs(candle.low - self.last_close),
            )
        else:
            ema_f = ema_s = candle.close
            true_range = candle.high - candle.low
        ranges = _slid(self.true_ranges, true_range, params.atr_window)
        volumes = _slid(self.volumes, candle.volume, params.z_window)
        atr, range_sums = None, self.range_sums
        if len(ranges) == params.atr_window:
            atr = _sum(ranges) / params.atr_window
            range_sums = _slid(range_sums, atr * params.atr_window, params.z_window)
        window = SignalWindow(
            params=params,
            exits=self.exits,
            bars_seen=self.bars_seen + 1,
            last_open_ms=candle.open_ms,
            last_close=candle.close,
            ema_f=ema_f,
            ema_s=ema_s,
            true_ranges=ranges,
            volumes=volumes,
            range_sums=range_sums,
            highs=_slid(self.highs, candle.high, self.exits.fib_swing_lookback),
        )
        return window, self._features(candle, window, atr)

    def _features(self, candle: Candle, now: SignalWindow, atr: float | None) -> Features:
        params = self.params
        vol_z = _z_score(now.volumes, params.z_window)
        tr_z = _z_score(now.range_sums, params.z_window)
        span = candle.high - candle.low
        cloc = None if span == 0 else (candle.close - candle.low) / span
        downtrend = now.ema_f < now.ema_s
        exhaustion = (
            downtrend
            and _above(vol_z, params.vol_z)
            and _above(tr_z, params.tr_z)
            and _above(cloc, params.cloc_min)
        )
        swing = None
        if exhaustion:
            swing = swing_high(
                self.highs, self.bars_seen, self.exits.fib_swing_lookback, self.exits.fib_swing_lookahead
            )
        return Features(
            open_ms=candle.open_ms,
            low=candle.low,
            close=candle.close,
            ema_f=now.ema_f,
            ema_s=now.ema_s,
            atr=atr,
            vol_z=vol_z,
            tr_z=tr_z,
            cloc=cloc,
            downtrend=downtrend,
            exhaustion=exhaustion,
            borderline=_near(vol_z, params.vol_z) or _near(tr_z, params.tr_z),
            swing_high=swing,
            ladder=ladder_between(candle.low, swing),
        )


def _seed_decay(params: SellerParams) -> float:
    return 1 - 2 / (max(params.ema_fast, params.ema_slow) + 1)


def _ema(before: float | None, closes: Sequence[float], span: int) -> float:
    """pandas' `ewm(span=span, adjust=False)` continued from `before`, with its operations in its order."""
    new = 1 / (1 + (span - 1) / 2)
    old = 1 - new
    total = old + new
    average = closes[0] if before is None else before
    for close in closes:
        if close != average:
            average = (old * average + new * close) / total
    return average


def _above(value: float | None, threshold: float) -> bool:
    return value is not None and value > threshold


def _near(value: float | None, threshold: float) -> bool:
    return value is not None and abs(value - threshold) <= BORDERLINE


def _sum(values: Floats) -> float:
    return float(np.add.reduce(values))


def _z_score(values: Floats, window: int) -> float | None:
    """(last value - mean) / population deviation of a full window of unequal values; None otherwise.

    Equal values are recognised by comparing them: their computed mean may miss them by a rounding error, and
    the deviation would then be tiny instead of 0.
    """
    if len(values) < window or (values[0] == values[-1] and bool((values == values[-1]).all())):
        return None
    deviations = values - _sum(values) / window
    return float(deviations[-1]) / math.sqrt(_sum(deviations * deviations) / window)


def _slid(values: Floats, new: float, size: int) -> Floats:
    """`values` with `new` behind them, the oldest dropped when they would be more than `size`."""
    kept = values[1:] if len(values) == size else values
    result = np.empty(len(kept) + 1)
    result[:-1] = kept
    result[-1] = new
    result.setflags(write=False)
    return result


def _last(values: Floats, size: int) -> Floats:
    """The last `size` values in memory of their own, so that a long history is not kept alive."""
    result = values[-size:].copy()
    result.flags.writeable = False
    return result


def _new_range_sums(ranges: Floats, new: int, params: SellerParams) -> Floats:
    """atr * atr_window of the last `new` bars (of no more than the z-score will look at)."""
    window = params.atr_window
    sums_wanted = min(new, len(ranges) - window + 1, params.z_window)
    if sums_wanted <= 0:
        return _EMPTY
    views = sliding_window_view(ranges[-(sums_wanted + window - 1) :], window)
    sums: Floats = views.sum(axis=1) / window * window
    return sums
