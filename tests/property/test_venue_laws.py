"""Whatever an account does and the market does to it, the venue's books add up and its news tell it all."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.core.money import ZERO
from agent.localexchange.venue.events import Positions, Report
from agent.localexchange.venue.ledger import Balance
from agent.localexchange.venue.order import Order, Terms
from agent.localexchange.venue.outcomes import Which
from agent.localexchange.venue.prices import Offer
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.twist import NO_TWIST, Twist
from agent.localexchange.venue.words import Execution, Kind, Prevention, Side, Status
from tests.venue_ground import Desk, desk

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover

D = Decimal
TICK = D("0.0001")

sides = st.sampled_from(["BUY", "SELL"])
ticks = st.integers(4_500, 5_500)
amounts = st.integers(100, 6_000).map(lambda n: D(n) / 10)
twists = st.one_of(
    st.just(NO_TWIST),
    st.builds(
        Twist,
        share=st.one_of(st.none(), st.sampled_from([D(0), D("0.3"), D("0.5")])),
        pieces=st.integers(1, 4),
        rest_ends=st.sampled_from([Status.EXPIRED, Status.EXPIRED_IN_MATCH]),
        bnb_fills=st.one_of(st.none(), st.integers(0, 2)),
        doubled=st.booleans(),
    ),
)


class Trading(RuleBasedStateMachine):
    @initialize(bnb=st.sampled_from(["0", "0.0005", "5"]))
    def open_account(self, bnb: str) -> None:
        self.desk: Desk = desk(funds={"USDT": "2000", "ADA": "3000", "BNB": bnb})
        self.outside = defaultdict(lambda: ZERO, {"USDT": D(2_000), "ADA": D(3_000), "BNB": D(bnb)})
        self.seen: dict[int, Order] = {}
        self.filled: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
        self.told: dict[str, Balance] = dict(self.desk.venue.ledger.balances())

    # -- what may happen -----------------------------------------------------------------------------

    @rule(mid=ticks, depth=st.integers(0, 4), size=amounts, volume=amounts)
    def market_moves(self, mid: int, depth: int, size: Decimal, volume: Decimal) -> None:
        book = self.desk.book
        book.bids = [Offer((mid - 1 - n) * TICK, size + n) for n in range(depth)]
        book.asks = [Offer((mid + 1 + n) * TICK, size + n) for n in range(depth)]
        self.desk.trade(str(mid * TICK), str(volume))

    @rule(
        side=sides,
        kind=st.sampled_from(list(Kind)),
        qty=amounts,
        price=ticks,
        stop=ticks,
        force=st.sampled_from(["GTC", "IOC", "FOK"]),
        prevention=st.sampled_from(list(Prevention)),
        client_id=st.sampled_from(["", "", "same"]),
        twist=twists,
    )
    def place(
        self,
        side: str,
        kind: Kind,
        qty: Decimal,
        price: int,
        stop: int,
        force: str,
        twist: Twist,
        **more: Any,
    ) -> None:
        terms = self._terms(side, kind, qty, price, stop, **more)
        self._attempt(lambda: self.desk.venue.place(terms, self.desk.book, twist))

    @rule(side=sides, spend=st.integers(6, 900), twist=twists)
    def spend(self, side: str, spend: int, twist: Twist) -> None:
        terms = self.desk.terms(side, "MARKET", quote_qty=str(spend))
        self._attempt(lambda: self.desk.venue.place(terms, self.desk.book, twist))

    @rule(
        side=sides,
        qty=amounts,
        near=st.integers(1, 300),
        far=st.integers(1, 300),
        limited=st.booleans(),
        otoco=st.booleans(),
        at=ticks,
    )
    def place_list(
        self, side: str, qty: Decimal, near: int, far: int, limited: bool, otoco: bool, at: int
    ) -> None:
        last = int(self.desk.book.last_price / TICK)
        down, up = (last - near, last + far) if side == "SELL" else (last + near, last - far)
        stop_kind = Kind.STOP_LOSS_LIMIT if limited else Kind.STOP_LOSS
        pair = (
            self._terms(side, stop_kind, qty, down, down),
            self._terms(side, Kind.LIMIT_MAKER, qty, up, up),
        )
        if otoco:
            first = self._terms("BUY" if side == "SELL" else "SELL", Kind.LIMIT, qty, at, at)
            self._attempt(lambda: self.desk.list("OTO", first, *pair))
        else:
            self._attempt(lambda: self.desk.list("OCO", *pair))

    @rule(pick=st.integers(0, 50))
    def cancel(self, pick: int) -> None:
        order = self._any(pick)
        self._attempt(lambda: self.desk.cancel(order))

    @rule(pick=st.integers(0, 50), side=sides, qty=amounts, price=ticks, stop=st.booleans())
    def cancel_replace(self, pick: int, side: str, qty: Decimal, price: int, stop: bool) -> None:
        which, terms = Which(self._any(pick).id), self._terms(side, Kind.LIMIT, qty, price, price)
        self._attempt(
            lambda: self.desk.venue.cancel_replace(
                which, "x", "", terms, self.desk.book, stop_on_failure=stop
            )
        )

    @rule(pick=st.integers(0, 50), share=st.sampled_from([D("0.3"), D(1)]))
    def fate_fills(self, pick: int, share: Decimal) -> None:
        order = self._any(pick)
        if order.open:
            self.desk.venue.fill_by_fate(order, share, self.desk.book)

    @rule()
    def exchange_ends_everything(self) -> None:
        self.desk.venue.expire_all(self.desk.book)

    @rule(asset=st.sampled_from(["USDT", "ADA", "BNB"]), amount=st.integers(-500, 500))
    def money_comes_and_goes(self, asset: str, amount: int) -> None:
        at_ms = self.desk.book.at_ms
        try:
            if amount < 0:
                self.desk.venue.withdraw(asset, D(-amount), at_ms)
            else:
                self.desk.venue.deposit(asset, D(amount), at_ms)
        except RefusedError:
            return
        self.outside[asset] += amount

    def _terms(self, side: str, kind: Kind, qty: Decimal, price: int, stop: int, **more: Any) -> Terms:
        return self.desk.terms(
            side,
            kind,
            str(qty),
            price=price * TICK if kind.limited else 0,
            stop=stop * TICK if kind.conditional else 0,
            **more,
        )

    def _any(self, pick: int) -> Order:
        orders = self.desk.venue.registry.open_orders() or list(self.desk.venue.registry.all_orders())
        if not orders:
            return self.desk.place("BUY", "LIMIT", "100", price="0.45").order
        return self.desk.now(orders[pick % len(orders)])

    def _attempt(self, command: Any) -> None:
        before = self.desk.state()
        try:
            command()
        except RefusedError:
            assert self.desk.state() == before, "what is refused changes nothing"

    # -- what must hold ------------------------------------------------------------------------------

    @invariant()
    def balances_are_what_came_and_went(self) -> None:
        if not hasattr(self, "desk"):
            return
        owed = defaultdict(lambda: ZERO, self.outside)
        for trade in self.desk.venue.registry.trades:
            sign = 1 if trade.side is Side.BUY else -1
            owed["ADA"] += sign * trade.qty
            owed["USDT"] -= sign * trade.quote
            owed[trade.fee_asset] -= trade.fee
        for asset, balance in self.desk.venue.ledger.balances().items():
            assert balance.total == owed[asset], asset
            assert balance.free >= 0
            assert balance.locked >= 0

    @invariant()
    def orders_are_what_their_trades_say(self) -> None:
        if not hasattr(self, "desk"):
            return
        filled: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
        quote: defaultdict[int, Decimal] = defaultdict(lambda: ZERO)
        for trade in self.desk.venue.registry.trades:
            filled[trade.order_id] += trade.qty
            quote[trade.order_id] += trade.quote
        for order in self.desk.venue.registry.all_orders():
            assert (order.filled, order.quote_filled) == (filled[order.id], quote[order.id])
            assert (order.status is Status.FILLED) == (order.filled == order.qty)
            if order.terms.kind.limited and order.filled:
                better = order.quote_filled / order.filled - order.terms.price
                assert better * (1 if order.terms.side is Side.SELL else -1) >= 0
        for one in self.desk.venue.registry.lists():
            assert one.done == (not any(self.desk.venue.registry.order(i).open for i in one.order_ids))
            if one.pair:
                assert sum(self.desk.venue.registry.order(i).filled > 0 for i in one.pair) <= 1

    @invariant()
    def the_news_tell_it_all(self) -> None:
        if not hasattr(self, "desk"):
            return
        for news in self.desk.news():
            if isinstance(news, Positions):
                self.told.update(news.balances)
            if not isinstance(news, Report):
                continue
            before = self.seen.get(news.order.id)
            assert before is None or before.open, "an order that ended stays as it is"
            self.seen[news.order.id] = news.order
            if news.execution is Execution.TRADE:
                assert news.trade is not None
                self.filled[news.order.id] += news.trade.qty
            assert self.filled[news.order.id] == news.order.filled
        assert self.told == self.desk.venue.ledger.balances()
        pending = {o.id for o in self.desk.venue.registry.all_orders() if o.status is Status.PENDING_NEW}
        assert self.seen == {
            o.id: o for o in self.desk.venue.registry.all_orders() if o.id in self.seen or o.id not in pending
        }


Trading.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTrading = Trading.TestCase
