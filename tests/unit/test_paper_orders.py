"""Orders sent to the paper account: what fills at once, at which price, and what is refused."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest

from agent.core.events import Holding
from agent.core.instrument import PriceBand
from agent.core.market import Book
from agent.core.order import Fact, OrderStatus, OrderType, Side, TimeInForce
from agent.exchange.paper.account import cancel, place, replace
from agent.exchange.paper.state import Moved, PaperState, Refusal, Ticket, report_of
from agent.exchange.paper.terms import Terms
from tests.paper_desk import (
    FREE_OF_COSTS,
    NOON,
    PAIR,
    TERMS,
    D,
    book,
    book_at,
    buy,
    executions,
    holding,
    sell,
    stop,
    ticket,
)

LADDER = book(
    bids=[("0.3000", "100"), ("0.2990", "200"), ("0.2980", "300")],
    asks=[("0.3002", "100"), ("0.3010", "200"), ("0.3020", "300")],
)


def accepted(state: PaperState, asked: Ticket, at: Book = LADDER, terms: Terms = TERMS) -> Moved:
    result = place(state, asked, at, terms, NOON)
    assert isinstance(result, Moved), result
    return result


def refused(state: PaperState, asked: Ticket, at: Book = LADDER, terms: Terms = TERMS) -> tuple[int, str]:
    result = place(state, asked, at, terms, NOON)
    assert isinstance(result, Refusal), "the order was accepted"
    return result.code, result.detail


# --- prices ------------------------------------------------------------------------------------


def test_a_market_buy_walks_the_book_one_fill_for_each_level() -> None:
    moved = accepted(holding(), buy("a", "350"))
    # mid 0.3001 + 5 bp = 0.30025005, up to the tick 0.3003: worse than the best ask, better than the others
    assert executions(moved.fills) == [("0.3003", "100"), ("0.3010", "200"), ("0.3020", "50")]
    assert [fill.trade_id for fill in moved.fills] == ["1", "2", "3"]
    assert moved.orders[0].status is OrderStatus.FILLED
    assert moved.orders[0].executed_value == D("30.03") + D("60.2") + D("15.1")


def test_a_market_sell_gets_the_worse_of_book_and_cost_model() -> None:
    moved = accepted(holding(base="350", quote="0"), sell("a", "350"))
    # mid 0.3001 - 5 bp = 0.29994995, down to the tick 0.2999
    assert executions(moved.fills) == [("0.2999", "100"), ("0.2990", "200"), ("0.2980", "50")]


def test_without_costs_the_book_alone_decides() -> None:
    assert executions(accepted(holding(), buy("a", "120"), terms=FREE_OF_COSTS).fills) == [
        ("0.3002", "100"),
        ("0.3010", "20"),
    ]


def test_with_an_empty_other_side_slippage_counts_from_the_best_level() -> None:
    one_sided = book(bids=[], asks=[("0.3000", "100")])
    assert executions(accepted(holding(), buy("a", "20"), one_sided).fills) == [("0.3002", "20")]


# --- fees and balances -------------------------------------------------------------------------


def test_buying_takes_the_fee_from_the_base_currency() -> None:
    moved = accepted(holding(quote="100"), buy("a", "50"))
    (fill,) = moved.fills
    assert (fill.fee, fill.fee_currency) == (D("0.05"), "ADA")
    assert moved.state.balances == {
        "ADA": Holding(D("49.95"), D(0)),
        "USDT": Holding(D("100") - D("15.015"), D(0)),
    }


def test_selling_takes_the_fee_from_the_quote_currency() -> None:
    moved = accepted(holding(base="50", quote="0"), sell("a", "50"))
    (fill,) = moved.fills
    assert (fill.fee, fill.fee_currency) == (D("0.014995"), "USDT")
    assert moved.state.balances["USDT"].free == D("14.995") - D("0.014995")
    assert moved.state.balances["ADA"].total == 0


def test_a_fee_is_rounded_up_to_eight_decimals() -> None:
    terms = Terms(PAIR, fee_bp=D("7.3"), slippage_bp=D(0))
    (fill,) = accepted(holding(base="77.7"), sell("a", "77.7"), book_at("0.3333"), terms).fills
    exact = D("77.7") * D("0.3332") * D("0.00073")
    assert fill.fee == D("0.01889944") > exact > D("0.01889943")


# --- limits ------------------------------------------------------------------------------------


def test_an_ioc_limit_takes_the_levels_inside_its_price_and_the_rest_expires() -> None:
    moved = accepted(holding(), buy("a", "350", "0.3010"))
    assert executions(moved.fills) == [("0.3003", "100"), ("0.3010", "200")]
    (order,) = moved.orders
    assert (order.status, order.executed_qty) == (OrderStatus.EXPIRED, D(300))
    assert moved.settled == (order,)
    assert moved.state.open_orders == ()
    assert moved.state.balances["USDT"].locked == 0


def test_a_level_whose_worsened_price_is_outside_the_limit_is_not_taken() -> None:
    moved = accepted(holding(), buy("a", "50", "0.3002"))
    assert moved.fills == ()
    assert moved.orders[0].status is OrderStatus.EXPIRED
    assert moved.state.balances == holding().balances


def test_a_resting_limit_takes_what_it_can_and_locks_the_rest() -> None:
    moved = accepted(holding(), buy("a", "350", "0.3010", TimeInForce.GTC))
    (order,) = moved.state.open_orders
    assert (order.status, order.leaves_qty) == (OrderStatus.PARTIALLY_FILLED, D(50))
    assert moved.state.balances["USDT"].locked == D(50) * D("0.3010")
    assert moved.state.balances["USDT"].total == D(1000) - D("30.03") - D("60.2")


def test_a_market_order_that_runs_out_of_book_expires_half_filled() -> None:
    moved = accepted(holding(base="1000", quote="0"), sell("a", "1000"))
    (order,) = moved.orders
    assert (order.status, order.executed_qty) == (OrderStatus.EXPIRED, D(600))
    assert moved.state.balances["ADA"] == Holding(D(400), D(0))


def test_a_market_order_into_an_empty_side_expires_untouched() -> None:
    moved = accepted(holding(base="100"), sell("a", "100"), book(bids=[], asks=[("0.3", "10")]))
    assert (moved.orders[0].status, moved.fills) == (OrderStatus.EXPIRED, ())


def test_the_report_says_what_the_exchange_would_say() -> None:
    moved = accepted(holding(), buy("a", "350", "0.3010"))
    report = report_of(moved.orders[0], moved.fills)
    assert (report.client_id, report.exchange_order_id, report.type) == ("a", "1", "LIMIT")
    assert (report.fact, report.qty, report.executed_qty) == (Fact.HAS_EXPIRED, D(350), D(300))
    assert report.fills == moved.fills


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (buy("a", "0.05"), "LOT_SIZE"),
        (buy("a", "50.05"), "LOT_SIZE"),
        (buy("a", "900000.1", "0.3"), "LOT_SIZE"),
        (buy("a", "200000.1"), "MARKET_LOT_SIZE"),
        (buy("a", "50", "0.30005"), "PRICE_FILTER"),
        (buy("a", "50", "1000.1"), "PRICE_FILTER"),
        (stop("a", "50", "0.29995"), "PRICE_FILTER"),
        (buy("a", "10"), "NOTIONAL"),
        (buy("a", "16", "0.3000"), "NOTIONAL"),
        (stop("a", "17", "0.2900"), "NOTIONAL"),
        (buy("a", "9100", "999"), "NOTIONAL"),
    ],
)
def test_a_broken_filter_is_named(asked: Ticket, says: str) -> None:
    code, detail = refused(holding(base="1000000", quote="100000000"), asked)
    assert code == -1013
    assert detail.startswith(f"Filter failure: {says} (")


def test_a_price_outside_the_band_is_refused() -> None:
    band = PriceBand(D("0.2"), D("5"), D("0.2"), D("5"))
    terms = changed(TERMS, instrument=changed(PAIR, price_band=band))
    code, detail = refused(holding(), buy("a", "100", "0.0600"), terms=terms)
    assert code == -1013
    assert detail.startswith("Filter failure: PERCENT_PRICE_BY_SIDE")


@pytest.mark.parametrize(
    ("asked", "needs"),
    [
        (buy("a", "50"), "needs 15.015 USDT, free 15"),
        (buy("a", "50", "0.3001"), "needs 15.005 USDT, free 15"),
        (sell("a", "50"), "needs 50 ADA, free 49.9"),
        (stop("a", "50", "0.2900"), "needs 50 ADA, free 49.9"),
        (ticket("a", Side.BUY, OrderType.STOP_LOSS, "50", stop_price="0.3100"), "needs 15.5 USDT"),
    ],
)
def test_more_than_is_free_is_refused(asked: Ticket, needs: str) -> None:
    code, detail = refused(holding(base="49.9", quote="15"), asked)
    assert code == -2010
    assert detail.startswith("Account has insufficient balance for requested action.")
    assert needs in detail


def test_what_open_orders_lock_cannot_be_spent_again() -> None:
    once = accepted(holding(base="100"), stop("a", "60", "0.2900")).state
    assert once.balances["ADA"] == Holding(D(40), D(60))
    assert refused(once, sell("b", "60"))[0] == -2010


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    state = accepted(holding(base="100"), stop("a", "20", "0.2900")).state
    assert refused(state, sell("a", "20")) == (-2010, "Duplicate order sent.")
    gone = cancel(state, "a", TERMS, NOON)
    assert isinstance(gone, Moved)
    assert accepted(gone.state, sell("a", "20")).orders[0].order_id == 2


@pytest.mark.parametrize("stop_price", ["0.3000", "0.3001"])
def test_a_stop_that_would_trigger_immediately_is_refused(stop_price: str) -> None:
    says = refused(holding(base="100"), stop("a", "50", stop_price))
    assert says == (-2010, "Stop price would trigger immediately.")


def test_a_buy_stop_triggers_at_the_ask() -> None:
    def asked(stop_price: str) -> Ticket:
        return ticket("a", Side.BUY, OrderType.STOP_LOSS, "50", stop_price=stop_price)

    assert refused(holding(), asked("0.3002"))[0] == -2010
    assert accepted(holding(), asked("0.3003")).orders[0].status is OrderStatus.NEW


def test_a_closed_market_and_a_missing_order_type_are_refused() -> None:
    closed = changed(TERMS, instrument=changed(PAIR, trading=False))
    assert refused(holding(), buy("a", "50"), terms=closed) == (-2010, "Market is closed.")
    plain = changed(TERMS, instrument=changed(PAIR, order_types=frozenset({"MARKET", "LIMIT"})))
    assert refused(holding(base="50"), stop("a", "50", "0.29"), terms=plain)[0] == -2010


def test_a_limit_must_say_how_long_it_is_good() -> None:
    silent = changed(buy("a", "50", "0.3"), time_in_force=None)
    assert refused(holding(), silent)[0] == -1102


# --- cancel and replace ------------------------------------------------------------------------


def test_canceling_releases_what_was_locked_and_works_once() -> None:
    state = accepted(holding(base="100"), stop("a", "60", "0.2900")).state
    gone = cancel(state, "a", TERMS, NOON + 1)
    assert isinstance(gone, Moved)
    assert gone.orders[0].status is OrderStatus.CANCELED
    assert gone.orders[0].updated_ms == NOON + 1
    assert gone.state.balances == holding(base="100").balances
    assert cancel(gone.state, "a", TERMS, NOON + 2) == Refusal(-2011, "Unknown order sent.")


def test_replacing_sells_what_the_stop_had_locked() -> None:
    state = accepted(holding(base="100", quote="0"), stop("s", "100", "0.2900")).state
    result = replace(state, "s", sell("x", "100"), LADDER, TERMS, NOON)
    assert isinstance(result.placed, Moved)
    assert result.moved is not None
    assert [(o.ticket.client_id, o.status) for o in result.moved.orders] == [
        ("s", OrderStatus.CANCELED),
        ("x", OrderStatus.FILLED),
    ]
    assert result.moved.state.balances["ADA"].total == 0


def test_replacing_twice_sells_once() -> None:
    state = accepted(holding(base="200", quote="0"), stop("s", "100", "0.2900")).state
    first = replace(state, "s", sell("x", "100"), LADDER, TERMS, NOON)
    assert first.moved is not None
    second = replace(first.moved.state, "s", sell("x", "100"), LADDER, TERMS, NOON)
    assert second.canceled == Refusal(-2011, "Unknown order sent.")
    assert second.placed is None
    assert second.moved is None


def test_a_refused_replacement_leaves_the_cancel_done() -> None:
    state = accepted(holding(base="100"), stop("s", "100", "0.2900")).state
    result = replace(state, "s", sell("x", "101"), LADDER, TERMS, NOON)
    assert isinstance(result.placed, Refusal)
    assert result.placed.code == -2010
    assert result.moved is not None
    assert result.moved.state.balances["ADA"] == Holding(D(100), D(0))


# --- the account -------------------------------------------------------------------------------


def test_an_operation_never_changes_the_state_it_was_given() -> None:
    before = holding()
    accepted(before, buy("a", "350"))
    assert before == holding()


def test_money_that_would_need_rounding_stops_the_operation() -> None:
    monstrous = changed(holding(), balances={"ADA": Holding(D(0), D(0)), "USDT": Holding(D("1e60"), D(0))})
    with pytest.raises(ArithmeticError):
        place(monstrous, buy("a", "50"), LADDER, TERMS, NOON)
