"""Making the market do what the operator asks for: a bar, or a signal.

Belongs here: from a wish to planned minutes. Stays true: a forced signal is measured on the real history and
fulfils the thresholds with room to spare, or the wish is refused; the bars before it are only touched as
far as it needs (a fall long and rough enough to be a downtrend and to widen the average range); what has
been traded already is never changed. The signal bar is the one that is open now if three whole minutes of it
are still to come, else the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from agent.localexchange import intervals
from agent.localexchange.bars import Bar
from agent.localexchange.exhaustion import Gauge, Reading, Series, Thresholds, swing_high
from agent.localexchange.intervals import MINUTE_MS
from agent.localexchange.interventions import spread_over
from agent.localexchange.minutes import Minutes, joined
from agent.localexchange.noise import Ints
from agent.localexchange.tape import Tape

_HISTORY_BARS: Final = 8_000
_ROOM: Final = 0.06
_FEWEST_MINUTES: Final = 3
#: Bars that fall before the signal bar, and how far in all; the gentlest that suffices is taken.
_BARS_BEFORE: Final = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
_FALLS: Final = (0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22, 0.30, 0.40)
_CRASHES: Final = (0.015, 0.025, 0.04, 0.06, 0.09, 0.12, 0.16)
#: The most a bar before the signal falls by.
_STEEPEST: Final = 0.05
_HEAVIEST: Final = 400.0
#: The default target, what it must be worth, and the bars its ladder hangs from.
_TARGET: Final = 0.618
_COSTS: Final = 1.005
_LADDER_BARS: Final = 120


class CannotShapeError(Exception):
    """What was asked for cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Forced:
    """A signal that will come."""

    open_ms: int
    close_ms: int
    bars_before: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Wish:
    """The signal asked for. `bounce` is the share of the fall regained in `bounce_bars` bars afterwards."""

    interval: str
    thresholds: Thresholds
    bounce: Decimal | None
    bounce_bars: int


