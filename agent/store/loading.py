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

from sqlalchemy import BindParameter, Connection, bindparam, func, select

from agent.core.order import Fill, Intent, Order
from agent.core.position import Position
from agent.store import schema
from agent.store.batch import AcceptedConfig, Scope, Stored
from agent.store.codec import Json, Undecodable, decode, from_text
from agent.store.statements import IS_OPEN, IS_UNSETTLED, scoped
from agent.store.writing import fill_of

#: How many of the latest positions a restart remembers although they ended.
LATE_FILL_POSITIONS: Final = 20


class _Questions:
    """What a restart asks of a scope. Built once: building a statement costs more than asking it."""

    def __init__(self) -> None:
        trades, intents, orders, fills = schema.trades, schema.intents, schema.orders, schema.fills
        configs, documents = schema.configs, schema.documents
        ids: BindParameter[Any] = bindparam("ids", expanding=True)
        self.config = select(configs).where(*scoped(configs)).order_by(configs.c.id.desc()).limit(1)
        self.documents = select(documents.c.key, documents.c.body).where(*scoped(documents))
        self.highest = tuple(
            select(func.max(table.c.position_id)).where(*scoped(table)) for table in (trades, intents)
        )
        #: Positions that are open, those that an unsettled order may still change, and the latest that ended:
        #: a fill of an order thought dead may still turn up, and must find its position.
        self.position_ids = (
            select(trades.c.position_id).where(*scoped(trades), IS_OPEN),
            select(intents.c.position_id)
            .join(orders, orders.c.intent_id == intents.c.id)
            .where(*scoped(orders), IS_UNSETTLED),
            select(trades.c.position_id)
            .where(*scoped(trades))
            .order_by(trades.c.position_id.desc())
            .limit(LATE_FILL_POSITIONS),
        )
        self.positions = (
            select(trades.c.record)
            .where(*scoped(trades), trades.c.position_id.in_(ids))
            .order_by(trades.c.position_id)
        )
        # Orders have an index over their client ids, and none over the numbers of their intents.
        decided = intents.alias("decided")
        client_ids = select(decided.c.client_id).where(*scoped(decided), decided.c.position_id.in_(ids))
        theirs = (*scoped(orders), orders.c.client_id.in_(client_ids))
        self.orders = (
            select(orders.c.id, orders.c.record, intents.c.record.label("intent"))
            .join(intents, orders.c.intent_id == intents.c.id)
            .where(*theirs)
            .order_by(orders.c.id)
        )
        of_them = fills.c.order_id.in_(select(orders.c.id).where(*theirs))
        self.fills = select(fills).where(of_them).order_by(fills.c.id)


_questions: Final = functools.cache(_Questions)


def load_everything(connection: Connection, scope: Scope) -> Stored:
    """Raises Undecodable when a record cannot be understood."""
    whose = scope.columns()
    open_ids = _position_ids(connection, whose)
    orders = _orders(connection, whose, open_ids)
    return Stored(
        documents=_documents(connection, whose),
        positions=_positions(connection, whose, open_ids | {o.intent.position_id for o in orders}),
        orders=orders,
        last_position_id=_last_position_id(connection, whose),
        config=last_config(connection, scope),
    )


def last_config(connection: Connection, scope: Scope) -> AcceptedConfig | None:
    row = connection.execute(_questions().config, scope.columns()).one_or_none()
    return None if row is None else AcceptedConfig(row.config_hash, row.body, row.at_ms)


def _documents(connection: Connection, whose: dict[str, str]) -> dict[str, Json]:
    return {row.key: from_text(row.body) for row in connection.execute(_questions().documents, whose)}


def _last_position_id(connection: Connection, whose: dict[str, str]) -> int:
    return max(connection.execute(asked, whose).scalar_one() or 0 for asked in _questions().highest)


def _position_ids(connection: Connection, whose: dict[str, str]) -> set[int]:
    found = (connection.execute(asked, whose).scalars() for asked in _questions().position_ids)
    return {position_id for some in found for position_id in some}


def _positions(connection: Connection, whose: dict[str, str], ids: Iterable[int]) -> tuple[Position, ...]:
    found = connection.execute(_questions().positions, {**whose, "ids": sorted(ids)})
    return tuple(recorded_position(record) for record in found.scalars())


def _orders(connection: Connection, whose: dict[str, str], ids: Iterable[int]) -> tuple[Order, ...]:
    asked = {**whose, "ids": sorted(ids)}
    rows = connection.execute(_questions().orders, asked).all()
    fills: dict[int, list[Fill]] = defaultdict(list)
    for row in connection.execute(_questions().fills, asked):
        fills[row.order_id].append(fill_of(row))
    return tuple(_order(row, tuple(fills[row.id])) for row in rows)


def _order(row: Any, fills: tuple[Fill, ...]) -> Order:
    order = recorded_order(row.record, row.intent)
    return replace(order, fills=fills) if order.fills != fills else order


def recorded_position(record: str) -> Position:
    """The position as it was written. Raises Undecodable."""
    return decode(Position, from_text(record))


def recorded_order(record: str, intent: str) -> Order:
    """The order as it was written, in agreement with its intent. Raises Undecodable."""
    written, decided = from_text(record), from_text(intent)
    order = decode(Order, written)
    # In the same words it is the same intent; an older version may have used others.
    in_same_words = isinstance(written, dict) and written["intent"] == decided
    if not in_same_words and order.intent != decode(Intent, decided):
        raise Undecodable(f"order {order.intent.client_id} and its intent contradict each other")
    return order
