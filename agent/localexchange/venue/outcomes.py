"""What became of a command.

Belongs here: the answers of the venue, as types. Stays true: an answer shows what was true when its command
was done, whatever followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.localexchange.venue.order import Order, OrderList, Trade
from agent.localexchange.venue.refusals import RefusedError


@dataclass(frozen=True, slots=True)
class Placed:
    """An accepted order as it was when the command was done, and what it traded in it."""

    order: Order
    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class PlacedList:
    list: OrderList
    orders: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Canceled:
    """One order, or all of a list: canceling a leg cancels them all."""

    orders: tuple[Order, ...]
    list: OrderList | None


@dataclass(frozen=True, slots=True)
class Which:
    """How a command names an order or a list."""

    id: int | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of the two halves of a cancel-replace; `placed` is None when it was not attempted."""

    canceled: Canceled | RefusedError
    placed: Placed | RefusedError | None
