"""The column types that keep values exact.

Money is text: SQLite would store it as a binary float, and SQLAlchemy's Numeric rounds through one. A float
where money belongs is refused when it is bound, so it cannot reach the file.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.types import TypeDecorator

from agent.core.money import plain
from agent.store.codec_values import storable

#: A row number. SQLite counts by itself only in a column that is called INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

#: Milliseconds UTC.
Millis = BigInteger()


class Money(TypeDecorator[Decimal]):
    """A Decimal as plain text, digit by digit."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:
        if value is None:
            return None
        assert isinstance(value, Decimal), f"money is Decimal, not {value!r}"
        assert value.is_finite(), f"not a finite amount: {value!r}"
        return plain(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value)


class Words(TypeDecorator[str]):
    """Text that may come from outside. What no database can hold in it is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else storable(value).replace("\0", "\N{REPLACEMENT CHARACTER}")
