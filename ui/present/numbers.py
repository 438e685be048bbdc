"""Numbers and times as the window writes them.

Thousands separated, a true minus, the exchange's precision for prices and sizes, two digits for money
unless it would show little money as none. Unknown is a dash, never zero.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

MINUS: Final = "\u2212"
UNKNOWN: Final = "–"
_ASCII_MINUS: Final = re.compile(r"(?<![\w.])-(?=\d)")


def true_minus(text: str) -> str:
    """A sentence from elsewhere, with the minus signs of its numbers as we write them."""
    return _ASCII_MINUS.sub(MINUS, text)


def digits_of(grid: Decimal | None) -> int:
    """Decimals of a tick or step: 0.0001 has four, 10 has none."""
    if grid is None or grid <= 0:
        return 8
    exponent = grid.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 8


def grouped(value: Decimal, digits: int, *, signed: bool = False) -> str:
    """Fixed digits; a value that rounds to zero has no sign."""
    shown = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    if shown == 0:
        return f"{abs(shown):,f}"
    return f"{shown:{'+' if signed else ''},f}".replace("-", MINUS)


def price(value: Decimal | None, tick: Decimal | None) -> str:
    """At the exchange's precision; without one, as it came."""
    if value is None:
        return UNKNOWN
    return grouped(value, digits_of(tick) if tick else _own_digits(value))


def average_price(value: Decimal | None, tick: Decimal | None) -> str:
    """A price that fills made, which may lie between ticks: up to two digits more where they count."""
    if value is None or not tick:
        return price(value, tick)
    digits = digits_of(tick)
    fine = value.quantize(Decimal(1).scaleb(-digits - 2), ROUND_HALF_EVEN)
    return grouped(fine, max(digits, _own_digits(fine)))


def size(value: Decimal | None) -> str:
    """A quantity of base currency, every digit that counts."""
    return UNKNOWN if value is None else grouped(value, _own_digits(value))


def money(value: Decimal | None, currency: str = "", *, signed: bool = False) -> str:
    if value is None:
        text = UNKNOWN
    else:
        digits = 2
        if 0 < abs(value) < Decimal("0.01"):
            digits = min(10, -value.adjusted() + 1)
        text = grouped(value, digits, signed=signed)
    return f"{text} {currency}" if currency else text


def percent(fraction: Decimal | float | None, digits: int = 2, *, signed: bool = True) -> str:
    """A fraction as percentage."""
    if fraction is None:
        return UNKNOWN
    text = f"{float(fraction) * 100:{'+' if signed else ''}.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return f"{text.replace('-', MINUS)} %"


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    if value is None:
        return UNKNOWN
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def ratio(value: float | None) -> str:
    """In R, signed: `+0.82 R`."""
    return UNKNOWN if value is None else f"{number(value, 2, signed=True)} R"


def _own_digits(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return min(max(0, -exponent), 12) if isinstance(exponent, int) else 8


def zone(local: bool) -> tzinfo | None:
    """None is the machine's own time zone, as `astimezone` understands it."""
    return None if local else UTC


def clock(moment: datetime | None, local: bool = False) -> str:
    return UNKNOWN if moment is None else moment.astimezone(zone(local)).strftime("%H:%M:%S")


def stamp(moment: datetime | None, local: bool = False) -> str:
    return UNKNOWN if moment is None else moment.astimezone(zone(local)).strftime("%Y-%m-%d %H:%M")


def zone_name(local: bool, at: datetime | None = None) -> str:
    if not local:
        return "UTC"
    return (at or datetime.now(UTC)).astimezone().strftime("%Z") or "local"


def span(length: timedelta | float | None) -> str:
    """`2 d 3 h`, `1 h 12 min`, `4 min 5 s`, `12 s`: the two largest units. Seconds when a number."""
    if length is None:
        return UNKNOWN
    seconds = int(length.total_seconds() if isinstance(length, timedelta) else length)
    seconds = max(0, seconds)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def brief_span(seconds: float) -> str:
    """The largest unit alone: `2 d`, `1 h`, `4 min`, `12 s`."""
    return " ".join(span(seconds).split(" ")[:2])


def countdown(seconds: float | None) -> str:
    """`4:05`, `1:12:00`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def counted(amount: int, noun: str) -> str:
    """`1 order`, `2 orders`, `no orders`."""
    return f"{amount or 'no'} {noun}{'' if amount == 1 else 's'}"
