"""What a replay leaves behind: features.csv, trades.csv and metrics.json, written as the backtester does.

Numbers carry 17 significant digits, so that reading them back gives the same float. A file appears under its
name only when it is complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

import pandas as pd

from agent.core.indicators import LEVEL_COLUMNS
from agent.core.metrics import TradeMetrics
from agent.replay.bar_form import ReplayTrade
from agent.replay.dates import format_date

FEATURE_COLUMNS: Final = (
    *("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc", "exhaustion", "fib_swing_high"),
    *LEVEL_COLUMNS,
)
TRADE_COLUMNS: Final = ("entry_ts", "exit_ts", "entry", "exit", "pnl", "R", "reason", "bars_held")
DIGITS: Final = "%.17g"


def write_features(path: Path, table: pd.DataFrame) -> None:
    """A row per bar: date, values (empty where undefined), `exhaustion` 0 or 1, ladder on signal bars."""
    rows = table.loc[:, list(FEATURE_COLUMNS)].assign(exhaustion=table["exhaustion"].astype(int))
    rows.insert(0, "date", [format_date(open_ms) for open_ms in table["open_ms"].tolist()])
    _write(path, lambda file: rows.to_csv(file, index=False, float_format=DIGITS, lineterminator="\n"))


def write_trades(path: Path, trades: Sequence[ReplayTrade]) -> None:
    """A row per trade, in the order they closed; the header alone when there is none."""

    def rows(file: TextIO) -> None:
        file.write(",".join(TRADE_COLUMNS) + "\n")
        for t in trades:
            numbers = ",".join(DIGITS % number for number in (t.entry, t.exit, t.pnl, t.R))
            file.write(
                f"{format_date(t.entry_ms)},{format_date(t.exit_ms)},{numbers},{t.reason},{t.bars_held}\n"
            )

    _write(path, rows)


def write_metrics(path: Path, metrics: TradeMetrics) -> None:
    _write(path, lambda file: json.dump(asdict(metrics), file, indent=1))


def _write(path: Path, content: Callable[[TextIO], None]) -> None:
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        content(file)
    os.replace(unfinished, path)
