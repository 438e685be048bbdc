"""The paper account as a value: balances, open orders, running numbers. Nothing here acts.

`PaperState` is the hot document: it is rewritten with every change and therefore holds only what can
still change. A settled order and every fill leave it at once through `Moved` and are appended to the
history, so the document stays a few hundred bytes however long the account lives.

What stays true: the locked part of each balance is exactly the sum of what the open orders lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from agent.core.events import Holding
from agent.core.instrument import Instrument
from agent.core.money import ZERO
from agent.core.order import (
    TERMINAL,
    Fact,
    Fill,
    Intent,
    OrderReport,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from agent.core.value import Value


class Ticket(Value, frozen=True):
    """An order as an exchange is asked for it. A price is None where the type has none."""

    client_id: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce | None
    list_id: str | None = None

    @classmethod
    def of(cls, intent: Intent) -> Ticket:
        return cls(
            client_id=intent.client_id,
            side=intent.side,
            type=intent.type,
            qty=intent.qty,
            price=intent.price,
            stop_price=intent.stop_price,
            time_in_force=intent.time_in_force,
            list_id=intent.list_id,
        )

    @property
    def rests(self) -> bool:
        """Whether what the book cannot give at once stays in the book."""
        return self.price is not None and self.time_in_force is not TimeInForce.IOC

    @property
    def lock_price(self) -> Decimal:
        """Quote currency locked per unit of an open BUY; a market order locks nothing."""
        if self.price is not None:
            return self.price
        return self.stop_price if self.stop_price is not None else ZERO


class Phase(StrEnum):
    """Where an open order stands."""

    WAITING = "waiting"
    """A stop whose price has not been reached."""
    TAKING = "taking"
    """Meets the book now; lasts within one operation only."""
    IN_BOOK = "in_book"
    """A limit that others may come to."""


class PaperOrder(Value, frozen=True):
    """An accepted order. `executed_value` in quote currency; times are venue time.

    The two legs of a list share what they lock: `shares_lock` marks the one that its partner locks for.
    """

    order_id: int
    ticket: Ticket
    status: OrderStatus
    phase: Phase
    phase_since_ms: int
    executed_qty: Decimal
    executed_value: Decimal
    accepted_ms: int
    updated_ms: int
    shares_lock: bool = False
    reason: str = ""

    @property
    def leaves_qty(self) -> Decimal:
        return ZERO if self.is_settled else self.ticket.qty - self.executed_qty

    @property
    def is_settled(self) -> bool:
        return self.status in TERMINAL

    @property
    def locked(self) -> Decimal:
        """What this order holds back: quote currency for a BUY, base currency for a SELL."""
        if self.shares_lock:
            return ZERO
        return self.leaves_qty * (self.ticket.lock_price if self.ticket.side is Side.BUY else 1)


class PaperState(Value, frozen=True):
    """Everything about the account that can still change. `open_orders` are in order of acceptance."""

    symbol: str
    opened_ms: int
    balances: Mapping[str, Holding]
    open_orders: tuple[PaperOrder, ...]
    next_order_id: int
    next_trade_id: int

    def open_order(self, client_id: str) -> PaperOrder | None:
        return next((order for order in self.open_orders if order.ticket.client_id == client_id), None)

    def partner(self, order: PaperOrder) -> PaperOrder | None:
        """The other open leg of a list."""
        list_id = order.ticket.list_id
        legs = (o for o in self.open_orders if list_id is not None and o.ticket.list_id == list_id)
        return next((leg for leg in legs if leg.order_id != order.order_id), None)

    def free(self, currency: str) -> Decimal:
        holding = self.balances.get(currency)
        return holding.free if holding is not None else ZERO


def open_account(instrument: Instrument, initial_balance: Decimal, at_ms: int) -> PaperState:
    """A new account holding `initial_balance` of the quote currency."""
    assert initial_balance > 0, "a paper account needs money"
    return PaperState(
        symbol=instrument.symbol,
        opened_ms=at_ms,
        balances={instrument.base: Holding(ZERO, ZERO), instrument.quote: Holding(initial_balance, ZERO)},
        open_orders=(),
        next_order_id=1,
        next_trade_id=1,
    )


class Refusal(Value, frozen=True):
    """The operation changed nothing. `code` is Binance's number, `detail` its words and our numbers."""

    code: int
    detail: str


class Moved(Value, frozen=True):
    """What an operation did: the state after it, the orders it touched as they are now, and the new fills."""

    state: PaperState
    orders: tuple[PaperOrder, ...] = ()
    fills: tuple[Fill, ...] = ()

    @property
    def settled(self) -> tuple[PaperOrder, ...]:
        """Orders that ended with this operation and left the state for the history."""
        return tuple(order for order in self.orders if order.is_settled)

    def then(self, later: Moved) -> Moved:
        """This operation and the next one as a single step: each order once, as it is at the end."""
        latest = {order.order_id: order for order in (*self.orders, *later.orders)}
        return Moved(later.state, tuple(latest.values()), (*self.fills, *later.fills))


_FACTS: Mapping[OrderStatus, Fact] = {
    OrderStatus.NEW: Fact.WORKING,
    OrderStatus.PARTIALLY_FILLED: Fact.PART_FILLED,
    OrderStatus.FILLED: Fact.FULLY_FILLED,
    OrderStatus.CANCELED: Fact.WAS_CANCELED,
    OrderStatus.EXPIRED: Fact.HAS_EXPIRED,
}


def report_of(order: PaperOrder, fills: tuple[Fill, ...] = ()) -> OrderReport:
    """The account's word on `order`, with those of `fills` that belong to it."""
    ticket = order.ticket
    return OrderReport(
        client_id=ticket.client_id,
        exchange_order_id=str(order.order_id),
        side=ticket.side,
        type=ticket.type.value,
        fact=_FACTS[order.status],
        qty=ticket.qty,
        price=ticket.price if ticket.price is not None else ZERO,
        executed_qty=order.executed_qty,
        at_ms=order.updated_ms,
        fills=tuple(fill for fill in fills if fill.client_id == ticket.client_id),
        reason=order.reason,
        triggered=ticket.stop_price is not None and order.phase is not Phase.WAITING,
    )
