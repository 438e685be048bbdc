"""Frozen dataclasses to JSON values and back, told apart by their type hints alone.

Exact: a Decimal travels as plain text, a float as the number that reads back as the same float, an enum as
its value. Strict: a value that does not fit its hint is refused with the place where it was found. Nothing is
registered and nothing knows the agent's types; a type that cannot be told apart in JSON is refused when its
codec is made, not when a value gets lost.

What was written of a value that never changes (`Value`) is given again where the same object comes again, as
most parts of a position or an order do; so nobody may change what an encoding returned.

What is written holds every field. What is read may lack a field that has a default, because an older version
wrote it before the field existed; a field that the class does not know is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeVar

from agent.core.value import Value
from agent.store.codec_values import (
    KINDS,
    PLAIN,
    Codec,
    Json,
    Place,
    Undecodable,
    choice,
    from_text,
    refuse,
    to_text,
    worded,
)

__all__ = [
    "Json",
    "Undecodable",
    "codec_for",
    "decode",
    "decode_as",
    "encode",
    "encode_as",
    "from_text",
    "to_text",
]

T = TypeVar("T")

#: The member of a union of several dataclasses is named under this key.
TAG: Final = "is"
#: Values of one kind whose JSON is kept at most: more than the parts of what is open together.
_KEPT: Final = 16


def encode(value: object) -> Json:
    """A dataclass instance as a JSON value."""
    return codec_for(type(value)).encode(value)


def decode(kind: type[T], data: Json) -> T:
    """The instance of `kind` that `data` was made from. Raises Undecodable."""
    decoded: T = codec_for(kind).decode(data, kind.__name__)
    return decoded


def encode_as(hint: Any, value: object) -> Json:
    """`value` as a JSON value by any supported hint: `tuple[Fill, ...]`, `Mapping[str, Decimal]`, a union."""
    return codec_for(hint).encode(value)


def decode_as(hint: Any, data: Json) -> Any:
    """The value of any supported hint. Raises Undecodable."""
    return codec_for(hint).decode(data, str(getattr(hint, "__name__", hint)))


def codec_for(hint: Any) -> Codec:
    """The codec of a hint. Raises TypeError for a hint that JSON cannot carry without doubt."""
    return _made_once(hint)


@functools.cache
def _made_once(hint: Any) -> Codec:
    if isinstance(hint, typing.NewType):
        return codec_for(hint.__supertype__)
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return choice(arguments, dict(zip(arguments, arguments, strict=True)))
    if origin is typing.Union or origin is types.UnionType:
        return _union(hint, arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is frozenset:
        return _frozenset(arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return choice(tuple(hint), {member.value: member for member in hint}, by_value=True)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record(hint)
    raise TypeError(f"no codec for {hint!r}")


def _union(hint: Any, members: tuple[Any, ...]) -> Codec:
    records: list[Any] = [m for m in members if dataclasses.is_dataclass(m)]
    tagged = _tagged(records) if len(records) > 1 else None
    by_kind: dict[str, Codec] = {"object": tagged} if tagged else {}
    accepts: list[tuple[type | tuple[type, ...], Codec]] = [(tuple(records), tagged)] if tagged else []
    for member in members:
        if tagged and member in records:
            continue
        codec = codec_for(member)
        for kind in codec.kinds:
            if kind in by_kind:
                raise TypeError(f"members of {hint} cannot be told apart: both may be JSON's {kind}")
            by_kind[kind] = codec
        accepts.append((_runtime_type(member), codec))
    # A bool is an int to isinstance, so it is asked first.
    accepts.sort(key=lambda accepted: accepted[0] is not bool)
    expected = "one of " + ", ".join(sorted(by_kind))

    takes_none = "null" in by_kind
    decoders = {kind: by_kind[name].decode for kind, name in KINDS.items() if name in by_kind}
    #: By the very type, once it was looked for.
    encoders: dict[type, Callable[[Any], Json]] = {}

    def to_json(value: Any) -> Json:
        if value is None:
            assert takes_none, f"not {expected}: None"
            return None
        to = encoders.get(type(value))
        if to is None:
            to = encoders[type(value)] = encoder_of(value)
        return to(value)

    def encoder_of(value: Any) -> Callable[[Any], Json]:
        for kinds, codec in accepts:
            if isinstance(value, kinds):
                return codec.encode
        raise AssertionError(f"not {hint}: {value!r}")

    def from_json(data: Any, where: Place) -> Any:
        read = decoders.get(type(data))
        if read is None:
            raise refuse(where, expected, data)
        return read(data, where)

    return Codec(to_json, from_json, frozenset(by_kind))


def _runtime_type(hint: Any) -> type | tuple[type, ...]:
    """What isinstance must be asked to find the member of a union that a value belongs to."""
    if isinstance(hint, typing.NewType):
        return _runtime_type(hint.__supertype__)
    origin = typing.get_origin(hint)
    if origin is Literal:
        return tuple({type(value) for value in typing.get_args(hint)})
    if isinstance(origin, type):
        return origin
    assert isinstance(hint, type), hint
    return (float, int) if hint is float else hint


def _tagged(records: list[Any]) -> Codec:
    by_name = {record.__name__: codec_for(record) for record in records}
    if len(by_name) < len(records):
        raise TypeError(f"two of {records} have the same name")
    if any(field.name == TAG for record in records for field in dataclasses.fields(record)):
        raise TypeError(f"{TAG!r} names the member of a union and cannot name a field")

    def to_json(value: Any) -> Json:
        name = type(value).__name__
        fields = by_name[name].encode(value)
        assert isinstance(fields, dict)
        return {TAG: name, **fields}

    def from_json(data: Any, where: Place) -> Any:
        codec = by_name.get(data.get(TAG)) if type(data) is dict and type(data.get(TAG)) is str else None
        if codec is None:
            raise refuse(where, f"an object whose {TAG!r} is one of {', '.join(by_name)}", data)
        return codec.decode({key: value for key, value in data.items() if key != TAG}, where)

    return Codec(to_json, from_json, frozenset({"object"}))


def _tuple(arguments: tuple[Any, ...]) -> Codec:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence(arguments[0])
    codecs = tuple(codec_for(argument) for argument in arguments)

    def to_json(value: Any) -> Json:
        assert isinstance(value, tuple), f"not a tuple: {value!r}"
        return [codec.encode(item) for codec, item in zip(codecs, value, strict=True)]

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not list or len(data) != len(codecs):
            raise refuse(where, f"a list of {len(codecs)}", data)
        pairs = enumerate(zip(codecs, data, strict=True))
        return tuple([codec.decode(item, (where, "[%s]", i)) for i, (codec, item) in pairs])

    return Codec(to_json, from_json, frozenset({"list"}))


def _sequence(argument: Any) -> Codec:
    to, read, _ = codec_for(argument)

    def to_json(value: Any) -> Json:
        assert isinstance(value, tuple), f"not a tuple: {value!r}"
        return [to(item) for item in value]

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not list:
            raise refuse(where, "a list", data)
        return tuple([read(item, (where, "[%s]", i)) for i, item in enumerate(data)])

    return Codec(to_json, from_json, frozenset({"list"}))


def _frozenset(argument: Any) -> Codec:
    codec = codec_for(argument)

    def to_json(value: Any) -> Json:
        assert isinstance(value, frozenset), f"not a frozenset: {value!r}"
        # Sorted, so that equal sets are equal text in every process.
        return sorted((codec.encode(item) for item in value), key=lambda item: to_text(item))

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not list:
            raise refuse(where, "a list", data)
        items = frozenset([codec.decode(item, (where, "[%s]", i)) for i, item in enumerate(data)])
        if len(items) < len(data):
            raise refuse(where, "a list without repetitions", data)
        return items

    return Codec(to_json, from_json, frozenset({"list"}))


def _mapping(key: Any, argument: Any) -> Codec:
    keys, codec = codec_for(key), codec_for(argument)
    if not (keys.kinds == {"text"} or keys.kinds == {"integer"}):
        raise TypeError(f"keys of a mapping are text or integers, not {key!r}")
    numbers = keys.kinds == {"integer"}

    def to_json(value: Any) -> Json:
        assert isinstance(value, Mapping), f"not a mapping: {value!r}"
        return {str(keys.encode(k)): codec.encode(v) for k, v in value.items()}

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not dict:
            raise refuse(where, "an object", data)
        decoded = {}
        for text, item in data.items():
            raw: Any = text
            if numbers:
                if not text.removeprefix("-").isdecimal() or str(int(text)) != text:
                    raise refuse(where, "integers as keys", text)
                raw = int(text)
            key = keys.decode(raw, (where, "%s", " key"))
            decoded[key] = codec.decode(item, (where, "[%r]", text))
        return decoded

    return Codec(to_json, from_json, frozenset({"object"}))


def _record(kind: type[Any]) -> Codec:
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    if not all(field.init for field in fields):
        raise TypeError(f"{kind.__name__} has a field that its constructor does not take")
    codecs = {field.name: codec_for(hints[field.name]) for field in fields}
    encoders = tuple((name, codec.encode) for name, codec in codecs.items())
    decoders = {name: codec.decode for name, codec in codecs.items()}
    required = frozenset(
        f.name
        for f in fields
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )

    def to_json(value: Any) -> Json:
        assert type(value) is kind, f"not a {kind.__name__}: {value!r}"
        return {name: to(getattr(value, name)) for name, to in encoders}

    #: By identity. The value is kept, so that no other one has its id meanwhile.
    kept: dict[int, tuple[object, Json]] = {}

    def to_json_once(value: Any) -> Json:
        found = kept.get(id(value))
        if found is not None:
            return found[1]
        made = to_json(value)
        if len(kept) >= _KEPT:
            kept.clear()
        kept[id(value)] = value, made
        return made

    def from_json(data: Any, where: Place) -> Any:
        if type(data) is not dict:
            raise refuse(where, f"the fields of a {kind.__name__}", data)
        if data.keys() != decoders.keys():
            unknown, missing = data.keys() - decoders.keys(), required - data.keys()
            if unknown:
                names = ", ".join(sorted(unknown))
                raise Undecodable(f"{worded(where)}: unknown fields {names}; a newer version wrote it?")
            if missing:
                raise Undecodable(f"{worded(where)}: missing fields {', '.join(sorted(missing))}")
        arguments = {name: decoders[name](item, (where, ".%s", name)) for name, item in data.items()}
        try:
            return kind(**arguments)
        except (AssertionError, ValueError, TypeError) as error:
            raise Undecodable(f"{worded(where)}: {error}") from None

    return Codec(to_json_once if issubclass(kind, Value) else to_json, from_json, frozenset({"object"}))
