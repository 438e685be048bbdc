"""Recorded candles as a market.

Belongs here: reading a CSV (date, open, high, low, close, volume; optionally gzipped) into base minutes.
Stays true: the candles come out as they went in; a bar missing in the file is missing in the market; after
the last row nothing trades. Bars longer than a minute are spread over their minutes (see `spread_over`).
The tick is read off the file: as many decimals as its prices have.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np

from agent.localexchange.intervals import FIXED_MS, MINUTE_MS
from agent.localexchange.interventions import spread_over
from agent.localexchange.minutes import BLOCK_MINUTES, Minutes
from agent.localexchange.noise import Floats, Ints
from agent.localexchange.pairs import Pair

_COLUMNS: Final = ("date", "open", "high", "low", "close", "volume")
_MOST_DECIMALS: Final = 8
_GZIP: Final = b"\x1f\x8b"


class UnreadableCandlesError(Exception):
    """The file is no list of candles; the text says where and why."""


@dataclass(frozen=True, slots=True)
class CsvSource:
    """Minutes from `first_minute` on, and the pair on the file's own grid."""

    pair: Pair
    first_minute: int
    end_minute: int
    holes: Ints
    _minutes: Minutes

    def block(self, index: int) -> Minutes:
        first = index * BLOCK_MINUTES
        start, stop = first - self.first_minute, first - self.first_minute + BLOCK_MINUTES
        inside = self._minutes.cut(max(0, start), max(0, stop))
        before = min(BLOCK_MINUTES, max(0, -start))
        after = BLOCK_MINUTES - before - len(inside)
        if before + after == 0:
            return inside

        def padded(column: Ints) -> Ints:
            return np.pad(column, (before, after), constant_values=1)

        return Minutes(
            first,
            padded(inside.open),
            padded(inside.high),
            padded(inside.low),
            padded(inside.close),
            padded(inside.volume),
            np.pad(inside.traded, (before, after), constant_values=False),
        )


def read_candles(path: Path, pair: Pair) -> CsvSource:
    """The market recorded in `path`. Raises UnreadableCandlesError with a sentence."""
    rows = _rows(path)
    opens_ms = np.array([_instant_ms(row[0], path, line) for line, row in rows], dtype=np.int64)
    numbers = _numbers(rows, path)
    _check(path, [line for line, _ in rows], opens_ms, numbers)
    prices_as_text = {text for _, row in rows for text in row[1:5]}
    decimals = max(len(text.strip().partition(".")[2]) for text in prices_as_text)
    if decimals > _MOST_DECIMALS:
        raise UnreadableCandlesError(f"{path}: prices have {decimals} decimals, more than {_MOST_DECIMALS}")
    tick = Decimal(1).scaleb(-decimals)
    prices = np.rint(numbers[:, :4] * 10.0**decimals).astype(np.int64)
    step = _step(numbers[:, 4], pair.step)
    volume = np.rint(numbers[:, 4] / float(step)).astype(np.int64)
    bar_minutes = _bar_minutes(path, opens_ms)
    minutes = _on_minutes(opens_ms, bar_minutes, prices, volume)
    usual = float(np.median(numbers[:, 4])) / bar_minutes
    usual_price = float(np.median(numbers[:, 3]))
    pair = replace(
        pair, tick=tick, step=step, typical_price=usual_price, minute_volume=max(usual, float(step))
    )
    holes = minutes.first + np.flatnonzero(~minutes.traded)
    return CsvSource(pair, minutes.first, minutes.first + len(minutes), holes, minutes)


def _step(volumes: Floats, step: Decimal) -> Decimal:
    """The pair's own step, or a finer one if the file's volumes need it (float noise aside)."""
    for finer in (step, *(Decimal(1).scaleb(-d) for d in range(_MOST_DECIMALS + 1))):
        scaled = volumes / float(finer)
        if finer <= step and (np.abs(scaled - np.rint(scaled)) < 1e-3).all():
            return finer
    return step


