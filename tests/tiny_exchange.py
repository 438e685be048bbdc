"""A small honest exchange: it accepts, refuses, fills in part, keeps its own books, and never lies.

Whatever is lost, delayed or repeated on the way is not its doing: see `tiny_world`. Amounts are Decimal,
times venue milliseconds. Its ledger is the truth that the agent's ledger is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from agent.core.events import (
    AccountSeen,
    CancelFailed,
    Holding,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
)
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, DataSource, Quote
from agent.core.order import Fact, Fill, Intent, OrderReport, OrderType, Side

ZERO = Decimal(0)
FEE = Decimal("0.0005")


@dataclass
class VenueOrder:
    intent: Intent
    fact: Fact = Fact.WORKING
    fills: list[Fill] = field(default_factory=list)
    reason: str = ""
    placed_ms: int = 0
    triggered: bool = False

    @property
    def executed(self) -> Decimal:
        return sum((f.qty for f in self.fills), ZERO)

    @property
    def leaves(self) -> Decimal:
        return self.intent.qty - self.executed

    @property
    def is_open(self) -> bool:
        return self.fact in (Fact.WORKING, Fact.PART_FILLED)


class TinyExchange:
    """`stream` collects what its user stream would say. `depth`: base currency the book gives at a touch.
    `query_lag_ms`: so long a new order is not found by a look-up."""

    def __init__(self, instrument: Instrument, cash: Decimal, foreign: Decimal = ZERO) -> None:
        self.instrument = instrument
        self.quote_total = cash
        self.base_total = foreign
        self.orders: dict[str, VenueOrder] = {}
        self.stream: list[OrderReport] = []
        self.now_ms = 0
        self.bid = Decimal("0.5")
        self.depth = Decimal(1_000_000)
        self.pieces = 1
        self.fee_currency: str | None = None
        self.refusing: str | None = None
        self.query_lag_ms = 0
        self._trade = 0

    # --- the market ------------------------------------------------------------------------------------

    @property
    def ask(self) -> Decimal:
        return self.bid + self.instrument.tick

    def quote(self, source: DataSource = DataSource.WEBSOCKET) -> Quote:
        return Quote(self.bid, self.depth, self.ask, self.depth, self.now_ms, source)

    def book(self) -> Book:
        far = Decimal(1_000_000)
        bids = (BookLevel(self.bid, self.depth), BookLevel(self.bid - 10 * self.instrument.tick, far))
        asks = (BookLevel(self.ask, self.depth), BookLevel(self.ask + 10 * self.instrument.tick, far))
        return Book(bids, asks, self.now_ms)

    def move(self, bid: Decimal) -> None:
        self.bid = bid
        for order in tuple(self.orders.values()):
            stop = order.intent.stop_price
            if order.is_open and stop is not None and (bid <= stop or order.triggered):
                self._begin(order)
                order.triggered = True
                self._take(order)
                self._tell(order)
            if order.is_open and order.intent.type is OrderType.LIMIT_MAKER:
                self._come_to(order)

    def _come_to(self, order: VenueOrder) -> None:
        """The market trades with a resting target, as far as it goes."""
        price = order.intent.price
        assert price is not None
        if self.bid < price or self.depth <= 0:
            return
        self._begin(order)
        qty = min(order.leaves, self.depth)
        order.fills.append(self._execute(order.intent, price, qty))
        order.fact = Fact.FULLY_FILLED if order.leaves == 0 else Fact.PART_FILLED
        self._tell(order)

    def _begin(self, order: VenueOrder) -> None:
        """Of a list only one leg trades."""
        for leg in self._others(order):
            if leg.is_open:
                leg.fact, leg.reason = Fact.HAS_EXPIRED, "OCO_TRIGGER"
                self._tell(leg)

    def _others(self, order: VenueOrder) -> list[VenueOrder]:
        name = order.intent.list_id
        return [o for o in self.orders.values() if name and o.intent.list_id == name and o is not order]

    # --- the hand of others ----------------------------------------------------------------------------

    def take_coins(self, qty: Decimal) -> Decimal:
        """Somebody with the account's password takes free coins away. Returns how many."""
        taken = min(qty, self.base_total - self._locked())
        self.base_total -= taken
        return taken

    # --- requests --------------------------------------------------------------------------------------

    def place(self, intent: Intent) -> OrderReported | OrderRefused:
        assert intent.client_id not in self.orders, "the same order twice"
        refusal = self._refusal(intent)
        if refusal is not None:
            return OrderRefused(intent.client_id, -2010, refusal)
        order = self.orders[intent.client_id] = VenueOrder(intent, placed_ms=self.now_ms)
        if intent.stop_price is None:
            self._take(order)
        self._tell(order)
        return OrderReported(self._report(order, order.fills))

    def place_pair(self, stop: Intent, target: Intent) -> list[OrderReported | OrderRefused]:
        refusal = self._refusal(stop)
        if refusal is None and (target.price is None or self.bid >= target.price):
            refusal = "Order would immediately match and take."
        if refusal is not None:
            return [OrderRefused(leg.client_id, -2010, refusal) for leg in (stop, target)]
        for leg in (stop, target):
            assert leg.client_id not in self.orders, "the same order twice"
            self.orders[leg.client_id] = VenueOrder(leg, placed_ms=self.now_ms)
        for leg in (stop, target):
            self._tell(self.orders[leg.client_id])
        return [OrderReported(self._report(self.orders[leg.client_id])) for leg in (stop, target)]

    def cancel(self, client_id: str) -> OrderReported | CancelFailed:
        order = self.orders.get(client_id)
        if order is None or not order.is_open:
            return CancelFailed(client_id, -2011, "unknown order sent")
        for leg in (order, *self._others(order)):
            if leg.is_open:
                leg.fact = Fact.WAS_CANCELED
                self._tell(leg)
        return OrderReported(self._report(order))

    def look_up(self, client_id: str) -> OrderReported | LookupFoundNothing:
        order = self.orders.get(client_id)
        if order is None or self.now_ms < order.placed_ms + self.query_lag_ms:
            return LookupFoundNothing(client_id)
        return OrderReported(self._report(order))

    def fills_of(self, client_id: str) -> tuple[Fill, ...]:
        order = self.orders.get(client_id)
        return () if order is None else tuple(order.fills)

    def account(self, since_ms: int) -> AccountSeen:
        holdings = {
            self.instrument.quote: Holding(self.quote_total, ZERO),
            self.instrument.base: Holding(self.base_total - self._locked(), self._locked()),
        }
        working = tuple(self._report(o) for o in self.orders.values() if o.is_open)
        fills = tuple(f for f in self.all_fills() if f.at_ms >= since_ms)
        return AccountSeen(holdings, working, fills, since_ms, self.now_ms)

    def all_fills(self) -> list[Fill]:
        return [f for o in self.orders.values() for f in o.fills]

    # --- inside ----------------------------------------------------------------------------------------

    def selling(self) -> Decimal:
        """What all that rests may sell together."""
        return self._locked()

    def _locked(self) -> Decimal:
        selling: dict[str, Decimal] = {}
        for order in self.orders.values():
            if order.is_open and order.intent.side is Side.SELL:
                name = order.intent.list_id or order.intent.client_id
                selling[name] = max(selling.get(name, ZERO), order.leaves)
        return sum(selling.values(), ZERO)

    def _refusal(self, intent: Intent) -> str | None:
        if self.refusing is not None:
            return self.refusing
        broken = self.instrument.breaches(intent.qty, intent.price or self.bid, market=intent.price is None)
        if broken and intent.stop_price is None:
            return broken[0]
        if intent.side is Side.SELL and intent.qty > self.base_total - self._locked():
            return "Account has insufficient balance for requested action."
        if intent.side is Side.BUY and intent.qty * (intent.price or self.ask) > self.quote_total:
            return "Account has insufficient balance for requested action."
        if intent.stop_price is not None and self.bid <= intent.stop_price:
            return "Stop price would trigger immediately."
        return None

    def _take(self, order: VenueOrder) -> None:
        """Execute what the book gives, in `pieces` trades; the rest of a taker order expires."""
        intent, left = order.intent, min(order.leaves, self.depth)
        price = self.ask if intent.side is Side.BUY else self.bid
        if intent.type is OrderType.LIMIT and intent.price is not None and price > intent.price:
            left = ZERO
        if intent.type is OrderType.STOP_LOSS_LIMIT and intent.price is not None and price < intent.price:
            left = ZERO
        for n in range(self.pieces):
            last = n == self.pieces - 1
            qty = left if last else min(left, self.instrument.qty(order.leaves / self.pieces))
            if qty > 0:
                order.fills.append(self._execute(intent, price, qty))
                left -= qty
        rests = intent.type is OrderType.STOP_LOSS_LIMIT
        rest = (Fact.PART_FILLED if order.fills else Fact.WORKING) if rests else Fact.HAS_EXPIRED
        order.fact = Fact.FULLY_FILLED if order.leaves == 0 else rest

    def _execute(self, intent: Intent, price: Decimal, qty: Decimal) -> Fill:
        self._trade += 1
        base, quote = self.instrument.base, self.instrument.quote
        buying = intent.side is Side.BUY
        currency = self.fee_currency or (base if buying else quote)
        fee = qty * FEE if currency == base else qty * price * FEE if currency == quote else Decimal("0.001")
        self.base_total += (qty if buying else -qty) - (fee if currency == base else ZERO)
        self.quote_total += (-qty * price if buying else qty * price) - (fee if currency == quote else ZERO)
        assert self.quote_total >= 0, "the exchange lent money"
        assert self.base_total >= 0, "the exchange lent coins"
        return Fill(str(self._trade), intent.client_id, intent.side, price, qty, fee, currency, self.now_ms)

    def _report(self, order: VenueOrder, fills: list[Fill] | None = None) -> OrderReport:
        intent = order.intent
        return OrderReport(
            intent.client_id, "1", intent.side, intent.type.value, order.fact, intent.qty,
            intent.price or ZERO, order.executed, self.now_ms, tuple(fills or ()), order.reason,
            order.triggered,
        )  # fmt: skip

    def _tell(self, order: VenueOrder) -> None:
        """The user stream: the acknowledgement, then each execution, then the end."""
        report = self._report(order)
        if order.fact is Fact.WORKING:
            self.stream.append(report)
            return
        executed = ZERO
        for fill in order.fills:
            executed += fill.qty
            fact = Fact.FULLY_FILLED if executed == order.intent.qty else Fact.PART_FILLED
            self.stream.append(replace(report, fact=fact, executed_qty=executed, fills=(fill,)))
        if order.fact is not Fact.FULLY_FILLED:
            self.stream.append(report)
