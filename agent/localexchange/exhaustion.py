"""The signal the market is made for, measured on bars.

Belongs here: the conditions of a seller exhaustion with the default parameters, so that the market can be
shaped until it shows one. Stays true: formulas are those of SPEC 3 (EMA seeded by the first bar, simple mean
of the true range, population deviation); this is a measuring rod of the exchange's own, not the strategy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.localexchange.noise import Floats


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Windows in bars, limits as in a config's `seller_params`."""

    ema_fast: int = 96
    ema_slow: int = 672
    z_window: int = 672
    atr_window: int = 96
    vol_z: float = 2.0
    tr_z: float = 1.2
    cloc_min: float = 0.6


@dataclass(frozen=True, slots=True)
class Series:
    """Bars in columns; prices and volumes in whatever unit."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.close)

    def then(self, more: Series) -> Series:
        return Series(
            np.concatenate((self.open, more.open)),
            np.concatenate((self.high, more.high)),
            np.concatenate((self.low, more.low)),
            np.concatenate((self.close, more.close)),
            np.concatenate((self.volume, more.volume)),
        )

    def cut(self, start: int, stop: int) -> Series:
        part = slice(start, stop)
        return Series(self.open[part], self.high[part], self.low[part], self.close[part], self.volume[part])

    def last(self, bars: int) -> Series:
        return self.cut(max(0, len(self) - bars), len(self))


@dataclass(frozen=True, slots=True)
class Reading:
    """The four conditions at one bar."""

    ema_fast: float
    ema_slow: float
    vol_z: float
    tr_z: float
    cloc: float

    def fulfils(self, t: Thresholds, margin: float = 0.0) -> bool:
        """With `margin`, by that part of every threshold to spare."""
        return (
            self.ema_fast < self.ema_slow * (1.0 - 0.01 * margin)
            and self.vol_z > t.vol_z * (1.0 + margin)
            and self.tr_z > t.tr_z * (1.0 + margin)
            and self.cloc > t.cloc_min + 0.2 * margin
        )


class Gauge:
    """History measured once, so that many continuations of it can be."""

    def __init__(self, history: Series, thresholds: Thresholds) -> None:
        t = thresholds
        assert len(history) > t.z_window + t.atr_window, "too little history for the windows"
        self._thresholds = t
        self._fast, self._slow = _ema(history.close, t.ema_fast), _ema(history.close, t.ema_slow)
        self._tail = history.last(t.z_window + t.atr_window + 1)

    def after(self, more: Series) -> Reading:
        """The reading at the last bar of `more`, which follows the history."""
        t = self._thresholds
        fast, slow = self._fast, self._slow
        for close in more.close.tolist():
            fast += (close - fast) * 2.0 / (t.ema_fast + 1)
            slow += (close - slow) * 2.0 / (t.ema_slow + 1)
        bars = self._tail.then(more).last(t.z_window + t.atr_window)
        before = np.concatenate(([bars.open[0]], bars.close[:-1]))
        true_range = np.maximum(bars.high, before) - np.minimum(bars.low, before)
        running = np.concatenate(([0.0], np.cumsum(true_range)))
        atr = (running[t.atr_window :] - running[: -t.atr_window]) / t.atr_window
        high, low, close = bars.high[-1], bars.low[-1], bars.close[-1]
        return Reading(
            fast,
            slow,
            _z(bars.volume[-t.z_window :]),
            _z(atr[-t.z_window :] * t.atr_window),
            float((close - low) / (high - low)) if high > low else 0.0,
        )


def _ema(values: Floats, span: int) -> float:
    """Last value of the recursive mean seeded by the first one."""
    alpha = 2.0 / (span + 1)
    weights = alpha * (1.0 - alpha) ** np.arange(len(values) - 1, -1, -1, dtype=np.float64)
    weights[0] /= alpha
    return float(values @ weights)


def _z(window: Floats) -> float:
    deviation = float(window.std())
    return float((window[-1] - window.mean()) / deviation) if deviation > 0 else 0.0


def swing_high(bars: Series, lookback: int = 96, lookahead: int = 5) -> float:
    """About what a Fibonacci ladder at the last bar hangs from: the highest high before it."""
    return float(bars.high[max(0, len(bars) - 1 - lookback) : len(bars) - 1 - lookahead].max())
