"""How many orders may be placed, as Binance counts them.

Belongs here: the counter of unfilled orders per interval of venue time, and what fills give back. Stays true:
intervals are aligned (10 s, UTC day); every placed order counts, whatever becomes of it; its first fill takes
one off when it came as a taker, five when as a maker; nothing goes below zero.
Source: Binance's "Spot Unfilled Order Count Rules".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.localexchange.intervals import DAY_MS, SECOND_MS

_TAKER_GIVES_BACK: Final = 1
_MAKER_GIVES_BACK: Final = 5


@dataclass(frozen=True, slots=True)
class OrderLimit:
    interval: str
    count: int
    most: int
    length_ms: int

    @property
    def letter(self) -> str:
        """As in the header's name: 10S, 1D."""
        return f"{self.count}{self.interval[0]}"


ORDER_LIMITS: Final = (
    OrderLimit("SECOND", 10, 100, 10 * SECOND_MS),
    OrderLimit("DAY", 1, 200_000, DAY_MS),
)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Too many orders; the interval ends in `retry_after_s` seconds of venue time."""

    limit: OrderLimit
    retry_after_s: int

    @property
    def text(self) -> str:
        limit = self.limit
        return (
            f"Too many new orders; current limit is {limit.most} orders per {limit.count} {limit.interval}."
        )


class OrderCounts:
    """Unfilled orders of the account in the running intervals."""

    def __init__(self) -> None:
        self._intervals = [0] * len(ORDER_LIMITS)
        self._counts = [0] * len(ORDER_LIMITS)

    def counts(self, now_ms: int) -> list[tuple[OrderLimit, int]]:
        self._turn(now_ms)
        return list(zip(ORDER_LIMITS, self._counts, strict=True))

    def exceeded(self, orders: int, now_ms: int) -> Exceeded | None:
        """Whether so many more are too many."""
        for limit, count in self.counts(now_ms):
            if count + orders > limit.most:
                left_ms = limit.length_ms - now_ms % limit.length_ms
                return Exceeded(limit, max(1, -(-left_ms // SECOND_MS)))
        return None

    def add(self, orders: int, now_ms: int) -> None:
        self._turn(now_ms)
        self._counts = [count + orders for count in self._counts]

    def first_fill(self, now_ms: int, *, maker: bool) -> None:
        self._turn(now_ms)
        back = _MAKER_GIVES_BACK if maker else _TAKER_GIVES_BACK
        self._counts = [max(0, count - back) for count in self._counts]

    def _turn(self, now_ms: int) -> None:
        for place, limit in enumerate(ORDER_LIMITS):
            interval = now_ms // limit.length_ms
            if interval != self._intervals[place]:
                self._intervals[place], self._counts[place] = interval, 0
