"""The answer to a wish to trade: a type of its own, so that nothing unapproved can be sent.

Only `agent.core.risk` makes these.
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
