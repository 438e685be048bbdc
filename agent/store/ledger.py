"""The ledger of one scope: what is certain, on disk, and how a restart gets it back.

`commit` is one transaction over one or more batches: all of it is durable when it returns, none of it when
it raises. A scope sees its own rows only. A ledger is used by one thread at a time, and one process writes:
the holder of the instance lock. Somebody called `prepare` before.
"""

from __future__ import annotations

import sqlite3
from collections import ChainMap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError, StatementError

from agent.store.batch import Batch, Scope, Stored
from agent.store.codec import Undecodable
from agent.store.database import Place, database_trouble, open_engine, open_for_reading
from agent.store.loading import load_everything
from agent.store.log_index import LOG_BYTES, log_of, take_blocks, take_log
from agent.store.rehearsal import rehearsal
from agent.store.spool import Spool, copy_in
from agent.store.statements import statements
from agent.store.trouble import StoreTrouble
from agent.store.writing import OnFile, write_batch

#: Batches in the write-ahead log.
_WORTH_FOLDING: Final = 100


class CommitFailed(StoreTrouble):
    """The disk or the database refused. Nothing was written, and writing it again is harmless."""


class Ledger:
    """Open with `Ledger.open`. `place` is the database file, or a database on a server."""

    def __init__(self, engine: Engine, place: Place, scope: Scope, *, read_only: bool) -> None:
        self._engine = engine
        self.place = place
        self.scope = scope
        self._read_only = read_only
        self._connection: Connection | None = None
        #: Keeps the log and its index in being while the writing connection is renewed.
        self._anchor: PoolProxiedConnection | None = None
        self._on_file: dict[str, OnFile] = {}
        self._log_is_taken = False
        #: Batches since the log was folded back.
        self._unfolded = 0
        #: Numbers every change where the ledger is kept on a server too; `Ledger.open` knows.
        self.spool: Spool | None = None

    @classmethod
    def open(cls, place: Place, scope: Scope, *, read_only: bool = False) -> Self:
        """Raises StoreTrouble when there is no database or its schema is not this program's."""
        engine = open_for_reading(place)
        if read_only:
            return cls(engine, place, scope, read_only=True)
        ledger = cls(open_engine(place, read_only=False), place, scope, read_only=False)
        ledger._begin()
        return ledger

    def _begin(self) -> None:
        """Be the one that writes. Raises StoreTrouble."""
        try:
            with self._writing().begin():
                self._writing().execute(statements(self._writing()).open_scope, self.scope.columns())
            if isinstance(self.place, Path):
                self._keep_index(self.place)
                # No order waits for a server to have compiled its statements.
                self._rehearse()
                self._number_changes()
        except (DBAPIError, sqlite3.Error) as error:
            self.close()
            raise database_trouble(error, self.place, "opening") from None

    def _keep_index(self, path: Path) -> None:
        """Take the space of the log's index now: on a full disk a page without it would end the process."""
        self._anchor = self._engine.raw_connection()
        self._anchor.cursor().execute("PRAGMA schema_version")
        take_blocks(path)

    def _rehearse(self) -> None:
        """Compile every statement of an entry now (see `rehearsal`); nothing of it is kept."""
        connection = self._writing()
        transaction = connection.begin()
        try:
            write_batch(connection, self.scope, rehearsal(self.scope), {})
            write_batch(connection, self.scope, rehearsal(self.scope, several=True), {})
        finally:
            transaction.rollback()

    def _number_changes(self) -> None:
        with self._writing().begin():
            copy = copy_in(self._writing())
        if copy is not None and copy.is_on:
            self.spool = Spool(copy)

    def commit(self, *batches: Batch) -> None:
        """Write all of `batches`, in their order, durably. Raises CommitFailed, then none was written.

        Asserts when a batch contradicts what is on file: an intent that changed, a bar decided twice.
        """
        assert not self._read_only, "this ledger was opened for reading"
        written: dict[str, OnFile] = {}
        last = 0
        try:
            connection = self._writing()
            with connection.begin():
                for batch in batches:
                    known = ChainMap(written, self._on_file)
                    written |= write_batch(connection, self.scope, batch, known)
                if self.spool is not None and batches:
                    last = self.spool.add(connection, self.scope, batches)
        except (IntegrityError, ProgrammingError, InterfaceError) as error:
            raise AssertionError(f"the batch contradicts the ledger: {error}") from error
        except DBAPIError as error:
            # A connection that failed may hold anything; the next attempt begins with a new one.
            self._hang_up()
            trouble = database_trouble(error, self.place, "writing to")
            raise CommitFailed(str(trouble)) from None
        except StatementError as error:
            raise AssertionError(f"the batch cannot be written: {error.orig or error}") from error
        self._on_file |= written
        self._unfolded += len(batches)
        if last and self.spool is not None:
            self.spool.committed(last)

    def tidy(self) -> None:
        """Fold the write-ahead log back into the file once it is worth it. Waits for nobody, never raises.

        SQLite would do it by itself inside some commit, which may be the one an order waits for. The first
        time the log also gets its blocks, for the same reason.
        """
        if not isinstance(self.place, Path):
            return
        try:
            if not self._log_is_taken:
                is_long = log_of(self.place).stat().st_size >= LOG_BYTES
                take_log(self.place)
                self._log_is_taken = True
            else:
                is_long = self._unfolded >= _WORTH_FOLDING
            if is_long:
                self._fold()
        except (OSError, sqlite3.Error, DBAPIError):
            # What is wrong will meet the next commit, which tells it.
            return

    def _fold(self) -> None:
        raw = self._writing().connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)").close()
        self._unfolded = 0
        # Whoever writes first after that begins the log again, which is synced once more: nobody's order.
        raw.execute("PRAGMA user_version = 0").close()

    def load(self) -> Stored:
        """What a restart needs. Raises StoreTrouble when a stored record cannot be understood."""
        try:
            with self._reading() as connection:
                return load_everything(connection, self.scope)
        except Undecodable as error:
            raise StoreTrouble(
                f"{self.place} holds a record that this version cannot read ({error}); "
                "install the version that wrote it, or restore a backup"
            ) from None
        except DBAPIError as error:
            raise database_trouble(error, self.place, "reading") from None

    def close(self) -> None:
        self._forget_what_was_sent()
        self._hang_up()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        self._engine.dispose()

    def _forget_what_was_sent(self) -> None:
        """So that a file that is in step says so by itself. What is kept too long does no harm."""
        if self.spool is None or self.spool.sent < self.spool.seq:
            return
        try:
            with self._writing().begin():
                self.spool.clear(self._writing())
        except DBAPIError:
            return

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.connect()

    def _writing(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()
