"""Dates in candle files: what people's exports contain, read without guessing day against month.

Understood: ISO 8601 with space or T, seconds optional, with an offset, `Z` or ` UTC` (none means UTC), also
with slashes when the year comes first; and whole epoch numbers in seconds, milliseconds, microseconds or
nanoseconds, told apart by their 10, 13, 16 or 19 digits.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_PER_MS_OF_DIGITS: Final = {10: (1000, 1), 13: (1, 1), 16: (1, 1000), 19: (1, 1_000_000)}


def parse_date(text: str) -> int:
    """Milliseconds UTC. Raises ValueError on anything else than the forms above."""
    text = text.strip()
    whole, _, fraction = text.partition(".")
    if whole.isdecimal() and whole.isascii() and not fraction.strip("0"):
        scale = _PER_MS_OF_DIGITS.get(len(whole))
        if scale is None:
            raise ValueError(f"an epoch number has 10, 13, 16 or 19 digits, this has {len(whole)}")
        return int(whole) * scale[0] // scale[1]
    if text.upper().endswith("UTC"):
        text = text[:-3].rstrip() + "+00:00"
    if text[4:5] == "/":
        text = text.replace("/", "-")
    if text[4:5] != "-":
        raise ValueError("the year must come first")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def format_date(open_ms: int) -> str:
    """As the backtester writes it: `YYYY-MM-DD HH:MM:SS+00:00`."""
    moment = _EPOCH + timedelta(milliseconds=open_ms)
    return f"{moment:%Y-%m-%d %H:%M:%S}+00:00"
