"""Whether a simulated exchange is still the one whose history is stored.

A simulated exchange that is started again at the same address begins its time anew. What is stored for the
address then lies in its future: bars would be decided a second time and positions would hold coins that its
account never bought. Such a start is refused in words; nothing stored is touched.
"""

from __future__ import annotations

from agent.compose.ledger_journal import DURABLE_KEY
from agent.core.instant import iso_utc
from agent.core.state import Durable
from agent.store.batch import Stored
from agent.store.codec import decode


def another_run(stored: Stored, venue: str, now_ms: int) -> str | None:
    """Why `venue`, whose time is `now_ms`, is not where `stored` comes from; None when it may be."""
    body = stored.documents.get(DURABLE_KEY)
    decided_ms = None if body is None else decode(Durable, body).decided_open_ms
    if decided_ms is None or decided_ms <= now_ms:
        return None
    return (
        f"{venue} is at {iso_utc(now_ms)}, but what happened there until {iso_utc(decided_ms)} is stored"
        " already: it was started again from the beginning. Use another --data-dir, or start the market at"
        " a later time with its --start."
    )
