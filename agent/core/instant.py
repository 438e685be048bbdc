"""Moments as other programs read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, overload

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The same without saying so: what is written ends in Z, not in +00:00.
_EPOCH_OF_UTC: Final = _EPOCH.replace(tzinfo=None)


@overload
def iso_utc(at_ms: int) -> str: ...
@overload
def iso_utc(at_ms: None) -> None: ...
def iso_utc(at_ms: int | None) -> str | None:
    """Milliseconds UTC as ISO 8601: `2025-01-15T14:32:05.000Z`."""
    if at_ms is None:
        return None
    moment = _EPOCH_OF_UTC + timedelta(0, 0, at_ms * 1_000)
    return f"{moment.isoformat('T', 'milliseconds')}Z"


def ms_of_iso(text: str) -> int:
    """The other way. Raises ValueError for text that is no moment, or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no offset from UTC: {text!r}")
    return round((moment - _EPOCH) / timedelta(milliseconds=1))
