"""Does the live evaluation, bar by bar, say what the whole history says? A replay checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from agent.core.series import Floats
from agent.core.signal import Features

VALUES: Final = ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc")


@dataclass(frozen=True, slots=True)
class Agreement:
    """`differing_ms`: open times of bars where one side saw a signal and the other did not.

    `worst` is the largest relative difference of a value, infinite where only one side defines it.
    `borderline` counts bars with a z-score within 1e-6 of its threshold.
    """

    bars: int
    signals: int
    differing_ms: tuple[int, ...]
    worst: float
    borderline: int

    @property
    def holds(self) -> bool:
        return not self.differing_ms and self.worst <= 1e-9


def agreement(table: pd.DataFrame, live: Sequence[Features]) -> Agreement:
    """Compare the features of a history with those of the live evaluation of the same bars."""
    assert len(table) == len(live)
    signals = table["exhaustion"].to_numpy()
    seen = np.fromiter((bar.exhaustion for bar in live), dtype=bool, count=len(live))
    worst = 0.0
    for column in VALUES:
        values = np.array([np.nan if (v := getattr(bar, column)) is None else v for bar in live])
        worst = max(worst, worst_relative(table[column].to_numpy(dtype=np.float64), values))
    return Agreement(
        bars=len(live),
        signals=int(signals.sum()),
        differing_ms=tuple(table["open_ms"].to_numpy()[signals != seen].tolist()),
        worst=worst,
        borderline=sum(bar.borderline for bar in live),
    )


def worst_relative(a: Floats, b: Floats) -> float:
    """The largest |a - b| / max(|a|, |b|); nan equals nan only; infinite when one side alone is nan."""
    if bool((np.isnan(a) != np.isnan(b)).any()):
        return float("inf")
    both = ~np.isnan(a) & (a != b)
    if not both.any():
        return 0.0
    return float((np.abs(a - b)[both] / np.maximum(np.abs(a), np.abs(b))[both]).max())
