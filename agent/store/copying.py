"""All rows of one agent from one database into another: file to server, or server to file.

In the caller's two transactions, page by page, in the order of the source's ids. Rows get new ids; orders and
fills are tied to the new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, insert, select

from agent.store import schema

_PAGE: Final = 2_000
#: Referred to before referring.
_TABLES: Final = tuple(
    table for table in schema.metadata.sorted_tables if table not in (schema.copies, schema.spool)
)
_REFERS: Final = {"orders": ("intent_id", "intents"), "fills": ("order_id", "orders")}


def copy_rows(
    source: Connection,
    target: Connection,
    *,
    from_agent: str | None,
    to_agent: str,
    told: Callable[[int], None] = lambda rows: None,
) -> int:
    """Returns how many rows there were. `from_agent` None: every row of the source. Nothing is removed."""
    count, ids = 0, dict[str, dict[int, int]]()
    for table in _TABLES:
        ids[table.name] = {}
        after = 0
        while True:
            page = _page(source, table, from_agent, after)
            if not page:
                break
            after = page[-1].id
            _add(target, table, page, to_agent, ids)
            count += len(page)
            told(count)
    return count


def remove_rows(target: Connection, agent_id: str) -> None:
    """In pieces, each short enough for a server's limit of one statement."""
    for table in reversed(_TABLES):
        some = select(table.c.id).where(table.c.agent_id == agent_id).limit(10 * _PAGE)
        while target.execute(delete(table).where(table.c.id.in_(some))).rowcount:
            pass


def _page(source: Connection, table: Table, from_agent: str | None, after: int) -> list[Any]:
    wanted = select(table).where(table.c.id > after).order_by(table.c.id).limit(_PAGE)
    if from_agent is not None:
        wanted = wanted.where(table.c.agent_id == from_agent)
    return list(source.execute(wanted))


def _add(
    target: Connection, table: Table, page: list[Any], to_agent: str, ids: dict[str, dict[int, int]]
) -> None:
    rows = []
    for one in page:
        row = {**one._mapping, "agent_id": to_agent}
        del row["id"]
        if table.name in _REFERS:
            column, whose = _REFERS[table.name]
            row[column] = ids[whose][row[column]]
        rows.append(row)
    if table.name not in ("intents", "orders"):
        target.execute(insert(table), rows)
        return
    made = target.execute(insert(table).returning(table.c.id, sort_by_parameter_order=True), rows)
    ids[table.name].update(zip((one.id for one in page), made.scalars(), strict=True))
