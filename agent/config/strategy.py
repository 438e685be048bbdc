"""The configuration in the core's words: parameters of the signal and of the exits.

The core knows no configuration and has no defaults; these functions are the only way from one to the other.
"""

from __future__ import annotations

from agent.config.model import Config
from agent.core.parameters import ExitParams, SellerParams


def seller_params(config: Config) -> SellerParams:
    """The entry signal's windows in bars (minutes converted as the backtester does) and thresholds."""
    bars, seller = config.bars, config.seller_params
    return SellerParams(
        ema_fast=bars.ema_fast,
        ema_slow=bars.ema_slow,
        z_window=bars.z_window,
        atr_window=bars.atr_window,
        vol_z=seller.vol_z,
        tr_z=seller.tr_z,
        cloc_min=seller.cloc_min,
    )


def exit_params(config: Config) -> ExitParams:
    """Which exits are on, where they lie, what they cost, and which Fibonacci level counts."""
    params = config.backtest_params
    return ExitParams(
        use_fib_exits=params.use_fib_exits,
        use_stop_loss=params.use_stop_loss,
        use_time_exit=params.use_time_exit,
        use_traditional_tp=params.use_traditional_tp,
        fib_swing_lookback=params.fib_swing_lookback,
        fib_swing_lookahead=params.fib_swing_lookahead,
        fib_target_level=params.fib_target_level,
        atr_stop_mult=params.atr_stop_mult,
        reward_r=params.reward_r,
        max_hold=params.max_hold,
        fee_bp=params.fee_bp,
        slippage_bp=params.slippage_bp,
        policy=config.agent.fib_exit,
    )
