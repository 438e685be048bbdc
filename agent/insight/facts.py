"""The facts that every figure here is made of, as the store reads them. No computation.

Amounts are in quote currency unless named otherwise, times in milliseconds UTC of venue time. Account money
is Decimal; what is compared with the backtest (per unit of base, in R) is float, as the backtest has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

#: Ends of trades that nobody traded: they are booked, and stand outside every figure.
OUTSIDE_METRICS: Final = frozenset({"EXTERNAL", "TESTNET_RESET", "DUST"})
#: Ends that somebody chose; the backtest knows none of them.
ACTS: Final = frozenset({"MANUAL", "EMERGENCY", "DAILY_LOSS"})


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """A trade that ended. `pnl` is quote per unit of base after costs, `r` = pnl / risk."""

    id: int
    signal_ms: int
    opened_ms: int
    exit_ms: int
    entry: Decimal
    exit: Decimal
    size: Decimal
    pnl_quote: Decimal
    fees_quote: Decimal
    pnl: float
    r: float
    reason: str
    bars_held: int
    notes: str = ""

    @property
    def counts(self) -> bool:
        """Whether it belongs into figures at all."""
        return self.reason not in OUTSIDE_METRICS


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The last equity of a stretch of time, and the lowest and highest in it."""

    at_ms: int
    equity: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that came (positive) or went from outside: it moves equity and earns nothing."""

    at_ms: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Execution:
    """An entry or an exit that was filled. `expected` is the price it was decided on, None where none was.

    `is_buy` gives the direction in which a difference is a loss.
    """

    trade_id: int
    is_buy: bool
    expected: Decimal | None
    price: Decimal

    @property
    def slippage_percent(self) -> float | None:
        """How much worse than expected, in percent of it; negative when better."""
        if self.expected is None:
            return None
        worse = self.price - self.expected if self.is_buy else self.expected - self.price
        return float(worse / self.expected) * 100


class Down(StrEnum):
    """Why the agent could not have traded."""

    ENGINE_OFF = "engine off"
    FEED_STALE = "feed stale"
    EXCHANGE_UNREACHABLE = "exchange unreachable"


@dataclass(frozen=True, slots=True)
class Outage:
    from_ms: int
    to_ms: int
    cause: Down


@dataclass(frozen=True, slots=True)
class SignalCounts:
    """Signal bars by the outcome of their decision, and how many of the entered ones bought something."""

    by_outcome: Mapping[str, int]
    filled: int


@dataclass(frozen=True, slots=True)
class ScopeRun:
    """What one scope (venue, mode, account, pair) has behind it.

    `minutes` counts the minutes of life with a known equity; `criticals` are CRITICAL events other than an
    emergency stop and a daily loss, which are counted apart; `starts` counts starts of the engine.
    """

    venue: str
    mode: str
    pair: str
    first_ms: int | None
    minutes: int
    trades: int
    wins: int
    criticals: int
    emergencies: int
    daily_losses: int
    manual_closes: int
    starts: int
