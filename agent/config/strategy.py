"""The configuration in the core's words: signal, exits, limits, and the whole setup.

The core knows no configuration and has no defaults; these functions are the only way from one to the other.
"""

from __future__ import annotations

from decimal import Decimal

from agent.config.model import Config
from agent.core.parameters import ExitParams, SellerParams
from agent.core.state import RiskLimits, Setup


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


def risk_limits(config: Config) -> RiskLimits:
    """The limits that no trade may pass."""
    risk = config.risk_management
    return RiskLimits(
        risk_per_trade_percent=risk.risk_per_trade_percent,
        max_position_size_percent=risk.max_position_size_percent,
        max_daily_loss_percent=risk.max_daily_loss_percent,
        max_daily_trades=risk.max_daily_trades,
        max_open_positions=risk.max_open_positions,
        slippage_tolerance_percent=risk.slippage_tolerance_percent,
        order_timeout_ms=risk.order_timeout_seconds * 1000,
    )


def assumed_fee_rate(config: Config) -> Decimal:
    """The fee of one side that the backtest assumed, as a fraction; what the paper broker charges."""
    return Decimal(str(config.backtest_params.fee_bp)) / 10_000


def assumed_slippage_rate(config: Config) -> Decimal:
    """The slippage of one side that the backtest assumed, as a fraction."""
    return Decimal(str(config.backtest_params.slippage_bp)) / 10_000


def setup(config: Config, *, venue: str, tag: str, fee_rate: Decimal) -> Setup:
    """Everything the core is told. `venue` and `tag` name the host traded on and this installation;
    `fee_rate` is the taker fee to expect, a fraction (`assumed_fee_rate` on paper)."""
    exchange, agent = config.exchange, config.agent
    return Setup(
        seller=seller_params(config),
        exits=exit_params(config),
        limits=risk_limits(config),
        mode=config.mode,
        venue=venue,
        pair=exchange.trading_pair,
        base=exchange.base_currency,
        quote=exchange.quote_currency,
        timeframe=config.timeframe,
        bar_ms=config.bar_ms,
        config_hash=config.config_hash,
        tag=tag,
        entry_bar_exits=agent.entry_bar_exits,
        enter_without_room=agent.enter_without_room,
        entry_order=agent.entry_order,
        protective_stop=agent.protective_stop,
        disaster_stop_percent=agent.disaster_stop_percent,
        capital=agent.capital,
        late_signal=agent.late_signal,
        late_after_ms=agent.late_after_seconds * 1000,
        auto_resume=agent.auto_resume,
        fee_rate=fee_rate,
    )
