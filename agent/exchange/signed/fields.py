"""Reading one field of what the exchange said, strictly: the right type, a believable size, or FieldError.

PURE. Amounts are decimal text (a JSON number would already have lost digits), ids and times are integers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

_AMOUNT: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_LARGEST_INTEGER: Final = 1 << 63
_LONGEST_TEXT: Final = 100
_SHOWN: Final = 80


class FieldError(ValueError):
    """A field is missing or not what it should be; the message names it."""


def obj(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(f"{what} is no object but {_shown(value)}")
    return value


def rows(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise FieldError(f"{what} is no list but {_shown(value)}")
    return value


def text(data: Mapping[str, Any], key: str) -> str:
    """Text that is not empty and no novel."""
    value = data.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise _wrong(key, value, "text")
    return value


def amount(data: Mapping[str, Any], key: str) -> Decimal:
    """A decimal number as text, zero or above."""
    value = data.get(key)
    told = _decimal(value) if isinstance(value, str) else None
    if told is None:
        raise _wrong(key, value, "an amount as text")
    return told


@lru_cache(maxsize=1_024)
def _decimal(text: str) -> Decimal | None:
    """An account tells the same amounts again and again, zero above all."""
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


def positive(data: Mapping[str, Any], key: str) -> Decimal:
    value = amount(data, key)
    if value <= 0:
        raise _wrong(key, data.get(key), "positive")
    return value


def integer(data: Mapping[str, Any], key: str) -> int:
    """An id or a time: an integer of JSON, zero or above; true, 1.5 and "7" are none."""
    value = data.get(key)
    if type(value) is not int or not 0 <= value < _LARGEST_INTEGER:
        raise _wrong(key, value, "an integer")
    return value


def flag(data: Mapping[str, Any], key: str) -> bool:
    value = data.get(key)
    if not isinstance(value, bool):
        raise _wrong(key, value, "true or false")
    return value


def _wrong(key: str, value: object, wanted: str) -> FieldError:
    return FieldError(f"{key} is missing" if value is None else f"{key} is not {wanted}: {_shown(value)}")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown[:_SHOWN] + ("..." if len(shown) > _SHOWN else "")
