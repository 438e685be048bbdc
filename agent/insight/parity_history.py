"""The other side of the parity check: whole history, vectorised. Loads pandas, so only workers import it.

Independent of the live path on purpose: the indicators are those over columns (`core.indicators`), the swing
high is searched here by comparing every candidate with its neighbours, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from agent.core.indicators import features
from agent.core.market import Candle
from agent.core.parameters import ExitParams, SellerParams
from agent.core.series import CandleSeries
from agent.core.signal import warmup_bars_needed
from agent.insight.parity import Recomputed, near


def recompute(
    history: CandleSeries,
    seller: SellerParams,
    exits: ExitParams,
    bars: Collection[int],
    bar_ms: int,
) -> dict[int, Recomputed]:
    """The bars that open at `bars`, from all of `history`. A bar that is not in it is left out."""
    if len(history) == 0:
        return {}
    table = features(history, seller)
    columns = {name: table[name].to_numpy() for name in table.columns}
    rows = np.flatnonzero(np.isin(history.open_ms, np.fromiter(bars, np.int64, len(bars))))
    reach = max(seller.z_window + seller.atr_window, exits.fib_swing_lookback + 1)
    holes = np.flatnonzero(np.diff(history.open_ms) != bar_ms)
    needed = warmup_bars_needed(seller, exits)
    decay = 1 - 2 / (max(seller.ema_fast, seller.ema_slow) + 1)
    spread = float(history.close.max() - history.close.min())

    def value(name: str, i: int) -> float | None:
        found = float(columns[name][i])
        return None if math.isnan(found) else found

    made = {}
    for i in rows.tolist():
        vol_z, tr_z = value("vol_z", i), value("tr_z", i)
        exhaustion = bool(columns["exhaustion"][i])
        made[int(history.open_ms[i])] = Recomputed(
            open_ms=int(history.open_ms[i]),
            low=float(history.low[i]),
            close=float(history.close[i]),
            ema_f=float(columns["ema_f"][i]),
            ema_s=float(columns["ema_s"][i]),
            atr=value("atr", i),
            vol_z=vol_z,
            tr_z=tr_z,
            cloc=value("cloc", i),
            downtrend=bool(columns["downtrend"][i]),
            exhaustion=exhaustion,
            near_threshold=near(vol_z, seller.vol_z) or near(tr_z, seller.tr_z),
            swing_high=_swing_high(history, i, exits) if exhaustion else None,
            # The live averages were seeded at most `needed` bars ago, and no earlier than the history begins.
            seed_weight=decay ** min(i, needed - 1),
            spread=spread,
            is_whole=not bool(((holes >= i - reach) & (holes < i)).any()),
        )
    return made


def with_rest_copies(history: CandleSeries, copies: Mapping[int, Candle]) -> CandleSeries:
    """The history as REST tells it now."""
    wanted = {
        int(i): copies[int(history.open_ms[i])]
        for i in np.flatnonzero(np.isin(history.open_ms, list(copies)))
    }
    if not wanted:
        return history
    columns = {}
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(history, name).copy()
        for i, candle in wanted.items():
            column[i] = getattr(candle, name)
        columns[name] = column
    return replace(history, **columns)


def _swing_high(history: CandleSeries, i: int, exits: ExitParams) -> float | None:
    """The rule as it is written: candidates j in [i - lookback + lookahead, i - lookahead - 1]."""
    back, ahead = exits.fib_swing_lookback, exits.fib_swing_lookahead
    if i < back + ahead or back <= ahead:
        return None
    high = history.high
    candidates = [
        float(high[j])
        for j in range(i - back + ahead, i - ahead)
        if all(high[k] <= high[j] for k in range(j - ahead, j + ahead + 1))
    ]
    return max(candidates) if candidates else float(high[i - back : i - ahead].max())
