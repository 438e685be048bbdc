"""Creating, upgrading and refusing databases."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from agent.store import schema
from agent.store.batch import Batch
from agent.store.database import Place, open_engine, open_for_reading, revision_of
from agent.store.latch import Latch
from agent.store.ledger import Ledger
from agent.store.prepare import OURS, Migrations, prepare
from agent.store.reading import Reader
from agent.store.trouble import StoreTrouble
from tests.postgres_ground import PostgresServer
from tests.store_ground import ROOT, SCOPE, T0, Store, bar_batch, position

SECOND = """
revision, down_revision = "0003", "0002"
from alembic import op
import sqlalchemy as sa

def upgrade():
    op.add_column("trades", sa.Column("leverage", sa.Text()))
    {after}
"""


def next_version(directory: Path, after: str = "pass") -> Migrations:
    """Our migrations and one more."""
    copy = directory / "migrations"
    shutil.copytree(OURS.directory, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "versions" / "r0003_second.py").write_text(SECOND.format(after=after))
    return Migrations(copy, "0003")


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_a_new_database_is_ours_alone_and_writes_ahead(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    assert prepare(path) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    with closing(Ledger.open(path, SCOPE)) as ledger:
        connection = ledger._writing()
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2000
        assert stat.S_IMODE((tmp_path / "trades.db-wal").stat().st_mode) == 0o600


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    prepare(path)
    with closing(Ledger.open(path, SCOPE)) as ledger:
        ledger.commit(bar_batch(1))
    assert prepare(path) is None
    assert ask(path, "SELECT count(*) FROM decisions") == [(1,)]


def test_migrations_lead_exactly_to_the_schema_in_use(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    path = migrated(tmp_path)
    with open_for_reading(path).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    indexes = {str(row[0]) for row in ask(path, "SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {i.name for table in schema.metadata.sorted_tables for i in table.indexes} <= indexes


def migrated(directory: Path) -> Path:
    """A new database by the way that old ones go."""
    path = directory / "migrated.db"
    prepare(path, Migrations(OURS.directory, OURS.head))
    return path


def shape(path: Path) -> dict[str, Any]:
    """Columns, foreign keys, indexes with their columns and conditions, by table."""
    found: dict[str, Any] = {"revision": ask(path, "SELECT version_num FROM alembic_version")}
    for (table,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        indexes = {
            # SQLite numbers those it makes itself, in the order of the constraints.
            (unique, origin, partial, tuple(ask(path, f"SELECT name FROM pragma_index_info('{name}')")))
            for _, name, unique, origin, partial in ask(path, f"PRAGMA index_list({table})")
        }
        conditions = {
            (name, sql.partition(" WHERE ")[2])
            for name, sql in ask(
                path, f"SELECT name, sql FROM sqlite_master WHERE tbl_name = '{table}' AND type = 'index'"
            )
            if sql
        }
        columns = {row[1:] for row in ask(path, f"PRAGMA table_info({table})")}
        keys = {row[2:] for row in ask(path, f"PRAGMA foreign_key_list({table})")}
        found[str(table)] = (columns, keys, indexes, conditions)
    return found


def test_a_new_database_is_what_migrations_make_of_an_empty_one(tmp_path: Path) -> None:
    prepare(tmp_path / "new.db")
    assert shape(tmp_path / "new.db") == shape(migrated(tmp_path))
    assert len(shape(tmp_path / "new.db")) > 15


def test_alembic_is_loaded_only_when_there_is_something_to_migrate(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    program = (
        "import sys; from agent.store.prepare import prepare; from pathlib import Path;"
        "prepare(Path(sys.argv[1]));"
        "print(sorted(m for m in sys.modules if m.startswith('alembic')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = Store(tmp_path).path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0007'")
    before = path.read_bytes()
    sentence = (
        r"written by a newer version .*its schema is 0007, this program knows 0002.*install that version"
    )
    with pytest.raises(StoreTrouble, match=sentence):
        prepare(path)
    with pytest.raises(StoreTrouble, match=sentence):
        Ledger.open(path, SCOPE)
    with pytest.raises(StoreTrouble, match=sentence):
        Reader.open(path)
    assert path.read_bytes() == before


def test_an_old_database_is_upgraded_after_a_copy_was_made(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with closing(store.ledger()) as ledger:
        ledger.commit(Batch(T0, positions=(position(),)))
    copy = prepare(store.path, next_version(tmp_path))
    assert copy == tmp_path / "backups" / "trades-before-schema-0003.db"
    assert store.query("SELECT position_id, leverage FROM trades") == [(1, None)]
    assert ask(copy, "SELECT position_id FROM trades") == [(1,)]
    assert ask(copy, "SELECT version_num FROM alembic_version") == [("0002",)]


#: Every schema that a program of ours has left behind.
OLDER = sorted(
    file.name[1:5]
    for file in (OURS.directory / "versions").glob("r*.py")
    if file.name[1:5] != schema.SCHEMA_REVISION
)


@pytest.mark.parametrize("revision", OLDER)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_of_every_older_schema_come_along(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, revision: str
) -> None:
    place: Place = tmp_path / "trades.db"
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        place = server.place(SCOPE.agent_id, database=server.new_database())
    prepare(place, Migrations(OURS.directory, revision))
    with closing_engine(place) as engine, engine.begin() as connection:
        assert revision_of(connection, place) == revision
        row = {**SCOPE.columns(), "key": "agent", "updated_ms": T0, "body": '{"kept":1}'}
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        connection.execute(text(f"INSERT INTO documents ({names}) VALUES ({values})"), row)
    copy = prepare(place)
    assert (copy is None) == (kind == "postgresql"), "copies of a server are its administrator's"
    with closing(Ledger.open(place, SCOPE)) as ledger:
        assert ledger.load().documents == {"agent": {"kept": 1}}
        ledger.commit(Batch(T0, positions=(position(),)))
    assert prepare(place) is None


@contextmanager
def closing_engine(place: Place) -> Iterator[Engine]:
    engine = open_engine(place, read_only=False)
    yield engine
    engine.dispose()


def test_readers_are_told_that_an_old_database_needs_an_upgrade(tmp_path: Path) -> None:
    path = Store(tmp_path).path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(StoreTrouble, match=r"older version .*start the agent once.*keeps a backup"):
        Reader.open(path)


def test_an_upgrade_that_fails_half_way_leaves_the_old_schema(tmp_path: Path) -> None:
    store = Store(tmp_path)
    broken = next_version(tmp_path, after="raise RuntimeError('power cut')")
    with pytest.raises(RuntimeError, match="power cut"):
        prepare(store.path, broken)
    assert store.query("SELECT version_num FROM alembic_version") == [("0002",)]
    columns = [row[1] for row in store.query("PRAGMA table_info(trades)")]
    assert "leverage" not in columns
    with closing(store.ledger()) as ledger:
        ledger.commit(Batch(T0, positions=(position(),)))


def test_an_upgrade_killed_half_way_leaves_the_old_schema(tmp_path: Path) -> None:
    store = Store(tmp_path)
    killed = next_version(tmp_path, after="__import__('os').kill(__import__('os').getpid(), 9)")
    program = (
        "import sys; from pathlib import Path; from agent.store.prepare import Migrations, prepare;"
        "prepare(Path(sys.argv[1]), Migrations(Path(sys.argv[2]), '0003'))"
    )
    arguments = [sys.executable, "-c", program, str(store.path), str(killed.directory)]
    assert subprocess.run(arguments, timeout=60, cwd=ROOT).returncode == -9
    assert store.query("SELECT version_num FROM alembic_version") == [("0002",)]
    assert store.query("PRAGMA integrity_check") == [("ok",)]
    assert prepare(store.path) is None


def test_a_strangers_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE accounts (id)")
    with pytest.raises(StoreTrouble, match=r"holds tables of another program; choose another --data-dir"):
        prepare(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    path.write_text("date,open,high,low,close\n" * 100)
    with pytest.raises(StoreTrouble, match=r"damaged or no SQLite database; restore a backup \(python -m"):
        prepare(path)


def test_a_ledger_that_lost_every_byte_is_no_new_one(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    path.touch()
    prepare(path)
    assert Ledger.open(path, SCOPE).close() is None, "a first start that was killed goes on"
    Latch.create(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(StoreTrouble, match=r"is empty, although .* traded from: restore a backup .* delete"):
        prepare(path)
    assert path.read_bytes() == b""
    path.unlink()
    prepare(path)


def test_a_database_under_two_names_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Store(tmp_path).path
    prepare(path)
    assert caplog.messages == []
    os.link(path, tmp_path / "other.db")
    prepare(path)
    assert [m for m in caplog.messages if "one file under 2 names" in m]


def test_an_empty_file_has_to_be_prepared_first(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    path.touch()
    with pytest.raises(StoreTrouble, match="is empty; start the agent once"):
        Reader.open(path)


def test_a_missing_database_is_told_from_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(StoreTrouble, match=r"there is no trades.db in .*the agent has not run there yet"):
        Reader.open(tmp_path / "trades.db")


def test_a_link_in_the_place_of_the_database_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    os.symlink(tmp_path / "elsewhere", tmp_path / "trades.db")
    with pytest.raises(StoreTrouble, match="symbolic link, which is not followed"):
        prepare(tmp_path / "trades.db")


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        StoreTrouble, match=r"opening the database .*gone/trades.db failed: there is no directory"
    ):
        prepare(tmp_path / "gone" / "trades.db")


def test_a_path_with_signs_that_mean_something_in_a_url_is_opened(tmp_path: Path) -> None:
    directory = tmp_path / "50% of ?my#data"
    directory.mkdir()
    prepare(directory / "trades.db")
    with closing(Ledger.open(directory / "trades.db", SCOPE)) as ledger:
        ledger.commit(bar_batch(1))
    assert sorted(p.name for p in directory.iterdir()) == ["trades.db"]
