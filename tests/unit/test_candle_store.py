"""candles.db: kept, read while it is written, thrown away when damaged."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from agent.core.market import MINUTE_MS, Candle
from agent.core.series import CandleSeries
from agent.store.candles import CandleReader, CandleStore, SeriesKey

BAR = 15 * MINUTE_MS
T0 = 1_900_000 * BAR
KEY = SeriesKey("binance@api.binance.com", "ADA/USDT", "15m")
END = 1 << 62


def bar(n: int, close: float = 0.35) -> Candle:
    return Candle(T0 + n * BAR, 0.35, 0.36, 0.34, close, 1000.0 + n)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "candles.db"


def test_what_was_saved_is_read_back_exactly_and_in_order(path: Path) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    saved = [bar(n, close=0.1 + n / 3) for n in range(700)]
    series.save(saved[350:])
    series.save(saved[:350][::-1])
    assert list(series.read(0, END)) == saved
    assert list(series.read(saved[10].open_ms, saved[20].open_ms)) == saved[10:20]
    store.close()
    assert list(CandleStore(path).series(KEY).read(0, END)) == saved


def test_a_bar_saved_again_is_replaced(path: Path) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    series.save([bar(1), bar(2)])
    series.save([bar(2, close=0.355), bar(2, close=0.351)])
    series.save([])
    assert [c.close for c in series.read(0, END)] == [0.35, 0.351]
    store.close()


def test_series_never_mix(path: Path) -> None:
    store = CandleStore(path)
    keys = [
        KEY,
        SeriesKey("binance@127.0.0.1:8090", "ADA/USDT", "15m"),
        SeriesKey("binance@api.binance.com", "BNB/USDT", "15m"),
        SeriesKey("binance@api.binance.com", "ADA/USDT", "60m"),
    ]
    for i, key in enumerate(keys):
        store.series(key).save([Candle(T0 // 240 * 240, 1.0 + i, 9.0, 0.5, 1.0, 1.0)])
    for i, key in enumerate(keys):
        assert [c.open for c in store.series(key).read(0, END)] == [1.0 + i]
    store.series(keys[0]).discard()
    assert [len(store.series(key).read(0, END)) for key in keys] == [0, 1, 1, 1]
    store.close()


def test_holes_are_named(path: Path) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    until = T0 + 10 * BAR
    assert series.holes(T0, until) == [(T0, until)]
    series.save([bar(n) for n in (2, 3, 7)])
    assert series.holes(T0, until) == [
        (T0, T0 + 2 * BAR),
        (T0 + 4 * BAR, T0 + 7 * BAR),
        (T0 + 8 * BAR, until),
    ]
    series.save([bar(n) for n in range(10)])
    assert series.holes(T0, until) == []
    store.close()


def test_a_reader_sees_what_is_written_meanwhile_and_never_writes(path: Path) -> None:
    reader = CandleReader(path)
    assert len(reader.read(KEY, 0, END)) == 0, "no file yet"
    assert len(reader.last(KEY, 10)) == 0
    assert not path.exists()
    store = CandleStore(path)
    assert len(reader.read(KEY, 0, END)) == 0
    store.series(KEY).save([bar(n) for n in range(600)])
    assert len(reader.read(KEY, 0, END)) == 600
    store.series(KEY).save([bar(600)])
    assert [c.open_ms for c in reader.last(KEY, 2)] == [bar(599).open_ms, bar(600).open_ms]
    assert [c.open_ms for c in reader.last(KEY, 300, before_ms=bar(500).open_ms)] == [
        bar(n).open_ms for n in range(200, 500)
    ]
    assert len(reader.last(KEY, 5_000)) == 601
    store.close()
    assert len(reader.read(KEY, 0, END)) == 601, "also when nobody writes any more"
    reader.close()
    fresh = CandleReader(path)
    assert len(fresh.read(KEY, 0, END)) == 601
    fresh.close()


def test_a_reader_is_not_held_up_by_a_writer_inside_a_transaction(path: Path) -> None:
    store = CandleStore(path)
    store.series(KEY).save([bar(1)])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM chunks")
    reader = CandleReader(path)
    assert len(reader.read(KEY, 0, END)) == 1, "what was committed before, without waiting for the writer"
    writer.rollback()
    writer.close()
    reader.close()
    store.close()


@pytest.mark.parametrize(
    "damage", [b"this is no database at all, not even close to one", b"SQLite format 3\0" * 40]
)
def test_a_damaged_file_is_begun_anew(path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(damage)
    store = CandleStore(path)
    assert "begun anew" in caplog.text
    store.series(KEY).save([bar(1)])
    assert len(store.series(KEY).read(0, END)) == 1
    store.close()


def test_damage_while_running_costs_the_candles_and_nothing_else(path: Path) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    series.save([bar(n) for n in range(3_000)])
    reader = CandleReader(path)
    assert len(reader.read(KEY, 0, END)) == 3_000
    spoiler = sqlite3.connect(path)
    spoiler.execute("UPDATE chunks SET bars = x'00112233'")
    spoiler.commit()
    spoiler.close()
    other = CandleReader(path)
    assert len(other.read(KEY, 0, END)) == 0, "unreadable is empty"
    other.close()
    assert len(series.read(0, END)) == 0
    series.save([bar(1)])
    assert len(series.read(0, END)) == 1
    assert len(reader.read(KEY, 0, END)) == 1, "the reader follows to the new file"
    reader.close()
    store.close()


def test_a_file_of_another_format_is_begun_anew(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.execute("CREATE TABLE candles (a)")
    other.commit()
    other.close()
    store = CandleStore(path)
    store.series(KEY).save([bar(1)])
    assert len(store.series(KEY).read(0, END)) == 1
    store.close()


def test_a_write_that_fails_is_told_once_and_raises_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    store._connection.execute("PRAGMA busy_timeout = 1")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    series.save([bar(1)])
    series.save([bar(2)])
    assert caplog.text.count("does not work at the moment") == 1
    blocker.rollback()
    blocker.close()
    series.save([bar(3)])
    assert [c.open_ms for c in series.read(0, END)] == [bar(3).open_ms]
    store.close()


def test_a_file_that_cannot_be_opened_yet_is_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    store = CandleStore(path)
    store.series(KEY).save([bar(1)])
    assert len(store.series(KEY).read(0, END)) == 0
    assert caplog.text.count("does not work at the moment") == 1
    path.rmdir()
    store.series(KEY).save([bar(2)])
    assert [c.open_ms for c in store.series(KEY).read(0, END)] == [bar(2).open_ms]
    store.close()


def test_several_threads_may_save_at_once(path: Path) -> None:
    store = CandleStore(path)
    series = store.series(KEY)
    threads = [
        threading.Thread(target=lambda first=first: [series.save([bar(n)]) for n in range(first, 200, 4)])
        for first in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(series.read(0, END)) == 200
    store.close()


def test_twenty_thousand_bars_are_read_in_a_few_milliseconds(path: Path) -> None:
    store = CandleStore(path)
    store.series(KEY).save([bar(n) for n in range(20_000)])
    reader = CandleReader(path)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        read = reader.last(KEY, 20_000)
        times.append(time.perf_counter() - started)
    assert isinstance(read, CandleSeries)
    assert len(read) == 20_000
    assert np.all(np.diff(read.open_ms) == BAR)
    assert min(times) < 0.02
    reader.close()
    store.close()
