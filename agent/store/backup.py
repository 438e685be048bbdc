"""Copies of `trades.db` that are known to be good, and putting one back.

A backup is made with SQLite's online backup while the agent trades, then opened, checked page by page and
counted row by row against the original before it gets its name. A restore needs the instance lock: it never
touches a database that an engine uses, and it keeps the file it replaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.store.database import create_file, database_trouble, is_newer, newer_schema
from agent.store.trouble import StoreTrouble, file_trouble

#: Pages copied under one read lock: 16 MiB, far below the two seconds a reader may take.
_PAGES_PER_STEP: Final = 4096
_SIDE_FILES: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Backup:
    """A verified copy. `rows` counts every table."""

    path: Path
    rows: Mapping[str, int]
    size_bytes: int


def back_up(database: Path, directory: Path, *, at_ms: int, keep: int) -> Backup:
    """Copy `database` into `directory` as `trades-20250115T143205Z.db`; only the newest `keep` copies stay.

    `at_ms` is wall time. Raises StoreTrouble; a copy that fails its checks is removed and nothing is rotated.
    """
    assert keep >= 1, "a rotation that keeps nothing is no backup"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise file_trouble(error, directory, "creating the backup directory") from None
    stamp = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"
    made = copy_verified(database, directory / f"{database.stem}-{stamp}.db")
    found = sorted(directory.glob(f"{database.stem}-[0-9]*T[0-9]*Z.db"))
    for old in found[:-keep]:
        old.unlink(missing_ok=True)
    return made


def copy_verified(database: Path, target: Path) -> Backup:
    """Copy a database that may be in use; `target` appears, whole, only when the copy is proven good."""
    if not database.exists():
        raise StoreTrouble(f"there is no {database.name} in {database.parent} to copy")
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    create_file(partial)
    try:
        with _opened(database, "ro") as source, _opened(partial, "rw") as copy:
            before = _row_counts(source)
            source.backup(copy, pages=_PAGES_PER_STEP)
            # The copy is one file: without this it would want a WAL of its own beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            after = _row_counts(source)
            rows = _verified(copy, partial)
        _check_counts(partial, before, rows, after)
        _sync(partial)
        os.replace(partial, target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise database_trouble(error, database, "backing up") from None
    except OSError as error:
        raise file_trouble(error, target, "writing the backup") from None
    finally:
        for name in ("", *_SIDE_FILES, "-journal"):
            partial.with_name(partial.name + name).unlink(missing_ok=True)
    return Backup(target, rows, target.stat().st_size)


def restore(backup: Path, database: Path, *, engine_running: Callable[[], bool], at_ms: int) -> Path | None:
    """Put `backup` in the place of `database`. Returns where the replaced file is kept, None without one.

    Raises StoreTrouble while an engine runs, and for a backup that is damaged or of a newer schema.
    """
    if engine_running():
        raise StoreTrouble(
            f"an engine is using {database}; end it first (Ctrl-C or SIGTERM, a service: systemctl stop), "
            "then restore: replacing a database under a running engine would lose orders"
        )
    if not backup.exists():
        raise StoreTrouble(f"{backup} does not exist")
    fresh = database.with_name(f".{database.name}.restoring")
    fresh.unlink(missing_ok=True)
    try:
        with _opened(backup, "ro") as opened:
            _verified(opened, backup)
            _refuse_newer(opened, backup)
        create_file(fresh)
        shutil.copyfile(backup, fresh)
        _sync(fresh)
        kept = set_aside(database, at_ms) if database.exists() else None
        os.replace(fresh, database)
        _sync(database.parent)
    except sqlite3.Error as error:
        raise database_trouble(error, backup, "reading") from None
    except OSError as error:
        raise file_trouble(error, database, "restoring") from None
    finally:
        fresh.unlink(missing_ok=True)
    return kept


@contextlib.contextmanager
def _opened(path: Path, mode: str, timeout_s: float = 2.0) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


def _row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'spool'"
    )
    return {
        name: int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
        for (name,) in names.fetchall()
    }


def _verified(connection: sqlite3.Connection, path: Path) -> dict[str, int]:
    complaints = [row[0] for row in connection.execute("PRAGMA integrity_check").fetchall()]
    if complaints != ["ok"]:
        raise StoreTrouble(f"{path} is damaged: {complaints[0]}; use another backup")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise StoreTrouble(f"{path} is incomplete: a row refers to a missing one; use another backup")
    return _row_counts(connection)


def _check_counts(
    path: Path, before: Mapping[str, int], copied: Mapping[str, int], after: Mapping[str, int]
) -> None:
    # Rows are only added, so a good copy lies between what was there before and after it was made.
    for table, least in before.items():
        if not least <= copied.get(table, -1) <= after.get(table, -1):
            raise StoreTrouble(
                f"{path} holds {copied.get(table, 0)} rows of {table} where the original has {least}; "
                "the copy was discarded, try again"
            )


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
    if row is None:
        raise StoreTrouble(f"{path} is no backup of this program")
    if is_newer(str(row[0])):
        raise newer_schema(path, str(row[0]))


def set_aside(database: Path, at_ms: int) -> Path:
    """Keep the file under a second name, with its log folded in, or beside it where that is impossible.

    The first name stays until it is replaced, so that a crash in between never leaves no database at all.
    """
    stamp = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"
    kept = database.with_name(f"{database.stem}-replaced-{stamp}.db")
    if kept.exists():
        raise StoreTrouble(f"{kept} exists already; move it away and try again")
    log, kept_log = (path.with_name(path.name + "-wal") for path in (database, kept))
    if log.exists():
        # SQLite throws the log of a damaged database away as soon as it opens it.
        shutil.copyfile(log, kept_log)
        _sync(kept_log)
    with contextlib.suppress(sqlite3.Error), _opened(database, "rw", timeout_s=0) as connection:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if not busy:  # no reader kept SQLite from folding all of it in
            kept_log.unlink(missing_ok=True)
    try:
        os.link(database, kept)
    except OSError:  # a file system without links
        shutil.copyfile(database, kept)
        _sync(kept)
    for name in _SIDE_FILES:
        # Left in place they would be taken for the restored database's own.
        database.with_name(database.name + name).unlink(missing_ok=True)
    return kept


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
