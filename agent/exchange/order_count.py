"""How many orders were placed lately, by the exchange's own count, and when an entry should wait for that.

PURE. Binance counts unfilled orders for each account over ten seconds and over a day, tells both with every
answer (`X-MBX-ORDER-COUNT-10S`, `-1D`) and refuses more with -1015. Stays true: entries keep away from the
limit so that exits and stops always have room; those are never held back here, only the exchange may refuse
them. Times are venue time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Share of a limit that entries leave alone.
KEPT_FOR_EXITS: Final = 0.2

_UNIT_MS: Final = {"S": 1_000, "M": 60_000, "H": 3_600_000, "D": 86_400_000}
_WORDS: Final = {"SECOND": "S", "MINUTE": "M", "HOUR": "H", "DAY": "D"}
_PREFIX: Final = "x-mbx-order-count-"
_HEADER: Final = re.compile(r"x-mbx-order-count-(\d{1,4})([smhd])")
#: Binance's limits as of July 2026, until exchangeInfo tells the current ones.
_LIMITS: Final = {"10S": 100, "1D": 200_000}


@dataclass(slots=True)
class _Window:
    length_ms: int
    limit: int
    used: int = 0
    at_ms: int = 0


class OrderCount:
    """`answered` for every answer to placing, `full` before an entry."""

    def __init__(self) -> None:
        self._windows = {name: _Window(_length_ms(name), limit) for name, limit in _LIMITS.items()}

    def learn_limits(self, rate_limits: object) -> None:
        """exchangeInfo's `rateLimits`."""
        for limit in rate_limits if isinstance(rate_limits, list) else ():
            if not isinstance(limit, dict) or limit.get("rateLimitType") != "ORDERS":
                continue
            unit = _WORDS.get(str(limit.get("interval")))
            number, most = limit.get("intervalNum"), limit.get("limit")
            if unit is not None and type(number) is int and type(most) is int and number > 0 and most > 0:
                name = f"{number}{unit}"
                known = self._windows.setdefault(name, _Window(_length_ms(name), most))
                known.limit = most

    def answered(self, headers: Mapping[str, Any], now_ms: int) -> None:
        """What the headers of an answer say."""
        for header, value in headers.items():
            name = header.lower()
            found = _HEADER.fullmatch(name) if name.startswith(_PREFIX) else None
            if found is None or not str(value).isdecimal():
                continue
            window = self._windows.get(found[1] + found[2].upper())
            if window is not None:
                window.used, window.at_ms = int(value), now_ms

    def refused(self, now_ms: int) -> None:
        """The exchange refused an order because there were too many: the shortest window is used up."""
        shortest = min(self._windows.values(), key=lambda window: window.length_ms)
        shortest.used, shortest.at_ms = shortest.limit, now_ms

    def full(self, now_ms: int) -> str | None:
        """Why an entry must wait, or None. A count is believed until its window has surely begun anew."""
        for name, window in self._windows.items():
            stale = now_ms // window.length_ms > window.at_ms // window.length_ms
            if not stale and window.used >= window.limit * (1 - KEPT_FOR_EXITS):
                return f"{window.used} of {window.limit} orders of {name} are used up"
        return None

    @property
    def used(self) -> dict[str, int]:
        """The last known counts by window, as `10S`."""
        return {name: window.used for name, window in self._windows.items()}


def _length_ms(name: str) -> int:
    return int(name[:-1]) * _UNIT_MS[name[-1]]
