"""The answer to a wish to trade: a type of its own, so that nothing unapproved can be sent.

Only `agent.core.risk` makes these.
"""

from __future__ import annotations

from agent.core.order import Intent
from agent.core.records import Check
from agent.core.value import Value


class Approved(Value, frozen=True):
    """An intent that passed every check, with the numbers."""

    intent: Intent
    checks: tuple[Check, ...]


class ApprovedPair(Value, frozen=True):
    """A stop and a target as one order list (OCO): of the two only one ever trades."""

    stop: Approved
    target: Approved

    def __post_init__(self) -> None:
        stop, target = self.legs
        assert stop.list_id is not None, "the legs of a list name it"
        assert stop.list_id == target.list_id, "both legs belong to the same list"
        assert (stop.qty, stop.side) == (target.qty, target.side), "both legs sell the same"

    @property
    def legs(self) -> tuple[Intent, Intent]:
        return self.stop.intent, self.target.intent

    @property
    def list_id(self) -> str:
        assert self.stop.intent.list_id is not None
        return self.stop.intent.list_id


class Refused(Value, frozen=True):
    reason: str
    checks: tuple[Check, ...]
