"""Money is Decimal, born from text.

Prices, quantities, fees, balances, limits and PnL are Decimal everywhere; `float` belongs to indicators
and charts. `Price`, `Qty` and `Quote` are made by `agent.core.instrument` alone, so that a number that
was not rounded to the exchange's grid cannot be sent. `forbid_float_money` makes mixing the two an
error at the place where it happens.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Final, NewType

Price = NewType("Price", Decimal)
"""Quote currency per unit of base, on the instrument's tick grid."""

Qty = NewType("Qty", Decimal)
"""Base currency, on the instrument's step grid."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HUNDRED: Final = Decimal(100)

#: Enough digits for a product of two 18-digit numbers without rounding.
PRECISION: Final = 50


def forbid_float_money() -> None:
    """Trap every mixture of Decimal and float in this thread and in threads started later."""
    for context in (decimal.DefaultContext, decimal.getcontext()):
        context.prec = PRECISION
        context.traps[decimal.FloatOperation] = True


def money(text: str | int) -> Decimal:
    """Parse an amount. Raises ValueError when it is not a finite decimal number."""
    try:
        value = Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"not a decimal number: {text!r}") from None
    if not value.is_finite():
        raise ValueError(f"not a finite number: {text!r}")
    return value


def plain(value: Decimal) -> str:
    """Text without exponent and padding zeros: how an exchange wants a number and a file stores it."""
    if not value:
        return "0"
    text = str(value)
    if "E" in text:
        text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def floor_to(value: Decimal, grid: Decimal) -> Decimal:
    """The largest multiple of `grid` not above `value` (both non-negative)."""
    return value // grid * grid


def ceil_to(value: Decimal, grid: Decimal) -> Decimal:
    """The smallest multiple of `grid` not below `value` (both non-negative)."""
    floored = floor_to(value, grid)
    return floored if floored == value else floored + grid


def percent_of(value: Decimal, percent: Decimal) -> Decimal:
    return value * percent / HUNDRED
