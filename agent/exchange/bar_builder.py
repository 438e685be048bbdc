"""Larger bars from smaller ones, for a timeframe that the exchange does not offer.

PURE. A bar is built only from all of its parts: one that misses a part is not closed here, and REST decides.
Over history, where a part may not exist at all, `fold` takes what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from agent.core.market import Candle


def fold(parts: Sequence[Candle], bar_ms: int) -> list[Candle]:
    """Candles of `bar_ms` from smaller ones (in order, oldest first); what exists of a bar makes the bar."""
    return [
        _joined(open_ms, list(group))
        for open_ms, group in groupby(parts, lambda c: c.open_ms // bar_ms * bar_ms)
    ]


@dataclass(frozen=True, slots=True)
class Built:
    """A bar as far as its parts go. `closed`: all of them are here and closed."""

    candle: Candle
    closed: bool


class BarBuilder:
    """Builds live bars from the pushes of a smaller interval."""

    def __init__(self, part_ms: int, bar_ms: int) -> None:
        assert bar_ms % part_ms == 0
        assert bar_ms > part_ms
        self._part_ms = part_ms
        self._bar_ms = bar_ms
        self._open_ms = -1
        self._parts: list[Candle] = []

    def hear(self, part: Candle, closed: bool) -> Built | None:
        """The bar that `part` belongs to; None while an earlier part of it is not known."""
        open_ms = part.open_ms // self._bar_ms * self._bar_ms
        if open_ms < self._open_ms:
            return None
        if open_ms > self._open_ms:
            self._open_ms, self._parts = open_ms, []
        if part.open_ms != open_ms + len(self._parts) * self._part_ms:
            return None
        parts = [*self._parts, part]
        if closed:
            self._parts = parts
        return Built(_joined(open_ms, parts), closed and len(parts) * self._part_ms == self._bar_ms)


def _joined(open_ms: int, parts: Sequence[Candle]) -> Candle:
    volume = 0.0
    for part in parts:
        volume += part.volume
    return Candle(
        open_ms,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        volume,
    )
