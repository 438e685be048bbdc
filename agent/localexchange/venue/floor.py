"""The trading floor: the only place where orders, balances and news change.

Belongs here: the elementary acts (accept, start, fill, end) that every command is made of. Stays true: an act
changes order, ledger and news together; a hold is never larger than what its open orders still need. Whoever
acts has checked before that the act is possible: a failure in here is a bug.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from agent.core.money import ZERO
from agent.core.value import replace
from agent.localexchange.venue.events import ListChanged, News, Positions, Report
from agent.localexchange.venue.fees import BNB, Fee, Rates, bnb_fee, plain_fee
from agent.localexchange.venue.ledger import Ledger
from agent.localexchange.venue.order import (
    NO_LIST,
    NOT_WORKING,
    Order,
    OrderList,
    Terms,
    Trade,
    quote_value,
)
from agent.localexchange.venue.prices import Prices
from agent.localexchange.venue.registry import Numbers, Registry
from agent.localexchange.venue.twist import NO_TWIST, Twist
from agent.localexchange.venue.words import Execution, Expiry, Side, Status


class Floor:
    def __init__(self, deposits: Mapping[str, Decimal], at_ms: int, numbers: Numbers) -> None:
        self.registry = Registry(numbers)
        self.ledger = Ledger(deposits, at_ms)
        self.rates = Rates()
        self.news: list[News] = []
        #: Orders of lists that something happened to: their lists have not followed yet.
        self.unfollowed: list[int] = []
        self._twists: dict[int, Twist] = {}
        self._fills: Counter[int] = Counter()

    # -- accepting and starting ----------------------------------------------------------------------

    def accept(
        self,
        terms: Terms,
        prices: Prices,
        *,
        list_id: int = NO_LIST,
        pending: bool = False,
        twist: Twist = NO_TWIST,
    ) -> Order:
        """A new order gets its id; nothing is set aside for it and nothing is told yet."""
        numbers, listing = self.registry.numbers, prices.listing
        works = not pending and not terms.kind.conditional
        order = Order(
            id=numbers.order,
            terms=terms,
            base=listing.base,
            quote=listing.quote,
            qty=terms.qty,
            created_ms=prices.at_ms,
            updated_ms=prices.at_ms,
            list_id=list_id,
            status=Status.PENDING_NEW if pending else Status.NEW,
            working_ms=prices.at_ms if works else NOT_WORKING,
        )
        numbers.order += 1
        if twist is not NO_TWIST:
            self._twists[order.id] = twist
        self.registry.put(order)
        return order

    def start(self, order: Order, at_ms: int) -> Order:
        """It comes to the book: a stop whose price was reached, or a pending leg whose time has come."""
        works = order.status is not Status.PENDING_NEW or not order.terms.kind.conditional
        working_ms = at_ms if works else NOT_WORKING
        started = replace(order, status=Status.NEW, working_ms=working_ms, updated_ms=at_ms)
        self.registry.put(started)
        self.report_new(started)
        return started

    def report_new(self, order: Order) -> None:
        self._report(order, Execution.NEW, on_book=order.working)

    def resize(self, order: Order, qty: Decimal) -> Order:
        """An order in quote currency learns how much base that is."""
        resized = replace(order, qty=qty)
        self.registry.put(resized)
        return resized

    def twist(self, order: Order) -> Twist:
        return self._twists.get(order.id, NO_TWIST)

    # -- filling -------------------------------------------------------------------------------------

    def fill(self, order: Order, price: Decimal, qty: Decimal, prices: Prices, *, maker: bool) -> Order:
        """A trade: pay, receive, pay the commission, tell."""
        at_ms, buys = prices.at_ms, order.terms.side is Side.BUY
        quote = quote_value(price, qty)
        base_part, quote_part = (order.base, qty), (order.quote, quote)
        paid, received = (quote_part, base_part) if buys else (base_part, quote_part)
        self.ledger.pay(self.hold_key(order), *paid, at_ms)
        self.ledger.receive(*received, at_ms)
        fee = self._fee(order, *received, quote, prices, maker=maker)
        self.ledger.pay_fee(fee.asset, fee.amount, at_ms)
        self._fills[order.id] += 1
        filled = order.filled + qty
        order = replace(
            order,
            filled=filled,
            quote_filled=order.quote_filled + quote,
            status=Status.FILLED if filled == order.qty else Status.PARTIALLY_FILLED,
            updated_ms=at_ms,
        )
        self.registry.put(order)
        self._settle_hold(order, at_ms)
        terms, numbers = order.terms, self.registry.numbers
        trade = Trade(
            numbers.trade,
            order.id,
            order.list_id,
            terms.client_id,
            terms.symbol,
            terms.side,
            price,
            qty,
            quote,
            fee.amount,
            fee.asset,
            at_ms,
            maker,
        )
        numbers.trade += 1
        self.registry.add_trade(trade)
        self._report(order, Execution.TRADE, on_book=order.resting, trade=trade)
        return order

    def _fee(
        self, order: Order, asset: str, received: Decimal, quote: Decimal, prices: Prices, *, maker: bool
    ) -> Fee:
        twist = self.twist(order)
        rate = self.rates.of(maker) if twist.fee_rate is None else twist.fee_rate
        plain_one = plain_fee(asset, received, rate)
        if order.terms.fee_in_quote:
            in_quote = plain_fee(order.quote, quote, rate)
            return in_quote if in_quote.amount <= self.ledger.balance(order.quote).free else plain_one
        wants_bnb = self.rates.in_bnb if twist.bnb_fills is None else self._fills[order.id] < twist.bnb_fills
        if not wants_bnb:
            return plain_one
        if asset == BNB:
            in_bnb = plain_fee(BNB, received, rate * (1 - self.rates.discount))
        else:
            price = prices.bnb()
            if price is None:
                return plain_one
            in_bnb = bnb_fee(quote, rate, self.rates.discount, price)
        # With too little BNB the whole commission comes out of what the trade brought.
        return in_bnb if 0 < in_bnb.amount <= self.ledger.balance(BNB).free else plain_one

    # -- ending --------------------------------------------------------------------------------------

    def cancel(self, order: Order, cancel_id: str, at_ms: int) -> Order:
        return self._end(
            replace(order, status=Status.CANCELED, cancel_id=cancel_id, updated_ms=at_ms), Execution.CANCELED
        )

    def expire(self, order: Order, why: Expiry, at_ms: int) -> Order:
        ended = replace(order, status=Status.EXPIRED, expiry=why, updated_ms=at_ms)
        return self._end(ended, Execution.EXPIRED)

    def prevent(self, order: Order, at_ms: int) -> Order:
        """It would have traded with its own account."""
        ended = replace(order, status=Status.EXPIRED_IN_MATCH, prevented=order.leaves, updated_ms=at_ms)
        return self._end(ended, Execution.TRADE_PREVENTION)

    def _end(self, order: Order, execution: Execution) -> Order:
        assert not order.open
        self.registry.put(order)
        self._settle_hold(order, order.updated_ms)
        prevented = order.prevented if execution is Execution.TRADE_PREVENTION else None
        self._report(order, execution, on_book=False, prevented=prevented)
        return order

    # -- holds ---------------------------------------------------------------------------------------

    def hold(self, orders: list[Order], at_ms: int) -> None:
        """Set aside what one order, or the two of a pair, may need. Raises RefusedError."""
        first = orders[0]
        needed = max(order.hold_needed for order in orders)
        self.ledger.set_hold(self.hold_key(first), first.paid_asset, needed, at_ms)

    def release(self, order: Order, at_ms: int) -> None:
        """Free what is held for it: a stop becomes an order at the market and pays what that asks."""
        self.ledger.set_hold(self.hold_key(order), order.paid_asset, ZERO, at_ms)

    def hold_key(self, order: Order) -> int:
        pair = self.pair_of(order)
        return pair[0] if pair else order.id

    def pair_of(self, order: Order) -> tuple[int, ...]:
        """The two legs of which it is one; empty for any other order. A pair shares one hold."""
        if order.list_id == NO_LIST:
            return ()
        pair = self.registry.order_list(order.list_id).pair
        return pair if order.id in pair else ()

    def _settle_hold(self, order: Order, at_ms: int) -> None:
        """Give back what the open orders of this hold do not need any more."""
        key = self.hold_key(order)
        held = self.ledger.hold(key)
        if held is None:
            return
        orders = [self.registry.order(i) for i in self.pair_of(order) or (order.id,)]
        needed = max((o.hold_needed for o in orders if o.open), default=ZERO)
        assert needed <= held.amount, f"order {order.id} needs {needed} {held.asset} and holds {held.amount}"
        self.ledger.set_hold(key, held.asset, needed, at_ms)

    # -- telling -------------------------------------------------------------------------------------

    def _report(
        self,
        order: Order,
        execution: Execution,
        *,
        on_book: bool,
        trade: Trade | None = None,
        prevented: Decimal | None = None,
    ) -> None:
        numbers = self.registry.numbers
        self.news.append(
            Report(numbers.report, order.updated_ms, execution, order, on_book, trade, prevented)
        )
        numbers.report += 1
        if order.list_id != NO_LIST:
            self.unfollowed.append(order.id)

    def tell_list(self, order_list: OrderList) -> None:
        """A list began or ended."""
        self.news.append(ListChanged(order_list.updated_ms, order_list))

    def tell_positions(self, at_ms: int) -> None:
        """Balances moved since the last time."""
        touched = self.ledger.take_touched()
        if touched:
            balances = tuple((asset, self.ledger.balance(asset)) for asset in touched)
            self.news.append(Positions(at_ms, balances))
