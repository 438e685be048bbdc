"""Opening a ledger's database: the file `trades.db`, or one on a PostgreSQL server.

The file is SQLite with WAL, one writer that syncs every commit, readers that cannot write. The writer's
transactions begin IMMEDIATE, so that a lock is met at the start and not half-way; readers open the file
read-only. Wherever it lies, the schema must be the one this program was written for.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from agent.store.log_index import has_log, has_room, no_room
from agent.store.schema import SCHEMA_REVISION
from agent.store.server import Server, server_engine, server_trouble
from agent.store.trouble import StoreTrouble, file_trouble

#: Where a ledger lies.
Place = Path | Server

#: How long a statement waits for another process's lock.
BUSY_TIMEOUT_MS: Final = 2_000

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)


def create_file(path: Path) -> None:
    """Make an empty file readable by its owner alone if there is none; SQLite would use the umask.

    A file that exists is not opened: closing any descriptor of it would drop the locks that SQLite holds
    in this process (POSIX), and another process could then take the write-ahead log for its own.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_symlink():
            raise StoreTrouble(
                f"{path} is a symbolic link, which is not followed; put the database itself there"
            ) from None
    except OSError as error:
        raise file_trouble(error, path, "opening the database") from None


def open_engine(place: Place, *, read_only: bool) -> Engine:
    """A SQLAlchemy engine whose every connection is opened and closed by its user. Touches nothing yet."""
    return server_engine(place, read_only=read_only) if isinstance(place, Server) else _file(place, read_only)


def _file(path: Path, read_only: bool) -> Engine:
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"

    def connect() -> sqlite3.Connection:
        alone = f"{uri}&immutable=1"
        if has_room(path):
            return opened(alone if read_only and _cannot_share(uri, path) else uri)
        if read_only and not has_log(path):
            return opened(alone)
        raise no_room()

    def opened(uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=BUSY_TIMEOUT_MS / 1000,
            # Transactions are begun below, in words; the driver's own habit would begin them late.
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA synchronous = FULL")
            # The log is folded back when nothing is to be written (`Ledger.tidy`); this is for when that
            # never comes: 16 MB.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _cannot_share(uri: str, path: Path) -> bool:
    """Whether reading fails only for want of the log's index, which a full disk does not let SQLite make.

    Without a log, or with one that holds nothing, nobody has written since the last clean end; then a reader
    that shares nothing sees all there is.
    """
    if has_log(path):
        return False
    probe = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        probe.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        name = str(getattr(error, "sqlite_errorname", ""))
        return name.startswith(("SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR"))
    finally:
        probe.close()
    return False


def revision_of(connection: Connection, place: Place) -> str | None:
    """The migration the database stands at; None for an empty one. Raises StoreTrouble for a stranger's."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables:
        instead = "--data-dir" if isinstance(place, Path) else "database for agent.database_url"
        raise StoreTrouble(f"{place} holds tables of another program; choose another {instead}")
    found: Any = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def is_newer(revision: str, known: str = SCHEMA_REVISION) -> bool:
    return not revision.isdecimal() or int(revision) > int(known)


def newer_schema(place: Place, revision: str, known: str = SCHEMA_REVISION) -> StoreTrouble:
    return StoreTrouble(
        f"{place} was written by a newer version of this program (its schema is {revision}, "
        f"this program knows {known}); install that version again, or restore a backup made before"
    )


def check_schema(connection: Connection, place: Place) -> None:
    """Raises StoreTrouble unless the database has exactly the schema of this program."""
    revision = revision_of(connection, place)
    if revision == SCHEMA_REVISION:
        return
    if revision is not None and is_newer(revision):
        raise newer_schema(place, revision)
    if revision is None:
        raise StoreTrouble(f"{place} is empty; start the agent once with this data directory")
    raise StoreTrouble(
        f"{place} was written by an older version of this program (schema {revision}, now "
        f"{SCHEMA_REVISION}); start the agent once with this data directory, it upgrades the database"
        + (" and keeps a backup" if isinstance(place, Path) else " (make a copy with pg_dump first)")
    )


def open_for_reading(place: Place) -> Engine:
    """Raises StoreTrouble when there is no database, or none that this program can read."""
    if isinstance(place, Path) and not place.exists():
        raise StoreTrouble(f"there is no {place.name} in {place.parent}: the agent has not run there yet")
    engine = open_engine(place, read_only=True)
    try:
        with engine.connect() as connection:
            check_schema(connection, place)
    except DBAPIError as error:
        raise database_trouble(error, place, "reading") from None
    return engine


def database_trouble(error: DBAPIError | sqlite3.Error, place: Place, doing: str) -> StoreTrouble:
    """What the database says, as a sentence. `doing` is "reading" or "writing to"."""
    if isinstance(place, Server):
        assert isinstance(error, DBAPIError), f"no error of a server: {error!r}"
        return server_trouble(error, place, doing)
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(cause, "sqlite_errorname", ""))
    return StoreTrouble(f"{doing} {place} failed: {_reason(name, place)} ({cause})")


def _reason(name: str, path: Path) -> str:
    if name == "SQLITE_FULL":
        return f"the disk (or the quota) of {path.parent} is full; free some space"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "another process keeps the database locked; close what else has it open for writing"
    if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return "the file or its directory is read-only; correct the permissions or remount it writable"
    if name.startswith("SQLITE_CANTOPEN"):
        return (
            "the file cannot be opened; check that the directory exists and is ours, and that files are left"
        )
    if name.startswith("SQLITE_IOERR"):
        return "the disk reports an I/O error or is full; check the disk"
    if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return (
            "the file is damaged or no SQLite database; restore a backup "
            "(python -m agent.cli restore backups/trades-...db)"
        )
    return "SQLite refused"
