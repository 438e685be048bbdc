"""Until when each exchange wants no requests, kept in a small file of the data directory.

The exchange bans an address, not a database: the file is read before the first request of any process of
this agent, also when the database cannot be opened.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final

from agent.store.trouble import file_trouble

LOG: Final = logging.getLogger("agent")
FILE: Final = "rate-limits.json"


class Silences:
    """Deadlines in venue time, by venue (`binance@host`)."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def until_ms(self, venue: str) -> int:
        """0 when none is known."""
        found = self._read().get(venue)
        return found if type(found) is int else 0

    def keep(self, venue: str, until_ms: int) -> None:
        """Write it down. A full disk is told and ends nothing: this process keeps the deadline itself."""
        known = {**self._read(), venue: until_ms}
        partial = self._path.with_name(f".{FILE}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(known), encoding="ascii")
            os.replace(partial, self._path)
        except OSError as error:
            LOG.warning("%s", file_trouble(error, self._path, "writing"))

    def _read(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}
