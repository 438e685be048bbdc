"""The Fibonacci ladder between a signal bar's low and the last swing high before it.

A ladder exists only when its swing high lies above its low; its prices then rise with the ratio. The search
reads bars before the signal bar and nothing later, so the same function serves a whole history and the
window of a live market.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agent.core.series import Floats
from agent.core.value import Value

#: The retracements at which the backtester leaves, lowest first.
RATIOS: Final = (0.382, 0.5, 0.618, 0.786, 1.0)


class Ladder(Value, frozen=True):
    """Prices in quote currency; `levels` are (ratio, price), lowest first, one for each of RATIOS."""

    swing_low: float
    swing_high: float
    levels: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        assert self.swing_high > self.swing_low, self

    def scaled(self, by: float) -> Ladder:
        """The same ladder on a market where everything costs `by` times as much."""
        levels = tuple((ratio, price * by) for ratio, price in self.levels)
        return Ladder(self.swing_low * by, self.swing_high * by, levels)

    def price(self, ratio: float) -> float:
        """The price of one of RATIOS."""
        for known, price in self.levels:
            if known == ratio:
                return price
        raise AssertionError(f"{ratio} is none of {RATIOS}")


def ladder_between(swing_low: float, swing_high: float | None) -> Ladder | None:
    """The ladder from `swing_low` up to `swing_high`: low + (high - low) * ratio.

    None when there is no swing high or it is not above the low.
    """
    if swing_high is None or not swing_high > swing_low:
        return None
    span = swing_high - swing_low
    return Ladder(swing_low, swing_high, tuple((ratio, swing_low + span * ratio) for ratio in RATIOS))


def swing_high(highs_before: Floats, bars_before: int, lookback: int, lookahead: int) -> float | None:
    """The swing high before a signal bar.

    `highs_before` holds the highs of the bars before the signal bar, oldest first: at least the last
    `lookback` of them where so many exist. `bars_before` is how many bars precede the signal bar in all.
    None while fewer than lookback + lookahead precede it, or when lookback <= lookahead.

    Candidates are the bars from lookahead after the window's start to lookahead before the signal bar whose
    high is not exceeded within `lookahead` bars on either side (equal highs do not disqualify); the highest
    wins. Without a candidate it is the highest high of the window without its last `lookahead` bars.
    """
    if bars_before < lookback + lookahead or lookback <= lookahead:
        return None
    assert len(highs_before) >= lookback, "fewer highs than the lookback needs"
    window = highs_before[-lookback:]
    reach = 2 * lookahead + 1
    if lookback >= reach:
        centres = window[lookahead : lookback - lookahead]
        highest = centres.max()
        if highest >= window.max():
            # No high exceeds it anywhere, so it is a candidate, and no other is higher.
            return float(highest)
        candidates = centres[centres >= sliding_window_view(window, reach).max(axis=1)]
        if candidates.size:
            return float(candidates.max())
    return float(np.max(window[: lookback - lookahead]))
