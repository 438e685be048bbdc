"""Permission is a type: an order may be sent only as `Approved`, and only this module makes one.

`assess` answers every wish to enter with all its numbers, passed or not; `approve_exit` answers a wish
to leave, which is refused for one reason only: selling more than we own.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.core.order import Intent
from agent.core.records import Check


@dataclass(frozen=True, slots=True)
class Approved:
    """An intent that passed every check, with the numbers."""

    intent: Intent
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str
    checks: tuple[Check, ...]
