"""Paper accounts: which one is current, and how a new one begins. Old accounts and their rows stay.

The current account's number is part of the scope (`paper-3`), so everything the agent stores under an old
account stays apart from the new one. Only the holder of the instance lock starts an account.
"""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from agent.store import schema
from agent.store.batch import Scope
from agent.store.database import Place, database_trouble, open_engine, open_for_reading

_MODE = "paper"


def paper_scope(place: Place, agent_id: str, venue: str, pair: str) -> Scope:
    """The scope of the current paper account: number 1 until `start_paper_account` is called."""
    engine = open_for_reading(place)
    with engine.connect() as connection:
        number = max(_highest(connection, agent_id, venue, pair), 1)
    return _scope(agent_id, venue, pair, number)


def start_paper_account(place: Place, agent_id: str, venue: str, pair: str, at_ms: int) -> Scope:
    """Close the current paper account and open the next one; returns the new scope. Raises StoreTrouble.

    `at_ms` is wall time. The new account has no state: the paper broker fills it with the initial balance.
    """
    old = paper_scope(place, agent_id, venue, pair)
    engine = open_engine(place, read_only=False)
    accounts = schema.paper_accounts
    mine = [accounts.c[name] == value for name, value in old.columns().items()]
    try:
        with engine.begin() as connection:
            number = max(_highest(connection, agent_id, venue, pair), 1) + 1
            new = _scope(agent_id, venue, pair, number)
            connection.execute(update(accounts).where(*mine).values(closed_ms=at_ms))
            connection.execute(
                insert(accounts).values(**new.columns(), number=number, opened_ms=at_ms, updated_ms=at_ms)
            )
    except DBAPIError as error:
        raise database_trouble(error, place, "writing to") from None
    finally:
        engine.dispose()
    return new


def _scope(agent_id: str, venue: str, pair: str, number: int) -> Scope:
    return Scope(agent_id, venue, _MODE, f"paper-{number}", pair)


def _highest(connection: Connection, agent_id: str, venue: str, pair: str) -> int:
    whose = {"agent_id": agent_id, "venue": venue, "mode": _MODE, "pair": pair}
    found: int | None = connection.execute(_question(), whose).scalar_one()
    return found or 0


@functools.cache
def _question() -> Select[Any]:
    table = schema.paper_accounts
    mine = [table.c[name] == bindparam(name) for name in ("agent_id", "venue", "mode", "pair")]
    return select(func.max(table.c.number)).where(*mine)
