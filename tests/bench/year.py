"""A year of an agent's life as rows, written the quick way: what a long-lived ledger holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from agent.store.batch import Scope
from agent.store.ledger import Ledger
from agent.store.prepare import prepare

MINUTE_MS: Final = 60_000
BAR_MS: Final = 15 * MINUTE_MS
DAY_MS: Final = 86_400_000
DAYS: Final = 365
TRADES: Final = 1_000


def write_year(path: Path, scope: Scope, until_ms: int) -> dict[str, int]:
    """A row of the account each minute, a decision each bar, a hundred events a day; no trades, whose records
    only the engine itself can make. Returns the number of rows by table."""
    prepare(path)
    Ledger.open(path, scope).close()
    whose = tuple(scope.columns().values())
    begin_ms = until_ms - DAYS * DAY_MS
    hundredths = range(begin_ms, until_ms, DAY_MS // 100)
    quiet = (1, 0, 0, "no_signal", "volume z 1.100 not above 2; range z 0.400 not above 1.2", "flag")
    minutes, bars = range(begin_ms, until_ms, MINUTE_MS), range(begin_ms, until_ms, BAR_MS)
    tables: dict[str, tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]] = {
        "balances": (
            ("at_ms", "balance", "equity"),
            ((at, "10000.12345678", str(10_000 + at % 977)) for at in minutes),
        ),
        "decisions": (
            (
                *("bar_open_ms", "decided_ms", "close", "ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc"),
                *("downtrend", "exhaustion", "borderline", "outcome", "reason", "closed_by"),
            ),
            ((at, at + BAR_MS + 40, 0.34, 0.341, 0.342, 0.002, 1.1, 0.4, 0.5, *quiet) for at in bars),
        ),
        "events": (
            ("at_ms", "level", "kind", "text"),
            ((at, "INFO", "feed", "fresh, from websocket") for at in hundredths),
        ),
    }
    counts = {}
    with closing(sqlite3.connect(path)) as database, database:
        for name, (columns, rows) in tables.items():
            names = ("agent_id", "venue", "mode", "account", "pair", *columns)
            places = ", ".join("?" * len(names))
            made = database.executemany(
                f"INSERT INTO {name} ({', '.join(names)}) VALUES ({places})", (whose + row for row in rows)
            )
            counts[name] = made.rowcount
    return counts
