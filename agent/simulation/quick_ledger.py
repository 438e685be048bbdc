"""The product's ledger on a connection without SQLAlchemy's machinery around every statement.

Belongs here: executing the statements that the store's own writing, and its reading at a start, hand over,
each compiled once; understanding each record that is read once. Stays true: what is written and read, in
which order and in which transactions is the product's doing; the same batches leave the same rows, and a
start reads the same from them, as through SQLAlchemy (the tests compare both); an error becomes the one that
SQLAlchemy would have raised. In the thorough profile everything goes the product's own way.
"""

from __future__ import annotations

import functools
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Self, cast

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from agent.simulation.disk import Disk
from agent.store import database, loading
from agent.store.batch import Scope
from agent.store.ledger import Ledger

#: A start reads much that the start before it read: the same words are the same order, which never changes.
recorded_order: Final = functools.lru_cache(maxsize=200)(loading.recorded_order)
recorded_position: Final = functools.lru_cache(maxsize=200)(loading.recorded_position)

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")
Params = Mapping[str, Any]
_NOTHING: Final[Params] = {}
_PLACES_AT_ONCE: Final = 16
#: What is done to the value at a place on its way into the file.
_Bind = tuple[int, Callable[[Any], Any]]


def _places(given: Sequence[Any]) -> int:
    """How many places a list gets. SQLite must understand the statement anew for every other number."""
    return -(-len(given) // _PLACES_AT_ONCE) * _PLACES_AT_ONCE


class _Compiled:
    """One statement for one set of parameter names."""

    def __init__(self, statement: Any, names: Sequence[str]) -> None:
        compiled = cast(Any, statement.compile(dialect=_DIALECT, column_keys=list(names)))
        self.text: str = str(compiled)
        processors, places = compiled._bind_processors, list(compiled.positiontup)
        #: Values of the statement itself.
        self.own: Params = {name: compiled.params.get(name) for name in places if name not in names}
        self.places = places
        self.values: Callable[[Params], tuple[Any, ...]] | None = None
        if len(places) > 1:
            self.values = cast(Callable[[Params], tuple[Any, ...]], itemgetter(*places))
        self.binds: list[_Bind] = [
            (place, processors[name]) for place, name in enumerate(places) if name in processors
        ]
        #: Those that stand for as many values as are given.
        self.lists = frozenset(bind.key for bind in compiled.post_compile_params)
        assert not self.lists & processors.keys(), "lists of plain numbers alone are asked for"
        columns = compiled._result_columns or ()
        self.processors = [
            column.type._cached_result_processor(_DIALECT, None) for column in columns
        ]  # fmt: skip
        self.plain = not any(self.processors)
        self.row: Any = namedtuple("Row", [column.keyname for column in columns]) if columns else None

    def bound(self, params: Params) -> Sequence[Any]:
        given = {**self.own, **params} if self.own else params
        if self.lists:
            return [value for name in self.places for value in self._values(name, given[name])]
        if self.values is None:
            values = [given[name] for name in self.places]
        elif self.binds:
            values = list(self.values(given))
        else:
            return self.values(given)
        for place, processor in self.binds:
            values[place] = processor(values[place])
        return values

    def _values(self, name: str, value: Any) -> Sequence[Any]:
        if name not in self.lists:
            return (value,)
        # Whoever is in the list is in it twice.
        return [*value, *value[-1:] * (_places(value) - len(value))]

    def read(self, row: tuple[Any, ...]) -> list[Any]:
        pairs = zip(row, self.processors, strict=True)
        return [value if processor is None else processor(value) for value, processor in pairs]

    def worded(self, params: Params) -> str:
        """The statement with a place for every value that is given, and some more."""
        text = self.text
        for name in self.lists:
            places = ", ".join("?" * _places(params[name])) or "NULL"
            text = text.replace(f"__[POSTCOMPILE_{name}]", places)
        return text


#: More than the store has. Who asks with a statement made for one question alone must not fill the memory.
_MOST_COMPILED: Final = 500
_COMPILED: Final[dict[tuple[int, tuple[str, ...]], tuple[Any, _Compiled]]] = {}


def _compiled(statement: Any, params: Params) -> _Compiled:
    key = id(statement), tuple(params)
    found = _COMPILED.get(key)
    if found is None:
        if len(_COMPILED) >= _MOST_COMPILED:
            _COMPILED.clear()
        # The statement is kept, so that no other one has its id meanwhile.
        found = _COMPILED[key] = statement, _Compiled(statement, key[1])
    return found[1]


class _Result:
    """What a statement found, as far as the store asks for it."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> list[Any]:
        return self._rows

    def one(self) -> Any:
        (row,) = self._rows
        return row

    def one_or_none(self) -> Any:
        return self.one() if self._rows else None

    def scalars(self) -> list[Any]:
        return [row[0] for row in self._rows]

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
    """Stands where the store expects a `sqlalchemy.Connection`."""

    dialect = _DIALECT

    def __init__(self, raw: sqlite3.Connection, opened: Any = None) -> None:
        self.connection = opened
        self._raw = raw

    def begin(self) -> _Transaction:
        self.say("BEGIN IMMEDIATE")
        return _Transaction(self)

    def say(self, words: str) -> None:
        try:
            self._raw.execute(words)
        except sqlite3.Error as error:
            raise _as_sqlalchemy(words, error) from error

    def execute(self, statement: Any, params: Params | list[Params] = _NOTHING) -> _Result:
        if isinstance(params, list):
            return self._execute_many(_compiled(statement, params[0]), params)
        compiled = _compiled(statement, params)
        text = compiled.worded(params) if compiled.lists else compiled.text
        try:
            cursor = self._raw.execute(text, compiled.bound(params))
            if compiled.row is None:
                return _Result([], cursor.rowcount)
            found = cursor.fetchall()
        except sqlite3.Error as error:
            raise _as_sqlalchemy(text, error) from error
        make = compiled.row._make
        if compiled.plain:
            return _Result([make(row) for row in found], cursor.rowcount)
        return _Result([make(compiled.read(row)) for row in found], cursor.rowcount)

    def _execute_many(self, compiled: _Compiled, rows: list[Params]) -> _Result:
        try:
            cursor = self._raw.executemany(compiled.text, [compiled.bound(row) for row in rows])
        except sqlite3.Error as error:
            raise _as_sqlalchemy(compiled.text, error) from error
        return _Result([], cursor.rowcount)

    def invalidate(self) -> None:
        self.connection.invalidate()

    def close(self) -> None:
        self.connection.close()


def _as_sqlalchemy(text: str, error: sqlite3.Error) -> Exception:
    return cast(Exception, DBAPIError.instance(text, None, error, sqlite3.Error, dialect=_DIALECT))


class QuickReaders:
    """Stands where readers expect an engine: all of them are answered from where the world reads."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        yield cast(Connection, QuickConnection(self._disk.informed))

    def dispose(self) -> None:
        return None


class QuickLedger(Ledger):
    """`Ledger` of the quick profile. Made by `on`; the disk keeps its connection for the next process."""

    _disk: Disk

    @classmethod
    def on(cls, disk: Disk, scope: Scope) -> Self:
        """That of a world's process."""
        ledger = cls(
            database.open_engine(disk.database, read_only=False), disk.database, scope, read_only=False
        )
        ledger._disk = disk
        ledger._begin()
        return ledger

    def _writing(self) -> Connection:
        if self._connection is None:
            opened = self._disk.writer()
            raw = cast(sqlite3.Connection, opened.dbapi_connection)
            self._connection = cast(Connection, QuickConnection(raw, opened))
        return self._connection

    def _hang_up(self) -> None:
        # A commit failed.
        self._connection = None
        self._disk.drop_writer()

    def close(self) -> None:
        self._connection = None

    def _reading(self) -> AbstractContextManager[Connection]:
        return nullcontext(self._writing())

    def _keep_index(self, path: Path) -> None:
        """The world reads the same files and keeps the log and its index in being."""

    def _rehearse(self) -> None:
        """What it is for, compiling, was done by the first world."""
