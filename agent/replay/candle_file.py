"""Reading recorded candles from a CSV file, plain or gzipped, and saying exactly what is wrong with it.

A file is believed whole or not at all: every number is checked, time must go forward on the timeframe's grid,
and each complaint names file, line, what is wrong and what to do. Gaps are no fault (exchanges have them, and
the backtester counts bars, not time); they are reported beside the candles.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from agent.core.market import MINUTE_MS, Candle
from agent.core.series import CandleSeries
from agent.replay.dates import format_date, parse_date

COLUMNS: Final = ("date", "open", "high", "low", "close", "volume")
DATE_NAMES: Final = ("date", "datetime", "timestamp", "time", "open_time", "open time")
DELIMITERS: Final = (",", ";", "\t", "|")
#: Reading stops after so many complaints: more of them teach nothing.
MOST_COMPLAINTS: Final = 10
LONGEST_HEADER: Final = 1 << 16

ReadProgress = Callable[[int, int], None]
"""Called now and then with (bytes read, bytes in all)."""


class CandleFileUnreadable(Exception):  # noqa: N818 - says what the file is, not that we failed
    """The file is missing, not readable, not gzip or not text. The message is for the user."""


class CandleFileRefused(Exception):  # noqa: N818 - as above
    """The file was read and cannot be believed. `complaints` are sentences for the user."""

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = tuple(complaints)


@dataclass(frozen=True, slots=True)
class Gap:
    """`missing` bars are absent between two neighbours in the file (open times in ms UTC)."""

    after_ms: int
    before_ms: int
    missing: int


@dataclass(frozen=True, slots=True, eq=False)
class RecordedCandles:
    candles: CandleSeries
    gaps: tuple[Gap, ...]
    ignored_columns: tuple[str, ...]

    def notices(self) -> list[str]:
        """What a careful reader should know about the file, in sentences."""
        notices = []
        if self.ignored_columns:
            notices.append(f"ignored columns: {', '.join(self.ignored_columns)}")
        if self.gaps:
            missing = sum(gap.missing for gap in self.gaps)
            longest = max(self.gaps, key=lambda gap: gap.missing)
            notices.append(
                f"{len(self.gaps)} gap{'s' * (len(self.gaps) > 1)} ({missing} missing bars); the longest, "
                f"{longest.missing} bars, between {format_date(longest.after_ms)} and "
                f"{format_date(longest.before_ms)}. Bars are counted across gaps, as the backtester does."
            )
        return notices


def read_candles(
    path: Path, bar_length_ms: int, progress: ReadProgress = lambda done, total: None
) -> RecordedCandles:
    """Candles of `bar_length_ms` each. Raises CandleFileUnreadable or CandleFileRefused."""
    with _opened(path, progress) as text:
        try:
            layout = _layout(path, text.readline(LONGEST_HEADER))
            return _read_rows(path, csv.reader(text, delimiter=layout.delimiter), layout, bar_length_ms)
        except UnicodeDecodeError as error:
            raise CandleFileUnreadable(
                f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8"
            ) from None
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise CandleFileUnreadable(f"{path}: is a damaged gzip file ({error}); copy it again") from None
        except csv.Error as error:
            raise CandleFileUnreadable(f"{path}: is not CSV ({error}); export it again") from None


def bar_length_of(candles: CandleSeries) -> int:
    """The smallest distance between two neighbours, in ms; one minute when there are fewer than two."""
    return int(np.diff(candles.open_ms).min()) if len(candles) > 1 else MINUTE_MS


@contextmanager
def _opened(path: Path, progress: ReadProgress) -> Iterator[TextIO]:
    try:
        total = path.stat().st_size
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            counted = io.BufferedReader(_Counted(raw, total, progress), 1 << 18)
            plain = gzip.GzipFile(fileobj=counted) if zipped else counted
            with io.TextIOWrapper(plain, encoding="utf-8-sig", newline="") as text:
                yield text
    except IsADirectoryError:
        raise CandleFileUnreadable(f"{path}: is a directory; name a CSV file of candles") from None
    except FileNotFoundError:
        raise CandleFileUnreadable(f"{path}: there is no such file; check the path") from None
    except PermissionError:
        raise CandleFileUnreadable(f"{path}: may not be read; check its permissions") from None


class _Counted(io.RawIOBase):
    """A raw file that tells how much of it was read."""

    def __init__(self, raw: io.BufferedReader, total: int, progress: ReadProgress) -> None:
        super().__init__()
        self._raw, self._total, self._progress = raw, total, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = self._raw.readinto(buffer)
        self._progress(self._raw.tell(), self._total)
        return count


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    width: int
    places: tuple[int, ...]
    """Where each of COLUMNS stands."""
    ignored: tuple[str, ...]


def _layout(path: Path, header: str) -> _Layout:
    if not header.strip():
        raise CandleFileRefused([f"{path}: line 1: is empty; it must name the columns {', '.join(COLUMNS)}"])
    best: tuple[list[str], list[str]] | None = None
    for delimiter in DELIMITERS:
        names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
        names = ["date" if name in DATE_NAMES and "date" not in names else name for name in names]
        missing = [column for column in COLUMNS if names.count(column) != 1]
        if not missing:
            places = tuple(names.index(column) for column in COLUMNS)
            return _Layout(delimiter, len(names), places, tuple(n for n in names if n not in COLUMNS))
        if best is None or len(missing) < len(best[1]):
            best = names, missing
    assert best is not None
    names, missing = best
    twice = [column for column in missing if column in names]
    if twice:
        raise CandleFileRefused(
            [f"{path}: line 1: names {', '.join(twice)} more than once; keep one of each"]
        )
    raise CandleFileRefused(
        [
            f"{path}: line 1: no column {', '.join(missing)} in {header.strip()[:80]!r}; the first line must "
            f"name the columns {', '.join(COLUMNS)} in any order, separated by comma, semicolon, tab or |"
        ]
    )


def _read_rows(path: Path, rows: Iterator[list[str]], layout: _Layout, bar_length_ms: int) -> RecordedCandles:
    times, numbers = array("q"), tuple(array("d") for _ in COLUMNS[1:])
    gaps: list[Gap] = []
    complaints: list[str] = []
    last_ms, last_line = None, 1
    for fields in rows:
        line = rows.line_num + 1  # type: ignore[attr-defined]
        if not any(field.strip() for field in fields):
            continue
        found = _row(fields, layout, bar_length_ms)
        if isinstance(found, Candle) and last_ms is not None and found.open_ms <= last_ms:
            found = _not_after(found.open_ms, last_ms, last_line)
        if isinstance(found, str):
            complaints.append(f"{path}: line {line}: {found}")
            if len(complaints) == MOST_COMPLAINTS:
                complaints.append(f"{path}: reading stopped after {MOST_COMPLAINTS} faults")
                break
            continue
        if last_ms is not None and found.open_ms > last_ms + bar_length_ms:
            gaps.append(Gap(last_ms, found.open_ms, (found.open_ms - last_ms) // bar_length_ms - 1))
        last_ms, last_line = found.open_ms, line
        times.append(found.open_ms)
        prices = (found.open, found.high, found.low, found.close, found.volume)
        for column, number in zip(numbers, prices, strict=True):
            column.append(number)
    if complaints:
        raise CandleFileRefused(complaints)
    if not times:
        raise CandleFileRefused([f"{path}: holds no candles after its first line; add some"])
    columns = [np.array(column, dtype=np.float64) for column in numbers]
    series = CandleSeries(np.array(times, dtype=np.int64), *columns)
    return RecordedCandles(series, tuple(gaps), layout.ignored)


def _row(fields: list[str], layout: _Layout, bar_length_ms: int) -> Candle | str:
    if len(fields) != layout.width:
        return (
            f"has {len(fields)} fields where the first line names {layout.width}; complete or delete the line"
        )
    date, *texts = (fields[place] for place in layout.places)
    try:
        open_ms = parse_date(date)
    except (ValueError, OverflowError) as error:
        return f"date {date.strip()!r} is not understood ({error}); write 2025-01-31 09:15:00+00:00"
    numbers = []
    for column, text in zip(COLUMNS[1:], texts, strict=True):
        try:
            if "_" in text:
                raise ValueError
            numbers.append(float(text))
        except ValueError:
            fix = "write a decimal point" if "," in text else "write a plain number"
            return f"{column} {text.strip()!r} is not a number; {fix}"
    candle = Candle(open_ms, *numbers)
    faults = candle.faults(bar_length_ms)
    if not faults:
        return candle
    fix = "correct or delete the line"
    if open_ms % bar_length_ms:
        minutes = bar_length_ms // MINUTE_MS
        fix = f"bars of {minutes}m open every {minutes} minutes UTC: give candles of that timeframe"
    return f"{'; '.join(faults)} ({date.strip()}); {fix}"


def _not_after(open_ms: int, last_ms: int, last_line: int) -> str:
    date = format_date(open_ms)
    if open_ms == last_ms:
        return f"{date} is there already, on line {last_line}; delete one of the two"
    return f"{date} comes after {format_date(last_ms)} (line {last_line}); sort the file, oldest candle first"
