"""The statements that write, built once from the schema. SQLAlchemy compiles each of them once.

Upserts exist in this form in SQLite and PostgreSQL; another database takes its `insert` from its own dialect.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Table, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import Insert, insert

from agent.store import schema
from agent.store.batch import SCOPE_COLUMNS


def _scoped(table: Table) -> list[ColumnElement[bool]]:
    return [table.c[name] == bindparam(name) for name in SCOPE_COLUMNS]


def _upsert(table: Table, *key: str, keep: tuple[str, ...] = ()) -> Insert:
    """Insert, or overwrite everything but the key and `keep`."""
    statement = insert(table)
    fixed = {"id", *SCOPE_COLUMNS, *key, *keep}
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in fixed}
    return statement.on_conflict_do_update(index_elements=[*SCOPE_COLUMNS, *key], set_=changed)


def _add_once(table: Table, *key: str) -> Insert:
    return insert(table).on_conflict_do_nothing(index_elements=[*SCOPE_COLUMNS, *key])


PUT_DOCUMENT: Final = _upsert(schema.documents, "key")
PUT_TRADE: Final = _upsert(schema.trades, "position_id")
#: Returns the new row's id, or nothing when the intent is known already.
ADD_INTENT: Final = _add_once(schema.intents, "client_id").returning(schema.intents.c.id)
PUT_ORDER: Final = _upsert(schema.orders, "client_id", keep=("intent_id",)).returning(schema.orders.c.id)
ADD_FILL: Final = _add_once(schema.fills, "client_id", "trade_id")
ADD_CONFIG: Final = insert(schema.configs)
ADD_VERDICT: Final = insert(schema.verdicts)
ADD_BALANCE: Final = insert(schema.balances)
ADD_DECISION: Final = insert(schema.decisions)
ADD_EVENT: Final = insert(schema.events)
ADD_DUST: Final = insert(schema.dust)
PUT_PAPER_ACCOUNT: Final = _upsert(schema.paper_accounts, keep=("number", "opened_ms", "closed_ms"))
PUT_PAPER_ORDER: Final = _upsert(schema.paper_orders, "client_id", keep=("number",))
ADD_PAPER_FILL: Final = _add_once(schema.paper_fills, "trade_id")

_newest: Final = select(func.coalesce(func.max(schema.scopes.c.opened), 0) + 1).scalar_subquery()
_open_scope: Final = insert(schema.scopes).values(opened=_newest)
#: Make a scope the one opened last.
OPEN_SCOPE: Final = _open_scope.on_conflict_do_update(
    index_elements=list(SCOPE_COLUMNS), set_={"opened": _open_scope.excluded.opened}
)

_intents: Final = schema.intents
FIND_INTENT: Final = select(_intents.c.id, _intents.c.record).where(
    *_scoped(_intents), _intents.c.client_id == bindparam("client_id")
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
FIND_FILLS: Final = select(_fills).where(*_scoped(_fills), _fills.c.client_id == bindparam("client_id"))