def _rows(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    """Line numbers and cells, without the header."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(_GZIP) else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableCandlesError(f"{path} cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise UnreadableCandlesError(f"{path} is not text in UTF-8") from None
    reader = csv.reader(text.splitlines())
    rows = [(reader.line_num, row) for row in reader if row]
    if not rows:
        raise UnreadableCandlesError(f"{path} is empty; expected the columns {', '.join(_COLUMNS)}")
    header = [name.strip().lower() for name in rows[0][1]]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise UnreadableCandlesError(
            f"{path} has no column {missing[0]!r} in its first line; expected {', '.join(_COLUMNS)}"
        )
    if len(rows) < 2:
        raise UnreadableCandlesError(f"{path} holds no candle")
    cells = itemgetter(*(header.index(name) for name in _COLUMNS))
    try:
        return [(line, cells(row)) for line, row in rows[1:]]
    except IndexError:
        line = next(line for line, row in rows[1:] if len(row) < len(header))
        raise UnreadableCandlesError(f"{path}, line {line}: too few columns") from None


def _instant_ms(text: str, path: Path, line: int) -> int:
    if text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UnreadableCandlesError(f"{path}, line {line}: {text!r} is no date of ISO 8601") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _numbers(rows: list[tuple[int, tuple[str, ...]]], path: Path) -> Floats:
    """Open, high, low, close and volume of every row."""
    try:
        numbers = np.array([[float(text) for text in row[1:]] for _, row in rows], dtype=np.float64)
        if np.isfinite(numbers).all():
            return numbers
    except ValueError:
        pass
    line, name, text = next(
        (line, name, text)
        for line, row in rows
        for name, text in zip(_COLUMNS[1:], row[1:], strict=True)
        if not _is_number(text)
    )
    raise UnreadableCandlesError(f"{path}, line {line}: {name} {text!r} is not a number")


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _check(path: Path, lines: list[int], opens_ms: Ints, numbers: Floats) -> None:
    """Refuse candles nobody could trade on, naming the first line that is wrong."""
    opened, high, low, closed, volume = numbers.T
    for wrong, why in (
        (np.diff(opens_ms, prepend=opens_ms[0] - 1) <= 0, "is not later than the line before"),
        (opens_ms % MINUTE_MS != 0, "does not open on a full minute"),
        (numbers[:, :4].min(axis=1) <= 0, "has a price that is not positive"),
        (high < np.maximum(np.maximum(opened, closed), low), "has a high below another price"),
        (low > np.minimum(opened, closed), "has a low above another price"),
        (volume < 0, "has a negative volume"),
    ):
        if wrong.any():
            raise UnreadableCandlesError(f"{path}, line {lines[int(np.argmax(wrong))]}: the candle {why}")


def _bar_minutes(path: Path, opens_ms: Ints) -> int:
    if len(opens_ms) < 2:
        return 1
    shortest = int(np.diff(opens_ms).min())
    if shortest not in FIXED_MS.values() or (opens_ms % shortest).any():
        apart = f"{shortest / MINUTE_MS:g} minutes"
        raise UnreadableCandlesError(f"{path}: its candles are {apart} apart, which is no interval here")
    return shortest // MINUTE_MS


def _on_minutes(opens_ms: Ints, bar_minutes: int, prices: Ints, volume: Ints) -> Minutes:
    """Every minute from the first to the last, those without a candle marked as not traded."""
    bars = spread_over(0, bar_minutes, prices[:, 0], prices[:, 1], prices[:, 2], prices[:, 3], volume)
    first = int(opens_ms[0]) // MINUTE_MS
    bar_first = opens_ms // MINUTE_MS - first
    row = (bar_first[:, None] + np.arange(bar_minutes, dtype=np.int64)).ravel()
    length = int(bar_first[-1]) + bar_minutes

    def placed(column: Ints) -> Ints:
        whole = np.ones(length, dtype=np.int64)
        whole[row] = column
        return whole

    traded = np.zeros(length, dtype=np.bool_)
    traded[row] = True
    return Minutes(
        first,
        placed(bars.open),
        placed(bars.high),
        placed(bars.low),
        placed(bars.close),
        placed(bars.volume),
        traded,
    )
