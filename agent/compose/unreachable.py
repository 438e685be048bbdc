"""The exchange before it was reached: every request fails in the way that proves nothing.

The core may already look for orders of the last run; it learns that it must ask again. Nothing is ever
placed here, because no position is driven before the pair's rules are known.
"""

from __future__ import annotations

from typing import Final

from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    CancelFailed,
    FillsSeen,
    LookupFailed,
    OrderRefused,
)
from agent.core.order import Intent
from agent.core.ports import Canceled, Lookup, Placed, Sink
from agent.core.verdict import Approved, ApprovedPair

WHY: Final = "the exchange has not been reached yet"


class Unreachable:
    """An `Exchange` that is not there, and why."""

    def __init__(self, why: str = WHY) -> None:
        self._why = why

    async def place(self, approved: Approved) -> Placed:
        return OrderRefused(approved.intent.client_id, 0, self._why)

    async def cancel(self, intent: Intent) -> Canceled:
        return CancelFailed(intent.client_id, None, self._why)

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        return CancelFailed(cancel.client_id, None, self._why), None

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        stop, target = pair.legs
        return OrderRefused(stop.client_id, 0, WHY), OrderRefused(target.client_id, 0, WHY)

    async def look_up(self, intent: Intent) -> Lookup:
        return LookupFailed(intent.client_id, self._why)

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed:
        return LookupFailed(intent.client_id, self._why)

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        return AccountUnreadable(self._why)

    async def run(self, sink: Sink) -> None:
        return None

    async def close(self) -> None:
        return None
