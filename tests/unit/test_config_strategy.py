"""The core is told exactly what the file says."""

from __future__ import annotations

from decimal import Decimal

from config_documents import accepted

from agent.config.strategy import (
    assumed_fee_rate,
    assumed_slippage_rate,
    exit_params,
    risk_limits,
    seller_params,
    setup,
)
from agent.core.parameters import ExitParams, SellerParams
from agent.core.state import RiskLimits


def test_seller_params_in_bars() -> None:
    config = accepted(timeframe="60m", seller_params={"ema_fast_minutes": 1440, "ema_slow": 200, "vol_z": 1})
    assert seller_params(config) == SellerParams(
        ema_fast=24, ema_slow=200, z_window=672, atr_window=96, vol_z=1.0, tr_z=1.2, cloc_min=0.6
    )


def test_exit_params() -> None:
    config = accepted(
        backtest_params={
            "use_fib_exits": False,
            "use_stop_loss": True,
            "use_time_exit": True,
            "use_traditional_tp": True,
            "fib_swing_lookback": 50,
            "fib_swing_lookahead": 3,
            "fib_target_level": 1,
            "atr_stop_mult": 1.2,
            "reward_r": 1.5,
            "max_hold": 48,
            "fee_bp": 7.5,
            "slippage_bp": 0,
        },
        agent={"fib_exit": "first_level"},
    )
    assert exit_params(config) == ExitParams(
        use_fib_exits=False,
        use_stop_loss=True,
        use_time_exit=True,
        use_traditional_tp=True,
        fib_swing_lookback=50,
        fib_swing_lookahead=3,
        fib_target_level=1.0,
        atr_stop_mult=1.2,
        reward_r=1.5,
        max_hold=48,
        fee_bp=7.5,
        slippage_bp=0.0,
        policy="first_level",
    )
    assert assumed_fee_rate(config) == Decimal("0.00075")
    assert assumed_slippage_rate(config) == 0


def test_limits_and_setup() -> None:
    config = accepted(
        exchange={"trading_pair": "BTC/EUR", "base_currency": "BTC", "quote_currency": "EUR"},
        risk_management={"risk_per_trade_percent": 0.7, "order_timeout_seconds": 12},
        agent={"late_after_seconds": 5, "capital": 500.5, "entry_bar_exits": "all", "entry_order": "market"},
    )
    told = setup(config, venue="binance", tag="ab", fee_rate=Decimal("0.001"))
    assert told.limits == risk_limits(config)
    assert told.limits == RiskLimits(
        risk_per_trade_percent=Decimal("0.7"),
        max_position_size_percent=Decimal(10),
        max_daily_loss_percent=Decimal(5),
        max_daily_trades=10,
        max_open_positions=1,
        slippage_tolerance_percent=Decimal("0.5"),
        order_timeout_ms=12_000,
    )
    assert (told.mode, told.pair, told.base, told.quote) == ("paper", "BTC/EUR", "BTC", "EUR")
    assert (told.timeframe, told.bar_ms, told.late_after_ms) == ("15m", 900_000, 5_000)
    assert (told.entry_bar_exits, told.entry_order, told.late_signal) == ("all", "market", "skip")
    assert told.capital == Decimal("500.5")
    assert told.disaster_stop_percent is None
    assert told.config_hash == config.config_hash
    assert told.seller == seller_params(config)
    assert told.exits == exit_params(config)
