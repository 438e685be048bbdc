"""What of a config a replay needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.config.model import Config
from agent.config.strategy import exit_params, seller_params
from agent.core.exits import ExitParams
from agent.core.signal import SellerParams


@dataclass(frozen=True, slots=True)
class ReplaySetup:
    """`backtest_metrics` as exported, None when the export has none."""

    seller: SellerParams
    exits: ExitParams
    timeframe: str
    backtest_metrics: Mapping[str, float] | None


def setup_of(config: Config) -> ReplaySetup:
    """The setup of a whole configuration."""
    exported = config.backtest_metrics
    return ReplaySetup(
        seller=seller_params(config),
        exits=exit_params(config),
        timeframe=config.timeframe,
        backtest_metrics=None if exported is None else exported.model_dump(exclude_none=True),
    )
