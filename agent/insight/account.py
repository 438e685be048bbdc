"""The account in quote currency: today, all time, and the curve of its equity. No per-unit figure is here.

Deposits and withdrawals move the curve and are taken out of every figure: drawdown and returns are those of
the trading alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from agent.core.account import day_of
from agent.core.market import DAY_MS
from agent.core.money import ZERO
from agent.core.records import EventRow
from agent.insight.facts import ClosedTrade, EquityPoint, Flow

#: Fewer daily returns than this say nothing about their deviation.
LEAST_DAYS: Final = 10
DAYS_A_YEAR: Final = 365

_FLOW: Final = re.compile(r"(deposit|withdrawal) of ([0-9.]+) ")


@dataclass(frozen=True, slots=True)
class Today:
    """One UTC day. A trade counts on the day of its first fill, its profit on the day of its last.

    `pnl` holds what is unrealised too and is None while the day's start is not known; `realized` does not.
    """

    date_ms: int
    trades: int
    wins: int
    losses: int
    win_rate: float | None
    realized: Decimal
    pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class AllTime:
    """`max_drawdown` <= 0 in quote currency, `max_drawdown_percent` <= 0 of the highest equity before it.

    `sharpe` is that of daily returns of the account, a year having 365 days; None with fewer than ten days.
    `average_duration_ms` runs from first to last fill.
    """

    trades: int
    wins: int
    losses: int
    win_rate: float | None
    pnl: Decimal
    fees: Decimal
    max_drawdown: Decimal | None
    max_drawdown_percent: float | None
    sharpe: float | None
    average_duration_ms: int | None
    curve: tuple[EquityPoint, ...]


def today(
    opened_ms: Iterable[int], closed: Iterable[ClosedTrade], now_ms: int, day_pnl: Decimal | None
) -> Today:
    """The UTC day of `now_ms`. `opened_ms`: first fills of every trade, open ones too."""
    day = day_of(now_ms)
    ended = [t for t in closed if t.counts and day_of(t.exit_ms) == day]
    wins = sum(t.pnl_quote > 0 for t in ended)
    return Today(
        date_ms=day * DAY_MS,
        trades=sum(day_of(at_ms) == day for at_ms in opened_ms),
        wins=wins,
        losses=len(ended) - wins,
        win_rate=wins / len(ended) if ended else None,
        realized=sum((t.pnl_quote for t in ended), ZERO),
        pnl=day_pnl,
    )


def all_time(
    closed: Iterable[ClosedTrade], curve: Sequence[EquityPoint], flows: Sequence[Flow] = ()
) -> AllTime:
    """Everything that was ever stored of one account. `curve` and `flows` go forward in time."""
    trades = [t for t in closed if t.counts]
    wins = sum(t.pnl_quote > 0 for t in trades)
    fall, fall_percent = drawdown(curve, flows)
    return AllTime(
        trades=len(trades),
        wins=wins,
        losses=len(trades) - wins,
        win_rate=wins / len(trades) if trades else None,
        pnl=sum((t.pnl_quote for t in trades), ZERO),
        fees=sum((t.fees_quote for t in trades), ZERO),
        max_drawdown=fall,
        max_drawdown_percent=fall_percent,
        sharpe=daily_sharpe(curve, flows),
        average_duration_ms=sum(t.exit_ms - t.opened_ms for t in trades) // len(trades) if trades else None,
        curve=tuple(curve),
    )


def drawdown(curve: Sequence[EquityPoint], flows: Sequence[Flow] = ()) -> tuple[Decimal | None, float | None]:
    """The deepest fall below an earlier high, in quote currency and in percent of that high (both <= 0).

    Inside one point of the curve the low is compared with highs of earlier points only, so that a fall is
    never made up of a high that came after it. A flow moves the high with it.
    """
    if not curve:
        return None, None
    high, deepest, deepest_share = curve[0].equity, ZERO, 0.0
    for point, flow in _with_flows(curve, flows):
        high += flow
        fall = min(point.low, point.equity) - high
        if fall < deepest:
            deepest = fall
        if high > 0:
            deepest_share = min(deepest_share, float(fall / high))
        high = max(high, point.high, point.equity)
    return deepest, deepest_share * 100


def daily_sharpe(curve: Sequence[EquityPoint], flows: Sequence[Flow] = ()) -> float | None:
    """mean / deviation (ddof 1) of daily returns, times the root of 365, without a riskless rate.

    A day's return is (equity at its end - flows of the day) / equity at the end of the day before - 1; days
    without a point are left out. None with fewer than LEAST_DAYS returns or without any deviation.
    """
    ends: dict[int, tuple[Decimal, Decimal]] = {}
    for point, flow in _with_flows(curve, flows):
        day = day_of(point.at_ms)
        ends[day] = (point.equity, ends.get(day, (ZERO, ZERO))[1] + flow)
    days = list(ends.values())
    returns = [float((end - flow) / before) - 1 for (before, _), (end, flow) in pairwise(days) if before > 0]
    if len(returns) < LEAST_DAYS:
        return None
    mean = sum(returns) / len(returns)
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / (len(returns) - 1))
    return mean / deviation * math.sqrt(DAYS_A_YEAR) if deviation > 0 else None


def flows_in(events: Iterable[EventRow]) -> tuple[Flow, ...]:
    """Deposits and withdrawals among the events of an account, as reconciliation wrote them down."""
    found = []
    for event in events:
        said = _FLOW.match(event.text) if event.kind == "account" else None
        if said is not None:
            amount = Decimal(said[2])
            found.append(Flow(event.at_ms, amount if said[1] == "deposit" else -amount))
    return tuple(sorted(found, key=lambda flow: flow.at_ms))


def _with_flows(curve: Sequence[EquityPoint], flows: Sequence[Flow]) -> Iterable[tuple[EquityPoint, Decimal]]:
    """Each point with what flowed since the one before. What flowed before the first is in the first."""
    waiting = [flow for flow in flows if flow.at_ms > curve[0].at_ms] if curve else []
    for point in curve:
        flowed = ZERO
        while waiting and waiting[0].at_ms <= point.at_ms:
            flowed += waiting.pop(0).amount
        yield point, flowed
