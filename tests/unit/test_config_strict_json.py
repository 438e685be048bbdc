"""The strict reader: what it reads, what it refuses, and that it says where."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from agent.config.strict_json import MAX_BYTES, MAX_DEPTH, MAX_FLAWS, Flaw, read


def only_flaw(content: str | bytes) -> Flaw:
    document = read(content)
    assert len(document.flaws) == 1, document.flaws
    return document.flaws[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (" [ ] ", []),
        ('{"a": [1, {"b": null}], "c": true, "d": false}', {"a": [1, {"b": None}], "c": True, "d": False}),
        (r'"\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00"', '"\\/\b\f\n\r\tä😀'),
        ('"ä😀"', "ä😀"),
        ("-0", 0),
        ("12345678901234567890", 12345678901234567890),
        ("0e999999999999", Decimal(0)),
    ],
)
def test_reads_what_the_standard_allows(text: str, value: object) -> None:
    document = read(text)
    assert document.value == value
    assert document.flaws == ()


def test_fractions_are_decimals_of_exactly_the_digits_written() -> None:
    value = read("[0.1, 1.10, 25e-1, 0.12345678901234567890123]").value
    assert [str(number) for number in value] == ["0.1", "1.10", "2.5", "0.12345678901234567890123"]
    assert all(isinstance(number, Decimal) for number in value)


def test_counts_are_ints_and_words_are_neither() -> None:
    value = read("[5, true]").value
    assert type(value[0]) is int
    assert value[1] is True


def test_remembers_the_line_of_every_key() -> None:
    document = read('{\n "a": 1,\n "b": {\n  "c": 2\n }\n}')
    assert document.lines == {("a",): 2, ("b",): 3, ("b", "c"): 4}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "empty"),
        ("  \n ", 2, 2, "empty"),
        ('{"a": 1,\n"b": 2', 2, 7, "} is missing"),
        ('{"a":', 1, 6, "ends inside a"),
        ('{"a": 1\n "b": 2}', 2, 2, "comma is missing"),
        ('{"a" 1}', 1, 6, "colon"),
        ("{a: 1}", 1, 2, "double quotes"),
        ("{'a': 1}", 1, 2, "wrong quotes"),
        ("{“a”: 1}", 1, 2, "wrong quotes"),
        ("{\"a\": 'b'}", 1, 7, "wrong quotes"),
        ('{"a": }', 1, 7, "value is missing"),
        ('{"a": 0,5}', 1, 9, "decimal comma"),
        ('{"a": 5%}', 1, 7, "%"),
        ('{"a": 10_000}', 1, 7, "separators"),
        ('{"a": 1.000.5}', 1, 7, "point"),
        ('{"a": 007}', 1, 7, "leading zeros"),
        ('{"a": 0x10}', 1, 7, "attached"),
        ('{"a": .5}', 1, 7, "cannot start"),
        ('{"a": +5}', 1, 7, "cannot start"),
        ('{"a": -}', 1, 7, "minus sign"),
        ('{"a": 15 min}', 1, 10, "unit"),
        ('{"a": 15m}', 1, 7, "attached"),
        ('{"a": paper}', 1, 7, "without quotes"),
        ('{"a": "b}', 1, 7, "file ends inside a text"),
        ('{"a": "b\n"}', 1, 7, "line ends inside a text"),
        ('{"a": "b\x01"}', 1, 7, "control character"),
        (r'{"a": "C:\dir"}', 1, 10, "backslash"),
        (r'{"a": "\u12"}', 1, 8, "backslash"),
        ('{"a": [1}', 1, 9, "closes what"),
        ('{"a": 1} {', 1, 10, "behind the end"),
        ('{"a": ?}', 1, 7, "unexpected character"),
        ("\ufeff{}", 1, 1, "byte order mark"),
    ],
)
def test_text_that_is_no_json_is_refused_at_its_place(text: str, line: int, column: int, words: str) -> None:
    flaw = only_flaw(text)
    assert words in flaw.reason
    assert (flaw.line, flaw.column) == (line, column)
    assert flaw.breaks_grammar
    assert flaw.fix
    assert read(text).value is None


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'{"a":\n "\xff"}', 2, "not UTF-8"),
        (b"\xef\xbb\xbf{}", 1, "byte order mark"),
        ("{}".encode("utf-16"), 1, "UTF-16"),
        ("{}".encode("utf-16-le"), 1, "UTF-16"),
        (b'"\xed\xa0\x80"', 1, "not UTF-8"),
    ],
)
def test_bytes_in_another_encoding_are_refused(content: bytes, line: int, words: str) -> None:
    flaw = only_flaw(content)
    assert words in flaw.reason
    assert flaw.line == line
    assert flaw.breaks_grammar


@pytest.mark.parametrize(
    ("text", "path", "grammar", "words"),
    [
        ('{"x": {"a": 1, "a": 2}}', ("x", "a"), False, "stands twice"),
        ('{"a": NaN}', ("a",), True, "NaN"),
        ('{"a": -Infinity}', ("a",), True, "NaN and Infinity"),
        ('{"a": 1e999}', ("a",), False, "beyond"),
        ('{"a": 1e-999}', ("a",), False, "beyond"),
        ('{"a": 1e99999999999999999999}', ("a",), False, "beyond"),
        ('{"a": ' + "9" * 5000 + "}", ("a",), False, "5000 digits"),
        (r'{"a": "\ud800"}', ("a",), False, "surrogate"),
        (r'{"a": "\udc00\ud800"}', ("a",), False, "surrogate"),
        ('{"a": True}', ("a",), True, "as true"),
        ('{"a": None}', ("a",), True, "as null"),
    ],
)
def test_what_can_be_stepped_over_names_its_key(text: str, path: object, grammar: bool, words: str) -> None:
    flaw = only_flaw(text)
    assert flaw.path == path
    assert flaw.breaks_grammar is grammar
    assert words in flaw.reason


def test_a_second_value_never_replaces_the_first() -> None:
    document = read('{"paper_trading": true, "paper_trading": false}')
    assert document.value == {"paper_trading": True}
    assert document.flaws


def test_all_flaws_that_can_be_stepped_over_are_found_at_once() -> None:
    text = '// mine\n{"a": NaN, /* b */ "b": 1e999, "c": [1, 2,], "d": 1, "d": 2,}'
    document = read(text)
    reasons = " | ".join(flaw.reason for flaw in document.flaws)
    assert len(document.flaws) == 7
    for words in ("comment", "NaN", "beyond", "before the closing ]", "before the closing }", "twice"):
        assert words in reasons
    assert document.value == {"c": [1, 2], "d": 1}


def test_flaws_are_counted_to_a_limit() -> None:
    document = read('{"a": [' + "NaN," * 5000 + "1]}")
    assert len(document.flaws) == MAX_FLAWS
    assert document.value is None


def test_nesting_is_limited() -> None:
    assert MAX_DEPTH == 20
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH).flaws == ()
    flaw = only_flaw("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert "deeper than 20" in flaw.reason
    assert not flaw.breaks_grammar
    assert flaw.column == MAX_DEPTH + 1
    assert "deeper" in only_flaw("[" * 500_000).reason
    assert "deeper" in only_flaw('{"a":' * 100_000).reason


def test_size_is_limited_to_one_mebibyte() -> None:
    fits = '"' + "x" * (MAX_BYTES - 2) + '"'
    assert read(fits).flaws == ()
    flaw = only_flaw(fits + " ")
    assert "1,048,577 bytes" in flaw.reason
    assert not flaw.breaks_grammar
    assert only_flaw((fits + " ").encode()).reason == flaw.reason


def test_a_raw_surrogate_in_text_is_refused() -> None:
    assert "surrogate" in only_flaw('{"a": "\ud800"}').reason
    assert "surrogate" in only_flaw('{"\ud800": 1}').reason


def test_a_message_repeats_nothing_of_the_file() -> None:
    canary = "Zx81QuietCanary7"
    for text in (
        f'{{"k": {canary}}}',
        f"{{{canary}: 1}}",
        f'{{"k": "{canary}',
        f'{{"k": "a" {canary}}}',
        f'{{"k": 1{canary}}}',
        f'{{"k": "\\{canary}"}}',
        f"{{}} {canary}",
        f"// {canary}\n{{}}",
    ):
        document = read(text)
        assert document.flaws
        assert canary not in repr(document.flaws), text


def test_agrees_with_the_standard_reader_on_the_example() -> None:
    text = '{"a": [1, 2.5, "x", null, {"b": []}], "c": {"d": -1.5e3}}'
    assert read(text).value == json.loads(text, parse_float=Decimal)
