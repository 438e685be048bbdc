"""The backtester's recorded answers, and the parameters they were made with.

Synthetic cases live beside this file. Cases on real candles are read in place from `../shared` (relative to
the project root); where that is missing they are skipped, naming what is missing.
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agent.core.exits import ExitParams, Policy
from agent.core.market import TIMEFRAME_MINUTES, bar_ms
from agent.core.series import CandleSeries
from agent.core.signal import SellerParams
from agent.replay.bar_form import ReplayTrade
from agent.replay.candle_file import read_candles
from agent.replay.dates import parse_date

HERE = Path(__file__).parent
SHARED = HERE.parents[1].parent / "shared"
POLICIES: tuple[Policy, ...] = ("target", "first_level")

REAL_CANDLES = {
    "ada15m_2021_default": "ada_usdt_15m_2021-02-17_2021-04-14.csv.gz",
    "ada15m_2021_loose": "ada_usdt_15m_2021-02-17_2021-04-14.csv.gz",
    "ada15m_2023_loose": "ada_usdt_15m_2023-03-16_2023-05-01.csv.gz",
    "ada1m_2023_loose": "ada_usdt_1m_2023-03-16_2023-05-01.csv.gz",
}
SYNTHETIC = (
    "default",
    "loose_all_level_0786",
    "loose_stop_time",
    "loose_tp",
    "minutes_1h",
    "minutes_30m",
)
CASES = (*SYNTHETIC, *REAL_CANDLES)

SELLER_DEFAULTS: dict[str, Any] = {
    "ema_fast": 96,
    "ema_slow": 672,
    "z_window": 672,
    "atr_window": 96,
    "vol_z": 2.0,
    "tr_z": 1.2,
    "cloc_min": 0.6,
}
EXIT_DEFAULTS: dict[str, Any] = {
    "use_fib_exits": True,
    "use_stop_loss": False,
    "use_time_exit": False,
    "use_traditional_tp": False,
    "fib_swing_lookback": 96,
    "fib_swing_lookahead": 5,
    "fib_target_level": 0.618,
    "atr_stop_mult": 0.7,
    "reward_r": 2.0,
    "max_hold": 96,
    "fee_bp": 5.0,
    "slippage_bp": 5.0,
}
#: The backtester converted minutes at this many minutes a bar: 30m was converted as 15m.
CONVERSION_MINUTES = {**TIMEFRAME_MINUTES, "30m": 15}


def seller_params(timeframe: str, given: dict[str, Any]) -> SellerParams:
    values = dict(SELLER_DEFAULTS)
    for key, value in given.items():
        if key.endswith("_minutes"):
            values[key.removesuffix("_minutes")] = max(1, round(value / CONVERSION_MINUTES[timeframe]))
        else:
            values[key] = value
    return SellerParams(**values)


@dataclass(frozen=True, slots=True, eq=False)
class GoldenCase:
    name: str
    folder: Path
    candles_path: Path
    timeframe: str
    candles: CandleSeries
    seller: SellerParams
    exit_values: dict[str, Any]
    features: pd.DataFrame

    def exits(self, policy: Policy = "target") -> ExitParams:
        return ExitParams(**self.exit_values, policy=policy)

    def trades(self, policy: Policy) -> list[ReplayTrade]:
        with (self.folder / f"trades_{policy}.csv").open(newline="") as file:
            rows = list(csv.DictReader(line for line in file if line.strip()))
        return [
            ReplayTrade(
                entry_ms=parse_date(row["entry_ts"]),
                exit_ms=parse_date(row["exit_ts"]),
                entry=float(row["entry"]),
                exit=float(row["exit"]),
                pnl=float(row["pnl"]),
                R=float(row["R"]),
                reason=row["reason"],
                bars_held=int(row["bars_held"]),
            )
            for row in rows
        ]

    def metrics(self, policy: Policy) -> dict[str, float]:
        found: dict[str, float] = json.loads((self.folder / f"metrics_{policy}.json").read_text())
        return found

    def signal_ms(self) -> list[int]:
        marked = self.features["exhaustion"].to_numpy() == 1
        times: list[int] = self.candles.open_ms[marked].tolist()
        return times

    def column(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return self.features[name].to_numpy(dtype=np.float64)


@cache
def golden(name: str) -> GoldenCase:
    """The case called `name`; skips the test when its files are not on this machine."""
    if name in SYNTHETIC:
        folder = HERE / "golden" / name
        candles_path = folder / "candles.csv.gz"
    else:
        folder = SHARED / "golden" / "real" / name
        candles_path = SHARED / "data" / REAL_CANDLES[name]
        for needed in (folder, candles_path):
            if not needed.exists():
                pytest.skip(f"no {needed}: this case compares with recorded real candles")
    params = json.loads((folder / "params.json").read_text())
    candles = read_candles(candles_path, bar_ms(params["timeframe"])).candles
    if "rows" in params:
        assert len(candles) >= params["rows"]
        candles = candles.part(0, params["rows"])
        assert int(candles.open_ms[0]) == parse_date(params["first"])
        assert int(candles.open_ms[-1]) == parse_date(params["last"])
    with gzip.open(folder / "features.csv.gz", "rt") as file:
        features = pd.read_csv(file)
    assert [parse_date(date) for date in features["date"]] == candles.open_ms.tolist()
    return GoldenCase(
        name=name,
        folder=folder,
        candles_path=candles_path,
        timeframe=params["timeframe"],
        candles=candles,
        seller=seller_params(params["timeframe"], params["seller_params"]),
        exit_values={**EXIT_DEFAULTS, **params["backtest_params"]},
        features=features,
    )
