"""The statements that write, built once for each kind of database. SQLAlchemy compiles each of them once.

Upserts exist in the same form in SQLite and PostgreSQL, each in its own dialect's `insert`.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, Table, bindparam, func, select, text, update

from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS


def _insert_of(dialect: str) -> Any:
    """Loaded when it is used: a ledger in a file needs nothing of a server's."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


class Statements:
    """Every statement that writes rows of a scope, in one dialect."""

    def __init__(self, insert: Any) -> None:
        self._insert = insert
        self.put_document = self._upsert(schema.documents, "key")
        self.put_trade = self._upsert(schema.trades, "position_id")
        #: Returns the new row's id, or nothing when the intent is known already.
        self.add_intent = self._add_once(schema.intents, "client_id").returning(schema.intents.c.id)
        self.put_order = self._upsert(schema.orders, "client_id", keep=("intent_id",)).returning(
            schema.orders.c.id
        )
        #: Its `rowcount` is 0 for a fill that is known already.
        self.add_fill = self._add_once(schema.fills, "client_id", "trade_id").execution_options(
            preserve_rowcount=True
        )
        self.add_config = insert(schema.configs)
        self.add_verdict = insert(schema.verdicts)
        self.add_balance = insert(schema.balances)
        self.add_decision = insert(schema.decisions)
        self.add_event = insert(schema.events)
        self.add_dust = insert(schema.dust)
        self.put_paper_account = self._upsert(
            schema.paper_accounts, keep=("number", "opened_ms", "closed_ms")
        )
        self.put_paper_order = self._upsert(schema.paper_orders, "client_id", keep=("number",))
        self.add_paper_fill = self._add_once(schema.paper_fills, "trade_id")
        newest = select(func.coalesce(func.max(schema.scopes.c.opened), 0) + 1).scalar_subquery()
        opened = insert(schema.scopes).values(opened=newest)
        #: Make a scope the one opened last.
        self.open_scope = opened.on_conflict_do_update(
            index_elements=list(SCOPE_COLUMNS), set_={"opened": opened.excluded.opened}
        )

    def _upsert(self, table: Table, *key: str, keep: tuple[str, ...] = ()) -> Any:
        """Insert, or overwrite everything but the key and `keep`."""
        statement = self._insert(table)
        fixed = {"id", *SCOPE_COLUMNS, *key, *keep}
        changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in fixed}
        return statement.on_conflict_do_update(index_elements=[*SCOPE_COLUMNS, *key], set_=changed)

    def _add_once(self, table: Table, *key: str) -> Any:
        return self._insert(table).on_conflict_do_nothing(index_elements=[*SCOPE_COLUMNS, *key])


@functools.cache
def _of(dialect: str) -> Statements:
    return Statements(_insert_of(dialect))


def statements(connection: Connection) -> Statements:
    """Those of the database behind `connection`."""
    return _of(connection.dialect.name)


def scoped(table: FromClause) -> list[ColumnElement[bool]]:
    """The conditions that make a row of `table` one of a scope, whose columns are given when it is asked."""
    return [table.c[name] == bindparam(name) for name in SCOPE_COLUMNS]


#: In the very words of the indexes over them: SQLite does not find those through `is_open = 1`.
IS_OPEN: Final = text("trades.is_open")
IS_UNSETTLED: Final = text("NOT orders.is_settled")

_intents: Final = schema.intents
FIND_INTENT: Final = select(_intents.c.id, _intents.c.record).where(
    *scoped(_intents), _intents.c.client_id == bindparam("client_id")
)

_fills: Final = schema.fills
#: The value of a fee whose currency had no price when the fill was written.
VALUE_FEE: Final = (
    update(_fills)
    .where(
        # An update keeps the names of columns for the values it sets.
        *(_fills.c[name] == bindparam(f"of_{name}") for name in (*SCOPE_COLUMNS, "client_id", "trade_id")),
        _fills.c.fee_quote.is_(None),
    )
    .values(fee_quote=bindparam("value"))
)
FIND_FILLS: Final = select(_fills).where(*scoped(_fills), _fills.c.client_id == bindparam("client_id"))
