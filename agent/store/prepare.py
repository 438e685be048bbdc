"""Bringing a ledger's database to this program's schema. A file's only by the holder of the instance lock.

A new one is created, an old one is upgraded after a verified copy was made, a newer one is refused. An
upgrade is one transaction: killed half-way, it leaves the old schema. Alembic is loaded only when there is
something to migrate, which a new file has not. Of several engines that start on one server at once, one
migrates and the others wait.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from agent.store.backup import copy_verified
from agent.store.database import (
    Place,
    create_file,
    database_trouble,
    is_newer,
    newer_schema,
    open_engine,
    revision_of,
)
from agent.store.latch import NAME as LATCH
from agent.store.schema import SCHEMA_REVISION, metadata
from agent.store.server import Server
from agent.store.trouble import StoreTrouble, file_trouble


@dataclass(frozen=True, slots=True)
class Migrations:
    """A directory with Alembic's `env.py` and `versions`, and the revision it leads to."""

    directory: Path
    head: str


LOG: Final = logging.getLogger("agent")
OURS: Final = Migrations(Path(__file__).parent / "migrations", SCHEMA_REVISION)


#: The transaction that migrates a server's database holds this lock.
_MIGRATING: Final = 0x5E11E7


def prepare(place: Place, migrations: Migrations = OURS) -> Path | None:
    """Create or upgrade the database. Returns the copy made before an upgrade. Raises StoreTrouble.

    The copy is `backups/trades-before-schema-0002.db`, which no rotation removes; of a server's database
    copies are its administrator's business (pg_dump).
    """
    if isinstance(place, Server):
        _prepare_server(place, migrations)
        return None
    return _prepare_file(place, migrations)


def _prepare_server(server: Server, migrations: Migrations) -> None:
    engine = open_engine(server, read_only=False)
    try:
        with engine.begin() as connection:
            # Held until the commit, so nobody reads a revision that is about to change.
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            revision = revision_of(connection, server)
            if revision is not None and is_newer(revision, migrations.head):
                raise newer_schema(server, revision, migrations.head)
            if revision != migrations.head:
                _upgrade(connection, migrations)
    except DBAPIError as error:
        raise database_trouble(error, server, "preparing") from None
    finally:
        engine.dispose()


def _prepare_file(path: Path, migrations: Migrations) -> Path | None:
    _refuse_emptied(path)
    create_file(path)
    _warn_of_names(path)
    engine = open_engine(path, read_only=False)
    try:
        revision = _revision(engine, path)
        if revision is not None and is_newer(revision, migrations.head):
            raise newer_schema(path, revision, migrations.head)
        _use_wal(engine, path)
        if revision == migrations.head:
            return None
        copy = None if revision is None else _keep_copy(path, migrations.head)
        with engine.begin() as connection:
            if revision is None and migrations is OURS:
                _create(connection)
            else:
                _upgrade(connection, migrations)
    except DBAPIError as error:
        raise database_trouble(error, path, "preparing") from None
    finally:
        engine.dispose()
    return copy


def _refuse_emptied(path: Path) -> None:
    """A file without a byte in a directory that was traded from has lost its ledger, and is no new one."""
    if path.is_file() and path.stat().st_size == 0 and (path.parent / LATCH).exists():
        raise StoreTrouble(
            f"{path} is empty, although this data directory was traded from: restore a backup (python -m "
            f"agent.cli restore backups/trades-...db), or delete {path.name} to begin a new ledger"
        )


def _warn_of_names(path: Path) -> None:
    """Opened under two names at once, a database has two logs, and loses what is in either."""
    if path.stat().st_nlink > 1:
        LOG.error(
            "%s is one file under %d names (hard links): opened under another name too, it would be "
            "damaged; delete the other names, or make them copies",
            path,
            path.stat().st_nlink,
        )


def _revision(engine: Engine, path: Path) -> str | None:
    with engine.connect() as connection:
        return revision_of(connection, path)


def _use_wal(engine: Engine, path: Path) -> None:
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        ((mode,),) = cursor.fetchall()
    finally:
        raw.close()
    if mode != "wal":
        raise StoreTrouble(
            f"{path} cannot use write-ahead logging ({mode} instead), probably because it is on a network "
            "file system; choose a --data-dir on a local disk"
        )


def _keep_copy(path: Path, head: str) -> Path:
    directory = path.parent / "backups"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise file_trouble(error, directory, "creating the backup directory") from None
    return copy_verified(path, directory / f"{path.stem}-before-schema-{head}.db").path


def _create(connection: Connection) -> None:
    """The newest schema at once. Migrating an empty file leads to the same, and takes a first start longer
    than all the rest of it; a test compares the two."""
    metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{SCHEMA_REVISION}')")


def _upgrade(connection: Connection, migrations: Migrations) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.directory).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, migrations.head)
