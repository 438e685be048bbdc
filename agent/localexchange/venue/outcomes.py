"""What became of a command.

Belongs here: the answers of the venue, as types. Stays true: an answer shows what was true when its command
was done, whatever followed.
"""

from __future__ import annotations

from agent.core.value import Value
from agent.localexchange.venue.order import Order, OrderList, Trade
from agent.localexchange.venue.refusals import RefusedError


class Placed(Value, frozen=True):
    """An accepted order as it was when the command was done, and what it traded in it."""

    order: Order
    trades: tuple[Trade, ...]


class PlacedList(Value, frozen=True):
    list: OrderList
    orders: tuple[Placed, ...]


class Canceled(Value, frozen=True):
    """One order, or all of a list: canceling a leg cancels them all."""

    orders: tuple[Order, ...]
    list: OrderList | None


class Which(Value, frozen=True):
    """How a command names an order or a list."""

    id: int | None = None
    client_id: str | None = None


class Replaced(Value, frozen=True):
    """What became of the two halves of a cancel-replace; `placed` is None when it was not attempted."""

    canceled: Canceled | RefusedError
    placed: Placed | RefusedError | None
