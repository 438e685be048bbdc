"""The disk of a simulated machine: what survives a kill, and what a power cut leaves of it.

Belongs here: the data directory of one world, and its faults (F28 to F31, F34, F35). Stays true: after a kill
everything that was written is there and nothing is tidied up; after a power cut everything that was synced is
there, and of what was not, any sectors in any mixture. Closing a connection never writes here what the dead
process would not have written.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine as SqlEngine
from sqlalchemy import PoolProxiedConnection

from agent.core.money import forbid_float_money
from agent.store import database
from agent.store import ledger as ledger_module
from agent.store.batch import Batch
from agent.store.ledger import CommitFailed, Ledger
from agent.store.prepare import prepare

_SECTOR: Final = 512
#: Looked at together, since most of a file is the same before a commit and after it.
_SECTORS: Final = 64 * _SECTOR
_ROOT: Final = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())


@functools.cache
def workplace() -> Path:
    """This process's own directory for worlds, one after the other; removed when the process ends."""
    forbid_float_money()
    place = Path(tempfile.mkdtemp(prefix="simulation-", dir=_ROOT))
    _share_compiled_statements(place)
    import atexit

    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "template").mkdir()
    prepare(place / "template" / "trades.db")
    return place


def _share_compiled_statements(ours: Path) -> None:
    """Every start compiles the same statements for writing again; in one process of many worlds once is
    enough."""
    real = database.open_engine
    shared = functools.cache(functools.partial(real, read_only=False))

    def opened(place: database.Place, *, read_only: bool) -> SqlEngine:
        # What else this process opens, tests beside ours above all, is not shared.
        of_a_world = isinstance(place, Path) and place.is_relative_to(ours)
        return shared(place) if of_a_world and not read_only else real(place, read_only=read_only)

    database.open_engine = opened
    vars(ledger_module)["open_engine"] = opened


class Disk:
    """One world's data directory. `path` is empty but for a prepared database at the beginning."""

    def __init__(self, tag: str) -> None:
        place = workplace()
        self.path = place / "world"
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        shutil.copy(place / "template" / "trades.db", self.path / "trades.db")
        (self.path / "install-tag").write_text(tag + "\n")
        self.failing: str | None = None
        """What every commit fails with, if it does."""
        self.slow_us = 0
        self._files = tuple(self.path / f"trades.db{suffix}" for suffix in ("", "-wal"))
        self._reader: sqlite3.Connection | None = None
        self._writer: PoolProxiedConnection | None = None

    @property
    def database(self) -> Path:
        return self._files[0]

    def writer(self) -> PoolProxiedConnection:
        """A connection that writes, opened as the product opens it. What a killed process had open is taken
        over by the next one, which finds the same: between two transactions a connection holds nothing."""
        if self._writer is None:
            self._writer = database.open_engine(self.database, read_only=False).raw_connection()
        raw: Any = self._writer.dbapi_connection
        assert not raw.in_transaction, "nobody dies within a commit"
        return self._writer

    def drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()

    @property
    def reader(self) -> sqlite3.Connection:
        """A connection that reads. It stays open: as long as there is another one, nobody who hangs up folds
        the log into the file."""
        if self._reader is None:
            self._reader = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, isolation_level=None)
            # From its first question on it holds the file, until it is closed. This one needs no schema.
            self._reader.execute("PRAGMA schema_version").fetchone()
        return self._reader

    @property
    def informed(self) -> sqlite3.Connection:
        """Who is asked what the files say. Who writes has in memory what is in them, and is asked where there
        is one: to anybody else every commit is news, and all pages must be read again."""
        if self._writer is None:
            return self.reader
        raw: Any = self._writer.dbapi_connection
        assert not raw.in_transaction, "nobody asks within a commit"
        found: sqlite3.Connection = raw
        return found

    def read(self, question: str, *given: str) -> list[Any]:
        """What the files say."""
        return self.informed.execute(question, given).fetchall()

    def look(self) -> None:
        """Have the files open, so that the log stays as it is when somebody else hangs up."""
        assert self.reader

    def close(self) -> None:
        """Let go of the files: they are about to be other ones, or nobody needs them any more."""
        # Before who reads: the last one, if it could write, would fold the log into the file.
        self.drop_writer()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def log_size(self) -> int:
        """Bytes of the write-ahead log."""
        try:
            return os.stat(self._files[1]).st_size
        except FileNotFoundError:
            return 0

    def snapshot(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self._files if file.exists()}

    def restore(self, files: dict[str, bytes]) -> None:
        self.close()
        (self.path / "trades.db-shm").unlink(missing_ok=True)
        for file in self._files:
            if file.name in files:
                file.write_bytes(files[file.name])
            else:
                file.unlink(missing_ok=True)

    def survive(self, hang_up: Callable[[], None]) -> None:
        """The process was killed: let go of its connections without anything being written."""
        self.look()
        hang_up()

    def cut_power(
        self, ledger: Ledger, pending: list[Batch], hang_up: Callable[[], None], chance: random.Random
    ) -> None:
        """The power failed while `pending` was being written: of its sectors some are there, some are not."""
        before = self.snapshot()
        if pending:
            ledger.commit(*pending)
        after = self.snapshot()
        hang_up()
        self.restore(torn(before, after, chance))


def torn(before: dict[str, bytes], after: dict[str, bytes], chance: random.Random) -> dict[str, bytes]:
    """A state between two: the log before the database, since the log is synced before that is written."""
    database_name, log_name = "trades.db", "trades.db-wal"
    if before.get(database_name) != after.get(database_name):
        mixed = _mixed(before.get(database_name, b""), after[database_name], chance)
        return {**after, database_name: mixed}
    return {**before, log_name: _mixed(before.get(log_name, b""), after.get(log_name, b""), chance)}


def _mixed(old: bytes, new: bytes, chance: random.Random) -> bytes:
    share = chance.choice((0.0, 0.3, 0.7, 1.0))
    length = max(len(old), len(new))
    if chance.random() < 0.3:
        length = chance.randint(min(len(old), len(new)), length)
    pieces: list[bytes | memoryview] = []
    whole = memoryview(new)
    for begin in range(0, length, _SECTORS):
        end = begin + _SECTORS
        part = whole[begin:end]
        if min(end, len(old)) - begin == len(part) and old.startswith(part, begin):
            pieces.append(part)
            continue
        for at in range(begin, min(end, length), _SECTOR):
            was, now = old[at : at + _SECTOR], new[at : at + _SECTOR]
            if was == now:
                pieces.append(now)
            elif chance.random() < share:
                pieces.append(now.ljust(len(was), b"\x00"))
            else:
                pieces.append(was.ljust(min(_SECTOR, length - at), b"\x00"))
    return b"".join(pieces)[:length]


class UncertainLedger:
    """A ledger on a disk that may refuse."""

    def __init__(self, ledger: Ledger, disk: Disk) -> None:
        self._ledger = ledger
        self._disk = disk

    def commit(self, *batches: Batch) -> None:
        if self._disk.failing is not None:
            raise CommitFailed(self._disk.failing)
        self._ledger.commit(*batches)
