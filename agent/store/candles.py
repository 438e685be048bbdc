"""`candles.db`: closed candles, kept so that a restart fetches only what is missing. Not backed up.

Belongs here: the file, its format, one writer and any number of readers in other processes. Stays true: a
series is known by venue, pair and timeframe, so a demo market's candles never stand among another venue's;
reading never waits for the writer; a file that is damaged or of another format is deleted and begun anew,
because everything in it can be fetched again; a write that fails, or a disk on which the file cannot even be
opened, costs the next start a request, no more.

How it works: candles are kept in chunks of 256 bar lengths, one row each, its bars packed as little-endian
records (`BAR`), sorted by open time. 20,000 bars are 79 rows, read in about a millisecond.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.core.market import Candle, bar_ms
from agent.core.series import CandleSeries
from agent.store.log_index import has_room, no_room, take_blocks

_log = logging.getLogger(__name__)

#: One closed bar: open time in milliseconds UTC, prices in quote and volume in base currency.
BAR: Final = np.dtype(
    [
        ("open_ms", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
    ]
)
Bars = NDArray[np.void]
T = TypeVar("T")

_CHUNK: Final = 256
_FORMAT: Final = 1
_BUSY_MS: Final = 2_000
_SCHEMA: Final = """
CREATE TABLE series (
  id INTEGER PRIMARY KEY, venue TEXT NOT NULL, pair TEXT NOT NULL, timeframe TEXT NOT NULL,
  UNIQUE (venue, pair, timeframe));
CREATE TABLE chunks (
  series INTEGER NOT NULL REFERENCES series (id), chunk INTEGER NOT NULL, bars BLOB NOT NULL,
  PRIMARY KEY (series, chunk));
"""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Whose candles: the exchange and its host (`binance@api.binance.com`), the pair, the timeframe."""

    venue: str
    pair: str
    timeframe: str


def older_venue(venue: str) -> str:
    """Under which name candles of another source lie that reach further back than `venue`'s own history."""
    return f"older@{venue}"


