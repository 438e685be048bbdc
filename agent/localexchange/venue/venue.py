"""The venue: every command an account can give, and what the market does to it.

Belongs here: joining checks, acts and list rules into whole commands. Stays true: a command is carried out
entirely or raises RefusedError having changed nothing; time and prices come as arguments and never go back;
after every command the books are audited: balances equal the sum of what moved them, holds equal what open
orders need.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from agent.core.money import ZERO, floor_to
from agent.core.value import replace
from agent.localexchange.venue import lists, matching, placing, refusals
from agent.localexchange.venue.events import Flow, News
from agent.localexchange.venue.fees import Rates
from agent.localexchange.venue.floor import Floor
from agent.localexchange.venue.ledger import Ledger
from agent.localexchange.venue.order import NO_LIST, ListTerms, Order, OrderList, Terms
from agent.localexchange.venue.outcomes import Canceled, Placed, PlacedList, Replaced, Which
from agent.localexchange.venue.plan import Ending, Plan
from agent.localexchange.venue.prices import Prices
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.registry import Numbers, Registry
from agent.localexchange.venue.twist import NO_TWIST, Twist
from agent.localexchange.venue.words import Contingency, Expiry, Status


class Venue:
    def __init__(self, deposits: Mapping[str, Decimal], at_ms: int = 0) -> None:
        self._floor = Floor(deposits, at_ms, Numbers())

    # -- reading -------------------------------------------------------------------------------------

    @property
    def registry(self) -> Registry:
        """Orders, lists and trades; reading only."""
        return self._floor.registry

    @property
    def ledger(self) -> Ledger:
        """Balances; reading only."""
        return self._floor.ledger

    @property
    def rates(self) -> Rates:
        return self._floor.rates

    def take_news(self) -> list[News]:
        """What happened since the last call, in order."""
        news, self._floor.news = self._floor.news, []
        return news

    # -- orders --------------------------------------------------------------------------------------

    def check(self, terms: Terms, prices: Prices) -> None:
        """Everything `place` would check before the book is looked at. Raises RefusedError."""
        placing.check_tradable(prices)
        placing.check_filters(self._floor, terms, prices)
        placing.check_client_id(self._floor, terms)

    def place(self, terms: Terms, prices: Prices, twist: Twist = NO_TWIST) -> Placed:
        """A new order. Raises RefusedError."""
        placing.check_tradable(prices)
        placing.check_filters(self._floor, terms, prices)
        placed = self._enter(terms, prices, twist)
        self._close(prices)
        return placed

    def cancel(self, symbol: str, which: Which, cancel_id: str, restriction: str, prices: Prices) -> Canceled:
        """End an open order, with its list if it is in one. Raises RefusedError."""
        canceled = self._cancel(symbol, which, cancel_id, restriction, prices)
        self._close(prices)
        return canceled

    def cancel_all(self, cancel_id: str, prices: Prices) -> list[Canceled]:
        """Every open order of the symbol. Raises RefusedError when there is none."""
        placing.check_cancelable(prices)
        symbol = prices.listing.symbol
        orders = self.registry.open_orders(symbol)
        if not orders:
            raise refusals.unknown_order()
        canceled = [
            self._cancel(symbol, Which(order.id), cancel_id, "", prices)
            for order in orders
            if self.registry.order(order.id).open
        ]
        self._close(prices)
        return canceled

    def cancel_replace(
        self,
        which: Which,
        cancel_id: str,
        restriction: str,
        terms: Terms,
        prices: Prices,
        *,
        stop_on_failure: bool,
        twist: Twist = NO_TWIST,
    ) -> Replaced:
        """Cancel one order and place another: not one transaction. Raises RefusedError before either."""
        placing.check_tradable(prices)
        placing.check_filters(self._floor, terms, prices)
        canceled: Canceled | RefusedError
        placed: Placed | RefusedError
        try:
            canceled = self._cancel(terms.symbol, which, cancel_id, restriction, prices)
        except RefusedError as refused:
            canceled = refused
            if stop_on_failure:
                return Replaced(canceled, None)
        try:
            placed = self._enter(terms, prices, twist)
        except RefusedError as refused:
            placed = refused
        self._close(prices)
        return Replaced(canceled, placed)

    def _enter(self, terms: Terms, prices: Prices, twist: Twist) -> Placed:
        what = placing.check_placement(self._floor, terms, prices, twist)
        placed = self._admit(terms, what, prices, twist)
        if twist.doubled:
            self._double(terms, prices, replace(twist, doubled=False))
        return placed

    def _admit(self, terms: Terms, what: Plan, prices: Prices, twist: Twist) -> Placed:
        """An order that has passed every check: it is taken in and does what it was planned to do."""
        floor, first_trade = self._floor, len(self.registry.trades)
        order = floor.accept(terms, prices, twist=twist)
        if terms.quote_qty > 0:
            order = floor.resize(order, _whole_qty(terms, what, prices))
        if terms.kind.limited or terms.kind.conditional:
            floor.hold([order], prices.at_ms)
        floor.report_new(order)
        if order.working:
            order = matching.carry_out(floor, order, what, prices)
        return Placed(order, tuple(self.registry.trades[first_trade:]))

    def _double(self, terms: Terms, prices: Prices, twist: Twist) -> None:
        """The engine takes one request for two, client id and all, if there are funds for both."""
        another = replace(terms, client_id="")
        try:
            what = placing.check_placement(self._floor, another, prices, twist)
        except RefusedError:
            return
        self._admit(terms, what, prices, twist)

    def _cancel(
        self, symbol: str, which: Which, cancel_id: str, restriction: str, prices: Prices
    ) -> Canceled:
        placing.check_cancelable(prices)
        order = self.registry.find(symbol, which.id, which.client_id)
        if order is None or not order.open:
            raise refusals.unknown_order()
        if which.id is not None and which.client_id not in (None, order.terms.client_id):
            raise refusals.wrong_client_id()
        if restriction and restriction != f"ONLY_{order.status}":
            raise refusals.cancel_restricted()
        if order.list_id == NO_LIST:
            return Canceled((self._floor.cancel(order, cancel_id, prices.at_ms),), None)
        return self._cancel_whole(self.registry.order_list(order.list_id), cancel_id, prices.at_ms)

    # -- lists ---------------------------------------------------------------------------------------

    def place_list(self, terms: ListTerms, prices: Prices, twist: Twist = NO_TWIST) -> PlacedList:
        """An OCO, OTO or OTOCO. Raises RefusedError."""
        floor, at_ms = self._floor, prices.at_ms
        placing.check_tradable(prices)
        placing.check_list(floor, terms, prices)
        oco = terms.contingency is Contingency.OCO
        what = None
        if oco:
            placing.check_pair(floor, terms.orders, prices, twist)
        else:
            what = placing.check_placement(floor, terms.orders[0], prices, twist)
        list_id = self.registry.numbers.list
        self.registry.numbers.list += 1
        pending = Twist(refusal=twist.pending_refusal) if twist.pending_refusal else NO_TWIST
        orders = [
            floor.accept(
                one,
                prices,
                list_id=list_id,
                pending=not oco and place > 0,
                twist=twist if oco or place == 0 else pending,
            )
            for place, one in enumerate(terms.orders)
        ]
        order_list = OrderList(
            list_id,
            terms.symbol,
            terms.client_id,
            terms.contingency,
            tuple(order.id for order in orders),
            tuple(order.terms.client_id for order in orders),
            at_ms,
            at_ms,
        )
        self.registry.put_list(order_list)
        floor.hold(orders if oco else orders[:1], at_ms)
        for order in orders:
            floor.report_new(order)
        floor.tell_list(order_list)
        first_trade = len(self.registry.trades)
        if what is not None:
            orders[0] = matching.carry_out(floor, orders[0], what, prices)
        # The answer shows pending orders as pending, also when the working one was filled at once.
        traded = tuple(self.registry.trades[first_trade:])
        placed = tuple(Placed(o, traded if n == 0 else ()) for n, o in enumerate(orders))
        self._close(prices)
        return PlacedList(order_list, placed)

    def cancel_list(self, symbol: str, which: Which, cancel_id: str, prices: Prices) -> Canceled:
        """Raises RefusedError."""
        placing.check_cancelable(prices)
        order_list = self.registry.find_list(which.id, which.client_id)
        if order_list is None or order_list.done or order_list.symbol != symbol:
            raise refusals.unknown_order()
        canceled = self._cancel_whole(order_list, cancel_id, prices.at_ms)
        self._close(prices)
        return canceled

    def _cancel_whole(self, order_list: OrderList, cancel_id: str, at_ms: int) -> Canceled:
        orders = lists.cancel_list(self._floor, order_list, cancel_id, at_ms)
        return Canceled(tuple(orders), self.registry.order_list(order_list.id))

    # -- the market ----------------------------------------------------------------------------------

    def pass_trade(self, prices: Prices, price: Decimal, qty: Decimal) -> None:
        """The market traded `qty` at `price`: stops start, resting orders get their part of it."""
        floor, symbol = self._floor, prices.listing.symbol
        for order in self.registry.open_orders(symbol):
            now = self.registry.order(order.id)
            if now.waiting and now.terms.starts_at(price):
                matching.trigger(floor, now, prices)
                lists.follow(floor, prices)
        left = qty
        for order in matching.next_in_line(floor, symbol, price):
            now = self.registry.order(order.id)
            if left > 0 and now.open and now.working_ms < prices.at_ms:
                before = now.filled
                left -= matching.touch(floor, now, left, prices).filled - before
                lists.follow(floor, prices)
        self._close(prices)

    # -- the hand of others --------------------------------------------------------------------------

    def deposit(self, asset: str, amount: Decimal, at_ms: int) -> None:
        self._floor.ledger.deposit(asset, amount, at_ms)
        self._flow(asset, amount, at_ms)

    def withdraw(self, asset: str, amount: Decimal, at_ms: int) -> None:
        """Raises RefusedError when not that much is free."""
        self._floor.ledger.withdraw(asset, amount, at_ms)
        self._flow(asset, -amount, at_ms)

    def _flow(self, asset: str, delta: Decimal, at_ms: int) -> None:
        self._floor.news.append(Flow(at_ms, asset, delta))
        self._floor.tell_positions(at_ms)
        self._audit()

    def set_rates(self, rates: Rates) -> None:
        self._floor.rates = rates

    def fill_by_fate(self, order: Order, share: Decimal, prices: Prices) -> None:
        """Somebody trades with an open order just now: with a part of what it leaves, or starts a stop."""
        if order.waiting:
            matching.trigger(self._floor, order, prices)
        elif order.resting:
            step = prices.listing.step
            qty = min(order.leaves, max(step, floor_to(order.leaves * share, step)))
            matching.touch(self._floor, order, qty, prices)
        lists.follow(self._floor, prices)
        self._close(prices)

    def expire_all(self, prices: Prices) -> None:
        """The exchange ends every open order of the symbol."""
        for order in self.registry.open_orders(prices.listing.symbol):
            now = self.registry.order(order.id)
            if now.open:
                self._floor.expire(now, Expiry.EXCHANGE_CANCELED, prices.at_ms)
        self._close(prices)

    def jump(self, orders: int = 0, trades: int = 0) -> None:
        """Ids go on from further on."""
        self.registry.numbers.order += orders
        self.registry.numbers.trade += trades

    def wipe(self, deposits: Mapping[str, Decimal], at_ms: int) -> None:
        """Everything is forgotten; ids start anew."""
        rates = self._floor.rates
        self._floor = Floor(deposits, at_ms, Numbers())
        self._floor.rates = rates

    # -- the end of every command --------------------------------------------------------------------

    def _close(self, prices: Prices) -> None:
        lists.follow(self._floor, prices)
        self._floor.tell_positions(prices.at_ms)
        self._audit()

    def _audit(self) -> None:
        self.ledger.audit()
        needed: dict[int, Decimal] = {}
        for order in self.registry.open_orders():
            if order.status is not Status.PENDING_NEW:
                key = self._floor.hold_key(order)
                needed[key] = max(needed.get(key, ZERO), order.hold_needed)
        held = {key: hold.amount for key, hold in self.ledger.holds.items()}
        assert needed == held, f"open orders need {needed}, held is {held}"


def _whole_qty(terms: Terms, what: Plan, prices: Prices) -> Decimal:
    """How much base an order in quote currency is: what it trades, and what it would have traded."""
    if what.ending is Ending.COMPLETE:
        return what.qty
    step = prices.listing.step
    missing = floor_to((terms.quote_qty - what.quote) / prices.last(), step)
    return what.qty + max(step, missing)
