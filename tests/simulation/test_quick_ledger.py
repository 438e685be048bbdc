"""What the quick profile leaves out changes nothing: its ledger leaves the rows that SQLAlchemy leaves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, bindparam, select
from sqlalchemy.exc import IntegrityError

from agent.simulation.disk import Disk
from agent.simulation.quick_ledger import QuickConnection, QuickLedger
from agent.simulation.world import World
from agent.store.batch import Batch
from agent.store.ledger import CommitFailed, Ledger
from agent.store.statements import statements
from tests.store_ground import SCOPE, Store


class NotingWorld(World):
    """Keeps what was committed."""

    def __init__(self, seed: int, days: float) -> None:
        super().__init__(seed, days)
        self.kept: list[Batch] = []

    def around_commit(
        self, before: dict[str, bytes], after: dict[str, bytes], batches: Sequence[Batch]
    ) -> None:
        self.kept += batches


def dump(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in sorted(tables)}


@pytest.mark.no_cover
def test_the_same_batches_leave_the_same_rows_and_a_start_reads_the_same(tmp_path: Path) -> None:
    world = NotingWorld(102, 0.4)
    assert world.run().violation is None
    assert sum(bool(batch.orders) for batch in world.kept) > 20
    store, disk = Store(tmp_path), Disk("same")
    dumps, loaded = [], []
    for ledger, path in (
        (Ledger.open(store.path, SCOPE), store.path),
        (QuickLedger.on(disk, SCOPE), disk.database),
    ):
        before = ledger.load()
        for batch in world.kept:
            ledger.commit(batch)
        loaded.append((before, ledger.load()))
        ledger.close()
        dumps.append(dump(path))
    disk.close()
    assert dumps[0] == dumps[1]
    assert loaded[0] == loaded[1]
    assert any(order.fills for order in loaded[0][1].orders)
    assert all(dumps[0][table] for table in ("orders", "fills", "trades", "documents", "decisions", "events"))


def test_the_next_process_reads_what_was_written_and_after_a_power_cut_what_the_disk_has() -> None:
    disk = Disk("tag")
    disk.look()
    empty = disk.snapshot()
    first = QuickLedger.on(disk, SCOPE)
    raw = disk.writer().dbapi_connection
    first.commit(Batch(0, documents={"a": 1}))
    disk.survive(first.close)
    assert set(disk.read("SELECT key, body FROM documents")) == {("a", "1")}
    second = QuickLedger.on(disk, SCOPE)
    assert disk.writer().dbapi_connection is raw
    assert second.load().documents == {"a": 1}
    second.close()
    disk.restore(empty)
    third = QuickLedger.on(disk, SCOPE)
    assert disk.writer().dbapi_connection is not raw
    assert third.load().documents == {}
    third.commit(Batch(0, documents={"b": 2}))
    third._hang_up()
    third.commit(Batch(0, documents={"c": 3}))
    assert third.load().documents == {"b": 2, "c": 3}
    third.close()
    disk.close()


def test_a_database_that_refuses_is_told_as_the_real_ledger_tells_it() -> None:
    disk = Disk("refuses")
    ledger = QuickLedger.on(disk, SCOPE)
    with closing(sqlite3.connect(disk.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        raw = ledger._writing().connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA busy_timeout = 1").close()
        with pytest.raises(CommitFailed, match="another process keeps the database locked"):
            ledger.commit(Batch(0, documents={"a": 1}))
        other.execute("ROLLBACK")
    ledger.commit(Batch(0, documents={"a": 1}))
    assert ledger.load().documents == {"a": 1}
    disk.close()


def test_nothing_stays_of_a_transaction_that_broke() -> None:
    disk = Disk("breaks")
    ledger = QuickLedger.on(disk, SCOPE)
    connection: Any = ledger._writing()
    assert isinstance(connection, QuickConnection)
    put = statements(cast(Connection, connection)).put_document
    row = {**SCOPE.columns(), "key": "a", "updated_ms": 1, "body": "{}"}

    def write() -> None:
        with connection.begin():
            connection.execute(put, row)
            connection.execute(put, {**row, "body": None})

    with pytest.raises(IntegrityError):
        write()
    assert ledger.load().documents == {}
    disk.close()


def test_who_hangs_up_leaves_the_log_to_who_has_the_files_open() -> None:
    disk = Disk("log")
    disk.look()
    with closing(sqlite3.connect(disk.database)) as other:
        other.execute("PRAGMA user_version = 0")
    assert disk.log_size > 0
    disk.close()


def test_the_world_sees_what_is_committed_through_whoever_writes() -> None:
    disk = Disk("seen")
    ledger = QuickLedger.on(disk, SCOPE)
    ledger.commit(Batch(1, documents={"a": 1}))
    asked = "SELECT body FROM documents"
    assert disk.read(asked) == disk.reader.execute(asked).fetchall() == [("1",)]
    disk.close()


def test_as_many_are_found_as_the_list_names_however_long_it_is(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "n.db")
    raw.execute("CREATE TABLE n (id INTEGER)")
    raw.executemany("INSERT INTO n VALUES (?)", [(number,) for number in range(50)])
    n = Table("n", MetaData(), Column("id", Integer))
    asked = select(n.c.id).where(n.c.id.in_(bindparam("ids", expanding=True))).order_by(n.c.id)
    connection = QuickConnection(raw)
    for count in range(50):
        found = connection.execute(asked, {"ids": list(range(count))}).scalars()
        assert found == list(range(count))
    raw.close()
