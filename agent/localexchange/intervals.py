"""Binance's kline intervals: where a bar opens and where the next one does.

Belongs here: calendar arithmetic only. Stays true: every interval partitions venue time; 3d counts from
1970-01-01, 1w opens on Mondays, 1M on the first of the month, all at 00:00 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

#: Length of every interval but 1M.
FIXED_MS: Final[dict[str, int]] = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
}
MONTH: Final = "1M"
NAMES: Final = (*FIXED_MS, MONTH)

#: The first Monday after the epoch, a Thursday.
_WEEK_OFFSET_MS: Final = 4 * DAY_MS


def _offset_ms(interval: str) -> int:
    return _WEEK_OFFSET_MS if interval == "1w" else 0


def _month_open_ms(month_index: int) -> int:
    """Open time of the month counted from January 1970."""
    return int(datetime(1970 + month_index // 12, 1 + month_index % 12, 1, tzinfo=UTC).timestamp()) * 1_000


def _month_index(at_ms: int) -> int:
    at = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return (at.year - 1970) * 12 + at.month - 1


def open_of(interval: str, at_ms: int) -> int:
    """Open time of the bar that contains `at_ms`."""
    if interval == MONTH:
        return _month_open_ms(_month_index(at_ms))
    length, offset = FIXED_MS[interval], _offset_ms(interval)
    return (at_ms - offset) // length * length + offset


def shifted(interval: str, open_ms: int, bars: int) -> int:
    """Open time of the bar `bars` later (negative: earlier)."""
    if interval == MONTH:
        return _month_open_ms(max(0, _month_index(open_ms) + bars))
    return open_ms + bars * FIXED_MS[interval]


def next_open(interval: str, open_ms: int) -> int:
    return shifted(interval, open_ms, 1)


def opens(interval: str, from_ms: int, to_ms: int) -> npt.NDArray[np.int64]:
    """Open times of every bar that overlaps [from_ms, to_ms)."""
    if interval == MONTH:
        first, last = _month_index(from_ms), _month_index(max(from_ms, to_ms - 1))
        return np.array([_month_open_ms(i) for i in range(first, last + 1)], dtype=np.int64)
    return np.arange(open_of(interval, from_ms), to_ms, FIXED_MS[interval], dtype=np.int64)
