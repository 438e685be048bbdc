"""The last word before an order goes to the wire: what was true when it was decided may be so no longer.

One rule for every connection that can move money. An entry stays when the halt latch has fallen or another
order's unknown outcome has overtaken its approval. Any order stays that waited for longer than it takes to
prove that an order is absent: the core may have given it up by now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.order import PROVEN_ABSENT_AFTER_MS, Intent, Purpose
from agent.core.ports import Clock

#: Why a request must not leave now, asked right before it does; None when it may.
LastWord = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class OrderGuard:
    """Asks `halted` and `overtaken` (why not, by client id) anew for each order."""

    clock: Clock
    halted: Callable[[], bool]
    overtaken: Callable[[str], str | None]

    def last_word(self, intent: Intent) -> LastWord:
        """The question for the order of `intent`."""
        return lambda: self._may_not_leave(intent)

    def _may_not_leave(self, intent: Intent) -> str | None:
        if intent.purpose is Purpose.ENTRY:
            if self.halted():
                return "the halt latch is set"
            if (why := self.overtaken(intent.client_id)) is not None:
                return why
        waited_ms = self.clock.now_ms() - intent.created_ms
        if waited_ms > PROVEN_ABSENT_AFTER_MS:
            return f"the order waited for {waited_ms / 1_000:.0f} s"
        return None
