"""The strategy's features over a whole history, computed with the operations the backtester used.

pandas' exponential and rolling means are used on purpose: their rounding is the backtester's, so the values
agree to the last bit and a comparison that hangs on one goes the same way. Live bars go through
`agent.core.signal`, which does not import this file (nor pandas).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from agent.core.fibonacci import RATIOS, ladder_between, swing_high
from agent.core.parameters import ExitParams, SellerParams
from agent.core.series import CandleSeries, true_ranges

LEVEL_COLUMNS: Final = tuple(f"fib_{round(ratio * 1000):04d}" for ratio in RATIOS)


def features(candles: CandleSeries, params: SellerParams) -> pd.DataFrame:
    """Features of every bar, indexed 0..n-1; undefined values are nan.

    Columns: `open_ms` (int64), `ema_f`, `ema_s`, `atr` (quote currency), `vol_z`, `tr_z`, `cloc` (no unit),
    `downtrend`, `exhaustion` (bool). `tr_z` is the z-score of atr * atr_window, not of the true range.
    """
    close = pd.Series(candles.close)
    ema_f = close.ewm(span=params.ema_fast, adjust=False).mean()
    ema_s = close.ewm(span=params.ema_slow, adjust=False).mean()
    ranges = pd.Series(true_ranges(candles.high, candles.low, candles.close, None))
    atr = ranges.rolling(params.atr_window).mean()
    vol_z = _z_score(pd.Series(candles.volume), params.z_window)
    tr_z = _z_score(atr * params.atr_window, params.z_window)
    spans = candles.high - candles.low
    with np.errstate(invalid="ignore", divide="ignore"):
        cloc = np.where(spans == 0, np.nan, (candles.close - candles.low) / spans)
    downtrend = ema_f < ema_s
    exhaustion = downtrend & (vol_z > params.vol_z) & (tr_z > params.tr_z) & (cloc > params.cloc_min)
    return pd.DataFrame(
        {
            "open_ms": candles.open_ms,
            "ema_f": ema_f,
            "ema_s": ema_s,
            "atr": atr,
            "vol_z": vol_z,
            "tr_z": tr_z,
            "cloc": cloc,
            "downtrend": downtrend,
            "exhaustion": exhaustion,
        }
    )


def with_ladders(table: pd.DataFrame, candles: CandleSeries, exits: ExitParams) -> pd.DataFrame:
    """`table` of `features` with `fib_swing_high` and a column per ladder level, filled on signal bars only.

    The swing high stands alone where it does not lie above the signal bar's low: no ladder there.
    """
    columns = {name: np.full(len(candles), np.nan) for name in ("fib_swing_high", *LEVEL_COLUMNS)}
    for i in np.flatnonzero(table["exhaustion"].to_numpy()).tolist():
        high = swing_high(candles.high[:i], i, exits.fib_swing_lookback, exits.fib_swing_lookahead)
        if high is None:
            continue
        columns["fib_swing_high"][i] = high
        ladder = ladder_between(float(candles.low[i]), high)
        if ladder is not None:
            for name, (_, price) in zip(LEVEL_COLUMNS, ladder.levels, strict=True):
                columns[name][i] = price
    return table.assign(**columns)


def _z_score(values: pd.Series[float], window: int) -> pd.Series[float]:
    """(value - mean) / population deviation over the last `window` values; nan where the deviation is 0."""
    rolling = values.rolling(window)
    deviation = rolling.std(ddof=0)
    return (values - rolling.mean()) / deviation.where(deviation != 0)
