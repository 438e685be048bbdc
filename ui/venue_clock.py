"""Venue time between two messages: it goes on at the rate it was seen to go.

Law: nothing is decided by this clock. It is shown, and only shown; the engine has its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_APART_S: Final = 2.0
_KEPT_S: Final = 20.0


class VenueClock:
    """Fed with (venue time, machine seconds); a market that runs faster than life is followed."""

    def __init__(self) -> None:
        self._first: tuple[datetime, float] | None = None
        self._last: tuple[datetime, float] | None = None
        self.speed = 1.0

    def seen(self, at: datetime, machine_s: float) -> None:
        if self._first is None or (self._last is not None and at < self._last[0]):
            self._first = (at, machine_s)
        self._last = (at, machine_s)
        passed_s = machine_s - self._first[1]
        if passed_s >= _APART_S:
            self.speed = max(1.0, (at - self._first[0]).total_seconds() / passed_s)
            if self.speed < 1.5:
                self.speed = 1.0
        if passed_s >= _KEPT_S:
            self._first = self._last

    def now(self, machine_s: float) -> datetime | None:
        """None before anything was seen. Never more than ten seconds of machine time ahead."""
        if self._last is None:
            return None
        at, seen_s = self._last
        return at + timedelta(seconds=min(machine_s - seen_s, 10.0) * self.speed)
