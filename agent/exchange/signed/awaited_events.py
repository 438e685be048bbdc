"""Whether the user stream tells what it must: an order that was accepted by REST has to appear on it.

PURE. A stream that answers pings may still have gone deaf; nothing on it says so. Times are machine time.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from agent.core.order import OrderReport


@dataclass(frozen=True, slots=True)
class _Awaited:
    executed_qty: Decimal
    overdue_ms: float


class AwaitedEvents:
    """`expect` after an answer by REST, `heard` for every event, `overdue` now and then."""

    def __init__(self, patience_ms: float) -> None:
        self._patience_ms = patience_ms
        self._awaited: dict[str, _Awaited] = {}
        self._heard: dict[str, Decimal] = {}

    def expect(self, report: OrderReport, now_ms: float) -> None:
        """The stream must tell of this order, and of as much execution as REST knows of."""
        heard = self._heard.get(report.client_id)
        if heard is None or heard < report.executed_qty:
            self._awaited[report.client_id] = _Awaited(report.executed_qty, now_ms + self._patience_ms)

    def heard(self, report: OrderReport) -> None:
        client_id = report.client_id
        # An answer may come later than its events; a few of the last ones are remembered.
        most = max(self._heard.pop(client_id, report.executed_qty), report.executed_qty)
        self._heard[client_id] = most
        if len(self._heard) > 64:
            del self._heard[next(iter(self._heard))]
        awaited = self._awaited.get(client_id)
        if awaited is not None and most >= awaited.executed_qty:
            del self._awaited[client_id]

    def overdue(self, now_ms: float) -> str | None:
        """The client id of an order that the stream should have told of by now."""
        return next((name for name, awaited in self._awaited.items() if now_ms >= awaited.overdue_ms), None)

    def forget(self) -> None:
        """The stream begins anew; what it missed is read by REST."""
        self._awaited.clear()
        self._heard.clear()
