"""What the venue tells: everything that happened, in order.

Belongs here: one type per kind of news, made once and kept. Stays true: news hold what was true when they
were made; whoever adds up all of them knows what the venue knows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from agent.core.value import Value
from agent.localexchange.venue.ledger import Balance
from agent.localexchange.venue.order import Order, OrderList, Trade
from agent.localexchange.venue.words import Execution


class Report(Value, frozen=True):
    """Something happened to an order. `on_book` tells whether it is on the book afterwards."""

    id: int
    at_ms: int
    execution: Execution
    order: Order
    on_book: bool
    trade: Trade | None = None
    prevented: Decimal | None = None


class Positions(Value, frozen=True):
    """Balances that a command may have changed."""

    at_ms: int
    balances: tuple[tuple[str, Balance], ...]


class Flow(Value, frozen=True):
    """A deposit (positive) or a withdrawal."""

    at_ms: int
    asset: str
    delta: Decimal


class ListChanged(Value, frozen=True):
    """An order list began or ended."""

    at_ms: int
    list: OrderList


News: TypeAlias = Report | Positions | Flow | ListChanged
