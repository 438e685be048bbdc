"""One agent's rows on a server, through one connection that also holds what the agent claims there.

A claim is a lock of the server's session: one engine for each agent's name, and outside paper one for each
account and pair, on whichever machine it runs. It is free as soon as the session has ended. Every call may
raise StoreTrouble; the connection is then to be given up (`hang_up`) and made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from agent.store.batch import Scope
from agent.store.copying import copy_rows, remove_rows
from agent.store.database import check_schema, database_trouble, open_engine
from agent.store.prepare import prepare
from agent.store.schema import copies
from agent.store.server import Server
from agent.store.spool import Change, Copy, copy_in, put_copy
from agent.store.statements import statements
from agent.store.trouble import StoreTrouble
from agent.store.writing import OnFile, write_batch


class Claimed(StoreTrouble):
    """Another session holds the claim. `by_namesake`: one of the same agent, perhaps what a power cut left of
    this very engine, which the server ends within half a minute."""

    def __init__(self, text: str, by_namesake: bool) -> None:
        super().__init__(text)
        self.by_namesake = by_namesake


class OutOfStep(StoreTrouble):
    """The server's rows are not where the last answer left them."""


class FarLedger:
    """Used by one thread at a time. Touches no network before `connect`."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._claims: dict[str, str] = {server.agent_id: f"agent {server.agent_id}"}
        self._connection: Connection | None = None
        self._is_prepared = False
        self._opened: set[Scope] = set()
        self._on_file: dict[Scope, dict[str, OnFile]] = {}

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def connect(self) -> None:
        """Connect, bring the schema up to date, and claim everything again. Raises Claimed."""
        assert self._connection is None, "it is connected"
        engine = open_engine(self.server, read_only=False)
        with self._words("opening"):
            self._connection = engine.connect()
        try:
            for name, what in self._claims.items():
                self._claim(name, what)
            if not self._is_prepared:
                prepare(self.server)
                self._is_prepared = True
            with self._words("opening"), self._transaction() as connection:
                check_schema(connection, self.server)
        except StoreTrouble:
            self.hang_up()
            raise

    def claim(self, name: str, what: str) -> None:
        """Hold `name` as well, now if there is a connection, and after every new one. Raises Claimed."""
        if self._connection is not None:
            self._claim(name, what)
        self._claims[name] = what

    def standing(self) -> Copy | None:
        """How far this agent's rows are."""
        with self._words("reading"), self._transaction() as connection:
            return copy_in(connection, self.server.agent_id)

    def look(self) -> None:
        """Whether the server still answers."""
        with self._words("reading"), self._transaction() as connection:
            connection.execute(text("SELECT 1"))

    def settings(self) -> dict[str, str]:
        """What decides whether something acknowledged survives, and the server's version."""
        with self._words("reading"), self._transaction() as connection:
            names = ("server_version", "fsync", "full_page_writes", "synchronous_commit")
            return {n: str(connection.execute(text(f"SHOW {n}")).scalar_one()) for n in names}

    def take(self, changes: Sequence[Change], ours: Copy, before: int) -> None:
        """Write `changes`, all or none; durable when it returns. `before` is the last change that is there.

        Raises OutOfStep when it is not, AssertionError when the rows there contradict a change.
        """
        written: dict[Scope, dict[str, OnFile]] = {}
        last = changes[-1].seq
        try:
            with self._words("writing to"), self._transaction() as connection:
                self._advance(connection, ours, before, last)
                for change in changes:
                    scope = self._there(change.scope)
                    if scope not in self._opened:
                        connection.execute(statements(connection).open_scope, scope.columns())
                    known = {**self._on_file.get(scope, {}), **written.get(scope, {})}
                    written.setdefault(scope, {}).update(write_batch(connection, scope, change.batch, known))
        except IntegrityError as error:
            raise AssertionError(f"the change contradicts the server's rows: {error.orig}") from None
        self._opened |= written.keys()
        for scope, known in written.items():
            self._on_file.setdefault(scope, {}).update(known)

    def make_anew(self, source: Connection, ours: Copy, told: Callable[[int], None]) -> None:
        """Replace this agent's rows by all of the file's, as of `source`'s transaction."""
        agent_id = self.server.agent_id
        with self._words("writing to"), self._transaction() as connection:
            remove_rows(connection, agent_id)
            connection.execute(copies.delete().where(copies.c.agent_id == agent_id))
            copy_rows(source, connection, from_agent=None, to_agent=agent_id, told=told)
            put_copy(connection, Copy(agent_id, ours.install, ours.seq))
        self._forget()

    @contextmanager
    def handing_over(self, install: str) -> Iterator[Connection]:
        """A transaction to read every row from; the rows belong to the file `install` when it has ended."""
        agent_id = self.server.agent_id
        with self._words("reading"), self._transaction() as connection:
            yield connection
            connection.execute(update(copies).where(copies.c.agent_id == agent_id).values(install=install))

    def hang_up(self) -> None:
        """Give the connection up, and with it every claim until the next one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()
        self._forget()

    def _forget(self) -> None:
        self._opened, self._on_file = set(), {}

    def _there(self, scope: Scope) -> Scope:
        return Scope(self.server.agent_id, scope.venue, scope.mode, scope.account, scope.pair)

    def _advance(self, connection: Connection, ours: Copy, before: int, last: int) -> None:
        mine = (
            copies.c.agent_id == self.server.agent_id,
            copies.c.install == ours.install,
            copies.c.seq == before,
        )
        moved = connection.execute(update(copies).where(*mine).values(seq=last))
        if moved.rowcount != 1:
            raise OutOfStep(f"change {before} is not the last one of {ours.agent_id} in {self.server}")

    def _claim(self, name: str, what: str) -> None:
        key = _key(name)
        with self._words("opening"), self._transaction() as connection:
            if connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
                return
            parts = {"upper": key >> 32 & _WORD, "lower": key & _WORD}
            found: Any = connection.execute(_HOLDER, parts).first()
        who = (
            "" if found is None else f" (a session from {found.client or 'that machine'} since {found.since})"
        )
        raise Claimed(
            f"another engine works for {what} in {self.server}{who}; stop it first, or give this one another "
            "name (?application_name=NAME in agent.database_url)",
            by_namesake=found is not None and found.name == self.server.agent_id,
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._connection is None:
            raise StoreTrouble(f"{self.server} is not connected")
        with self._connection.begin():
            yield self._connection

    @contextmanager
    def _words(self, doing: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise database_trouble(error, self.server, doing) from None


_WORD = 0xFFFF_FFFF
_HOLDER = text(
    "SELECT host(a.client_addr) AS client, a.application_name AS name, "
    "to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' AS since "
    "FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' "
    "AND l.granted AND l.objsubid = 1 AND l.classid::bigint = :upper AND l.objid::bigint = :lower"
)


def _key(name: str) -> int:
    """A server's lock is a number of 64 bits."""
    return int.from_bytes(hashlib.sha256(b"seller-exhaustion\0" + name.encode()).digest()[:8], signed=True)
