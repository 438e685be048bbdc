"""What a second source of candles thought of the bars that were decided on, as it is kept in the ledger."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from agent.core.instant import iso_utc
from agent.store import schema
from agent.store.batch import Scope
from agent.store.codec import Json, from_text
from agent.store.reading import Reader, of_selection

OPINION_KEY: Final = "second_opinion"


def stored_opinion(reader: Reader, scope: Scope) -> Json:
    """None where there was none."""
    table = schema.documents
    mine = (*of_selection(table, scope.selection), table.c.key == OPINION_KEY)
    rows = reader.rows(select(table.c.body).where(*mine))
    return from_text(rows[0].body) if rows else None


def opinion_line(document: Json) -> str | None:
    """A sentence for people."""
    if not isinstance(document, dict):
        return None
    compared, differing = int(document.get("compared", 0)), int(document.get("differing", 0))  # type: ignore[arg-type]
    line = f"Second opinion: {compared:,} bars compared with Polygon's, {differing or 'none'} differed"
    if differing:
        apart = float(document.get("apart", 0))  # type: ignore[arg-type]
        line += f", the last one at {iso_utc(int(document.get('last_open_ms', 0)))} by {apart:.2%}"  # type: ignore[arg-type]
    return line + "."
