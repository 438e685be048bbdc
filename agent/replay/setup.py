"""What of a config a replay needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.exits import ExitParams
from agent.core.signal import SellerParams


@dataclass(frozen=True, slots=True)
class ReplaySetup:
    """`backtest_metrics` as exported, None when the export has none."""

    seller: SellerParams
    exits: ExitParams
    timeframe: str
    backtest_metrics: Mapping[str, float] | None
