"""What the paper broker reads back of its own history: settled orders and fills of one paper account.

Each read is a short read-only transaction of its own, so it sees everything that was durable when it
began. Writing goes through the ledger's writer, like everything else.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from sqlalchemy import BindParameter, Select, bindparam, select
from sqlalchemy.exc import DBAPIError

from agent.core.order import Fill
from agent.store import schema
from agent.store.batch import Scope
from agent.store.codec import Json
from agent.store.codec_values import from_text
from agent.store.database import Place, database_trouble, open_for_reading
from agent.store.statements import scoped
from agent.store.writing import fill_of


class _Questions:
    def __init__(self) -> None:
        accounts, orders, fills = schema.paper_accounts, schema.paper_orders, schema.paper_fills
        client_id: BindParameter[Any] = bindparam("client_id")
        self.account = select(accounts.c.body).where(*scoped(accounts))
        self.order = select(orders.c.body).where(*scoped(orders), orders.c.client_id == client_id)
        own = select(fills).where(*scoped(fills))
        self.fills_of = own.where(fills.c.client_id == client_id).order_by(fills.c.id)
        self.fills_since = own.where(fills.c.at_ms >= bindparam("since_ms")).order_by(fills.c.id)


_questions: Final = functools.cache(_Questions)


class PaperRows:
    """Reads of one scope's paper account. Raises StoreTrouble."""

    def __init__(self, place: Place, scope: Scope) -> None:
        self._place = place
        self._whose = scope.columns()
        self._engine = open_for_reading(place)

    def account(self) -> Json:
        """The account's document, None before it was first written."""
        rows = self._all(_questions().account)
        return from_text(rows[0].body) if rows and rows[0].body is not None else None

    def order(self, client_id: str) -> Json:
        """The broker's own record of a settled order, None when there is none."""
        rows = self._all(_questions().order, client_id=client_id)
        return from_text(rows[0].body) if rows else None

    def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        """Every fill of one order, in order of execution."""
        return tuple(fill_of(row) for row in self._all(_questions().fills_of, client_id=client_id))

    def fills_since(self, since_ms: int) -> tuple[Fill, ...]:
        """Every fill at or after `since_ms`, in order of execution."""
        return tuple(fill_of(row) for row in self._all(_questions().fills_since, since_ms=since_ms))

    def close(self) -> None:
        self._engine.dispose()

    def _all(self, asked: Select[Any], **given: str | int) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(asked, {**self._whose, **given}))
        except DBAPIError as error:
            raise database_trouble(error, self._place, "reading") from None