class CandleStore:
    """The writer. One per file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._failing = False
        self._connection: sqlite3.Connection | None = None
        self._attempt(lambda connection: None)

    def series(self, key: SeriesKey) -> StoredSeries:
        return StoredSeries(self, key)

    def close(self) -> None:
        with self._lock:
            self._let_go()

    # -- for StoredSeries ------------------------------------------------------------------------

    def write(self, key: SeriesKey, bars: Bars) -> None:
        """Insert or replace. What cannot be written is left out, and told in the log."""
        self._attempt(lambda connection: self._merge(connection, key, bars))

    def read(self, key: SeriesKey, since_ms: int, until_ms: int) -> Bars:
        bars = self._attempt(lambda connection: _read(connection, key, since_ms, until_ms))
        return np.empty(0, BAR) if bars is None else bars

    def discard(self, key: SeriesKey) -> None:
        """Forget a whole series."""
        self._attempt(lambda connection: self._forget(connection, key))

    # -- inside ----------------------------------------------------------------------------------

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it; on a damaged file once more with a new one. None when the disk does not let us."""
        with self._lock:
            try:
                try:
                    result = action(self._open())
                except sqlite3.OperationalError:
                    raise
                except (sqlite3.DatabaseError, ValueError) as error:
                    self._let_go()
                    self._delete(error)
                    result = action(self._open())
            except (sqlite3.Error, OSError) as error:
                if not self._failing:
                    _log.warning("candles.db does not work at the moment (%s): candles are not kept", error)
                self._failing = True
                return None
            self._failing = False
            return result

    def _forget(self, connection: sqlite3.Connection, key: SeriesKey) -> None:
        with _transaction(connection):
            found = _series_id(connection, key)
            connection.execute("DELETE FROM chunks WHERE series = ?", (found,))

    def _merge(self, connection: sqlite3.Connection, key: SeriesKey, bars: Bars) -> None:
        length_ms = bar_ms(key.timeframe) * _CHUNK
        with _transaction(connection):
            found = _series_id(connection, key)
            if found is None:
                found = connection.execute(
                    "INSERT INTO series (venue, pair, timeframe) VALUES (?, ?, ?)",
                    (key.venue, key.pair, key.timeframe),
                ).lastrowid
            for chunk in np.unique(bars["open_ms"] // length_ms).tolist():
                new = bars[bars["open_ms"] // length_ms == chunk]
                row = connection.execute(
                    "SELECT bars FROM chunks WHERE series = ? AND chunk = ?", (found, chunk)
                ).fetchone()
                merged = new if row is None else _merged(np.frombuffer(row[0], BAR), new)
                connection.execute(
                    "INSERT OR REPLACE INTO chunks (series, chunk, bars) VALUES (?, ?, ?)",
                    (found, chunk, merged.tobytes()),
                )

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if not has_room(self._path):
            raise no_room()
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found not in (0, _FORMAT):
                raise sqlite3.DatabaseError(f"format {found} instead of {_FORMAT}")
            if found == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;"
                )
            connection.execute("SELECT count(*) FROM series").fetchone()
            take_blocks(self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _delete(self, error: Exception) -> None:
        _log.warning("%s is damaged (%s): begun anew, candles will be fetched again", self._path.name, error)
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class StoredSeries:
    """One series of the store."""

    def __init__(self, store: CandleStore, key: SeriesKey) -> None:
        self._store = store
        self.key = key

    def save(self, candles: Sequence[Candle]) -> None:
        """Keep closed candles; one that is already there is replaced. Never raises for the disk."""
        if candles:
            self._store.write(self.key, _packed(candles))

    def read(self, since_ms: int, until_ms: int) -> CandleSeries:
        """Bars that open in [since_ms, until_ms), oldest first."""
        return _series(self._store.read(self.key, since_ms, until_ms))

    def holes(self, since_ms: int, until_ms: int) -> list[tuple[int, int]]:
        """Open times [from, to) of missing bars between two open times on the grid."""
        return holes_in(self.read(since_ms, until_ms), since_ms, until_ms, bar_ms(self.key.timeframe))

    def discard(self) -> None:
        self._store.discard(self.key)


class CandleReader:
    """Reads while somebody else writes: for the window and for workers. Never changes the file.

    An absent or unreadable file reads as empty; it is looked for again at every read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def read(self, key: SeriesKey, since_ms: int, until_ms: int) -> CandleSeries:
        """Bars that open in [since_ms, until_ms), oldest first."""
        return _series(self._bars(key, since_ms, until_ms))

    def last(self, key: SeriesKey, bars: int, before_ms: int = 1 << 62) -> CandleSeries:
        """The last `bars` bars that open before `before_ms`, oldest first."""
        assert bars > 0
        chunks = bars // _CHUNK + 2
        connection = self._current()
        if connection is None:
            return _series(np.empty(0, BAR))
        try:
            found = _series_id(connection, key)
            top = before_ms // (bar_ms(key.timeframe) * _CHUNK)
            rows = connection.execute(
                "SELECT bars FROM chunks WHERE series = ? AND chunk <= ? ORDER BY chunk DESC LIMIT ?",
                (found, top, chunks),
            ).fetchall()
            all_bars = np.frombuffer(b"".join(row[0] for row in reversed(rows)), BAR)
        except (sqlite3.Error, ValueError):
            self.close()
            return _series(np.empty(0, BAR))
        return _series(all_bars[all_bars["open_ms"] < before_ms][-bars:])

    def venues(self, pair: str, timeframe: str) -> tuple[str, ...]:
        """Whose candles of `pair` there are."""
        connection = self._current()
        if connection is None:
            return ()
        try:
            rows = connection.execute(
                "SELECT venue FROM series WHERE pair = ? AND timeframe = ? ORDER BY id", (pair, timeframe)
            ).fetchall()
        except sqlite3.Error:
            self.close()
            return ()
        return tuple(row[0] for row in rows)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _bars(self, key: SeriesKey, since_ms: int, until_ms: int) -> Bars:
        connection = self._current()
        if connection is not None:
            try:
                return _read(connection, key, since_ms, until_ms)
            except (sqlite3.Error, ValueError):
                self.close()
        return np.empty(0, BAR)

    def _current(self) -> sqlite3.Connection | None:
        """A connection to the file as it is now: the writer may have begun a new one."""
        try:
            status = self._path.stat()
        except OSError:
            self.close()
            return None
        file = (status.st_dev, status.st_ino)
        if self._connection is None or file != self._file:
            self.close()
            try:
                self._connection = sqlite3.connect(
                    f"{self._path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
                )
            except sqlite3.Error:
                return None
            self._file = file
        return self._connection


def holes_in(series: CandleSeries, since_ms: int, until_ms: int, bar_length_ms: int) -> list[tuple[int, int]]:
    """Open times [from, to) of the bars that `series` lacks between two open times on the grid."""
    times = np.concatenate(([since_ms - bar_length_ms], series.open_ms, [until_ms]))
    before = np.flatnonzero(np.diff(times) > bar_length_ms)
    return [(int(times[i]) + bar_length_ms, int(times[i + 1])) for i in before]


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _series_id(connection: sqlite3.Connection, key: SeriesKey) -> int | None:
    row = connection.execute(
        "SELECT id FROM series WHERE venue = ? AND pair = ? AND timeframe = ?",
        (key.venue, key.pair, key.timeframe),
    ).fetchone()
    return None if row is None else int(row[0])


def _read(connection: sqlite3.Connection, key: SeriesKey, since_ms: int, until_ms: int) -> Bars:
    length_ms = bar_ms(key.timeframe) * _CHUNK
    rows = connection.execute(
        "SELECT bars FROM chunks WHERE series = ? AND chunk BETWEEN ? AND ? ORDER BY chunk",
        (_series_id(connection, key), since_ms // length_ms, until_ms // length_ms),
    ).fetchall()
    bars: Bars = np.frombuffer(b"".join(row[0] for row in rows), BAR)
    first, last = np.searchsorted(bars["open_ms"], (since_ms, until_ms))
    return bars[first:last]


def _merged(old: Bars, new: Bars) -> Bars:
    """Sorted by open time; where both have a bar, the new one."""
    both = np.concatenate((new, old))
    _, first = np.unique(both["open_ms"], return_index=True)
    merged: Bars = both[first]
    return merged


def _packed(candles: Sequence[Candle]) -> Bars:
    rows: list[Any] = [(c.open_ms, c.open, c.high, c.low, c.close, c.volume) for c in candles]
    bars: Bars = np.array(rows, BAR)
    return _merged(bars[:0], bars[::-1])


def _series(bars: Bars) -> CandleSeries:
    columns = [np.ascontiguousarray(bars[name]) for name in ("open", "high", "low", "close", "volume")]
    return CandleSeries(np.ascontiguousarray(bars["open_ms"]), *columns)
