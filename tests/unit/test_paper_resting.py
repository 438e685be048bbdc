"""Open orders of the paper account as the book and closed candles reach them."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest

from agent.core.events import Holding
from agent.core.market import Candle
from agent.core.order import OrderStatus, OrderType, Side, TimeInForce
from agent.exchange.paper.account import meet, place, reached_by, tick
from agent.exchange.paper.settlement import settle
from agent.exchange.paper.state import Moved, PaperState, Phase, Ticket
from tests.paper_desk import (
    BAR,
    FREE_OF_COSTS,
    NOON,
    TERMS,
    D,
    book,
    book_at,
    buy,
    candle,
    executions,
    holding,
    quote_at,
    sell,
    stop,
    ticket,
)

LATER = NOON + 60_000


def resting(*tickets: Ticket, base: str = "100", quote: str = "1000", at_ms: int = NOON) -> PaperState:
    """An account whose orders were accepted at a mid price of 0.3000."""
    state = holding(base, quote)
    for asked in tickets:
        moved = place(state, asked, book_at("0.3000"), TERMS, at_ms)
        assert isinstance(moved, Moved), moved
        state = moved.state
    assert len(state.open_orders) == len(tickets)
    return state


def limit_sell(client_id: str = "t", qty: str = "100", price: str = "0.3100") -> Ticket:
    return sell(client_id, qty, price, TimeInForce.GTC)


# --- books -------------------------------------------------------------------------------------


def test_a_stop_sells_at_the_market_once_the_bid_reaches_it() -> None:
    state = resting(stop("s", "100", "0.2900"))
    assert tick(state, book_at("0.2902"), TERMS, LATER).orders == ()
    moved = tick(state, book([("0.2900", "40"), ("0.2890", "100")], [("0.2902", "9")]), TERMS, LATER)
    # mid 0.2901 - 5 bp, down to the tick: 0.2899
    assert executions(moved.fills) == [("0.2899", "40"), ("0.2890", "60")]
    assert (moved.orders[0].status, moved.orders[0].updated_ms) == (OrderStatus.FILLED, LATER)
    assert moved.state.open_orders == ()


def test_a_stop_that_runs_out_of_book_expires_half_filled() -> None:
    moved = tick(resting(stop("s", "100", "0.2900")), book_at("0.2800", qty="30"), TERMS, LATER)
    assert (moved.orders[0].status, moved.orders[0].executed_qty) == (OrderStatus.EXPIRED, D(30))
    assert moved.state.balances["ADA"] == Holding(D(70), D(0))


def test_a_stop_limit_takes_what_its_limit_allows_and_then_rests() -> None:
    state = resting(stop("s", "100", "0.2900", price="0.2890"))
    moved = tick(state, book([("0.2900", "40"), ("0.2880", "100")], [("0.2902", "9")]), TERMS, LATER)
    assert executions(moved.fills) == [("0.2899", "40")]
    (order,) = moved.state.open_orders
    assert (order.phase, order.phase_since_ms, order.leaves_qty) == (Phase.IN_BOOK, LATER, D(60))
    assert moved.state.balances["ADA"].locked == D(60)


def test_a_resting_limit_trades_at_its_own_price_for_what_came() -> None:
    state = resting(limit_sell())
    moved = tick(state, book([("0.3120", "30"), ("0.3100", "20"), ("0.3099", "500")], []), TERMS, LATER)
    assert executions(moved.fills) == [("0.3100", "30"), ("0.3100", "20")]
    assert moved.orders[0].status is OrderStatus.PARTIALLY_FILLED
    done = tick(moved.state, book_at("0.3200"), TERMS, LATER)
    assert executions(done.fills) == [("0.3100", "50")]
    assert done.settled[0].executed_value == D("31")


def test_a_resting_buy_gets_back_nothing_more_than_it_locked() -> None:
    state = resting(buy("b", "100", "0.2900", TimeInForce.GTC))
    assert state.balances["USDT"] == Holding(D("971"), D("29"))
    done = tick(state, book_at("0.2850"), TERMS, LATER)
    assert done.state.balances["USDT"] == Holding(D("971"), D(0))
    assert done.state.balances["ADA"].free == D(100) + D("99.9")


def test_two_orders_share_one_book() -> None:
    state = resting(limit_sell("a", "50"), limit_sell("b", "50"))
    moved = tick(state, book([("0.3110", "60")], []), TERMS, LATER)
    assert [(f.client_id, str(f.qty)) for f in moved.fills] == [("a", "50"), ("b", "10")]


def test_liquidity_is_shared_across_levels_by_takers_and_resting_orders() -> None:
    state = resting(limit_sell("a", "70"), limit_sell("b", "50"), base="120")
    moved = tick(state, book([("0.3110", "40"), ("0.3105", "60")], []), TERMS, LATER)
    assert [(f.client_id, str(f.qty)) for f in moved.fills] == [("a", "40"), ("a", "30"), ("b", "30")]
    stops = resting(stop("c", "70", "0.2900"), stop("d", "50", "0.2900"), base="120")
    fallen = book([("0.2890", "40"), ("0.2880", "60")], [("0.2891", "1")])
    moved = tick(stops, fallen, TERMS, LATER)
    assert [(f.client_id, str(f.qty)) for f in moved.fills] == [("c", "40"), ("c", "30"), ("d", "30")]


def test_a_buy_stop_buys_only_as_far_as_the_money_goes() -> None:
    asked = ticket("b", Side.BUY, OrderType.STOP_LOSS, "100", stop_price="0.3100")
    state = resting(asked, quote="31.5")
    moved = tick(state, book([("0.3999", "1")], [("0.4001", "500")]), FREE_OF_COSTS, LATER)
    # 31 locked at 0.31 each and 0.5 free: 0.5 / (0.4001 - 0.31) = 5.5 pieces
    assert executions(moved.fills) == [("0.4001", "5.5")]
    assert moved.orders[0].status is OrderStatus.EXPIRED
    assert moved.state.balances["USDT"].locked == 0


def test_a_quote_names_the_orders_it_reaches() -> None:
    state = resting(stop("s", "50", "0.2900"), limit_sell("t", "50"))
    assert reached_by(state, quote_at("0.3000")) == set()
    assert reached_by(state, quote_at("0.2901")) == {1}
    assert reached_by(state, quote_at("0.3101")) == {2}


def test_an_order_that_was_reached_is_executed_even_if_the_price_came_back() -> None:
    state = resting(stop("s", "50", "0.2900"), stop("u", "50", "0.2950"))
    moved = meet(state, {1}, book_at("0.2901"), TERMS, LATER)
    assert [f.client_id for f in moved.fills] == ["s"]
    back = meet(state, {1}, book_at("0.2990"), TERMS, LATER)
    assert executions(back.fills) == [("0.2988", "50")]
    assert [o.ticket.client_id for o in back.state.open_orders] == ["u"]


def test_numbers_of_settled_orders_are_ignored() -> None:
    state = resting(stop("s", "50", "0.2900"))
    assert meet(state, {7}, book_at("0.2000"), TERMS, LATER) == Moved(state)


# --- candles -----------------------------------------------------------------------------------

BEFORE = NOON - 1
"""Orders of most tests here became active before the bar that opens at NOON."""


def settled(state: PaperState, bar: Candle) -> Moved:
    return settle(state, bar, BAR, TERMS)


@pytest.mark.parametrize(
    ("bar", "price"),
    [
        pytest.param(candle(0.30, 0.31, 0.2901, 0.30), None, id="not reached"),
        pytest.param(candle(0.30, 0.31, 0.29, 0.30), "0.2898", id="touched: at the stop"),
        pytest.param(candle(0.30, 0.31, 0.20, 0.30), "0.2898", id="fell through: at the stop"),
        pytest.param(candle(0.28, 0.31, 0.20, 0.30), "0.2798", id="gap: at the open"),
    ],
)
def test_a_stop_is_settled_at_the_stop_or_the_open_worsened(bar: Candle, price: str | None) -> None:
    moved = settled(resting(stop("s", "100", "0.2900"), at_ms=BEFORE), bar)
    assert executions(moved.fills) == ([] if price is None else [(price, "100")])
    if price is not None:
        assert moved.fills[0].at_ms == NOON + BAR - 1
        assert moved.orders[0].status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("bar", "price"),
    [
        pytest.param(candle(0.30, 0.31, 0.20, 0.2901), None, id="a low that may have come before"),
        pytest.param(candle(0.30, 0.31, 0.20, 0.29), "0.2898", id="the close is at the stop"),
        pytest.param(candle(0.30, 0.31, 0.20, 0.25), "0.2498", id="the close is below it"),
    ],
)
def test_an_order_younger_than_the_bar_sees_only_its_close(bar: Candle, price: str | None) -> None:
    moved = settled(resting(stop("s", "100", "0.2900"), at_ms=NOON + 1), bar)
    assert executions(moved.fills) == ([] if price is None else [(price, "100")])


def test_an_order_younger_than_the_whole_bar_is_left_alone() -> None:
    state = resting(stop("s", "100", "0.2900"), at_ms=NOON + BAR)
    assert settled(state, candle(0.30, 0.31, 0.10, 0.10)) == Moved(state)


@pytest.mark.parametrize(("high", "fills"), [(0.3099, []), (0.31, [("0.3100", "100")])])
def test_a_limit_sell_is_filled_at_its_price_when_the_high_reaches_it(
    high: float, fills: list[tuple[str, str]]
) -> None:
    state = resting(limit_sell(), at_ms=BEFORE)
    assert executions(settled(state, candle(0.30, high, 0.29, 0.30)).fills) == fills


def test_a_limit_buy_is_filled_at_its_price_when_the_low_reaches_it() -> None:
    state = resting(buy("b", "100", "0.2900", TimeInForce.GTC), at_ms=BEFORE)
    assert executions(settled(state, candle(0.28, 0.30, 0.27, 0.30)).fills) == [("0.2900", "100")]


def test_a_buy_stop_is_settled_at_the_stop_or_the_open_worsened() -> None:
    asked = ticket("b", Side.BUY, OrderType.STOP_LOSS, "100", stop_price="0.3100")
    state = resting(asked, at_ms=BEFORE)
    assert executions(settled(state, candle(0.30, 0.32, 0.29, 0.30)).fills) == [("0.3102", "100")]
    assert executions(settled(state, candle(0.32, 0.33, 0.29, 0.30)).fills) == [("0.3202", "100")]
    assert executions(settled(state, candle(0.30, 0.31, 0.29, 0.30)).fills) == [("0.3102", "100")]
    assert settled(state, candle(0.30, 0.3099, 0.29, 0.30)).fills == ()


def test_a_buy_stop_that_a_bar_makes_too_dear_expires_half_filled() -> None:
    asked = ticket("b", Side.BUY, OrderType.STOP_LOSS, "100", stop_price="0.3100")
    moved = settled(resting(asked, quote="31.5", at_ms=BEFORE), candle(0.40, 0.41, 0.39, 0.40))
    # 0.5 free above the 31 locked: 0.5 / (0.4002 - 0.31) = 5.5 pieces
    assert executions(moved.fills) == [("0.4002", "5.5")]
    assert moved.orders[0].status is OrderStatus.EXPIRED
    assert moved.state.balances["USDT"].locked == 0


def test_of_two_orders_that_one_bar_reaches_the_stop_is_booked_first() -> None:
    state = resting(limit_sell("t", "50"), stop("s", "50", "0.2900"), at_ms=BEFORE)
    assert [f.client_id for f in settled(state, candle(0.30, 0.32, 0.28, 0.30)).fills] == ["s", "t"]


def test_a_stop_limit_jumped_over_waits_in_the_book_for_a_later_bar() -> None:
    state = resting(stop("s", "100", "0.2900", price="0.2890"), at_ms=BEFORE)
    gap = settled(state, candle(0.28, 0.2895, 0.27, 0.2889))
    assert gap.fills == ()
    assert gap.state.open_orders[0].phase is Phase.IN_BOOK
    again = settled(gap.state, candle(0.28, 0.2895, 0.27, 0.2889))
    assert again.fills == (), "the same bar a second time"
    back = settled(gap.state, candle(0.2885, 0.2891, 0.2880, 0.2885, NOON + BAR))
    assert executions(back.fills) == [("0.2890", "100")]


def test_a_stop_limit_jumped_over_is_filled_by_the_close_of_the_same_bar() -> None:
    state = resting(stop("s", "100", "0.2900", price="0.2890"), at_ms=BEFORE)
    assert executions(settled(state, candle(0.28, 0.2895, 0.27, 0.2891)).fills) == [("0.2890", "100")]


def test_an_immediate_stop_limit_that_is_jumped_over_expires() -> None:
    asked = changed(stop("s", "100", "0.2900", price="0.2890"), time_in_force=TimeInForce.IOC)
    moved = settled(resting(asked, at_ms=BEFORE), candle(0.28, 0.30, 0.27, 0.30))
    assert moved.orders[0].status is OrderStatus.EXPIRED
    assert moved.state.balances["ADA"] == Holding(D(100), D(0))
