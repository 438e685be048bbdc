"""Reading a status document field by field: what is missing or of another type is named, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from agent.core.money import money


class StatusUnreadable(Exception):  # noqa: N818 - a finding about the document
    """The document is not a status of this program; the text names the key."""


class Fields:
    """One object of the document. `where` is its dotted name, empty for the whole."""

    def __init__(self, document: object, where: str = "") -> None:
        self._where = where
        if not isinstance(document, Mapping):
            raise StatusUnreadable(f"{where or 'the document'} is not an object")
        self._document: Mapping[str, Any] = document

    def _named(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def _value(self, key: str) -> Any:
        if key not in self._document:
            raise StatusUnreadable(f"{self._named(key)} is missing")
        return self._document[key]

    def _wrong(self, key: str, expected: str) -> StatusUnreadable:
        return StatusUnreadable(f"{self._named(key)} is not {expected}: {self._document[key]!r:.60}")

    def has(self, key: str) -> bool:
        """Whether the value is there and not null."""
        return self._value(key) is not None

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}")
        return value

    def money(self, key: str) -> Decimal:
        value = self._value(key)
        try:
            if not isinstance(value, str):
                raise ValueError
            return money(value)
        except ValueError:
            raise self._wrong(key, "an amount as text") from None

    def money_or_none(self, key: str) -> Decimal | None:
        return self.money(key) if self.has(key) else None

    def carries(self, key: str) -> bool:
        """Whether a value is there that the promised document need not have."""
        return self._document.get(key) is not None

    def time(self, key: str) -> datetime:
        """ISO 8601 with its offset from UTC."""
        try:
            value = datetime.fromisoformat(self.text(key))
        except ValueError:
            raise self._wrong(key, "an ISO 8601 time") from None
        if value.tzinfo is None:
            raise self._wrong(key, "a time with its offset from UTC")
        return value

    def time_or_none(self, key: str) -> datetime | None:
        return self.time(key) if self.has(key) else None

    def whole(self, key: str) -> int:
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "a whole number")
        return value

    def whole_or_none(self, key: str) -> int | None:
        return self.whole(key) if self.has(key) else None

    def number_or_none(self, key: str) -> float | None:
        value = self._value(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self._wrong(key, "a number")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._value(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def section(self, key: str) -> Fields:
        return Fields(self._value(key), self._named(key))

    def section_or_none(self, key: str) -> Fields | None:
        return self.section(key) if self.has(key) else None

    def rows(self, key: str) -> list[Fields]:
        return [Fields(row, f"{self._named(key)}[{i}]") for i, row in enumerate(self._list(key))]

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "a list of texts")
        return tuple(values)

    def _list(self, key: str) -> list[Any]:
        value = self._value(key)
        if not isinstance(value, list | tuple):
            raise self._wrong(key, "a list")
        return list(value)
