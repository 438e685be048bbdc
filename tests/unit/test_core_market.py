"""Candles, books and money at their edges."""

from __future__ import annotations

import decimal
import math
from dataclasses import replace

import pytest

from agent.core.market import TIMEFRAME_MINUTES, Book, BookLevel, Candle, bar_ms, walk
from agent.core.money import money, plain
from agent.core.order import base36, client_order_id
from tests.playbook import BAR, START, D, make_instrument

GOOD = Candle(START, 0.5, 0.6, 0.4, 0.55, 10.0)


def test_a_good_candle_has_no_faults() -> None:
    assert GOOD.faults(BAR) == ()
    assert replace(GOOD, volume=0.0, high=0.55, low=0.5).faults(BAR) == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"open_ms": START + 1}, "open time is off the grid"),
        ({"low": -0.1}, "a price is not positive"),
        ({"low": 0.0}, "a price is not positive"),
        ({"high": 0.54}, "high is below another price"),
        ({"low": 0.51}, "low is above another price"),
        ({"volume": -1.0}, "volume is negative"),
        ({"close": math.nan}, "a number is not finite"),
        ({"high": math.inf}, "a number is not finite"),
        ({"volume": math.inf}, "a number is not finite"),
    ],
)
def test_every_fault_of_a_candle_is_named(change: dict[str, float], fault: str) -> None:
    assert fault in replace(GOOD, **change).faults(BAR)  # type: ignore[arg-type]


def test_bars_have_the_lengths_their_names_say() -> None:
    assert {name: bar_ms(name) for name in TIMEFRAME_MINUTES} == {
        "1m": 60_000, "3m": 180_000, "5m": 300_000, "10m": 600_000, "15m": 900_000, "30m": 1_800_000,
        "60m": 3_600_000,
    }  # fmt: skip


def test_walking_a_book_takes_the_best_first_and_says_when_it_was_not_enough() -> None:
    asks = (BookLevel(D("0.50"), D(10)), BookLevel(D("0.60"), D(10)))
    assert walk(asks, D(15)).average_price == (D("0.50") * 10 + D("0.60") * 5) / 15
    assert walk(asks, D(100)).qty == 20
    assert walk((), D(1)).average_price is None
    assert Book((), asks, 0).mid is None


# --- money ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_money_is_finite(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        money(text)


@pytest.mark.parametrize("text", ["", "1,5", "0x10", "1 000"])
def test_money_is_a_decimal_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        money(text)


def test_money_never_meets_float() -> None:
    with pytest.raises(decimal.FloatOperation):
        D("1") < 1.5  # type: ignore[operator]  # noqa: B015
    with pytest.raises(decimal.FloatOperation):
        D(0.1)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0"), ("-0", "0"), ("1E+3", "1000"), ("0.10", "0.1"), ("100", "100"), ("1E-8", "0.00000001")],
)
def test_plain_text_has_no_exponent_and_no_padding(amount: str, text: str) -> None:
    assert plain(D(amount)) == text


def test_a_filter_of_the_grid_is_named() -> None:
    pair = make_instrument()
    assert any("multiple of the step size" in b for b in pair.breaches(D("10.05"), D("1"), market=False))
    assert any("multiple of the tick size" in b for b in pair.breaches(D(10), D("1.00005"), market=False))
    assert pair.breaches(D(10), D("1.00005"), market=True) == ()
    with pytest.raises(AssertionError):
        pair.price(math.nan, "down")


# --- client order ids -------------------------------------------------------------------------------------


def test_client_order_ids_are_short_plain_and_differ_in_everything_they_carry() -> None:
    ids = {
        client_order_id(tag, at_ms, entropy, index)
        for tag in ("a1b2", "a1b3")
        for at_ms in (START, START + 1)
        for entropy in (0, 1, 2**63)
        for index in (1, 2)
    }
    assert len(ids) == 24
    assert all(i.isalnum() and len(i) <= 32 for i in ids)
    longest = client_order_id("x" * 12, 36**8 - 1, 2**64 - 1, 36**2 - 1)
    assert len(longest) == 32
    assert base36(0) == "0"
    assert base36(35) == "z"
    assert base36(36) == "10"
