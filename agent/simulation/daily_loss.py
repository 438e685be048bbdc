"""The day's loss as the venue's books tell it, whatever the agent has counted.

Belongs here: what the agent's money was worth at the beginning of each UTC day, and whether an entry leaves
after more of it was lost than the configuration allows. Stays true: a day that begins with something held is
not judged, because nobody knows at which price the agent marked it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.account import day_of

#: The agent sees prices a little later than the venue has them; a share of the day's start.
SLACK: Final = Decimal("0.005")


class DailyLoss:
    """Amounts in quote currency; `outside` is what had come from outside in all."""

    def __init__(self, most_percent: Decimal, worth: Decimal, now_ms: int) -> None:
        self._most_percent = most_percent
        self._day = day_of(now_ms)
        self._start: Decimal | None = worth
        self._outside = Decimal(0)

    def look(self, now_ms: int, worth: Decimal, outside: Decimal, *, holds: bool) -> None:
        """At any moment; the first one of a day counts."""
        if day_of(now_ms) != self._day:
            self._day, self._outside = day_of(now_ms), outside
            self._start = None if holds else worth

    def forget(self) -> None:
        """The account began anew: this day is not judged any more."""
        self._start = None

    def too_much(self, worth: Decimal, outside: Decimal) -> str | None:
        """What was lost, if it is more than an entry may follow."""
        if self._start is None:
            return None
        lost = self._start + outside - self._outside - worth
        most = self._start * self._most_percent / 100
        if lost <= most + self._start * SLACK:
            return None
        return f"{lost:.2f} of {self._start:.2f} were lost today, {most:.2f} are allowed"
