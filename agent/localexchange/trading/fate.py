"""What the faults of orders do to one command.

Belongs here: from faults that are set to twists, races and jumps. Stays true: a fault fires only on a command
it can do something to, so that its count says how often it did.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.money import ZERO
from agent.core.value import replace
from agent.localexchange.faults import Fault, FaultBoard
from agent.localexchange.venue.order import ListTerms, Order, Terms
from agent.localexchange.venue.refusals import filter_failure, insufficient_balance, would_trigger
from agent.localexchange.venue.twist import NO_TWIST, Twist
from agent.localexchange.venue.venue import Venue
from agent.localexchange.venue.words import Contingency, Status


class Fate:
    """The faults as they concern one request."""

    def __init__(self, board: FaultBoard, method: str, path: str) -> None:
        self._board = board
        self._method = method
        self._path = path

    def of_order(self, terms: Terms) -> Twist:
        twist = self._of_any((terms,))
        if not terms.kind.limited and (fault := self._fires("F17")):
            twist = replace(twist, share=_share(fault))
        if fault := self._fires("F15"):
            twist = replace(twist, share=_share(fault), pieces=max(1, int(fault.params["pieces"])))
        if fault := self._fires("F20"):
            twist = replace(twist, share=_share(fault), rest_ends=Status.EXPIRED_IN_MATCH)
        if self._fires("F44", "doubled"):
            twist = replace(twist, doubled=True)
        return twist

    def of_replacement(self, terms: Terms, old: Order | None) -> Twist:
        """The new order of a cancel-replace, which is placed when the old one is gone already."""
        twist = self.of_order(terms)
        if old is None or not old.open or not self._fires("F19", "replacing"):
            return twist
        return replace(twist, refusal=insufficient_balance())

    def of_list(self, terms: ListTerms) -> Twist:
        twist = self._of_any(terms.orders)
        if terms.contingency is Contingency.OTO and self._fires("F19", "pending"):
            twist = replace(twist, pending_refusal=filter_failure("NOTIONAL"))
        return twist

    def _of_any(self, orders: tuple[Terms, ...]) -> Twist:
        twist = NO_TWIST
        if any(order.kind.conditional for order in orders) and self._fires("F18"):
            twist = replace(twist, refusal=would_trigger())
        if fault := self._fires("F16"):
            twist = _commission(twist, fault)
        return twist

    def jump(self, venue: Venue) -> None:
        """Let ids jump before the next order."""
        for variant, kind in (("order_ids", "orders"), ("trade_ids", "trades")):
            if fault := self._fires("F44", variant):
                venue.jump(**{kind: max(1, int(fault.params["by"]))})

    def race(self, order: Order | None) -> Decimal | None:
        """The share of an order that is filled just before it is canceled, if fate wants that."""
        if order is None or not order.open or not (order.resting or order.waiting):
            return None
        fault = self._fires("F14")
        return None if fault is None else _share(fault)

    def renames(self) -> bool:
        return self._fires("F44", "renamed") is not None

    def age_ms(self) -> int | None:
        """How far in the past a query is answered."""
        fault = self._board.fire_on_request(("F37",), self._method, self._path)
        return None if fault is None else max(0, int(fault.params["age_ms"]))

    def _fires(self, kind: str, variant: str | None = None) -> Fault | None:
        for fault in self._board.of_kind(kind):
            if variant not in (None, fault.variant):
                continue
            if fault.match.request(self._method, self._path) and self._board.fire(fault):
                return fault
        return None


def _share(fault: Fault) -> Decimal:
    return _part(fault, "share")


def _part(fault: Fault, name: str) -> Decimal:
    """A param between 0 and 1; what is no number counts as 0."""
    try:
        return min(Decimal(1), max(ZERO, Decimal(str(fault.params[name]))))
    except ArithmeticError:
        return ZERO


def _commission(twist: Twist, fault: Fault) -> Twist:
    match fault.variant:
        case "native":
            return replace(twist, bnb_fills=0)
        case "bnb":
            return replace(twist, bnb_fills=10**9)
        case "mixed":
            return replace(twist, bnb_fills=max(0, int(fault.params["fills"])))
        case "free":
            return replace(twist, fee_rate=ZERO)
        case _:
            return replace(twist, fee_rate=_part(fault, "rate"))
