"""How sure a figure from few trades can be: 95 % confidence intervals, and how many trades it takes.

Each formula names its source. Trades are taken as independent draws, which is kind: the needed numbers are
lower bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Final

CONFIDENCE: Final = 0.95
_Z: Final = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` to `high` holds the true value with 95 % confidence. `source` names the formula."""

    low: float
    high: float
    source: str

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(successes: int, trials: int) -> Interval | None:
    """A share of successes, 0..1: Wilson's score interval (1927, J. Am. Stat. Assoc. 22). None of nothing."""
    if trials == 0:
        return None
    share, z2 = successes / trials, _Z * _Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return Interval(max(0.0, middle - half), min(1.0, middle + half), "Wilson score interval, 95 %")


def mean_interval(values: Sequence[float]) -> Interval | None:
    """A mean: Student's t interval, mean +- t(n - 1) * s / sqrt(n). None of fewer than two values."""
    if len(values) < 2:
        return None
    half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    mean = fmean(values)
    return Interval(mean - half, mean + half, "Student's t interval, 95 %")


def sharpe_interval(sharpe: float, trades: int) -> Interval | None:
    """mean / deviation of independent returns: sharpe +- z * sqrt((1 + sharpe**2 / 2) / n), from Lo (2002),
    "The Statistics of Sharpe Ratios", Financial Analysts Journal 58(4). None of fewer than two trades."""
    if trades < 2:
        return None
    half = _Z * math.sqrt((1 + sharpe * sharpe / 2) / trades)
    return Interval(sharpe - half, sharpe + half, "Lo 2002, independent trades, 95 %")


def trades_for_share(share: float, within: float) -> int | None:
    """Trades after which a win rate of `share` is known to +- `within` of itself (a fraction).

    n = z**2 * p * (1 - p) / (within * p)**2, from the normal approximation of the binomial.
    """
    if not 0 < share < 1:
        return None
    return math.ceil(_Z * _Z * (1 - share) / (share * within * within))


def trades_for_mean(mean: float, deviation: float, within: float) -> int | None:
    """Trades after which a mean is known to +- `within` of itself: n = (z * s / (within * mean))**2."""
    if mean == 0 or deviation <= 0:
        return None
    return math.ceil((_Z * deviation / (within * abs(mean))) ** 2)


def trades_for_sharpe(sharpe: float, within: float) -> int | None:
    """Trades after which a Sharpe ratio is known to +- `within` of itself:

    its error as in `sharpe_interval`.
    """
    if sharpe == 0:
        return None
    return math.ceil((1 + sharpe * sharpe / 2) * (_Z / (within * sharpe)) ** 2)


def t_quantile(freedom: int) -> float:
    """The two-sided 95 % point of Student's t.

    Exact for 1 and 2 degrees of freedom; from 3 on the expansion of Abramowitz and Stegun (1964), 26.7.5,
    which is within 0.1 % there and closer beyond.
    """
    assert freedom >= 1
    upper = 0.5 + CONFIDENCE / 2
    if freedom == 1:
        return math.tan(math.pi * (upper - 0.5))
    if freedom == 2:
        return (2 * upper - 1) * math.sqrt(2 / (4 * upper * (1 - upper)))
    z = _Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**k for k, term in enumerate(terms, 1))
