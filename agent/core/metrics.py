"""What a list of trades amounts to, by the backtester's definitions, so that live and backtest compare.

Per unit of base currency and in R, never account money: figures in quote currency and percent of equity
stand elsewhere and are not mixed with these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.core.value import Value


class TradeMetrics(Value, frozen=True):
    """`win_rate` 0..1; `total_pnl` and `max_dd` (<= 0) in quote currency per unit of base; the rest in R."""

    n: int
    win_rate: float
    avg_R: float  # noqa: N815 - the field's and the file's own spelling
    total_pnl: float
    max_dd: float
    sharpe: float


def trade_metrics(pnl: Sequence[float], r: Sequence[float]) -> TradeMetrics:
    """Metrics of trades in the order they closed; `pnl` per unit of base after costs, `r` = pnl / risk.

    A win is pnl > 0. `max_dd` is the lowest of the cumulative pnl minus its running maximum (which starts at
    the first trade). `sharpe` is mean(R) / std(R, ddof 1), 0 when undefined. No trades: all 0.
    """
    assert len(pnl) == len(r)
    n = len(pnl)
    if n == 0:
        return TradeMetrics(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    profits = np.asarray(pnl, dtype=np.float64)
    multiples = np.asarray(r, dtype=np.float64)
    running = np.cumsum(profits)
    deviation = float(multiples.std(ddof=1)) if n > 1 else 0.0
    mean_r = float(multiples.mean())
    return TradeMetrics(
        n=n,
        win_rate=float((profits > 0).mean()),
        avg_R=mean_r,
        total_pnl=float(profits.sum()),
        max_dd=float((running - np.maximum.accumulate(running)).min()),
        sharpe=mean_r / deviation if deviation > 0 else 0.0,
    )
