"""Laws of the paper account under any sequence of orders, cancels, books and candles.

The machine keeps its own ledger, built from fills alone, and compares it with the account exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.core.market import Book, BookLevel, Candle
from agent.core.order import Fill, OrderStatus, OrderType, Side, TimeInForce
from agent.exchange.paper.account import cancel, place, place_pair, replace, tick
from agent.exchange.paper.settlement import settle
from agent.exchange.paper.state import Moved, PaperOrder, PaperState, Phase, Refusal, Ticket
from agent.exchange.paper.terms import Terms
from tests.paper_desk import BAR, NOON, PAIR, holding

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover

TICK = PAIR.tick
STEP = PAIR.step

ticks = st.integers(min_value=2900, max_value=3100)
sizes = st.integers(min_value=1, max_value=4000)


def at(number: int) -> Decimal:
    return number * TICK


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Up to four levels a side around a mid near 0.30; either side may be empty."""
    best_bid = draw(ticks)
    spread = draw(st.integers(1, 8))
    gaps = st.lists(st.tuples(st.integers(1, 12), sizes), max_size=4)

    def side(start: int, direction: int) -> tuple[BookLevel, ...]:
        levels, price = [], start - direction
        for gap, size in draw(gaps):
            price += direction * gap
            levels.append(BookLevel(at(price), size * STEP))
        return tuple(levels)

    return Book(side(best_bid, -1), side(best_bid + spread, 1), NOON)


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    kind = draw(st.sampled_from(OrderType))
    priced = kind in (OrderType.LIMIT, OrderType.STOP_LOSS_LIMIT, OrderType.LIMIT_MAKER)
    stopped = kind in (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
    return Ticket(
        client_id=draw(st.sampled_from("abcdefgh")),
        side=draw(st.sampled_from(Side)),
        type=kind,
        qty=draw(sizes) * STEP,
        price=at(draw(ticks)) if priced else None,
        stop_price=at(draw(ticks)) if stopped else None,
        time_in_force=(
            draw(st.sampled_from(TimeInForce)) if priced and kind is not OrderType.LIMIT_MAKER else None
        ),
    )


@st.composite
def bars(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Open, high, low, close as the floats a feed would deliver."""
    prices = [float(at(draw(ticks))) for _ in range(4)]
    return prices[0], max(prices), min(prices), prices[3]


class AccountLaws(RuleBasedStateMachine):
    @initialize(
        base=st.integers(0, 5000),
        quote=st.integers(0, 2000),
        fee_bp=st.sampled_from(["0", "7.5", "10", "333.3"]),
        slippage_bp=st.sampled_from(["0", "5", "37.5"]),
    )
    def open(self, base: int, quote: int, fee_bp: str, slippage_bp: str) -> None:
        self.terms = Terms(PAIR, Decimal(fee_bp), Decimal(slippage_bp))
        self.initial = {"ADA": Decimal(base), "USDT": Decimal(quote)}
        self.state: PaperState = holding(str(base), str(quote))
        self.fills: list[Fill] = []
        self.orders: dict[int, PaperOrder] = {}
        self.now_ms = NOON

    # --- what can happen ---------------------------------------------------------------------------

    @rule(ticket=tickets(), book=books())
    def place(self, ticket: Ticket, book: Book) -> None:
        result = place(self.state, ticket, book, self.terms, self._later())
        if isinstance(result, Moved):
            self._taker_law(result.fills, book)
            self._ioc_law(result, ticket)
            self._take(result)

    @rule(stop=ticks, goal=ticks, qty=sizes, limit=st.booleans(), book=books())
    def place_a_list(self, stop: int, goal: int, qty: int, limit: bool, book: Book) -> None:
        self.lists = getattr(self, "lists", 0) + 1
        name = f"list{self.lists}"
        kind = OrderType.STOP_LOSS_LIMIT if limit else OrderType.STOP_LOSS
        low = at(stop - 20) if limit else None
        force = TimeInForce.GTC if limit else None
        legs = (
            Ticket(f"{name}s", Side.SELL, kind, qty * STEP, low, at(stop), force, name),
            Ticket(f"{name}t", Side.SELL, OrderType.LIMIT_MAKER, qty * STEP, at(goal), None, None, name),
        )
        free = self.state.free("ADA")
        result = place_pair(self.state, *legs, book, self.terms, self._later())
        if isinstance(result, Moved):
            assert stop < goal
            assert len(result.orders) == 2
            assert result.fills == ()
            assert result.state.free("ADA") == free - qty * STEP, "both legs lock what one sells"
            self._take(result)
        else:
            assert self.state.free("ADA") == free

    @rule(client_id=st.sampled_from("abcdefgh"))
    def cancel_twice(self, client_id: str) -> None:
        result = cancel(self.state, client_id, self.terms, self._later())
        assert isinstance(result, Moved) is (self.state.open_order(client_id) is not None)
        if isinstance(result, Moved):
            assert result.fills == ()
            self._take(result)
        again = cancel(self.state, client_id, self.terms, self._later())
        assert isinstance(again, Refusal)
        assert again.code == -2011

    @precondition(lambda self: self.state.open_orders)
    @rule(data=st.data(), ticket=tickets(), book=books())
    def replace_twice(self, data: st.DataObject, ticket: Ticket, book: Book) -> None:
        old = data.draw(st.sampled_from(self.state.open_orders)).ticket.client_id
        result = replace(self.state, old, ticket, book, self.terms, self._later())
        assert result.moved is not None
        if isinstance(result.placed, Moved):
            self._taker_law(result.placed.fills, book)
        self._take(result.moved)
        if old == ticket.client_id:
            return
        again = replace(self.state, old, ticket, book, self.terms, self._later())
        assert (again.moved, again.placed) == (None, None)

    @rule(book=books())
    def tick(self, book: Book) -> None:
        result = tick(self.state, book, self.terms, self._later())
        waiting = {o.ticket.client_id for o in self.state.open_orders if o.phase is Phase.WAITING}
        self._taker_law([f for f in result.fills if f.client_id in waiting], book)
        for fill in result.fills:
            if fill.client_id not in waiting:
                order = self.state.open_order(fill.client_id)
                assert order is not None
                assert fill.price == order.ticket.price
        self._take(result)

    @rule(bar=bars(), minutes=st.integers(0, 40))
    def settle(self, bar: tuple[float, float, float, float], minutes: int) -> None:
        open_ms = self.now_ms - minutes * 60_000
        candle = Candle(open_ms, *bar, 1000.0)
        result = settle(self.state, candle, BAR, self.terms)
        for fill in result.fills:
            self._candle_law(fill, candle)
        self._take(result)
        assert settle(self.state, candle, BAR, self.terms).fills == (), "the same bar twice"
        self.now_ms = max(self.now_ms, open_ms + BAR)

    def _later(self) -> int:
        self.now_ms += 60_000
        return self.now_ms

    def _take(self, moved: Moved) -> None:
        self.state = moved.state
        self.fills.extend(moved.fills)
        for order in moved.orders:
            known = self.orders.get(order.order_id)
            assert known is None or not known.is_settled, "a settled order moved"
            self.orders[order.order_id] = order

    # --- laws of one operation ---------------------------------------------------------------------

    def _taker_law(self, fills: Sequence[Fill], book: Book) -> None:
        """Never better than the cost model, never better than the best level."""
        share = self.terms.slippage_bp / 10_000
        for fill in fills:
            if fill.side is Side.BUY:
                assert fill.price >= book.asks[0].price
                assert book.mid is None or fill.price >= book.mid * (1 + share)
            else:
                assert fill.price <= book.bids[0].price
                assert book.mid is None or fill.price <= book.mid * (1 - share)

    def _ioc_law(self, moved: Moved, ticket: Ticket) -> None:
        if ticket.time_in_force is TimeInForce.IOC and ticket.type is OrderType.LIMIT:
            assert moved.orders[0].is_settled
        if ticket.price is not None:
            assert all(_inside(fill.price, ticket) for fill in moved.fills)

    def _candle_law(self, fill: Fill, candle: Candle) -> None:
        order = self.state.open_order(fill.client_id)
        assert order is not None
        ticket, whole = order.ticket, order.phase_since_ms <= candle.open_ms
        assert order.phase_since_ms < candle.open_ms + BAR
        bar_open, close = Decimal(repr(candle.open)), Decimal(repr(candle.close))
        share = self.terms.slippage_bp / 10_000
        assert ticket.price is None or _inside(fill.price, ticket)
        if order.phase is Phase.WAITING and fill.price != ticket.price:
            assert ticket.stop_price is not None
            lived = bar_open if whole else close
            if fill.side is Side.SELL:
                assert fill.price <= min(ticket.stop_price, lived) * (1 - share)
            else:
                assert fill.price >= max(ticket.stop_price, lived) * (1 + share)
        reached = (candle.low, candle.high) if whole else (candle.close, candle.close)
        if order.phase is Phase.IN_BOOK:
            assert fill.price == ticket.price
            assert _inside(Decimal(repr(reached[0 if fill.side is Side.BUY else 1])), ticket)

    # --- laws of every state -----------------------------------------------------------------------

    @invariant()
    def money_is_conserved(self) -> None:
        expected = dict(self.initial)
        for fill in self.fills:
            sign = 1 if fill.side is Side.BUY else -1
            expected["ADA"] += sign * fill.qty
            expected["USDT"] -= sign * fill.qty * fill.price
            expected[fill.fee_currency] -= fill.fee
        assert {c: h.total for c, h in self.state.balances.items()} == expected

    @invariant()
    def nothing_is_negative_and_locks_belong_to_orders(self) -> None:
        for currency, kept in self.state.balances.items():
            assert kept.free >= 0
            payers = [o for o in self.state.open_orders if self.terms.pays_with(o.ticket.side) == currency]
            assert kept.locked == sum((o.locked for o in payers), Decimal(0))

    @invariant()
    def orders_execute_at_most_their_quantity_and_exactly_their_fills(self) -> None:
        filled: dict[str, Decimal] = {}
        for fill in self.fills:
            filled[fill.client_id] = filled.get(fill.client_id, Decimal(0)) + fill.qty
        executed: dict[str, Decimal] = {}
        for order in self.orders.values():
            assert 0 <= order.executed_qty <= order.ticket.qty
            assert (order.status is OrderStatus.FILLED) is (order.executed_qty == order.ticket.qty)
            name = order.ticket.client_id
            executed[name] = executed.get(name, Decimal(0)) + order.executed_qty
        assert filled == {name: qty for name, qty in executed.items() if qty}

    @invariant()
    def of_a_list_one_leg_trades_and_both_end_together(self) -> None:
        lists: dict[str, list[PaperOrder]] = {}
        for order in self.orders.values():
            if order.ticket.list_id is not None:
                lists.setdefault(order.ticket.list_id, []).append(order)
        for legs in lists.values():
            traded = [leg for leg in legs if leg.executed_qty]
            assert len(traded) <= 1, "only one leg of a list ever trades"
            if traded:
                assert all(leg.is_settled for leg in legs if leg is not traded[0])
            if any(leg.status is OrderStatus.CANCELED for leg in legs):
                assert all(leg.is_settled for leg in legs)

    @invariant()
    def numbers_run_on_and_open_orders_are_the_ones_not_settled(self) -> None:
        assert [f.trade_id for f in self.fills] == [str(n + 1) for n in range(len(self.fills))]
        assert self.state.next_trade_id == len(self.fills) + 1
        assert self.state.next_order_id == len(self.orders) + 1
        still_open = tuple(o for o in self.orders.values() if not o.is_settled)
        assert self.state.open_orders == still_open
        assert all(o.phase is not Phase.TAKING for o in still_open)
        ids = [o.ticket.client_id for o in still_open]
        assert len(ids) == len(set(ids))


def _inside(price: Decimal, ticket: Ticket) -> bool:
    assert ticket.price is not None
    return price <= ticket.price if ticket.side is Side.BUY else price >= ticket.price


TestAccountLaws = AccountLaws.TestCase
TestAccountLaws.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
