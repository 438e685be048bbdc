"""What the paper broker reads back of its own history: settled orders and fills of one paper account.

Each read is a short read-only transaction of its own, so it sees everything that was durable when it
began. Writing goes through the ledger's writer, like everything else.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import DBAPIError

from agent.core.order import Fill
from agent.store import schema
from agent.store.batch import Scope
from agent.store.codec import Json
from agent.store.codec_values import from_text
from agent.store.database import Place, database_trouble, open_for_reading
from agent.store.loading import of_scope
from agent.store.writing import fill_of


class PaperRows:
    """Reads of one scope's paper account. Raises StoreTrouble."""

    def __init__(self, place: Place, scope: Scope) -> None:
        self._place = place
        self._scope = scope
        self._engine = open_for_reading(place)

    def account(self) -> Json:
        """The account's document, None before it was first written."""
        table = schema.paper_accounts
        rows = self._all(select(table.c.body).where(*of_scope(table, self._scope)))
        return from_text(rows[0].body) if rows and rows[0].body is not None else None

    def order(self, client_id: str) -> Json:
        """The broker's own record of a settled order, None when there is none."""
        table = schema.paper_orders
        wanted = select(table.c.body).where(*of_scope(table, self._scope), table.c.client_id == client_id)
        rows = self._all(wanted)
        return from_text(rows[0].body) if rows else None

    def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        """Every fill of one order, in order of execution."""
        table = schema.paper_fills
        wanted = select(table).where(*of_scope(table, self._scope), table.c.client_id == client_id)
        return tuple(fill_of(row) for row in self._all(wanted.order_by(table.c.id)))

    def fills_since(self, since_ms: int) -> tuple[Fill, ...]:
        """Every fill at or after `since_ms`, in order of execution."""
        table = schema.paper_fills
        wanted = select(table).where(*of_scope(table, self._scope), table.c.at_ms >= since_ms)
        return tuple(fill_of(row) for row in self._all(wanted.order_by(table.c.id)))

    def close(self) -> None:
        self._engine.dispose()

    def _all(self, wanted: Select[Any]) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(wanted))
        except DBAPIError as error:
            raise database_trouble(error, self._place, "reading") from None
