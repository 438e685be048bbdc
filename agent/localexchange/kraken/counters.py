"""Kraken's two counters: of an account's calls, and of its orders on one pair.

Stays true: both fall with venue time and are those of the lowest tier, which refuses first; what is refused
counts nothing; placing and canceling count among orders alone, everything else among calls alone; a cancel
counts the more the younger its order is, and is carried out in any case.
Source: Kraken, "Spot REST rate limits" and "Spot trading rate limits".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.localexchange.intervals import SECOND_MS

_CALLS: Final = 15.0
_CALLS_PER_S: Final = 0.33
#: What histories count; any other call counts 1.
_COSTS: Final[Mapping[str, int]] = {"TradesHistory": 2, "QueryTrades": 2, "Ledgers": 2, "QueryLedgers": 2}
_ORDERS: Final = 60.0
_ORDERS_PER_S: Final = 1.0
#: Up to this age of an order, seconds, its cancel counts so much.
_YOUNG: Final = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


class Falling:
    """A number that grows by what is counted and falls by `per_s` every second, not below zero."""

    def __init__(self, most: float, per_s: float) -> None:
        self._most = most
        self._per_s = per_s
        self._level = 0.0
        self._at_ms = 0

    def admits(self, cost: float, now_ms: int) -> bool:
        """Count `cost` if there is room for it."""
        self._fall(now_ms)
        if self._level + cost > self._most:
            return False
        self._level += cost
        return True

    def add(self, cost: float, now_ms: int) -> None:
        """Count without asking."""
        self._fall(now_ms)
        self._level = min(self._most, self._level + cost)

    def _fall(self, now_ms: int) -> None:
        passed_s = max(0, now_ms - self._at_ms) / SECOND_MS
        self._level = max(0.0, self._level - passed_s * self._per_s)
        self._at_ms = max(now_ms, self._at_ms)


class Counters:
    """Of the one account; its one pair counts for all."""

    def __init__(self) -> None:
        self._calls = Falling(_CALLS, _CALLS_PER_S)
        self._orders = Falling(_ORDERS, _ORDERS_PER_S)

    def admits_call(self, name: str, now_ms: int) -> bool:
        return self._calls.admits(_COSTS.get(name, 1), now_ms)

    def use_up(self, now_ms: int) -> None:
        """Another program on the account has made as many calls as there may be."""
        self._calls.add(_CALLS, now_ms)

    def admits_order(self, now_ms: int) -> bool:
        return self._orders.admits(1, now_ms)

    def canceled(self, age_ms: int, now_ms: int) -> None:
        """An order of this age is canceled."""
        cost = next((cost for age_s, cost in _YOUNG if age_ms < age_s * SECOND_MS), 0)
        self._orders.add(cost, now_ms)
