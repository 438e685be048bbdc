"""Times, spans and amounts inside the sentences of this package: plain text, UTC, no colour."""

from __future__ import annotations

from decimal import Decimal

from agent.core.instant import iso_utc


def moment(at_ms: int) -> str:
    """`2025-01-15 14:32` UTC; with seconds where they are not zero."""
    text = iso_utc(at_ms).replace("T", " ")
    return text[:16] if at_ms % 60_000 == 0 else text[:19]


def span(ms: int) -> str:
    """`2 d 3 h`, `1 h 12 min`, `4 min 5 s`, `12 s`, `350 ms`: the two largest units."""
    if ms < 1_000:
        return f"{ms} ms"
    seconds = ms // 1_000
    for size, name, small, small_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{seconds} s"


def amount(value: Decimal, currency: str, *, signed: bool = False) -> str:
    """Two decimals, or three digits that count of what is smaller than one unit."""
    decimals = max(2, 2 - value.adjusted()) if 0 < abs(value) < 1 else 2
    return f"{value:{'+' if signed else ''},.{decimals}f} {currency}"


def number(value: float | None, digits: int = 4) -> str:
    return "undefined" if value is None else f"{value:.{digits}g}"
