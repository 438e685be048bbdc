"""The shape of a JSON answer: which fields it has, and of which JSON types they are.

A shape maps paths (`fills[].price`) to kinds. A list whose elements are of one kind has one path for all of
them; a row of mixed scalars, like a kline, has one for each place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

#: Path -> the kinds seen there: whole, amount, text, flag, null, empty (a list or object without elements).
Shape: TypeAlias = Mapping[str, frozenset[str]]

_AMOUNT = re.compile(r"-?\d+\.\d+")
_WHOLE = re.compile(r"-?\d+")


def shape_of(*answers: Any, quoted: bool = False) -> Shape:
    """The shape that holds all of `answers`. `quoted`: whole numbers may have been written as text."""
    found: dict[str, set[str]] = {}
    for answer in answers:
        _walk(answer, "", found, quoted)
    return {path: frozenset(kinds) for path, kinds in found.items()}


def _walk(value: Any, path: str, found: dict[str, set[str]], quoted: bool) -> None:
    if isinstance(value, dict | list) and not value:
        found.setdefault(f"{path}[]" if isinstance(value, list) else path, set()).add("empty")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _walk(inner, f"{path}.{name}" if path else name, found, quoted)
    elif isinstance(value, list):
        mixed = len({_kind(one, quoted) for one in value}) > 1
        for place, inner in enumerate(value):
            _walk(inner, f"{path}[{place}]" if mixed else f"{path}[]", found, quoted)
    else:
        found.setdefault(path, set()).add(_kind(value, quoted))


def _kind(value: Any, quoted: bool) -> str:
    match value:
        case bool():
            return "flag"
        case int():
            return "whole"
        case float():
            return "float"
        case None:
            return "null"
        case str() if _AMOUNT.fullmatch(value):
            return "amount"
        case str() if quoted and _WHOLE.fullmatch(value):
            return "digits"
        case str():
            return "text"
    return "inner"


def differences(ours: Shape, theirs: Shape, sometimes: Iterable[str] = ()) -> list[str]:
    """What the two disagree about, a sentence each. Paths of `sometimes` may be missing on our side."""
    told = [f"{path} is missing" for path in theirs if not _has(ours, path) and path not in sometimes]
    told += [f"{path} is sent and not known there" for path in ours if not _has(theirs, path)]
    for path in ours.keys() & theirs.keys():
        here, there = ours[path] - _VAGUE, theirs[path] - _VAGUE
        if here and there and not _fits(here, there):
            told.append(f"{path} is {_or(here)}, there {_or(there)}")
    return sorted(told)


#: Says nothing about the kind of what it stands for.
_VAGUE = frozenset({"empty", "null"})


def _has(shape: Shape, path: str) -> bool:
    """An empty list stands for whatever its elements would have been."""
    if path in shape:
        return True
    head, bracket, _ = path.partition("[]")
    empty = f"{head}[]"
    if bracket and shape.get(empty) == frozenset({"empty"}):
        return True
    # The other way round: this one is empty, that one has elements.
    return path.endswith("[]") and any(other.startswith(path) for other in shape)


def _fits(here: frozenset[str], there: frozenset[str]) -> bool:
    # "0" and "0.00000000" are both text; a whole number written as text is told by its sender alone.
    words = {"amount", "text"}
    if "digits" in there:
        return bool(here & {"whole", "text"})
    return bool(here & there) or (bool(here & words) and bool(there & words))


def _or(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))
