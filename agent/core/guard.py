"""What rests on the exchange for a position: a stop alone, or a stop and a target as one order list.

The legs of a list share one quantity and only one of them ever trades: one that begins to work expires the
other, and canceling one ends both. So a list is one thing here, with one quantity that it may still sell; a
leg whose partner has ended is believed about nothing until its own word has come.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from agent.core.money import ZERO
from agent.core.order import TERMINAL, Order, OrderStatus, Purpose, Side
from agent.core.value import Value


class Guard(Value, frozen=True):
    """All legs, ended or not, oldest first."""

    legs: tuple[Order, ...]

    @property
    def is_pair(self) -> bool:
        return self.legs[0].intent.list_id is not None

    @property
    def stop(self) -> Order | None:
        return next((leg for leg in self.legs if leg.intent.purpose is Purpose.PROTECT), None)

    @property
    def target(self) -> Order | None:
        return next((leg for leg in self.legs if leg.intent.purpose is Purpose.TARGET), None)

    @property
    def is_settled(self) -> bool:
        return all(leg.is_settled for leg in self.legs)

    @property
    def is_steady(self) -> bool:
        """Whether it is known to rest: no leg is in doubt, being canceled, or left over from a cancel."""
        over = (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.NOT_PLACED)
        return all(
            leg.status not in over if leg.is_settled else leg.is_working and leg.cancel_sent_ms is None
            for leg in self.legs
        )

    @property
    def is_triggered(self) -> bool:
        """Whether its stop price was reached, and what came of that has not ended."""
        stop = self.stop
        return stop is not None and stop.triggered_ms is not None and not stop.is_settled

    @property
    def filled(self) -> Decimal:
        return sum((leg.filled for leg in self.legs), ZERO)

    @property
    def leaves_qty(self) -> Decimal:
        """Base currency it may still sell, by everything known so far."""
        if all(leg.status in TERMINAL for leg in self.legs):
            return ZERO
        return max(ZERO, self.legs[0].intent.qty - self.filled)

    @property
    def is_spent(self) -> bool:
        """Whether it has sold all it was for, by fills in our ledger."""
        return self.filled >= self.legs[0].intent.qty

    @property
    def working(self) -> tuple[Order, ...]:
        return tuple(leg for leg in self.legs if leg.is_working)


def guards_in(orders: Iterable[Order]) -> tuple[Guard, ...]:
    """The resting orders among `orders`, settled ones included, oldest first."""
    groups: dict[str, list[Order]] = {}
    for order in orders:
        if order.intent.rests:
            groups.setdefault(order.intent.list_id or order.intent.client_id, []).append(order)
    return tuple(Guard(tuple(legs)) for legs in groups.values())


def selling_in(orders: Iterable[Order]) -> Decimal:
    """Base currency that all the sell orders among `orders` may still take together."""
    orders = tuple(orders)
    alone = (o.leaves_qty for o in orders if o.intent.side is Side.SELL and not o.intent.rests)
    return sum(alone, ZERO) + sum((guard.leaves_qty for guard in guards_in(orders)), ZERO)
