"""What the codec writes, what it refuses to read, and which types it refuses to carry at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, Literal, NewType

import pytest

from agent.core.order import Fill, Order
from agent.core.position import Position
from agent.core.records import Row
from agent.core.state import Durable
from agent.core.value import replace
from agent.store.codec import (
    Undecodable,
    codec_for,
    decode,
    decode_as,
    encode,
    encode_as,
    from_text,
    to_text,
)
from tests.store_ground import balance, decision, fill, order, position

Lots = NewType("Lots", Decimal)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Rank(IntEnum):
    LOW = 1


@dataclass(frozen=True, slots=True)
class Small:
    number: int
    ratio: float = 0.5


@dataclass(frozen=True, slots=True)
class Other:
    number: int


@dataclass(frozen=True, slots=True)
class Whole:
    amount: Decimal
    lots: Lots | None
    colour: Colour
    rank: Rank
    policy: Literal["target", "first_level"]
    pair: tuple[float, str]
    path: tuple[Small, ...]
    either: Small | Other | None
    by_name: Mapping[str, Decimal]
    by_number: Mapping[int, Small]
    words: frozenset[str] = frozenset()
    mixed: bool | int | None = None
    extra: Mapping[Colour, int] = field(default_factory=dict)


def whole(**changes: Any) -> Whole:
    values: dict[str, Any] = {
        "amount": Decimal("0.000000010"),
        "lots": None,
        "colour": Colour.BLUE,
        "rank": Rank.LOW,
        "policy": "target",
        "pair": (0.1 + 0.2, "x"),
        "path": (Small(1), Small(2, -0.0)),
        "either": Other(3),
        "by_name": {"ADA": Decimal("1E+3")},
        "by_number": {-7: Small(0)},
        "words": frozenset({"b", "a"}),
        "mixed": True,
    }
    return Whole(**{**values, **changes})


def through_text(value: Any) -> Any:
    return decode(type(value), from_text(to_text(encode(value))))


def test_every_kind_of_field_comes_back_equal() -> None:
    assert through_text(whole()) == whole()


def test_money_is_plain_text_and_enums_are_values() -> None:
    data = encode(whole())
    assert isinstance(data, dict)
    assert data["amount"] == "0.00000001"
    assert data["by_name"] == {"ADA": "1000"}
    assert data["colour"] == "blue"
    assert data["rank"] == 1
    assert data["words"] == ["a", "b"]
    assert data["either"] == {"is": "Other", "number": 3}


def test_a_bool_stays_a_bool_and_an_int_an_int() -> None:
    assert through_text(whole(mixed=True)).mixed is True
    found = through_text(whole(mixed=1)).mixed
    assert found == 1
    assert type(found) is int


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308])
def test_every_float_comes_back_bit_by_bit(number: float) -> None:
    found = through_text(Small(1, number)).ratio
    assert repr(found) == repr(number)


def test_an_integer_in_a_float_field_becomes_a_float() -> None:
    assert repr(decode(Small, {"number": 1, "ratio": 3}).ratio) == "3.0"


def test_the_agents_own_types_come_back_equal() -> None:
    owned = position()
    assert through_text(owned) == owned
    known = order().with_fill(fill())
    assert through_text(known) == known
    for row in (decision(1), balance(1)):
        assert decode_as(Row, from_text(to_text(encode_as(Row, row)))) == row
    assert codec_for(Durable)


def test_halves_of_surrogate_pairs_are_replaced_not_fatal() -> None:
    bad = fill(trade_id="a\ud800b")
    assert through_text(bad).trade_id == "a?b"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"amount": 1.5}, "Whole.amount: expected decimal text, found 1.5"),
        ({"amount": "NaN"}, "Whole.amount: expected finite decimal text"),
        ({"amount": "12,5"}, "Whole.amount: expected decimal text"),
        ({"colour": "green"}, "Whole.colour: expected one of 'red', 'blue', found 'green'"),
        ({"colour": ["red"]}, "Whole.colour"),
        ({"rank": True}, "Whole.rank"),
        ({"policy": "both"}, "Whole.policy"),
        ({"pair": [1.0]}, "Whole.pair: expected a list of 2"),
        ({"path": {}}, "Whole.path: expected a list"),
        ({"path": [{"number": 1}, {"number": "2"}]}, r"Whole.path\[1\].number: expected integer, found '2'"),
        ({"path": [{"number": True}]}, r"Whole.path\[0\].number: expected integer, found True"),
        ({"path": [{}]}, r"Whole.path\[0\]: missing fields number"),
        ({"either": {"number": 3}}, "Whole.either: expected an object whose 'is' is one of Small, Other"),
        ({"either": {"is": "Third", "number": 3}}, "Whole.either"),
        ({"either": 3}, "Whole.either: expected one of null, object, found 3"),
        ({"by_name": []}, "Whole.by_name: expected an object"),
        ({"by_number": {"07": {"number": 1}}}, "Whole.by_number: expected integers as keys, found '07'"),
        ({"words": ["a", "a"]}, "Whole.words: expected a list without repetitions"),
        ({"mixed": 1.0}, "Whole.mixed: expected one of bool, integer, null"),
        ({"ghost": 1}, "Whole: unknown fields ghost"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(change: dict[str, Any], place: str) -> None:
    data = encode(whole())
    assert isinstance(data, dict)
    with pytest.raises(Undecodable, match=place):
        decode(Whole, {**data, **change})


def test_a_missing_field_with_a_default_was_written_by_an_older_version() -> None:
    assert decode(Small, {"number": 4}) == Small(4, 0.5)


def test_a_field_without_default_must_be_there() -> None:
    with pytest.raises(Undecodable, match="Small: missing fields number"):
        decode(Small, {"ratio": 1.0})


def test_a_value_that_its_own_class_refuses_is_undecodable() -> None:
    data = encode(fill())
    assert isinstance(data, dict)
    with pytest.raises(Undecodable, match="Fill: fill 1 without quantity"):
        decode(Fill, {**data, "qty": "0"})


def test_text_that_is_not_json_is_undecodable() -> None:
    with pytest.raises(Undecodable, match="not JSON"):
        from_text('{"a": ')


@pytest.mark.parametrize(
    "hint",
    [
        Decimal | str,
        float | int,
        Colour | str,
        Rank | int,
        object,
        Any,
        list[int],
        Mapping[float, int],
        set[int],
    ],
)
def test_a_type_that_json_cannot_tell_apart_is_refused_when_its_codec_is_made(hint: Any) -> None:
    with pytest.raises(TypeError):
        codec_for(hint)


def test_two_members_of_one_name_are_refused() -> None:
    double = type("Small", (), {"__annotations__": {"x": int}})
    with pytest.raises(TypeError, match="same name"):
        codec_for(Small | dataclass(frozen=True)(double))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Decimal, 1.5),
        (Decimal, Decimal("NaN")),
        (int, True),
        (int, 1.0),
        (str, 1),
        (float, "1.0"),
        (Small, Other(1)),
        (Small | Other, 3),
        (int | None, "x"),
        (tuple[int, ...], [1]),
        (Colour, "green"),
    ],
)
def test_writing_a_wrong_value_is_our_mistake(hint: Any, value: Any) -> None:
    with pytest.raises(AssertionError):
        encode_as(hint, value)


def test_what_json_cannot_hold_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="not JSON"):
        to_text({"n": 2**70})


def test_positions_with_a_damaged_record_name_the_place() -> None:
    data = encode(position())
    assert isinstance(data, dict)
    plan = data["plan"]
    assert isinstance(plan, dict)
    with pytest.raises(Undecodable, match=r"Position.plan.levels.risk"):
        decode(Position, {**data, "plan": {**plan, "levels": {**plan["levels"], "risk": None}}})


def test_an_order_is_rebuilt_with_its_own_types() -> None:
    found = through_text(order())
    assert type(found) is Order
    assert found.intent.qty == Decimal(100)


def test_what_never_changes_is_written_once_and_what_is_new_is_written_anew() -> None:
    first = order()
    assert encode(first) is encode(first)
    assert encode(replace(first, not_found=first.not_found + 1)) != encode(first)
    # More than are kept: none of them is taken for another one.
    several = [replace(first, not_found=number) for number in range(100)]
    for _ in range(2):
        assert [encode(one)["not_found"] for one in several] == list(range(100))  # type: ignore[call-overload, index]


def test_what_may_change_is_written_as_it_now_is() -> None:
    @dataclass
    class Open:
        number: int

    value = Open(1)
    before = encode(value)
    value.number = 2
    assert [before, encode(value)] == [{"number": 1}, {"number": 2}]
