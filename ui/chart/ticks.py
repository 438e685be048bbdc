"""Where the axes are marked, and with which words.

Law: prices at 1, 2, 2.5 or 5 times a power of ten, never finer than the exchange's tick. Times at round
wall-clock marks of the shown zone, from one minute to years; where a day, month or year begins the mark
names it, so the axis reads alone. A day with a change of clocks has 23 or 25 hours and is marked as such.
"""

from __future__ import annotations

import math
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from PySide6.QtCore import QTimeZone

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)
_DAY_STEPS = (1, 2, 4, 7, 14)
_MONTH_STEPS = (1, 2, 3, 6)
_YEAR_STEPS = (1, 2, 5, 10, 20, 50)
_DAY_MS = 86_400_000
_FARTHEST_MS = 250_000_000_000_000


def local_zone() -> tzinfo:
    """The machine's own zone with its changes of clocks; UTC if it has none that is known."""
    try:
        return ZoneInfo(bytes(QTimeZone.systemTimeZoneId().data()).decode())
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def price_ticks(low: float, high: float, most: int, decimals: int) -> list[float]:
    """At most `most` round prices within [low, high]."""
    if not high > low or most < 1:
        return []
    least = max((high - low) / most, 10.0**-decimals)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if m * power >= least * 0.999999)
    if step < 10.0 ** (1 - decimals) and not _is_whole(step * 10.0**decimals):
        step *= 2
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def _is_whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-6


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A mark at `ms` (UTC); `major` where a day, month or year begins."""

    ms: int
    text: str
    major: bool = False


def time_ticks(
    left_ms: float, right_ms: float, width_px: float, label_px: float, zone: tzinfo
) -> list[TimeTick]:
    """Round times between `left_ms` and `right_ms`, at least `label_px` apart."""
    left_ms, right_ms = max(left_ms, 0.0), min(right_ms, _FARTHEST_MS)
    if right_ms <= left_ms or width_px <= 0:
        return []
    apart_ms = (right_ms - left_ms) * label_px / width_px
    for minutes in _MINUTE_STEPS:
        if minutes * 60_000 >= apart_ms:
            return _named(_within_days(left_ms, right_ms, minutes, zone), zone)
    for days in _DAY_STEPS:
        if days * _DAY_MS >= apart_ms:
            return _dates(_days(left_ms, right_ms, days, zone), left_ms, right_ms)
    for months in _MONTH_STEPS:
        if months * 28 * _DAY_MS >= apart_ms:
            return _dates(_months(left_ms, right_ms, months, zone), left_ms, right_ms)
    years = next((y for y in _YEAR_STEPS if y * 365 * _DAY_MS >= apart_ms), _YEAR_STEPS[-1])
    return _dates(_months(left_ms, right_ms, 12 * years, zone), left_ms, right_ms)


def _local(ms: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, zone)


def _to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _within_days(left_ms: float, right_ms: float, minutes: int, zone: tzinfo) -> list[int]:
    day = _local(left_ms, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    end = _local(right_ms, zone)
    first = 0 if minutes >= 60 else max(0, int((left_ms - _to_ms(day)) / 60_000) // minutes - 1)
    marks: set[int] = set()
    while _to_ms(day) <= _to_ms(end):
        for minute in range(first * minutes, 1440, minutes):
            wall = day.replace(hour=minute // 60, minute=minute % 60)
            ms = _to_ms(wall)
            if ms > right_ms:
                break
            if ms >= left_ms:
                marks.add(ms)
        first = 0
        day = (day + timedelta(days=1)).replace(hour=0, minute=0)
    return sorted(marks)


def _days(left_ms: float, right_ms: float, step: int, zone: tzinfo) -> list[datetime]:
    """Every `step` days of each month, counted from its first; none that would crowd the next first."""
    start = _local(left_ms, zone)
    marks: list[datetime] = []
    year, month = start.year, start.month
    while not marks or _to_ms(marks[-1]) <= right_ms:
        length = monthrange(year, month)[1]
        days = (d for d in range(1, length + 1, step) if d == 1 or length + 1 - d > step * 0.6)
        marks.extend(datetime(year, month, day, tzinfo=zone) for day in days)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return marks


def _months(left_ms: float, right_ms: float, step: int, zone: tzinfo) -> list[datetime]:
    start = _local(left_ms, zone)
    index = (start.year * 12 + start.month - 1) // step * step
    marks: list[datetime] = []
    while True:
        year, month = divmod(index, 12)
        if not 1 <= year <= 9999:
            return marks
        mark = datetime(year, month + 1, 1, tzinfo=zone)
        if _to_ms(mark) > right_ms:
            return marks
        marks.append(mark)
        index += step


@lru_cache(maxsize=4_096)
def _clock_tick(ms: int, zone: tzinfo) -> TimeTick:
    """A day's beginning by its date, other marks by their time; a pan meets most of them again."""
    mark = _local(ms, zone)
    if mark.hour == 0 and mark.minute == 0:
        return TimeTick(ms, _date_words(mark), True)
    return TimeTick(ms, f"{mark:%H:%M}")


def _named(marks: list[int], zone: tzinfo) -> list[TimeTick]:
    ticks = [_clock_tick(ms, zone) for ms in marks]
    if ticks and not any(tick.major for tick in ticks):
        first = _local(marks[0], zone)
        words = f"{first.day} {_MONTHS[first.month - 1]} {ticks[0].text}"
        ticks[0] = TimeTick(ticks[0].ms, words)
    return ticks


def _dates(marks: list[datetime], left_ms: float, right_ms: float) -> list[TimeTick]:
    ticks = [TimeTick(_to_ms(mark), _date_words(mark), mark.day == 1) for mark in marks]
    return [tick for tick in ticks if left_ms <= tick.ms <= right_ms]


def _date_words(mark: datetime) -> str:
    if mark.day > 1:
        return f"{mark.day} {_MONTHS[mark.month - 1]}"
    return str(mark.year) if mark.month == 1 else _MONTHS[mark.month - 1]


@lru_cache(maxsize=1_024)
def time_words(ms: float, zone: tzinfo, *, with_zone: bool = True, brief: bool = False) -> str:
    """A moment in full, `Wed 15 Jan 2025 14:30 UTC`; brief: `15 Jan 14:30`."""
    moment = _local(ms, zone)
    date = f"{moment.day} {_MONTHS[moment.month - 1]}"
    if brief:
        return f"{date} {moment:%H:%M}"
    words = f"{moment:%a} {date} {moment.year} {moment:%H:%M}"
    return f"{words} {zone_words(ms, zone)}" if with_zone else words


def zone_words(ms: float, zone: tzinfo) -> str:
    """`UTC`, `UTC+2`, `UTC\u22123:30`: the zone's offset at that moment."""
    offset = _local(ms, zone).utcoffset() or timedelta()
    minutes = round(offset.total_seconds() / 60)
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    sign = "+" if minutes > 0 else "\u2212"
    return f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
