"""Any value of any supported type survives the way to text and back; damage is an error, never a crash."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.store.codec import Undecodable, decode_as, encode_as, from_text, to_text

#: Thousands of steps: what they cover is covered by tests that say what it is for.
pytestmark = pytest.mark.no_cover

Pair = tuple[Any, st.SearchStrategy[Any]]


class Tone(StrEnum):
    CALM = "calm"
    LOUD = "loud"


class Grade(Enum):
    GOOD = 1
    BAD = 2


TEXT = st.text(st.characters(exclude_categories=("Cs",)))
WHOLE = st.integers(-(2**63), 2**63 - 1)
MONEY = st.decimals(allow_nan=False, allow_infinity=False)

LEAVES: tuple[Pair, ...] = (
    (bool, st.booleans()),
    (int, WHOLE),
    (float, st.floats(allow_nan=False)),
    (str, TEXT),
    (Decimal, MONEY),
    (Tone, st.sampled_from(Tone)),
    (Grade, st.sampled_from(Grade)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
)


def _record(pairs: list[Pair]) -> Pair:
    fields = [(f"f{i}", hint) for i, (hint, _) in enumerate(pairs)]
    kind = dataclasses.make_dataclass("Record", fields, frozen=True, slots=True)
    return kind, st.builds(kind, *(values for _, values in pairs))


def _grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return st.one_of(
        inner.map(lambda p: (tuple[p[0], ...], st.lists(p[1], max_size=3).map(tuple))),
        inner.map(lambda p: (p[0] | None, st.none() | p[1])),
        inner.map(lambda p: (Mapping[str, p[0]], st.dictionaries(TEXT, p[1], max_size=3))),
        inner.map(lambda p: (Mapping[int, p[0]], st.dictionaries(WHOLE, p[1], max_size=3))),
        st.lists(inner, min_size=1, max_size=4).map(_record),
        st.lists(inner, min_size=2, max_size=3).map(
            lambda ps: (tuple[tuple(p[0] for p in ps)], st.tuples(*(p[1] for p in ps)))
        ),
    )


TYPES: st.SearchStrategy[Pair] = st.recursive(st.sampled_from(LEAVES), _grown, max_leaves=6)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.sampled_from(["is", "f0"]), inner),
    max_leaves=6,
)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_every_value_comes_back_equal_and_writes_the_same_text_again(data: st.DataObject) -> None:
    hint, values = data.draw(TYPES)
    value = data.draw(values)
    text = to_text(encode_as(hint, value))
    found = decode_as(hint, from_text(text))
    assert found == value
    assert to_text(encode_as(hint, found)) == text


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_foreign_json_is_refused_or_a_value_that_writes_back(data: st.DataObject) -> None:
    hint, _ = data.draw(TYPES)
    foreign = data.draw(JSON)
    with contextlib.suppress(Undecodable):
        found = decode_as(hint, foreign)
        assert decode_as(hint, from_text(to_text(encode_as(hint, found)))) == found
