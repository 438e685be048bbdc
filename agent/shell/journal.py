"""What one step changed, for the store: whatever is another object than before.

Positions that wait for their risk check are not written: nothing was sent for them. Neither is an order of
which nothing is new but the moment it is asked about next, because a start asks about every order that is not
settled at once. The step's rows and the state that explains them go into one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.core.commands import Command, Keep
from agent.core.order import Order
from agent.core.position import Position, PositionState
from agent.core.records import Row
from agent.core.state import AgentState, Durable
from agent.core.value import Value, replace

UNWRITTEN = frozenset({PositionState.SIGNAL, PositionState.RISK_CHECK})


class Changes(Value, frozen=True):
    """One step's worth of writing."""

    at_ms: int
    rows: tuple[Row, ...]
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    durable: Durable | None
    status: Mapping[str, Any] | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.rows or self.orders or self.positions or self.durable)


def stores_the_same(before: AgentState, after: AgentState) -> bool:
    """Whether nothing of what is stored became another object."""
    return (
        after.orders is before.orders
        and after.positions is before.positions
        and after.durable is before.durable
    )


def changes(before: AgentState, after: AgentState, commands: Iterable[Command]) -> Changes:
    """Compare by identity: every value in the state is immutable, so the same object is the same value."""
    positions = []
    if after.positions is not before.positions:
        for number, position in after.positions.items():
            if before.positions.get(number) is position or position.state in UNWRITTEN:
                continue
            positions.append(position)
    orders: tuple[Order, ...] = ()
    if after.orders is not before.orders:
        known = before.orders
        orders = tuple(
            [o for k, o in after.orders.items() if (was := known.get(k)) is not o and _is_news(was, o)]
        )
    return Changes(
        at_ms=after.now_ms,
        rows=tuple([c.row for c in commands if isinstance(c, Keep)]),
        orders=orders,
        positions=tuple(positions),
        durable=after.durable if after.durable is not before.durable else None,
    )


def _is_news(before: Order | None, after: Order) -> bool:
    if before is None or after.is_settled:
        return True
    return replace(before, next_lookup_ms=after.next_lookup_ms) != after
