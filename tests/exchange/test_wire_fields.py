"""The local exchange answers with Binance's field names and JSON types: by our table, and by recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ccxt_fixtures import compared, recordings
from wire_answers import gathered
from wire_fields import FIELDS
from wire_shapes import differences, shape_of

#: Where recordings may lie: named by the environment, or beside the project.
BESIDE = Path(__file__).parents[3] / "shared" / "ccxt-static"


async def test_every_answer_and_event_has_the_fields_of_the_real_one() -> None:
    answers = await gathered()
    assert answers.keys() == FIELDS.keys(), "what is answered and what is known are the same list"
    told = []
    for name, answer in answers.items():
        known = {path: frozenset({kind}) for path, (kind, _) in FIELDS[name].items()}
        sometimes = {path for path, (_, maybe) in FIELDS[name].items() if maybe}
        told += [f"{name}: {text}" for text in differences(shape_of(answer), known, sometimes)]
    assert told == []


async def test_ccxts_recordings_of_the_exchange_agree() -> None:
    folder = Path(os.environ.get("CCXT_STATIC", BESIDE))
    if not recordings(folder):
        pytest.skip(f"ccxt's recordings are not at {folder}; set CCXT_STATIC to compare with them")
    result = await compared(folder)
    assert (result.differences, result.fields > 0) == ([], True), str(result)


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ({"a": 1}, {"a": "1"}, ["a is whole, there text"]),
        ({"a": 1, "b": 2}, {"a": 1}, ["b is sent and not known there"]),
        ({"a": []}, {"a": [{"b": 1}], "c": None}, ["c is missing"]),
        ({"a": [{"b": "0.1"}]}, {"a": [{"b": 1}]}, ["a[].b is amount, there whole"]),
        ({"a": [{"b": "0.1"}]}, {"a": []}, []),
        ([[1, "2"]], [["1", 2]], ["[][0] is whole, there text", "[][1] is text, there whole"]),
    ],
)
def test_what_differs_is_found(ours: object, theirs: object, says: list[str]) -> None:
    assert differences(shape_of(ours), shape_of(theirs)) == says
