"""Every filter of a symbol, and the other things an order must satisfy before it is accepted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.words import SymbolStatus
from tests.venue_ground import desk

D = Decimal
LIMIT = ("BUY", "LIMIT")


@pytest.mark.parametrize(
    ("side", "kind", "qty", "more", "rules", "says"),
    [
        (*LIMIT, "100", {"price": "0.48005"}, {}, "PRICE_FILTER"),
        (*LIMIT, "100", {"price": "0.3"}, {"min_price": D("0.4")}, "PRICE_FILTER"),
        (*LIMIT, "100", {"price": "0.7"}, {"max_price": D("0.6")}, "PRICE_FILTER"),
        ("SELL", "STOP_LOSS", "100", {"stop": "0.48005"}, {}, "PRICE_FILTER"),
        (*LIMIT, "100", {"price": "2.5001"}, {}, "PERCENT_PRICE_BY_SIDE"),
        (*LIMIT, "100", {"price": "0.0999"}, {}, "PERCENT_PRICE_BY_SIDE"),
        ("SELL", "LIMIT", "100", {"price": "0.6"}, {"ask_up": D("1.1")}, "PERCENT_PRICE_BY_SIDE"),
        ("SELL", "LIMIT", "100", {"price": "0.4"}, {"ask_down": D("0.9")}, "PERCENT_PRICE_BY_SIDE"),
        (*LIMIT, "100.05", {"price": "0.5"}, {}, "LOT_SIZE"),
        (*LIMIT, "15", {"price": "0.5"}, {"min_qty": D(20)}, "LOT_SIZE"),
        (*LIMIT, "100", {"price": "0.5"}, {"max_qty": D(99)}, "LOT_SIZE"),
        ("BUY", "MARKET", "100.05", {}, {}, "LOT_SIZE"),
        ("BUY", "MARKET", "100", {}, {"market_max_qty": D(99)}, "MARKET_LOT_SIZE"),
        ("BUY", "MARKET", "100", {}, {"market_min_qty": D(101)}, "MARKET_LOT_SIZE"),
        ("BUY", "MARKET", "100", {}, {"market_step": D(8)}, "MARKET_LOT_SIZE"),
        ("SELL", "STOP_LOSS", "100", {"stop": "0.4"}, {"market_max_qty": D(99)}, "MARKET_LOT_SIZE"),
        (*LIMIT, "9.9", {"price": "0.5"}, {}, "NOTIONAL"),
        ("BUY", "MARKET", "9.9", {}, {}, "NOTIONAL"),
        ("BUY", "MARKET", "0", {"quote_qty": "4.99"}, {}, "NOTIONAL"),
        (*LIMIT, "100", {"price": "0.5"}, {"max_notional": D(49)}, "NOTIONAL"),
        ("BUY", "MARKET", "100", {}, {"max_notional": D(49), "max_to_market": True}, "NOTIONAL"),
        (*LIMIT, "9.9", {"price": "0.5"}, {"notional_filter": "MIN_NOTIONAL"}, "MIN_NOTIONAL"),
        (*LIMIT, "100", {"price": "0.48", "iceberg": "9"}, {}, "ICEBERG_PARTS"),
        (*LIMIT, "100", {"price": "0.48", "iceberg": "9.05"}, {}, "LOT_SIZE"),
        (*LIMIT, "100", {"price": "0.48"}, {"max_position": D(1_099)}, "MAX_POSITION"),
    ],
)
def test_filters(side: str, kind: str, qty: str, more: Any, rules: Any, says: str) -> None:
    assert desk(**rules).refused(side, kind, qty, **more) == f"-1013 Filter failure: {says}"


@pytest.mark.parametrize(
    ("side", "kind", "qty", "more", "rules"),
    [
        (*LIMIT, "10", {"price": "0.5"}, {}),
        ("BUY", "MARKET", "100", {}, {"max_notional": D(49)}),
        ("BUY", "MARKET", "9.9", {}, {"min_to_market": False}),
        (*LIMIT, "100", {"price": "0.5"}, {"max_notional": D(49), "notional_filter": "MIN_NOTIONAL"}),
        (*LIMIT, "100", {"price": "0.48"}, {"max_position": D(1_100)}),
        ("SELL", "LIMIT", "100", {"price": "0.6"}, {"max_position": D(10)}),
        (*LIMIT, "100", {"price": "0.48", "iceberg": "10"}, {}),
    ],
)
def test_what_filters_let_through(side: str, kind: str, qty: str, more: Any, rules: Any) -> None:
    assert desk(**rules).place(side, kind, qty, **more).order.id == 1


def test_open_orders_are_counted() -> None:
    d = desk(max_orders=2)
    d.place("BUY", "LIMIT", "100", price="0.4")
    first = d.place("BUY", "LIMIT", "100", price="0.4").order
    assert d.refused("BUY", "MARKET", "100") == "-1013 Filter failure: MAX_NUM_ORDERS"
    d.cancel(first)
    d.place("BUY", "MARKET", "100")


def test_conditional_orders_are_counted_apart() -> None:
    d = desk(max_algo_orders=1)
    d.place("SELL", "STOP_LOSS", "100", stop="0.4")
    says = "-1013 Filter failure: MAX_NUM_ALGO_ORDERS"
    assert d.refused("SELL", "TAKE_PROFIT_LIMIT", "100", stop="0.6", price="0.6") == says
    d.place("SELL", "LIMIT", "100", price="0.6")


def test_lists_are_counted_and_so_are_their_orders() -> None:
    d = desk(max_lists=1)
    d.oco("SELL", "100", stop="0.4", goal="0.6")
    with pytest.raises(RefusedError, match="MAX_NUM_ORDER_LISTS"):
        d.oco("SELL", "100", stop="0.4", goal="0.6")
    with pytest.raises(RefusedError, match="MAX_NUM_ORDERS"):
        desk(max_orders=1).oco("SELL", "100", stop="0.4", goal="0.6")
    two = desk(max_algo_orders=1)
    stop = two.terms("SELL", "STOP_LOSS", "100", stop="0.4")
    goal = two.terms("SELL", "TAKE_PROFIT", "100", stop="0.6")
    with pytest.raises(RefusedError, match="MAX_NUM_ALGO_ORDERS"):
        two.list("OCO", stop, goal)


def test_max_position_counts_what_is_coming() -> None:
    d = desk(max_position=D(1_250))
    d.place("BUY", "LIMIT", "100", price="0.4")
    d.place("BUY", "LIMIT", "100", price="0.4")
    assert d.refused("BUY", "LIMIT", "50.1", price="0.4") == "-1013 Filter failure: MAX_POSITION"
    d.place("BUY", "LIMIT", "50", price="0.4")


def test_nothing_is_not_an_order() -> None:
    d = desk()
    assert d.refused("BUY", "MARKET", "0") == "-1013 Invalid quantity."
    assert d.refused("BUY", "LIMIT", "10") == "-1013 Invalid price."
    assert d.refused("SELL", "STOP_LOSS", "10") == "-1013 Invalid stopPrice."


@pytest.mark.parametrize("status", [s for s in SymbolStatus if s is not SymbolStatus.TRADING])
def test_a_symbol_that_is_not_trading_takes_no_orders(status: SymbolStatus) -> None:
    d = desk()
    order = d.place("BUY", "LIMIT", "100", price="0.4").order
    d.book.listing = replace(d.book.listing, status=status)
    assert d.refused("BUY", "MARKET", "100") == "-2010 Market is closed."
    with pytest.raises(RefusedError, match="Market is closed"):
        d.oco("SELL", "100", stop="0.4", goal="0.6")
    if status is SymbolStatus.CANCEL_ONLY:
        assert d.cancel(order).orders[0].status == "CANCELED"
        return
    with pytest.raises(RefusedError, match="Market is closed"):
        d.cancel(order)
