"""Orders, order lists and trades, as they are at one moment.

Belongs here: the nouns of the venue and what can be computed from one of them. Stays true: all of them are
values; a change makes a new one, so whoever holds one holds what was true then. Prices are quote per base,
quantities base, `quote_*` quote; times are venue milliseconds; zero stands where Binance writes 0.00000000.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from agent.core.money import ZERO
from agent.core.value import Value
from agent.localexchange.venue.listing import GRAIN
from agent.localexchange.venue.words import (
    Contingency,
    Expiry,
    Force,
    Kind,
    Prevention,
    Side,
    Status,
)

#: The list of an order that is in none.
NO_LIST = -1
#: The working time of an order that is not on the book.
NOT_WORKING = -1


def quote_value(price: Decimal, qty: Decimal) -> Decimal:
    """What `qty` costs at `price`, in eight decimals: what a trade moves."""
    return (price * qty).quantize(GRAIN, ROUND_DOWN)


def quote_needed(price: Decimal, qty: Decimal) -> Decimal:
    """What must be set aside for it: never less than what its trades will cost."""
    return (price * qty).quantize(GRAIN, ROUND_UP)


class Terms(Value, frozen=True):
    """What somebody asked for."""

    symbol: str
    side: Side
    kind: Kind
    client_id: str
    qty: Decimal = ZERO
    quote_qty: Decimal = ZERO
    price: Decimal = ZERO
    stop_price: Decimal = ZERO
    force: Force = Force.GTC
    iceberg_qty: Decimal = ZERO
    prevention: Prevention = Prevention.EXPIRE_MAKER
    strategy_id: int | None = None
    strategy_type: int | None = None
    fee_in_quote: bool = False
    """The commission is taken from quote currency on both sides, as far as it is free."""

    def starts_at(self, price: Decimal) -> bool:
        """Whether a trade at `price` starts this conditional order."""
        if self.kind.triggers_below(self.side):
            return price <= self.stop_price
        return price >= self.stop_price

    def allows(self, price: Decimal) -> bool:
        """Whether the limit, if there is one, lets it trade at `price`."""
        if not self.kind.limited:
            return True
        return price <= self.price if self.side is Side.BUY else price >= self.price


class Order(Value, frozen=True):
    """An accepted order. `qty` of an order in quote currency is what it executed."""

    id: int
    terms: Terms
    base: str
    quote: str
    qty: Decimal
    created_ms: int
    updated_ms: int
    list_id: int = NO_LIST
    status: Status = Status.NEW
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    working_ms: int = NOT_WORKING
    expiry: Expiry | None = None
    prevented: Decimal = ZERO
    cancel_id: str = ""

    def __post_init__(self) -> None:
        assert ZERO <= self.filled <= self.qty, f"order {self.id} filled {self.filled} of {self.qty}"

    @property
    def open(self) -> bool:
        return self.status.open

    @property
    def working(self) -> bool:
        """Whether it has ever been on the book: not a stop that waits, not a leg that is pending."""
        return self.working_ms != NOT_WORKING

    @property
    def leaves(self) -> Decimal:
        return self.qty - self.filled

    @property
    def resting(self) -> bool:
        """Whether others could trade with it now."""
        return self.open and self.working and self.terms.kind.limited

    @property
    def waiting(self) -> bool:
        """Whether it waits for its stop price."""
        return self.status is Status.NEW and self.terms.kind.conditional and not self.working

    @property
    def paid_asset(self) -> str:
        """What it gives away when it trades."""
        return self.quote if self.terms.side is Side.BUY else self.base

    @property
    def hold_needed(self) -> Decimal:
        """What its owner cannot use elsewhere while it is open: base of a sale, quote of a purchase."""
        if self.terms.side is Side.SELL:
            return self.leaves
        return quote_needed(
            self.terms.price if self.terms.kind.limited else self.terms.stop_price, self.leaves
        )


class Trade(Value, frozen=True):
    """One execution of one of our orders."""

    id: int
    order_id: int
    list_id: int
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    at_ms: int
    maker: bool


class OrderList(Value, frozen=True):
    """An OCO (a pair), an OTO (a working order and a pending one) or an OTOCO (and a pending pair)."""

    id: int
    symbol: str
    client_id: str
    contingency: Contingency
    order_ids: tuple[int, ...]
    client_ids: tuple[str, ...]
    created_ms: int
    updated_ms: int
    done: bool = False

    @property
    def working_id(self) -> int | None:
        """The order whose execution brings the others to the book."""
        return self.order_ids[0] if self.contingency is Contingency.OTO else None

    @property
    def pending_ids(self) -> tuple[int, ...]:
        return self.order_ids[1:] if self.contingency is Contingency.OTO else ()

    @property
    def pair(self) -> tuple[int, ...]:
        """The two of which one ends the other; empty when there is no such pair."""
        legs = self.pending_ids if self.contingency is Contingency.OTO else self.order_ids
        return legs if len(legs) == 2 else ()


class ListTerms(Value, frozen=True):
    """A list somebody asked for: the working order of an OTO first, a pair's stop before its limit."""

    symbol: str
    client_id: str
    contingency: Contingency
    orders: tuple[Terms, ...]
