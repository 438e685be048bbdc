"""When a made-up market should open: shortly before something happens.

Belongs here: choosing the simulated now for those who do not. Stays true: the choice depends on the seed and
the pair alone. The opening lies half an hour before the close of a capitulation bar that shows the signal
with default parameters and is followed by a bounce to the default target within a few hours.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from agent.localexchange.exhaustion import Gauge, Series, Thresholds, swing_high
from agent.localexchange.intervals import MINUTE_MS
from agent.localexchange.market_synthetic import BAR_MINUTES, SyntheticSource
from agent.localexchange.minutes import BLOCK_MINUTES, Minutes, joined
from agent.localexchange.noise import Floats, Ints

_HISTORY_BLOCKS: Final = 20
_BLOCKS_TRIED: Final = 60
_TARGET: Final = 0.618
#: The target is reached this many bars after the signal at the earliest and at the latest.
_SOONEST_BARS: Final = 3
_LATEST_BARS: Final = 16
#: What entry and exit may cost, with room to spare.
_ROOM: Final = 1.004


def lively_start_ms(source: SyntheticSource, from_ms: int) -> int:
    """The opening for this market, at or after `from_ms`; `from_ms` itself when nothing suits."""
    first = from_ms // (BLOCK_MINUTES * MINUTE_MS) + 1
    blocks = {i: source.block(i) for i in range(first - _HISTORY_BLOCKS, first + 1)}
    for index in range(first, first + _BLOCKS_TRIED):
        blocks[index + 1] = source.block(index + 1)
        story = source.story(index)
        if story is None:
            continue
        bars = quarter_hours(joined([blocks[i] for i in range(index - _HISTORY_BLOCKS, index + 2)]))
        signal = (_HISTORY_BLOCKS * BLOCK_MINUTES + story.bar) // BAR_MINUTES
        if _is_lively(bars, signal):
            return (index * BLOCK_MINUTES + story.bar - BAR_MINUTES) * MINUTE_MS
    return from_ms


def _is_lively(bars: Series, signal: int) -> bool:
    thresholds = Thresholds()
    at_signal = bars.cut(signal, signal + 1)
    if not Gauge(bars.cut(0, signal), thresholds).after(at_signal).fulfils(thresholds, margin=0.05):
        return False
    low = float(bars.low[signal])
    target = low + _TARGET * (swing_high(bars.cut(0, signal + 1)) - low)
    if target < bars.open[signal + 1] * _ROOM:
        return False
    reached = np.flatnonzero(bars.high[signal + 1 : signal + 1 + _LATEST_BARS] >= target)
    return len(reached) > 0 and int(reached[0]) >= _SOONEST_BARS


def quarter_hours(minutes: Minutes) -> Series:
    """Fifteen-minute bars of minutes that begin on a quarter and have no hole, in ticks and steps."""

    def rows(column: Ints) -> Floats:
        return column.reshape(-1, BAR_MINUTES).astype(np.float64)

    return Series(
        rows(minutes.open)[:, 0],
        rows(minutes.high).max(axis=1),
        rows(minutes.low).min(axis=1),
        rows(minutes.close)[:, -1],
        rows(minutes.volume).sum(axis=1),
    )
