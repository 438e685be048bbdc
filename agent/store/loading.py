"""What a restart reads back, found through indexes however long the history is.

An order is put together from three places: the intent as it was decided, the order's own record, and its
fills. They were written together, so a contradiction between them means a damaged file.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, func, select

from agent.core.order import Fill, Intent, Order
from agent.core.position import Position
from agent.store import schema
from agent.store.batch import AcceptedConfig, Scope, Stored
from agent.store.codec import Json, Undecodable, decode, from_text
from agent.store.writing import fill_of

#: How many of the latest positions a restart remembers although they ended.
LATE_FILL_POSITIONS: Final = 20


def load_everything(connection: Connection, scope: Scope) -> Stored:
    """Raises Undecodable when a record cannot be understood."""
    open_ids = _position_ids(connection, scope)
    orders = _orders(connection, scope, open_ids)
    return Stored(
        documents=_documents(connection, scope),
        positions=_positions(connection, scope, open_ids | {o.intent.position_id for o in orders}),
        orders=orders,
        last_position_id=_last_position_id(connection, scope),
        config=last_config(connection, scope),
    )


def last_config(connection: Connection, scope: Scope) -> AcceptedConfig | None:
    table = schema.configs
    wanted = select(table).where(*of_scope(table, scope)).order_by(table.c.id.desc()).limit(1)
    row = connection.execute(wanted).one_or_none()
    return None if row is None else AcceptedConfig(row.config_hash, row.body, row.at_ms)


@functools.lru_cache(maxsize=64)
def of_scope(table: Table, scope: Scope) -> tuple[Any, ...]:
    return tuple(table.c[name] == value for name, value in scope.columns().items())


def _documents(connection: Connection, scope: Scope) -> dict[str, Json]:
    table = schema.documents
    rows = connection.execute(select(table.c.key, table.c.body).where(*of_scope(table, scope)))
    return {row.key: from_text(row.body) for row in rows}


def _last_position_id(connection: Connection, scope: Scope) -> int:
    found = 0
    for table in (schema.trades, schema.intents):
        highest = select(func.max(table.c.position_id)).where(*of_scope(table, scope))
        found = max(found, connection.execute(highest).scalar_one() or 0)
    return found


def _position_ids(connection: Connection, scope: Scope) -> set[int]:
    """Positions that are open, those that an unsettled order may still change, and the latest that ended:
    a fill of an order thought dead may still turn up, and must find its position."""
    trades, intents, orders = schema.trades, schema.intents, schema.orders
    is_open = select(trades.c.position_id).where(*of_scope(trades, scope), trades.c.is_open)
    unsettled = (
        select(intents.c.position_id)
        .join(orders, orders.c.intent_id == intents.c.id)
        .where(*of_scope(orders, scope), ~orders.c.is_settled)
    )
    latest = (
        select(trades.c.position_id)
        .where(*of_scope(trades, scope))
        .order_by(trades.c.position_id.desc())
        .limit(LATE_FILL_POSITIONS)
    )
    found = (connection.execute(wanted).scalars() for wanted in (is_open, unsettled, latest))
    return {position_id for some in found for position_id in some}


def _positions(connection: Connection, scope: Scope, ids: Iterable[int]) -> tuple[Position, ...]:
    table = schema.trades
    wanted = (
        select(table.c.record)
        .where(*of_scope(table, scope), table.c.position_id.in_(sorted(ids)))
        .order_by(table.c.position_id)
    )
    return tuple(decode(Position, from_text(record)) for record in connection.execute(wanted).scalars())


def _orders(connection: Connection, scope: Scope, position_ids: Iterable[int]) -> tuple[Order, ...]:
    intents, orders = schema.intents, schema.orders
    wanted = (
        select(orders.c.id, orders.c.record, intents.c.record.label("intent"))
        .join(intents, orders.c.intent_id == intents.c.id)
        .where(*of_scope(intents, scope), intents.c.position_id.in_(sorted(position_ids)))
        .order_by(orders.c.id)
    )
    rows = connection.execute(wanted).all()
    fills = _fills(connection, wanted)
    return tuple(_order(row, tuple(fills[row.id])) for row in rows)


def _fills(connection: Connection, orders: Select[Any]) -> dict[int, list[Fill]]:
    table, ids = schema.fills, orders.order_by(None).with_only_columns(schema.orders.c.id)
    found: dict[int, list[Fill]] = defaultdict(list)
    for row in connection.execute(select(table).where(table.c.order_id.in_(ids)).order_by(table.c.id)):
        found[row.order_id].append(fill_of(row))
    return found


def _order(row: Any, fills: tuple[Fill, ...]) -> Order:
    order = decode(Order, from_text(row.record))
    intent = decode(Intent, from_text(row.intent))
    if order.intent != intent:
        raise Undecodable(f"order {intent.client_id} and its intent contradict each other")
    return replace(order, fills=fills)
