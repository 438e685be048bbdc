"""Numbers and times as a trader reads them: thousands separated, signed where it matters, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from agent.core.money import plain

MODE_NAMES = {"paper": "Paper Trading", "testnet": "Testnet", "live": "LIVE TRADING"}


def quote_amount(value: Decimal | None, currency: str, *, signed: bool = False) -> str:
    """`10,000.00 USDT`. Below one unit three digits that count: little money is not shown as none."""
    if value is None:
        return f"- {currency}"
    shown = value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    if 0 < abs(value) < 1 and shown != value:
        shown = value.quantize(Decimal(1).scaleb(min(-2, value.adjusted() - 2)), ROUND_HALF_EVEN)
    return f"{shown:{'+' if signed else ''},f} {currency}"


def price(value: Decimal | None) -> str:
    """Every digit that matters, thousands separated."""
    if value is None:
        return "-"
    whole, point, fraction = plain(value).partition(".")
    return f"{int(whole):,}{point}{fraction}" if abs(value) >= 1 else plain(value)


def distance(level: Decimal, reference: Decimal) -> str:
    """How far `level` lies from `reference`: `+1.25 %`."""
    return percent((level - reference) / reference)


def percent(fraction: Decimal) -> str:
    """A fraction as signed percentage with two digits."""
    return f"{fraction * 100:+.2f} %"


def clock(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(span: timedelta) -> str:
    """`2 d 3 h`, `1 h 12 min`, `4 min 5 s`, `12 s`: the two largest units."""
    seconds = max(0, int(span.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {seconds} s"
    return f"{seconds} s"


def counted(number: int, noun: str) -> str:
    """`1 order`, `2 orders`, `no orders`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
