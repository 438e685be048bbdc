"""The index of the write-ahead log has all its blocks, and is not begun where there is no room for it."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.store import log_index
from agent.store.candles import CandleStore
from agent.store.database import database_trouble
from agent.store.ledger import Ledger
from agent.store.reading import Reader
from agent.store.trouble import StoreTrouble
from tests.store_ground import SCOPE, Store, bar_batch


def blocks_bytes(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=0, f_frsize=4096))
    monkeypatch.setattr(os, "posix_fallocate", refused)


def test_who_writes_has_all_blocks_of_the_index(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        store.ledger()
        assert blocks_bytes(tmp_path / "trades.db-shm") >= log_index.BYTES
        candles = CandleStore(tmp_path / "candles.db")
        assert blocks_bytes(tmp_path / "candles.db-shm") >= log_index.BYTES
        candles.close()


def test_the_log_outlives_a_connection_that_is_renewed(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        ledger = store.ledger()
        ledger.commit(bar_batch(1))
        before = (tmp_path / "trades.db-shm").stat().st_ino
        ledger._hang_up()
        ledger.commit(bar_batch(2))
        assert (tmp_path / "trades.db-shm").stat().st_ino == before
        ledger.close()
        assert not (tmp_path / "trades.db-shm").exists(), "the last one cleans up"


@pytest.mark.usefixtures("full_disk")
def test_nothing_is_written_where_the_index_has_no_room(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        with pytest.raises(StoreTrouble, match="is full"):
            Ledger.open(store.path, SCOPE)
        assert not (tmp_path / "trades.db-shm").exists()
        # Nobody has written since the last clean end: what is there can be read without sharing.
        Reader.open(store.path).close()


def test_a_log_is_not_read_past_an_index_that_has_no_room(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with closing(Store(tmp_path)) as store:
        ledger = store.ledger()
        ledger.commit(bar_batch(1))
        files = {name: (tmp_path / name).read_bytes() for name in ("trades.db", "trades.db-wal")}
        ledger.close()
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        request.getfixturevalue("full_disk")
        with pytest.raises(StoreTrouble, match="is full"):
            Reader.open(store.path)


@pytest.mark.usefixtures("full_disk")
def test_an_index_that_is_there_with_its_blocks_needs_no_room(tmp_path: Path) -> None:
    (tmp_path / "trades.db-shm").write_bytes(b"x" * 32_768)
    assert log_index.has_room(tmp_path / "trades.db")


def test_it_is_told_as_a_full_disk(tmp_path: Path) -> None:
    told = database_trouble(log_index.no_room(), tmp_path / "trades.db", "opening")
    assert "the disk (or the quota)" in str(told)


def test_commits_go_into_blocks_that_the_log_has_already(tmp_path: Path) -> None:
    log = tmp_path / "trades.db-wal"
    with closing(Store(tmp_path)) as store:
        ledger = store.ledger()
        ledger.tidy()
        assert log.stat().st_size == log_index.LOG_BYTES
        assert blocks_bytes(log) >= log_index.LOG_BYTES
        for bar in range(1, 20):
            ledger.commit(bar_batch(bar))
            ledger.tidy()
        assert log.stat().st_size == log_index.LOG_BYTES
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("trades.db", "trades.db-wal"):
            (killed / name).write_bytes((tmp_path / name).read_bytes())
        with closing(Reader.open(killed / "trades.db")) as found:
            assert len(found.decisions(SCOPE.selection, limit=99)) == 19


@pytest.mark.usefixtures("full_disk")
def test_the_last_of_a_disk_is_left_to_others(tmp_path: Path) -> None:
    database = tmp_path / "trades.db"
    log_index.log_of(database).write_bytes(b"")
    log_index.take_log(database)
    assert log_index.log_of(database).stat().st_size == 0
