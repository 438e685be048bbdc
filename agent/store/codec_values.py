"""How single values become JSON and come back: the leaves of `agent.store.codec`.

Each `Codec` also names the kinds of JSON value it produces, so that a union can be refused when two of its
members could not be told apart. Encoding asserts, because what we hold is ours; decoding raises
`Undecodable`, because what a file holds may be anything.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

import orjson

from agent.core.money import plain

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can hold."""

_NON_FINITE: Final[dict[str, float]] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Undecodable(ValueError):  # noqa: N818 - what the data is, not what the program did
    """Stored data does not fit the type it should become. The text names the place."""


#: Where a value was found: the name of the whole, or a place, how its parts are named, and the part. Put into
#: words by `worded` when it must be told, which is almost never.
Place = str | tuple["Place", str, object]


class Codec(NamedTuple):
    """How values of one hint are written and read, and which kinds of JSON value they become."""

    encode: Callable[[Any], Json]
    decode: Callable[[Any, Place], Any]
    kinds: frozenset[str]


def worded(where: Place) -> str:
    """`Position.plan.levels[2]`."""
    if isinstance(where, str):
        return where
    whole, naming, part = where
    return worded(whole) + naming % (part,)


def to_text(data: Json) -> str:
    """JSON text on one line, keys in the order given. Asserts on what JSON cannot hold exactly."""
    try:
        return orjson.dumps(data).decode()
    except orjson.JSONEncodeError as error:
        raise AssertionError(f"not JSON: {error}") from None


def from_text(text: str) -> Json:
    """Raises Undecodable when `text` is not JSON."""
    try:
        data: Json = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from None
    return data


def found_text(data: object) -> str:
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."


def refuse(where: Place, expected: str, data: object) -> Undecodable:
    return Undecodable(f"{worded(where)}: expected {expected}, found {found_text(data)}")


def _exactly(kind: type, name: str) -> Codec:
    def to_json(value: Any) -> Json:
        assert type(value) is kind, f"not {name}: {value!r}"
        return typing.cast(Json, value)

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not kind:
            raise refuse(where, name, data)
        return data

    return Codec(to_json, from_json, frozenset({name}))


def storable(text: str) -> str:
    """`text` with halves of surrogate pairs replaced: a peer may send them, and no file can hold them."""
    exact = text if type(text) is str else str.__str__(text)
    return exact if exact.isascii() else exact.encode("utf-8", "replace").decode()


def _text_to_json(value: Any) -> Json:
    assert isinstance(value, str), f"not text: {value!r}"
    return storable(value)


def _text_from_json(data: Any, where: Place) -> str:
    if type(data) is not str:
        raise refuse(where, "text", data)
    return data


def _float_to_json(value: Any) -> Json:
    assert isinstance(value, float) or type(value) is int, f"not a float: {value!r}"
    number = float(value)
    assert number == value or number != number, f"not exact as a float: {value!r}"
    if math.isfinite(number):
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _float_from_json(data: Any, where: Place) -> float:
    if type(data) is float or type(data) is int:
        return float(data)
    if type(data) is str and data in _NON_FINITE:
        return _NON_FINITE[data]
    raise refuse(where, "number", data)


def _decimal_to_json(value: Any) -> Json:
    assert isinstance(value, Decimal), f"not money: {value!r}"
    assert value.is_finite(), f"not a finite amount: {value!r}"
    return plain(value)


def _decimal_from_json(data: Any, where: Place) -> Decimal:
    if type(data) is not str:
        raise refuse(where, "decimal text", data)
    try:
        value = Decimal(data)
    except InvalidOperation:
        raise refuse(where, "decimal text", data) from None
    if not value.is_finite():
        raise refuse(where, "finite decimal text", data)
    return value


PLAIN: Final[Mapping[Any, Codec]] = {
    bool: _exactly(bool, "bool"),
    int: _exactly(int, "integer"),
    type(None): _exactly(type(None), "null"),
    str: Codec(_text_to_json, _text_from_json, frozenset({"text"})),
    # Non-finite floats travel as text, since JSON has no word for them.
    float: Codec(_float_to_json, _float_from_json, frozenset({"integer", "number", "text"})),
    Decimal: Codec(_decimal_to_json, _decimal_from_json, frozenset({"text"})),
}


def kind_of(data: object) -> str:
    return KINDS.get(type(data), "nothing")


KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "bool",
    int: "integer",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


def choice(members: tuple[Any, ...], by_json: dict[Any, Any], *, by_value: bool = False) -> Codec:
    expected = "one of " + ", ".join(map(repr, by_json))
    kinds = frozenset(kind_of(value) for value in by_json)
    if not kinds <= {"text", "integer", "bool"}:
        raise TypeError(f"no codec for choices of {sorted(kinds)}")

    def to_json(value: Any) -> Json:
        assert value in members, f"not {expected}: {value!r}"
        return typing.cast(Json, value.value if by_value else value)

    def from_json(data: Any, where: Place) -> Any:
        if kind_of(data) not in kinds or data not in by_json:
            raise refuse(where, expected, data)
        return by_json[data]

    return Codec(to_json, from_json, kinds)
