"""One operation on the account while it is under way: locks, fills, ends, and the check at the end.

A posting opens a state, changes its own copies, and closes with `moved()`. The state it was opened on
is never touched. Each method keeps the balances and the orders in step, so that at the end every
locked amount is the sum of what open orders lock and no amount is below zero; `moved` asserts both.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from agent.core.events import Holding
from agent.core.market import BookLevel
from agent.core.money import ZERO
from agent.core.order import Fill, OrderStatus, Side
from agent.core.value import replace
from agent.exchange.paper.state import Moved, PaperOrder, PaperState, Phase, Ticket
from agent.exchange.paper.terms import Terms

#: The exchange's word for a leg that ended because the other one began.
OCO_TRIGGER: Final = "OCO_TRIGGER"


class Posting:
    """An account with its books open. `at_ms` is the venue time of everything that happens in it."""

    def __init__(self, state: PaperState, terms: Terms, at_ms: int) -> None:
        assert state.symbol == terms.instrument.symbol, "an account trades its own pair"
        self._before = state
        self._terms = terms
        self._at_ms = at_ms
        self._free = {currency: holding.free for currency, holding in state.balances.items()}
        self._locked = {currency: holding.locked for currency, holding in state.balances.items()}
        self._touched: dict[int, PaperOrder] = {}
        self._fills: list[Fill] = []
        self._next_order_id = state.next_order_id

    def accept(self, ticket: Ticket, phase: Phase, *, shares_lock: bool = False) -> PaperOrder:
        """A new order, its money locked. The caller has made sure that there is enough."""
        order = PaperOrder(
            order_id=self._next_order_id,
            ticket=ticket,
            status=OrderStatus.NEW,
            phase=phase,
            phase_since_ms=self._at_ms,
            executed_qty=ZERO,
            executed_value=ZERO,
            accepted_ms=self._at_ms,
            updated_ms=self._at_ms,
            shares_lock=shares_lock,
        )
        self._next_order_id += 1
        self._lock(order, order.locked)
        self._touched[order.order_id] = order
        return order

    def enter(self, order: PaperOrder, phase: Phase) -> PaperOrder:
        return self._keep(replace(order, phase=phase, phase_since_ms=self._at_ms))

    def fill(self, order: PaperOrder, offers: Iterable[BookLevel]) -> PaperOrder:
        """Execute `order` against `offers`, one fill for each, until it is done or the money is."""
        for offer in offers:
            qty = min(offer.qty, order.leaves_qty, self._affordable(order, offer.price))
            if qty <= 0:
                break
            order = self._execute(order, offer.price, qty)
            if order.is_settled:
                break
        return order

    def end(self, order: PaperOrder, status: OrderStatus, reason: str = "") -> PaperOrder:
        """Close an order that will not be filled further and release what it locked."""
        self._lock(order, -order.locked)
        return self._keep(replace(order, status=status, reason=reason))

    def now(self, order: PaperOrder) -> PaperOrder:
        """The order as this posting has left it so far."""
        return self._touched.get(order.order_id, order)

    def begin(self, order: PaperOrder) -> PaperOrder:
        """It starts to trade: the other leg of its list ends first, and what was shared is its own now."""
        partner = self._before.partner(order)
        if partner is None or self.now(partner).is_settled:
            return order
        self.end(self.now(partner), OrderStatus.EXPIRED, OCO_TRIGGER)
        if not order.shares_lock:
            return order
        alone = replace(order, shares_lock=False)
        self._lock(alone, alone.locked)
        return self._keep(alone)

    def moved(self) -> Moved:
        """Close the books."""
        known = {order.order_id: order for order in self._before.open_orders} | self._touched
        still_open = tuple(order for order in known.values() if not order.is_settled)
        for currency, free in self._free.items():
            locked = self._locked[currency]
            assert free >= 0, f"{currency} overspent: {free}"
            owed = (o.locked for o in still_open if self._terms.pays_with(o.ticket.side) == currency)
            assert locked == sum(owed, ZERO), f"{currency} locked {locked} does not belong to the open orders"
        state = PaperState(
            symbol=self._before.symbol,
            opened_ms=self._before.opened_ms,
            balances={
                currency: Holding(free, self._locked[currency]) for currency, free in self._free.items()
            },
            open_orders=still_open,
            next_order_id=self._next_order_id,
            next_trade_id=self._before.next_trade_id + len(self._fills),
        )
        return Moved(state, tuple(self._touched.values()), tuple(self._fills))

    def _affordable(self, order: PaperOrder, price: Decimal) -> Decimal:
        """How much can be bought at `price`. Only a BUY that costs more than it locked is ever short."""
        ticket = order.ticket
        missing = price - ticket.lock_price
        if ticket.side is Side.SELL or missing <= 0:
            return order.leaves_qty
        step = self._terms.instrument.step
        return self._free[self._terms.instrument.quote] // (missing * step) * step

    def _execute(self, order: PaperOrder, price: Decimal, qty: Decimal) -> PaperOrder:
        ticket, value = order.ticket, price * qty
        buying = ticket.side is Side.BUY
        received = qty if buying else value
        fee, fee_currency = self._terms.fee(received), self._terms.receives(ticket.side)
        executed = order.executed_qty + qty
        done = executed == ticket.qty
        filled = replace(
            order,
            status=OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED,
            executed_qty=executed,
            executed_value=order.executed_value + value,
        )
        self._lock(order, filled.locked - order.locked)
        self._free[self._terms.pays_with(ticket.side)] -= value if buying else qty
        self._free[fee_currency] += received - fee
        self._fills.append(
            Fill(
                trade_id=str(self._before.next_trade_id + len(self._fills)),
                client_id=ticket.client_id,
                side=ticket.side,
                price=price,
                qty=qty,
                fee=fee,
                fee_currency=fee_currency,
                at_ms=self._at_ms,
            )
        )
        return self._keep(filled)

    def _lock(self, order: PaperOrder, amount: Decimal) -> None:
        """Move `amount` (negative: back) from free to locked, in the currency the order pays with."""
        currency = self._terms.pays_with(order.ticket.side)
        self._free[currency] -= amount
        self._locked[currency] += amount

    def _keep(self, order: PaperOrder) -> PaperOrder:
        kept = replace(order, updated_ms=self._at_ms)
        self._touched[kept.order_id] = kept
        return kept
