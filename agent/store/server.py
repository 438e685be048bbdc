"""A PostgreSQL database as a place of a ledger: its name without its password, and connections with an end.

Nothing here waits without a limit: connecting, every statement and every commit end within seconds, on this
side too, because a network may swallow answers without a word. What is acknowledged is on the server's disk
(`synchronous_commit`). No sentence shows a password, nor any part of an address that was not understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from agent.config.secret import Secret
from agent.store.trouble import StoreTrouble

#: What the server may take for one statement, and for a lock within it.
STATEMENT_TIMEOUT_MS: Final = 5_000
LOCK_TIMEOUT_MS: Final = 3_000
#: How long this side waits for any answer; more than the server takes to refuse by itself.
PATIENCE_S: Final = 6.0
#: What tells one agent's rows from another's in the address, and its sessions in the server's own lists.
NAME_PARAMETER: Final = "application_name"

_MISSING: Final = (
    "agent.database_url names PostgreSQL, whose driver psycopg is not installed; run `make setup`, or "
    "pip install 'seller-exhaustion-agent[postgresql]'"
)
_UNREADABLE: Final = (
    "agent.database_url is no address that can be used: write postgresql://USER@HOST:5432/DATABASE and leave "
    "the password to ~/.pgpass; signs like @ : / # in a name are written %40 %3A %2F %23"
)
_NAMELESS: Final = (
    f"{NAME_PARAMETER} in agent.database_url names this agent: write up to 60 letters, digits, - or _ there"
)
#: A refusal that a second try may cure, in the words of the server.
_PASSING: Final = re.compile(
    r"starting up|not yet accepting|shutting down|in recovery|too many|connection slots|terminating"
)


@dataclass(frozen=True, slots=True)
class Server:
    """One database on a server, and the name of the agent whose rows are meant there."""

    url: Secret
    agent_id: str
    _shown: str = field(default="", compare=False)
    #: How long this side waits for any answer.
    patience_s: float = field(default=PATIENCE_S, compare=False)

    @classmethod
    def at(cls, url: Secret, agent_id: str) -> Server:
        """`application_name` in the address, where there is one, is the agent's name instead of `agent_id`.

        Raises StoreTrouble, whose text shows nothing of an address that is not understood.
        """
        try:
            parts = make_url(_plain(url))
        except (ArgumentError, ValueError):
            raise StoreTrouble(_UNREADABLE) from None
        host = parts.host or parts.query.get("host") or "this machine"
        if not parts.database or not isinstance(host, str) or re.search(r"[@\s]", host + parts.database):
            raise StoreTrouble(_UNREADABLE)
        named = parts.query.get(NAME_PARAMETER)
        if named is not None and not re.fullmatch(r"[\w.-]{1,60}", str(named), re.ASCII):
            raise StoreTrouble(_NAMELESS)
        where = f"{host}:{parts.port}" if parts.port else host
        shown = f"the PostgreSQL database {parts.database} at {where}"
        return cls(url, named if isinstance(named, str) and named else agent_id, shown)

    def __str__(self) -> str:
        return self._shown

    @property
    def conninfo(self) -> str:
        """What the driver connects with. It may hold the password."""
        return _plain(self.url)


def password_in(url: Secret) -> str | None:
    """So that it can be hidden from logs."""
    try:
        return make_url(_plain(url)).password
    except (ArgumentError, ValueError):
        return None


def _plain(url: Secret) -> str:
    """The address without the name of a driver, which only SQLAlchemy knows."""
    scheme, separator, rest = url.reveal().partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


def server_engine(server: Server, *, read_only: bool) -> Engine:
    """Connections are opened and closed by their user. Touches no network yet. Raises StoreTrouble.

    A reader sees one moment for as long as its transaction lasts. The writer sees what is committed: it is
    the only one of its agent, and says so in every transaction (`spool.advance`).
    """
    try:
        from agent.store.psycopg_link import connect
    except ImportError:
        raise StoreTrouble(_MISSING) from None
    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(server, read_only=read_only),
        poolclass=NullPool,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
    )


def server_trouble(error: DBAPIError, server: Server, doing: str) -> StoreTrouble:
    """What the server or the way to it says, as a sentence. `doing` is "reading" or "writing to"."""
    state = getattr(error.orig, "sqlstate", None)
    said = " ".join(str(error.orig).split()).partition(" Is the server running")[0]
    said = said.removeprefix("connection failed: ")
    return StoreTrouble(f"{doing} {server} failed: {_reason(state, said)} ({said[:300]})")


def is_final(text: str) -> bool:
    """Whether what `server_trouble` said will be said again however often it is tried: a wrong password, a
    database that is not there, a right that is missing. A server that cannot be reached is not final."""
    return any(mark in text for mark in _FINAL_MARKS)


_REFUSED: Final = "the server refuses this user; check the address, ~/.pgpass and pg_hba.conf"
_ABSENT: Final = "there is no such database or user there; create it, or correct agent.database_url"
_FORBIDDEN: Final = "this user may not do that; grant it the database (and CREATE on its schema public)"
_FINAL_MARKS: Final = (
    _REFUSED,
    _ABSENT,
    _FORBIDDEN,
    _MISSING,
    _UNREADABLE,
    "newer version of this program",
    "another program",
)


def _reason(state: str | None, said: str) -> str:
    if state is None and "FATAL" in said and not _PASSING.search(said):
        return _ABSENT if "does not exist" in said else _REFUSED
    if state in ("42501",):
        return _FORBIDDEN
    if state in ("57014", "55P03") or "no answer" in said:
        return "it does not answer in time"
    if state is not None and state.startswith("53"):
        return "the server is out of disk, memory or connections"
    if state is None or state.startswith(("08", "57")):
        return "it cannot be reached; check that the server runs and the way to it is open"
    return "PostgreSQL refused"
