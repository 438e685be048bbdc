"""What a server may not have yet: every change of a ledger's file, numbered in its own transaction.

Stays true: the file alone is enough to go on, to trade and to start again. A server gets every change once,
in order, however often either side dies, because both keep the number of the last one they have in the same
transaction as the change. A number without a change behind it means that the file was changed in another way,
and that the server's rows must be made anew (`meeting.compare`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from agent.store.batch import Batch, Scope
from agent.store.batch_codec import decode_batch, encode_batch
from agent.store.codec import Undecodable, from_text, to_text
from agent.store.database import database_trouble, open_engine
from agent.store.schema import copies
from agent.store.schema import spool as table
from agent.store.trouble import StoreTrouble

#: Changes that are read and sent at once, at most.
GROUP: Final = 64
_COPY: Final = select(copies)


@dataclass(frozen=True, slots=True)
class Copy:
    """How far one side is. `install` names the file whose changes are numbered; each new file has its own."""

    agent_id: str
    install: str
    seq: int
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    seq: int
    scope: Scope
    batch: Batch


class Spool:
    """The numbering of one file's changes, for its one writer. `told` is called after each commit."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        #: The last change that is committed.
        self.seq = copy.seq
        #: The last one the server is known to have; set by whoever sends them.
        self.sent = 0
        self.told: Callable[[], None] = lambda: None
        self._cleared = 0

    def add(self, connection: Connection, scope: Scope, batches: Sequence[Batch]) -> int:
        """Within the transaction that makes these changes; returns the number of the last of them."""
        whose = to_text(list(scope.columns().values()))
        first = self.seq + 1
        rows = [
            {"seq": first + n, "scope": whose, "body": to_text(encode_batch(batch))}
            for n, batch in enumerate(batches)
        ]
        connection.execute(insert(table), rows)
        last = self.seq + len(rows)
        connection.execute(update(copies).values(seq=last, updated_ms=_wall_ms()))
        if self.sent > self._cleared:
            self.clear(connection)
        return last

    def clear(self, connection: Connection) -> None:
        """Throw away what the server has."""
        sent = self.sent
        connection.execute(delete(table).where(table.c.seq <= sent))
        self._cleared = sent

    def committed(self, last: int) -> None:
        self.seq = last
        self.told()


def copy_in(connection: Connection, agent_id: str | None = None) -> Copy | None:
    """How far the copy is: of the agent on a server, of the file without an `agent_id`."""
    wanted = _COPY
    if agent_id is not None:
        wanted = wanted.where(copies.c.agent_id == agent_id)
    row: Any = connection.execute(wanted).one_or_none()
    return None if row is None else Copy(row.agent_id, row.install, row.seq, row.is_on)


def oldest_in(connection: Connection) -> int | None:
    """The number of the oldest change that is still kept."""
    found: int | None = connection.execute(select(func.min(table.c.seq))).scalar_one()
    return found


def changes_after(connection: Connection, seq: int) -> tuple[Change, ...]:
    """The next ones behind `seq`, at most `GROUP`. Raises StoreTrouble for one that cannot be read."""
    wanted = select(table).where(table.c.seq > seq).order_by(table.c.seq).limit(GROUP)
    return tuple(_change(row) for row in connection.execute(wanted))


def _change(row: Any) -> Change:
    try:
        scope: Any = from_text(row.scope)
        return Change(row.seq, Scope(*scope), decode_batch(from_text(row.body)))
    except (Undecodable, ValueError, KeyError, TypeError) as error:
        raise StoreTrouble(
            f"change {row.seq} cannot be understood ({error}); install the version that wrote it"
        ) from None


def new_install() -> str:
    return secrets.token_hex(8)


def begin_copy(path: Path, agent_id: str) -> Copy:
    """Number every change of this file from now on, for `agent_id` on a server. Raises StoreTrouble.

    What was changed while nobody numbered, or for another name, has no number of its own: one is left out.
    """
    begun = _changed(path, lambda now: _begun(now, agent_id))
    assert begun is not None
    return begun


def _begun(now: Copy | None, agent_id: str) -> Copy:
    if now is None:
        return Copy(agent_id, new_install(), 0)
    if now.is_on and now.agent_id == agent_id:
        return now
    return Copy(agent_id, now.install, now.seq + 1)


def end_copy(path: Path) -> None:
    """No server any more: nothing is kept for one. Raises StoreTrouble."""
    _changed(path, lambda now: None if now is None else replace(now, is_on=False))


def leave_out_a_number(path: Path, at_least: int = 0) -> None:
    """The file was changed otherwise than by a commit: the server's rows are to be made anew."""
    _changed(path, lambda now: None if now is None else replace(now, seq=max(now.seq, at_least) + 1))


def number_in(path: Path) -> int:
    """The last change of a file that may be damaged, or of an older program, or not there: then 0."""
    try:
        found = _read(path)
    except (StoreTrouble, DBAPIError):
        return 0
    return 0 if found is None else found.seq


def is_kept_twice(path: Path) -> bool:
    """Whether a server gets every change of this file. Raises StoreTrouble."""
    try:
        found = _read(path)
    except DBAPIError as error:
        raise database_trouble(error, path, "reading") from None
    return found is not None and found.is_on


def _read(path: Path) -> Copy | None:
    engine = open_engine(path, read_only=True)
    try:
        with engine.connect() as connection:
            return copy_in(connection)
    finally:
        engine.dispose()


def _changed(path: Path, change: Callable[[Copy | None], Copy | None]) -> Copy | None:
    """Only by the holder of the instance lock. A changed number throws away what is kept."""
    engine = open_engine(path, read_only=False)
    try:
        with engine.begin() as connection:
            before = copy_in(connection)
            after = change(before)
            if after is None or after == before:
                return before
            connection.execute(delete(copies))
            connection.execute(delete(table))
            put_copy(connection, after)
            return after
    except DBAPIError as error:
        raise database_trouble(error, path, "writing to") from None
    finally:
        engine.dispose()


def put_copy(connection: Connection, copy: Copy) -> None:
    row = {"agent_id": copy.agent_id, "install": copy.install, "seq": copy.seq, "is_on": copy.is_on}
    connection.execute(insert(copies), {**row, "updated_ms": _wall_ms()})


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
