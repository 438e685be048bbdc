"""The bar form of the strategy over recorded candles: exactly what the backtester did.

One position at a time. A signal enters at the next bar's open, that bar is not examined for exits, later bars
are, by `agent.core.exits.check_bar`. A signal while in position is ignored, on the exit bar it is taken. What
is open at the end is not a trade. Bars before the first average true range do not exist for trading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agent.core.exits import ExitHit, ExitParams, Levels, check_bar, levels_for
from agent.core.fibonacci import ladder_between
from agent.core.indicators import features, with_ladders
from agent.core.metrics import TradeMetrics, trade_metrics
from agent.core.series import CandleSeries
from agent.core.signal import BORDERLINE, Features, SellerParams, SignalWindow

Progress = Callable[[int, int], None]
"""Called now and then with (bars done, bars in all)."""


@dataclass(frozen=True, slots=True)
class ReplayTrade:
    """One round trip per unit of base. `entry_ms` is the open time of the signal bar, as in the backtest."""

    entry_ms: int
    exit_ms: int
    entry: float
    exit: float
    pnl: float
    R: float
    reason: str
    bars_held: int


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """`features` has a row per bar: `agent.core.indicators.features` with its ladder columns."""

    features: pd.DataFrame
    trades: tuple[ReplayTrade, ...]
    metrics: TradeMetrics


def run_bar_form(candles: CandleSeries, seller: SellerParams, exits: ExitParams) -> Replayed:
    """Signals, trades and metrics of a whole history."""
    table = with_ladders(features(candles, seller), candles, exits)
    signals = {i: row_features(table, candles, seller, i) for i in signal_rows(table)}
    trades = bar_form_trades(candles, signals, exits)
    metrics = trade_metrics([t.pnl for t in trades], [t.R for t in trades])
    return Replayed(table, trades, metrics)


def signal_rows(table: pd.DataFrame) -> list[int]:
    rows: list[int] = np.flatnonzero(table["exhaustion"].to_numpy()).tolist()
    return rows


def row_features(table: pd.DataFrame, candles: CandleSeries, seller: SellerParams, i: int) -> Features:
    """One row of the features table as the live evaluation would have said it."""

    def value(column: str) -> float | None:
        number = float(table[column].to_numpy()[i])
        return None if np.isnan(number) else number

    def near(number: float | None, threshold: float) -> bool:
        return number is not None and abs(number - threshold) <= BORDERLINE

    ema_f, ema_s = value("ema_f"), value("ema_s")
    assert ema_f is not None
    assert ema_s is not None
    vol_z, tr_z, swing = value("vol_z"), value("tr_z"), value("fib_swing_high")
    low = float(candles.low[i])
    return Features(
        open_ms=int(candles.open_ms[i]),
        low=low,
        close=float(candles.close[i]),
        ema_f=ema_f,
        ema_s=ema_s,
        atr=value("atr"),
        vol_z=vol_z,
        tr_z=tr_z,
        cloc=value("cloc"),
        downtrend=bool(table["downtrend"].to_numpy()[i]),
        exhaustion=bool(table["exhaustion"].to_numpy()[i]),
        borderline=near(vol_z, seller.vol_z) or near(tr_z, seller.tr_z),
        swing_high=swing,
        ladder=ladder_between(low, swing),
    )


def live_evaluation(
    candles: CandleSeries,
    seller: SellerParams,
    exits: ExitParams,
    progress: Progress = lambda done, total: None,
) -> list[Features]:
    """The features of every bar as the live agent computes them, one bar at a time."""
    window = SignalWindow.empty(seller, exits)
    found, total = [], len(candles)
    for i, candle in enumerate(candles):
        window, seen = window.push(candle)
        found.append(seen)
        if i % 1000 == 0:
            progress(i, total)
    progress(total, total)
    return found


def bar_form_trades(
    candles: CandleSeries, signals: Mapping[int, Features], exits: ExitParams
) -> tuple[ReplayTrade, ...]:
    """The trades of `signals` (bar index -> its features) over `candles`."""
    trades: list[ReplayTrade] = []
    last = len(candles) - 1
    free_from = 0
    for i in sorted(signals):
        if i < free_from or i >= last:
            continue
        entry = float(candles.open[i + 1])
        levels = levels_for(signals[i], entry, exits)
        left = _exit_after(candles, i + 1, levels, exits)
        if left is None:
            break
        exit_index, hit = left
        trades.append(_trade(candles, i, exit_index, levels, hit, exits))
        free_from = exit_index
    return tuple(trades)


def _exit_after(
    candles: CandleSeries, entry_index: int, levels: Levels, exits: ExitParams
) -> tuple[int, ExitHit] | None:
    for j in range(entry_index + 1, len(candles)):
        hit = check_bar(levels, candles.candle(j), j - entry_index, exits)
        if hit is not None:
            return j, hit
    return None


def _trade(
    candles: CandleSeries, signal: int, exit_index: int, levels: Levels, hit: ExitHit, exits: ExitParams
) -> ReplayTrade:
    entry = levels.entry_price
    fee = (entry + hit.price) * (exits.fee_bp + exits.slippage_bp) / 10_000
    pnl = hit.price - entry - fee
    return ReplayTrade(
        entry_ms=int(candles.open_ms[signal]),
        exit_ms=int(candles.open_ms[exit_index]),
        entry=entry,
        exit=hit.price,
        pnl=pnl,
        R=pnl / levels.risk,
        reason=hit.reason,
        bars_held=exit_index - signal - 1,
    )
