"""Numbers as the window writes them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from ui.present import numbers
from ui.present.numbers import MINUS

D = Decimal


def test_prices_have_the_digits_of_the_tick() -> None:
    assert numbers.price(D("0.51"), D("0.0001")) == "0.5100"
    assert numbers.price(D("64250.1"), D("0.01")) == "64,250.10"
    assert numbers.price(D("0.00001234"), D("0.00000001")) == "0.00001234"
    assert numbers.price(None, D("0.01")) == "–"


def test_an_average_of_fills_may_lie_between_ticks() -> None:
    assert numbers.average_price(D("0.510123"), D("0.0001")) == "0.510123"
    assert numbers.average_price(D("0.5101"), D("0.0001")) == "0.5101"
    assert numbers.average_price(D("0.51012345"), D("0.0001")) == "0.510123"


def test_money_is_signed_where_it_is_a_result_and_never_rounds_to_nothing() -> None:
    assert numbers.money(D("-1234.5"), "USDT", signed=True) == f"{MINUS}1,234.50 USDT"
    assert numbers.money(D("2.1"), "USDT", signed=True) == "+2.10 USDT"
    assert numbers.money(D("0.0000123"), "USDT", signed=True) == "+0.000012 USDT"
    assert numbers.money(D(0), "USDT", signed=True) == "0.00 USDT"
    assert numbers.money(None, "USDT") == "– USDT"


def test_sizes_keep_every_digit() -> None:
    assert numbers.size(D("19607.8")) == "19,607.8"
    assert numbers.size(D("1234567890")) == "1,234,567,890"
    assert numbers.size(D("0.00012")) == "0.00012"


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0125, "+1.25 %"), (-0.0125, f"{MINUS}1.25 %"), (-0.000001, "0.00 %")]
)
def test_a_percentage_that_rounds_to_zero_has_no_sign(fraction: float, text: str) -> None:
    assert numbers.percent(fraction) == text


def test_spans_name_the_two_largest_units() -> None:
    assert numbers.span(timedelta(days=2, hours=3, minutes=4)) == "2 d 3 h"
    assert numbers.span(61) == "1 min 1 s"
    assert numbers.span(-5) == "0 s"
    assert numbers.countdown(245) == "4:05"
    assert numbers.countdown(3725) == "1:02:05"
