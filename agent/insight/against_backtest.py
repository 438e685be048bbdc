"""Is live doing what the backtest promised: each of its metrics beside the same one of the live trades.

All figures are the backtester's: per unit of base and in R, never account money. A difference counts against
live only when it is worse. Within 20 % is as expected, within 30 % the worst accepted, beyond 50 % flagged.
Few trades prove little, so each figure carries its confidence interval and how many more trades it takes
until it is known to within 20 %; a flag is `proven` when the interval excludes what was promised. Below ten
trades nothing is judged, neither good nor bad: chance alone makes such figures. Only a drawdown deeper than
promised counts at once.

What depends on how long one looks is not compared as it stands: the number of trades is only shown, the total
profit is compared per trade, and the drawdown may only be deeper than promised, since it grows with time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import stdev
from typing import Final

from agent.core.metrics import TradeMetrics, trade_metrics
from agent.insight.facts import ACTS, ClosedTrade
from agent.insight.intervals import (
    Interval,
    mean_interval,
    sharpe_interval,
    trades_for_mean,
    trades_for_share,
    trades_for_sharpe,
    wilson,
)

AS_EXPECTED: Final = 0.20
WORST_ACCEPTED: Final = 0.30
FLAGGED: Final = 0.50
#: From so many trades on the live deviation is used; before, what the backtest implies.
OWN_DEVIATION_FROM: Final = 10
#: Fewer trades than that are not judged.
ENOUGH_TRADES: Final = 10
#: A note with one of these beginnings: the trade was not made at the backtest's prices.
_NOT_COMPARABLE: Final = ("not_comparable", "basis")


class Band(StrEnum):
    """Where a live figure lies, seen from the promised one."""

    AS_EXPECTED = "as expected"
    BETTER = "better than expected"
    WORST_ACCEPTED = "worst accepted"
    TOO_LOW = "below what is accepted"
    FLAGGED = "flagged"
    NO_TRADES = "no trades yet"
    TOO_FEW = "too few trades to say"
    UNDEFINED = "not defined yet"
    NOT_PROMISED = "not in the backtest"
    SHOWN = "shown only"


@dataclass(frozen=True, slots=True)
class Promise:
    """`backtest_metrics` of the configuration; None where the backtest does not say."""

    trades: int | None = None
    win_rate: float | None = None
    avg_r: float | None = None
    total_pnl: float | None = None
    max_dd: float | None = None
    sharpe: float | None = None

    @property
    def pnl_per_trade(self) -> float | None:
        return self.total_pnl / self.trades if self.total_pnl is not None and self.trades else None


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric. `worse_by` is the shortfall as a fraction of the promised value (negative: better).

    `more_trades`: how many more until the figure is known to within 20 %; None where that cannot be said.
    `proven`: the promised value lies outside the interval, on the good side.
    """

    name: str
    live: float | None
    promised: float | None
    worse_by: float | None
    band: Band
    interval: Interval | None
    more_trades: int | None
    proven: bool

    @property
    def alarms(self) -> bool:
        """Beyond 50 %, and not by chance."""
        return self.band is Band.FLAGGED and self.proven


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left_out` trades were not made at the backtest's prices, `by_hand` of the others ended by an act."""

    metrics: TradeMetrics
    rows: tuple[Compared, ...]
    left_out: int
    by_hand: int

    @property
    def alarms(self) -> tuple[Compared, ...]:
        return tuple(row for row in self.rows if row.alarms)


def compare(closed: Sequence[ClosedTrade], promise: Promise | None) -> Comparison:
    """`closed` in the order in which the trades closed."""
    counted = [t for t in closed if t.counts]
    trades = [t for t in counted if not is_incomparable(t)]
    promised = promise or Promise()
    r, pnl = [t.r for t in trades], [t.pnl for t in trades]
    live = trade_metrics(pnl, r)
    wins = sum(value > 0 for value in pnl)
    r_deviation = _deviation(r, promised.avg_r, promised.sharpe)
    pnl_deviation = _deviation(pnl, promised.pnl_per_trade, promised.sharpe)
    win_rate, avg_r, sharpe = promised.win_rate, promised.avg_r, promised.sharpe
    per_trade = promised.pnl_per_trade
    rows = (
        _shown("trades", live.n, promised.trades),
        _row(
            "win_rate", live.n, live.win_rate, win_rate, wilson(wins, live.n),
            None if win_rate is None else trades_for_share(win_rate, AS_EXPECTED),
        ),
        _row(
            "avg_R", live.n, live.avg_R, avg_r, mean_interval(r),
            None if avg_r is None else trades_for_mean(avg_r, r_deviation, AS_EXPECTED),
        ),
        _row(
            "pnl_per_trade", live.n, live.total_pnl / live.n if live.n else 0.0, per_trade,
            mean_interval(pnl),
            None if per_trade is None else trades_for_mean(per_trade, pnl_deviation, AS_EXPECTED),
        ),
        _shown("total_pnl", live.total_pnl, promised.total_pnl),
        _row("max_dd", live.n, live.max_dd, promised.max_dd, None, None, only_worse=True),
        _row(
            "sharpe", live.n, live.sharpe if len(set(r)) > 1 else None, sharpe,
            sharpe_interval(live.sharpe, live.n),
            None if sharpe is None else trades_for_sharpe(sharpe, AS_EXPECTED),
        ),
    )  # fmt: skip
    acts = sum(t.reason in ACTS for t in trades)
    return Comparison(live, rows, left_out=len(counted) - len(trades), by_hand=acts)


def is_incomparable(trade: ClosedTrade) -> bool:
    """Whether its levels were scaled to another market's prices, or something else sets it apart."""
    return any(note.strip().startswith(_NOT_COMPARABLE) for note in trade.notes.split(";"))


def band_of(worse_by: float, *, only_worse: bool = False) -> Band:
    """The band of a shortfall, a fraction of the promised value."""
    if worse_by > FLAGGED:
        return Band.FLAGGED
    if worse_by > WORST_ACCEPTED:
        return Band.TOO_LOW
    if worse_by > AS_EXPECTED:
        return Band.WORST_ACCEPTED
    return Band.BETTER if worse_by < -AS_EXPECTED and not only_worse else Band.AS_EXPECTED


def _row(
    name: str,
    trades: int,
    live: float | None,
    promised: float | None,
    interval: Interval | None,
    needed: int | None,
    *,
    only_worse: bool = False,
) -> Compared:
    if trades == 0:
        return Compared(name, None, promised, None, Band.NO_TRADES, None, needed, proven=False)
    if live is None:
        return Compared(name, None, promised, None, Band.UNDEFINED, None, needed, proven=False)
    if promised is None or promised == 0:
        return Compared(name, live, promised, None, Band.NOT_PROMISED, interval, None, proven=False)
    worse_by = (promised - live) / abs(promised)
    # A drawdown has no interval of its own: how deep it is says all.
    proven = interval.high < promised if interval is not None else only_worse
    more = None if needed is None else max(0, needed - trades)
    band = band_of(worse_by, only_worse=only_worse)
    if trades < ENOUGH_TRADES and not (only_worse and worse_by > AS_EXPECTED):
        band = Band.TOO_FEW
    return Compared(name, live, promised, worse_by, band, interval, more, proven)


def _shown(name: str, live: float, promised: float | None) -> Compared:
    return Compared(name, live, promised, None, Band.SHOWN, None, None, proven=False)


def _deviation(values: Sequence[float], promised_mean: float | None, promised_sharpe: float | None) -> float:
    """Of the live trades once there are some; before that what the backtest implies: sharpe = mean / std."""
    if len(values) >= OWN_DEVIATION_FROM:
        return stdev(values)
    if promised_mean is not None and promised_sharpe:
        return abs(promised_mean / promised_sharpe)
    return stdev(values) if len(values) > 1 else 0.0