def shape_bar(
    tape: Tape, interval: str, opened: int, high: int, low: int, closed: int, volume: int, now_ms: int
) -> int:
    """The next whole bar of `interval` will be this one; returns its open time. Raises NothingTradesError."""
    open_ms = intervals.next_open(interval, intervals.open_of(interval, now_ms))
    minutes = intervals.FIXED_MS[interval] // MINUTE_MS
    one = (np.array([v], dtype=np.int64) for v in (opened, high, low, closed, volume))
    tape.plan(spread_over(open_ms // MINUTE_MS, minutes, *one))
    return open_ms


def force_signal(tape: Tape, wish: Wish, now_ms: int) -> Forced:
    """Plan a capitulation bar. Raises CannotShapeError, NothingTradesError."""
    length = intervals.FIXED_MS[wish.interval]
    bar_minutes = length // MINUTE_MS
    if bar_minutes < _FEWEST_MINUTES:
        known_ms = open_ms = intervals.next_open(wish.interval, intervals.open_of(wish.interval, now_ms))
    else:
        known_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
        open_ms = intervals.open_of(wish.interval, known_ms)
        if open_ms + length - known_ms < _FEWEST_MINUTES * MINUTE_MS:
            known_ms = open_ms = open_ms + length
    measured = _series(tape.closed_columns(wish.interval, open_ms, _HISTORY_BARS))
    if len(measured) <= wish.thresholds.z_window + wish.thresholds.atr_window:
        raise CannotShapeError(
            f"there are {len(measured)} bars of {wish.interval} so far, too few to measure a signal on"
        )
    begun = tape.bar_at(wish.interval, open_ms, known_ms - 1) if known_ms > open_ms else None
    level = tape.level(known_ms // MINUTE_MS)
    planned, reading = _gentlest(measured, begun, level, wish.thresholds)
    before = len(planned) - 1
    if wish.bounce is not None:
        so_far = measured.then(_with_begun(begun, planned))
        planned = planned.then(_bounce(so_far, float(wish.bounce), wish.bounce_bars))
    first_minutes = (open_ms + length - known_ms) // MINUTE_MS
    tape.plan(_as_minutes(planned, known_ms // MINUTE_MS, first_minutes, bar_minutes))
    signal_ms = open_ms + before * length
    return Forced(signal_ms, signal_ms + length - 1, before, reading)


def _series(rows: Ints) -> Series:
    return Series(*rows[:, 1:].astype(np.float64).T)


def _gentlest(history: Series, begun: Bar | None, level: int, t: Thresholds) -> tuple[Series, Reading]:
    """What is to come, and the reading at its last bar."""
    gauge, lately = Gauge(history, t), history.last(_LADDER_BARS)
    usual = float(history.volume[-t.z_window :].mean())
    for count in _BARS_BEFORE:
        for fall in _FALLS if count else (0.0,):
            if fall > _STEEPEST * count:
                continue
            falling = _falling(level, count, fall, usual)
            bottom = float(falling.close[-1]) if count else float(level)
            for crash in _CRASHES:
                planned = falling.then(_capitulation(bottom, crash, t, None if count else begun))
                if not _has_room(lately.then(_with_begun(begun, planned))):
                    continue
                reading = _loud_enough(gauge, begun, planned, usual, t)
                if reading is not None:
                    return planned, reading
    raise CannotShapeError(
        "the market stands too far above its averages for a fall of 40 % to be a downtrend"
    )


def _has_room(bars: Series) -> bool:
    """Whether the default target lies far enough above the last close to pay for entry and exit."""
    low = float(bars.low[-1])
    return low + _TARGET * (swing_high(bars) - low) > float(bars.close[-1]) * _COSTS


def _falling(level: int, count: int, fall: float, usual: float) -> Series:
    """`count` bars that fall by `fall` in all, each with wicks."""
    levels = np.rint(level * (1.0 - fall * np.linspace(0.0, 1.0, count + 1)))
    start, end = levels[:-1], levels[1:]
    wick = np.rint(0.6 * (start - end))
    return Series(start, start + wick, np.maximum(1.0, end - wick), end, np.full(count, np.rint(1.3 * usual)))


def _capitulation(opened: float, crash: float, t: Thresholds, begun: Bar | None) -> Series:
    """The part of the signal bar that is to come, still without volume."""
    low, high = np.rint(opened * (1.0 - crash)), opened
    if begun is not None:
        low, high = min(low, float(begun.low)), max(high, float(begun.high))
    low = max(1.0, low)
    closed = np.ceil(low + (t.cloc_min + 0.08) * (high - low))
    return Series(*(np.array([v]) for v in (opened, max(opened, closed), low, closed, 0.0)))


def _with_begun(begun: Bar | None, planned: Series) -> Series:
    """The bars as they will be told: the first one with what was traded in it before."""
    if begun is None:
        return planned
    told = planned.then(planned.cut(0, 0))
    told.open[0] = begun.open
    told.high[0], told.low[0] = max(told.high[0], begun.high), min(told.low[0], begun.low)
    told.volume[0] += begun.volume
    return told


def _loud_enough(
    gauge: Gauge, begun: Bar | None, planned: Series, usual: float, t: Thresholds
) -> Reading | None:
    """Raise the signal bar's volume until it stands out; None when something else is missing."""
    times = 3.0
    while times <= _HEAVIEST:
        planned.volume[-1] = np.rint(usual * times)
        reading = gauge.after(_with_begun(begun, planned))
        if reading.fulfils(t, _ROOM):
            return reading
        if reading.vol_z > t.vol_z * (1.0 + _ROOM):
            return None
        times *= 1.6
    return None


def _bounce(bars: Series, share: float, count: int) -> Series:
    """Bars that climb evenly from the last close to `share` of the way from its low to the swing high."""
    low, closed = float(bars.low[-1]), float(bars.close[-1])
    goal = low + share * (swing_high(bars) - low)
    levels = np.rint(np.linspace(closed, max(closed, goal), count + 1))
    start, end = levels[:-1], levels[1:]
    volume = np.full(count, np.rint(1.5 * float(np.median(bars.volume[-96:]))))
    return Series(start, np.maximum(start, end), np.minimum(start, end), end, volume)


def _as_minutes(bars: Series, first: int, first_minutes: int, bar_minutes: int) -> Minutes:
    """Bars as minutes; the first one has only `first_minutes` left of it."""
    pieces, at = [], first
    for row in range(len(bars)):
        length = first_minutes if row == 0 else bar_minutes
        one = bars.cut(row, row + 1)
        columns = (np.rint(c).astype(np.int64) for c in (one.open, one.high, one.low, one.close, one.volume))
        pieces.append(spread_over(at, length, *columns))
        at += length
    return joined(pieces)
