"""The product's ledger on a connection without SQLAlchemy's machinery around every statement.

Belongs here: executing the statements that the store's own writing hands over, each compiled once. Stays
true: what is written, in which order and in which transactions is the product's doing; the same batches leave
the same rows as through SQLAlchemy (the tests compare them); an error becomes the one that SQLAlchemy would
have raised. Reading at a start goes the product's own way, and so does everything in the thorough profile.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from agent.store.batch import Stored
from agent.store.database import open_for_reading
from agent.store.ledger import Ledger

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")
Params = Mapping[str, Any]
#: A value from the parameters or the statement's own, and what is done to it on its way into the file.
_Bind = tuple[str, Any, Callable[[Any], Any] | None]


class _Compiled:
    """One statement for one set of parameter names."""

    def __init__(self, statement: Any, names: Sequence[str]) -> None:
        compiled = cast(Any, statement.compile(dialect=_DIALECT, column_keys=list(names)))
        assert not compiled.post_compile_params, "only writing is done here, and single rows are found"
        self.text: str = str(compiled)
        own, processors = compiled.params, compiled._bind_processors
        self.binds: list[_Bind] = [
            (name, own.get(name), processors.get(name)) for name in compiled.positiontup
        ]
        columns = compiled._result_columns or ()
        self.processors = [
            column.type._cached_result_processor(_DIALECT, None) for column in columns
        ]  # fmt: skip
        self.row: Any = namedtuple("Row", [column.keyname for column in columns]) if columns else None

    def bound(self, params: Params) -> list[Any]:
        values = []
        for name, own, processor in self.binds:
            value = params.get(name, own)
            values.append(value if processor is None else processor(value))
        return values


_COMPILED: Final[dict[tuple[int, tuple[str, ...]], tuple[Any, _Compiled]]] = {}


def _compiled(statement: Any, params: Params) -> _Compiled:
    key = id(statement), tuple(params)
    found = _COMPILED.get(key)
    if found is None:
        # The statement is kept, so that no other one ever has its id.
        found = _COMPILED[key] = statement, _Compiled(statement, key[1])
    return found[1]


class _Result:
    """What a statement found, as far as the store's writing asks for it."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> list[Any]:
        return self._rows

    def one(self) -> Any:
        (row,) = self._rows
        return row

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        return self.one()[0] if self._rows else None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


class _Transaction:
    def __init__(self, connection: QuickConnection) -> None:
        self._connection = connection

    def __enter__(self) -> _Transaction:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._connection.say("ROLLBACK" if kind else "COMMIT")

    def rollback(self) -> None:
        self._connection.say("ROLLBACK")


class QuickConnection:
    """Stands where the store's writing expects a `sqlalchemy.Connection`."""

    dialect = _DIALECT

    def __init__(self, opened: Any) -> None:
        self.connection = opened
        self._raw: sqlite3.Connection = opened.dbapi_connection

    def begin(self) -> _Transaction:
        self.say("BEGIN IMMEDIATE")
        return _Transaction(self)

    def say(self, words: str) -> None:
        try:
            self._raw.execute(words)
        except sqlite3.Error as error:
            raise _as_sqlalchemy(words, error) from error

    def execute(self, statement: Any, params: Params | list[Params]) -> _Result:
        several = isinstance(params, list)
        rows = cast("list[Params]", params if several else [params])
        compiled = _compiled(statement, rows[0])
        try:
            if several:
                cursor = self._raw.executemany(compiled.text, [compiled.bound(row) for row in rows])
                return _Result([], cursor.rowcount)
            cursor = self._raw.execute(compiled.text, compiled.bound(rows[0]))
            if compiled.row is None:
                return _Result([], cursor.rowcount)
            found = [self._read(compiled, row) for row in cursor.fetchall()]
            return _Result(found, cursor.rowcount)
        except sqlite3.Error as error:
            raise _as_sqlalchemy(compiled.text, error) from error

    def _read(self, compiled: _Compiled, row: tuple[Any, ...]) -> Any:
        pairs = zip(row, compiled.processors, strict=True)
        return compiled.row(*(value if read is None else read(value) for value, read in pairs))

    def invalidate(self) -> None:
        self.connection.invalidate()

    def close(self) -> None:
        self.connection.close()


def _as_sqlalchemy(text: str, error: sqlite3.Error) -> Exception:
    return cast(Exception, DBAPIError.instance(text, None, error, sqlite3.Error, dialect=_DIALECT))


class QuickLedger(Ledger):
    """`Ledger` of the quick profile."""

    def _writing(self) -> Connection:
        if self._connection is None:
            self._connection = cast(Connection, QuickConnection(self._engine.raw_connection()))
        return self._connection

    def load(self) -> Stored:
        """Through the connection that readers share."""
        engine, self._engine = self._engine, open_for_reading(self.place)
        try:
            return super().load()
        finally:
            self._engine = engine

    def _rehearse(self) -> None:
        """What it is for, compiling, was done by the first world."""
