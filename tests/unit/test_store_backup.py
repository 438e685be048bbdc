"""Backups that are proven, rotated, and put back without losing what they replace."""

from __future__ import annotations

import errno
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.store.backup import back_up, copy_verified, restore
from agent.store.batch import Batch
from agent.store.prepare import prepare
from agent.store.trouble import StoreTrouble
from tests.store_ground import SCOPE, T0, Store, bar_batch, fill, order, position

HOUR_MS = 3_600_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path)) as store:
        yield store


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def idle() -> bool:
    return False


def test_a_backup_of_a_database_in_use_is_whole_and_one_private_file(store: Store, tmp_path: Path) -> None:
    ledger = store.ledger()
    ledger.commit(bar_batch(1), Batch(T0, positions=(position(),), orders=(order().with_fill(fill()),)))
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=3)
    assert made.path == tmp_path / "safe" / "trades-20250115T143205Z.db"
    assert (made.rows["decisions"], made.rows["fills"], made.rows["events"]) == (1, 1, 0)
    assert made.size_bytes == made.path.stat().st_size
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert [p.name for p in made.path.parent.iterdir()] == [made.path.name]
    ledger.commit(bar_batch(2))
    assert ask(made.path, "SELECT count(*) FROM decisions") == [(1,)]


def test_a_backup_can_be_read_where_nothing_may_be_written(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    with closing(sqlite3.connect(f"{made.path.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [p.name for p in made.path.parent.iterdir()] == [made.path.name]


def test_only_the_newest_stay_and_only_backups_go(store: Store, tmp_path: Path) -> None:
    safe = tmp_path / "backups"
    safe.mkdir()
    for other in ("trades-before-schema-0002.db", "notes.txt", "candles-20240101T000000Z.db"):
        (safe / other).touch()
    for hour in range(5):
        back_up(store.path, safe, at_ms=T0 + hour * HOUR_MS, keep=2)
    assert sorted(p.name for p in safe.iterdir()) == [
        "candles-20240101T000000Z.db",
        "notes.txt",
        "trades-20250115T173205Z.db",
        "trades-20250115T183205Z.db",
        "trades-before-schema-0002.db",
    ]


def test_a_damaged_database_makes_no_backup_and_removes_none(store: Store, tmp_path: Path) -> None:
    ledger = store.ledger()
    ledger.commit(*(bar_batch(number) for number in range(1, 400)))
    ledger.close()
    good = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    content = bytearray(store.path.read_bytes())
    page = content.rindex(b"no_signal") // 4096
    content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    store.path.write_bytes(content)
    with pytest.raises(StoreTrouble, match="damaged"):
        back_up(store.path, tmp_path / "safe", at_ms=T0 + HOUR_MS, keep=1)
    assert [p.name for p in (tmp_path / "safe").iterdir()] == [good.path.name]


def test_a_row_without_what_it_refers_to_is_noticed(store: Store, tmp_path: Path) -> None:
    store.ledger().commit(Batch(T0, orders=(order().with_fill(fill()),)))
    store.query("PRAGMA foreign_keys = OFF")
    store.query("DELETE FROM orders")
    with pytest.raises(StoreTrouble, match="a row refers to a missing one"):
        copy_verified(store.path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_there_must_be_something_to_copy_and_a_place_for_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match=r"there is no gone.db in"):
        copy_verified(tmp_path / "gone.db", tmp_path / "copy.db")
    (tmp_path / "file").touch()
    with pytest.raises(StoreTrouble, match=r"creating the backup directory .* a file is where a directory"):
        back_up(store.path, tmp_path / "file", at_ms=T0, keep=1)


def test_restore_brings_the_backup_and_keeps_what_it_replaces(store: Store, tmp_path: Path) -> None:
    with closing(store.ledger()) as ledger:
        ledger.commit(Batch(T0, documents={"agent": 1}))
        made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
        ledger.commit(Batch(T0 + 1, documents={"agent": 2}))
    kept = restore(made.path, store.path, engine_running=idle, at_ms=T0 + HOUR_MS)
    assert kept == tmp_path / "trades-replaced-20250115T153205Z.db"
    assert ask(kept, "SELECT body FROM documents") == [("2",)]
    prepare(store.path)
    assert store.ledger().load().documents == {"agent": 1}
    assert made.path.exists()
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_what_was_only_in_the_write_ahead_log_is_kept_too(store: Store, tmp_path: Path) -> None:
    """A killed process leaves a log; it must neither be lost nor end up in the restored file."""
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    store.ledger().commit(Batch(T0, documents={"agent": 2}))
    crashed = {name: (tmp_path / name).read_bytes() for name in ("trades.db", "trades.db-wal")}
    store.close()
    for name, content in crashed.items():
        (tmp_path / name).write_bytes(content)
    kept = restore(made.path, store.path, engine_running=idle, at_ms=T0)
    assert kept is not None
    assert ask(kept, "SELECT body FROM documents") == [("2",)]
    assert store.ledger().load().documents == {}


def test_a_reader_in_mid_transaction_costs_the_kept_file_nothing(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    with store.reader()._engine.connect() as reading:
        reading.exec_driver_sql("SELECT count(*) FROM documents")
        with closing(store.ledger()) as ledger:
            ledger.commit(Batch(T0, documents={"agent": 2}))
        kept = restore(made.path, store.path, engine_running=idle, at_ms=T0)
    assert kept is not None
    assert ask(kept, "SELECT body FROM documents") == [("2",)]
    assert store.ledger().load().documents == {}


def test_a_damaged_database_can_be_replaced_and_its_log_goes_with_it(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    store.path.write_bytes(b"not a database at all" * 500)
    (tmp_path / "trades.db-wal").write_bytes(b"old log")
    kept = restore(made.path, store.path, engine_running=idle, at_ms=T0)
    assert kept is not None
    assert kept.read_bytes().startswith(b"not a database at all")
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"old log"
    assert not (tmp_path / "trades.db-wal").exists()
    assert store.ledger().load().documents == {}


def test_restore_into_an_empty_directory(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    (tmp_path / "new").mkdir()
    assert restore(made.path, tmp_path / "new" / "trades.db", engine_running=idle, at_ms=T0) is None
    assert ask(tmp_path / "new" / "trades.db", "SELECT count(*) FROM trades") == [(0,)]


def test_restore_is_refused_while_an_engine_runs(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    before = store.path.read_bytes()
    with pytest.raises(StoreTrouble, match=r"an engine is using .*; end it first"):
        restore(made.path, store.path, engine_running=lambda: True, at_ms=T0)
    assert store.path.read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("DROP TABLE alembic_version", "is no backup of this program"),
        ("UPDATE alembic_version SET version_num = '0099'", "newer version of this program"),
    ],
)
def test_what_this_program_cannot_use_is_not_restored(
    store: Store, tmp_path: Path, spoil: str, sentence: str
) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    with closing(sqlite3.connect(made.path)) as connection, connection:
        connection.execute(spoil)
    store.ledger(SCOPE).commit(Batch(T0, documents={"agent": 1}))
    with pytest.raises(StoreTrouble, match=sentence):
        restore(made.path, store.path, engine_running=idle, at_ms=T0)
    assert store.ledger().load().documents == {"agent": 1}


def test_a_file_that_is_no_database_is_not_restored(store: Store, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("nothing useful here" * 100)
    with pytest.raises(StoreTrouble, match="damaged or no SQLite database"):
        restore(tmp_path / "backup.db", store.path, engine_running=idle, at_ms=T0)
    with pytest.raises(StoreTrouble, match="does not exist"):
        restore(tmp_path / "gone.db", store.path, engine_running=idle, at_ms=T0)


def test_two_restores_in_one_second_lose_nothing(store: Store, tmp_path: Path) -> None:
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    restore(made.path, store.path, engine_running=idle, at_ms=T0)
    with pytest.raises(StoreTrouble, match="exists already; move it away"):
        restore(made.path, store.path, engine_running=idle, at_ms=T0)


def test_a_file_system_without_links_keeps_a_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    made = back_up(store.path, tmp_path / "safe", at_ms=T0, keep=1)
    store.ledger().commit(Batch(T0, documents={"agent": 2}))
    kept = restore(made.path, store.path, engine_running=idle, at_ms=T0)
    assert kept is not None
    assert ask(kept, "SELECT body FROM documents") == [("2",)]


def test_a_copy_that_lost_rows_on_the_way_is_discarded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.ledger().commit(bar_batch(1))
    counts = iter([{"decisions": 2}, {"decisions": 2}, {"decisions": 1}])
    monkeypatch.setattr("agent.store.backup._row_counts", lambda connection: next(counts))
    with pytest.raises(StoreTrouble, match="holds 1 rows of decisions where the original has 2"):
        copy_verified(store.path, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
