"""What the broker has seen of the market and not yet dealt with.

Quotes fill resting orders as they come; candles fill them for the time no quotes were seen. A closed
bar counts only if trusted quotes did not cover all of it, so nothing is settled twice: bars from
before the start, bars of an outage, and the two bars at its edges. All times are venue time.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agent.core.market import Candle, Quote

UNWATCHED_AFTER_MS: Final = 60_000
"""Quotes further apart than this leave a hole. A quiet pair may well go ten seconds without one."""


class Observation:
    """What waits to be dealt with. `bar_ms`: length of a bar.

    `bars` wait to be settled. `reached` names the open orders that a quote has reached, each with the
    first such quote: a later one may have come back. `unchecked` arrived before the account was loaded.
    """

    def __init__(self, bar_ms: int) -> None:
        self._bar_ms = bar_ms
        self._watched_from_ms: int | None = None
        self._watched_until_ms = 0
        self.bars: deque[Candle] = deque()
        self.reached: dict[int, Quote] = {}
        self.unchecked: Quote | None = None

    def see(self, quote: Quote) -> None:
        """Note that the market was watched at the time of this trusted quote."""
        if self._watched_from_ms is None or quote.at_ms > self._watched_until_ms + UNWATCHED_AFTER_MS:
            self._watched_from_ms = quote.at_ms
        self._watched_until_ms = max(self._watched_until_ms, quote.at_ms)

    def covered(self, candle: Candle) -> bool:
        """Whether trusted quotes were seen all through this bar."""
        if self._watched_from_ms is None or candle.open_ms < self._watched_from_ms:
            return False
        return candle.open_ms + self._bar_ms <= self._watched_until_ms + UNWATCHED_AFTER_MS
