"""Bugs in counting fills, fees and cash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core import events as e
from agent.core import (
    ordering,
    reconcile,
)
from agent.core.account import Account
from agent.core.money import ZERO
from agent.core.order import TERMINAL, Fact, Order, OrderStatus, next_status
from agent.core.position import Position
from agent.core.turn import Turn
from agent.simulation.planted.mutant import Mutant, bug


@bug("fills are not de-duplicated")
def fill_counted_twice(m: Mutant) -> None:
    def with_fill(self: Order, fill: Any) -> Any:
        fills = (*self.fills, fill)
        filled = sum((f.qty for f in fills), ZERO)
        fact = Fact.FULLY_FILLED if filled >= self.intent.qty else Fact.PART_FILLED
        status = next_status(self.status, fact)
        return replace(self, fills=fills, status=status, reported_qty=max(self.reported_qty, filled))

    m.put(Order, "with_fill", with_fill)


@bug("a fee taken in the base coin is ignored")
def base_fee_ignored(m: Mutant) -> None:
    def with_fill(self: Position, fill: Any, *, base: str, fee_in_quote: Any) -> Any:
        return was(self, fill, base="none", fee_in_quote=fee_in_quote)

    was = m.put(Position, "with_fill", with_fill)


@bug("fees taken in quote currency are not taken from the cash")
def quote_fee_ignored(m: Mutant) -> None:
    def after(self: Account, fill: Any, quote: str) -> Any:
        return was(self, replace(fill, fee=ZERO), quote)

    was = m.put(Account, "after_fill", after)


@bug("fees in a third currency are taken from the cash")
def third_fee_from_cash(m: Mutant) -> None:
    def after(self: Account, fill: Any, quote: str) -> Any:
        third = fill.fee_currency not in (quote, "ADA")
        return was(self, replace(fill, fee_currency=quote) if third else fill, quote)

    was = m.put(Account, "after_fill", after)


@bug("what an expired order filled is forgotten")
def expired_fills_forgotten(m: Mutant) -> None:
    def report(turn: Turn, event: Any) -> None:
        told = event.report
        if told.fact is Fact.HAS_EXPIRED:
            event = e.OrderReported(replace(told, fills=(), executed_qty=ZERO))
        was(turn, event)

    was = m.put(ordering, "on_report", report)


@bug("an order counts as settled although fills of it are missing")
def missing_fills_not_read(m: Mutant) -> None:
    m.put(Order, "is_settled", property(lambda self: self.status in TERMINAL))


@bug("fills of orders thought dead are ignored")
def late_fill_ignored(m: Mutant) -> None:
    def book(turn: Turn, order: Order, fill: Any) -> Any:
        dead = order.status in (
            OrderStatus.NOT_PLACED,
            OrderStatus.REJECTED,
            OrderStatus.CANCELED,
            OrderStatus.EXPIRED,
        )
        return order if dead else was(turn, order, fill)

    was = m.put(ordering, "_book", book)


@bug("the price of an order counts, not the prices of its fills")
def price_of_the_order(m: Mutant) -> None:
    def book(turn: Turn, order: Order, fill: Any) -> Any:
        price = order.intent.price or fill.price
        return was(turn, order, replace(fill, price=price))

    was = m.put(ordering, "_book", book)


@bug("deposits and withdrawals are never booked")
def flows_ignored(m: Mutant) -> None:
    m.put(reconcile, "_book_flow", lambda turn, amount: None)


@bug("a difference is booked as a flow at first sight, however new the last fill is")
def difference_booked_at_once(m: Mutant) -> None:
    m.put(reconcile, "_last_fill_ms", lambda turn: -reconcile.BALANCES_LAG_MS)

    def settle(turn: Turn, difference: Any, event: Any) -> None:
        if difference.cash:
            turn.change(doubted_cash=difference.cash)
        was(turn, difference, event)

    was = m.put(reconcile, "_settle_difference", settle)


@bug("a difference counts although the outcome of an order is not known yet")
def difference_in_flight(m: Mutant) -> None:
    def seen(turn: Turn, event: e.AccountSeen) -> None:
        on_account(turn, event)
        if any(not o.is_settled and not o.is_working for o in turn.state.orders.values()):
            reconcile._settle_difference(turn, reconcile.compare(turn.state, event), event)

    on_account = m.put(reconcile, "on_account", seen)
