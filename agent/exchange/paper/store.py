"""What the paper broker asks of whoever keeps its account, and a keeper in memory.

One `save` is one transaction: after a kill at any moment `load` answers either the state before it or
the state after it, with exactly the history that belongs to it. A save that failed may have happened,
may happen later, or never; the broker repeats it until it succeeds and goes nowhere else before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.core.order import Fill
from agent.exchange.paper.state import PaperOrder, PaperState


class PaperStoreError(Exception):
    """The account cannot be read or written now; the message says why."""


class PaperStore(Protocol):
    """Keeps one paper account: a small document that is replaced, and a history that only grows.

    Saves take effect in the order in which they were made, also when the caller of one was canceled. A
    reset is a new account, kept apart from this one. Raises PaperStoreError and nothing else.
    """

    async def load(self) -> PaperState | None:
        """The state of the last save, or None when there is no account yet."""
        ...

    async def save(self, state: PaperState, orders: Sequence[PaperOrder], fills: Sequence[Fill]) -> None:
        """Replace the state and add `orders` (those that just settled) and `fills`; durable on return.

        Repeating a save changes nothing: an order counts once by its number, a fill by its trade id.
        """
        ...

    async def order(self, client_id: str) -> PaperOrder | None:
        """The newest settled order with this client id."""
        ...

    async def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        """Every fill of orders with this client id, settled or open, in order of execution."""
        ...

    async def fills_since(self, since_ms: int) -> tuple[Fill, ...]:
        """Every fill at or after `since_ms`, in order of execution."""
        ...


class MemoryPaperStore:
    """An account that lasts as long as this object: tests, replay, simulation."""

    def __init__(self, state: PaperState | None = None) -> None:
        self.state = state
        self.orders: dict[int, PaperOrder] = {}
        self.fills: dict[str, Fill] = {}

    async def load(self) -> PaperState | None:
        return self.state

    async def save(self, state: PaperState, orders: Sequence[PaperOrder], fills: Sequence[Fill]) -> None:
        self.state = state
        self.orders |= {order.order_id: order for order in orders}
        self.fills |= {fill.trade_id: fill for fill in fills}

    async def order(self, client_id: str) -> PaperOrder | None:
        return next((o for o in reversed(self.orders.values()) if o.ticket.client_id == client_id), None)

    async def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        return tuple(fill for fill in self.fills.values() if fill.client_id == client_id)

    async def fills_since(self, since_ms: int) -> tuple[Fill, ...]:
        return tuple(fill for fill in self.fills.values() if fill.at_ms >= since_ms)
