"""The exchange's count of orders: learned from headers, kept from entries before it is used up."""

from __future__ import annotations

import pytest

from agent.exchange.order_count import OrderCount
from agent.exchange.weight_gate import WeightGate
from tests.shell_ground import HandClock

NOW = 1_750_000_000_000


def limits(ten_seconds: int, day: int) -> list[dict[str, object]]:
    row = {"rateLimitType": "ORDERS", "intervalNum": 10, "interval": "SECOND", "limit": ten_seconds}
    return [row, {**row, "intervalNum": 1, "interval": "DAY", "limit": day}]


@pytest.mark.parametrize(("used", "full"), [(7, False), (8, True), (10, True)])
def test_entries_leave_a_fifth_to_exits(used: int, full: bool) -> None:
    count = OrderCount()
    count.learn_limits(limits(10, 1_000))
    count.answered({"X-MBX-ORDER-COUNT-10S": str(used), "X-MBX-ORDER-COUNT-1D": "5"}, NOW)
    assert (count.full(NOW) is not None) is full


def test_a_new_window_begins_at_nothing() -> None:
    count = OrderCount()
    count.learn_limits(limits(10, 1_000))
    count.answered({"x-mbx-order-count-10s": "10"}, NOW)
    assert count.full(NOW + 9_999 - NOW % 10_000) == "10 of 10 orders of 10S are used up"
    assert count.full(NOW + 10_000 - NOW % 10_000) is None


def test_the_day_counts_too() -> None:
    count = OrderCount()
    count.learn_limits(limits(10, 1_000))
    count.answered({"x-mbx-order-count-1d": "800"}, NOW)
    assert count.full(NOW + 3_600_000) == "800 of 1000 orders of 1D are used up"


@pytest.mark.parametrize("header", ["", "many", "-1", "1.5"])
def test_nonsense_in_a_header_changes_nothing(header: str) -> None:
    count = OrderCount()
    count.answered({"x-mbx-order-count-10s": header, "x-mbx-order-count-xs": "5"}, NOW)
    assert count.full(NOW) is None


def test_limits_that_make_no_sense_are_left_alone() -> None:
    count = OrderCount()
    count.learn_limits([None, {"rateLimitType": "ORDERS"}, *limits(0, -3)])
    count.answered({"x-mbx-order-count-10s": "79"}, NOW)
    assert count.full(NOW) is None


def test_too_many_orders_is_no_silence_for_everything() -> None:
    clock = HandClock(NOW)
    gate = WeightGate(clock)
    gate.answered(429, {}, '{"code":-1015,"msg":"Too many new orders."}')
    assert not gate.is_blocked, "a cancel may still go"
    assert gate.orders.full(clock.now_ms()) is not None
    gate.answered(429, {"Retry-After": "3"}, '{"code":-1015,"msg":"Too many new orders."}')
    assert gate.is_blocked, "but what the exchange asks for counts"
