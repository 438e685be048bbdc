"""config.example.json is the complete export, and it writes the defaults."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from config_documents import EXAMPLE, ROOT, example
from pydantic import BaseModel

from agent.config import check_config, load_config
from agent.config.env_file import ENV_NAMES
from agent.config.model import AgentSection, ConfigFile

AGENT_DEFAULTS: dict[str, Any] = {
    "fib_exit": "target",
    "entry_bar_exits": "stop_only",
    "enter_without_room": False,
    "entry_order": "limit",
    "protective_stop": True,
    "disaster_stop_percent": None,
    "capital": None,
    "signal_market": "production",
    "late_signal": "skip",
    "late_after_seconds": 30,
    "auto_resume": True,
    "log_level": "INFO",
    "database_url": None,
    "telegram": {"enabled": True, "level": "ERROR", "positions": True, "daily_summary": True},
    "email": {"enabled": False, "level": "CRITICAL"},
    "heartbeat_url": None,
    "metrics_port": None,
    "min_paper_days": 7,
    "min_testnet_days": 7,
    "min_phase_trades": 10,
}


def leaves(model: BaseModel, at: str = "") -> dict[str, Any]:
    """Every value of a model by dotted key."""
    found: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        key = f"{at}{name}"
        found |= leaves(value, f"{key}.") if isinstance(value, BaseModel) else {key: value}
    return found


def test_the_example_is_accepted_with_the_two_warnings_every_fresh_export_gets() -> None:
    loaded = load_config(EXAMPLE)
    assert loaded.config.mode == "paper"
    assert {finding.key for finding in loaded.warnings} == {"backtest_params.use_stop_loss", "agent.fib_exit"}
    assert loaded.path == EXAMPLE


def test_the_example_is_complete() -> None:
    document = example()
    assert "agent" not in document
    sections = {name: field for name, field in ConfigFile.model_fields.items() if name != "agent"}
    assert set(document) == set(sections)
    for name in ("seller_params", "backtest_params", "risk_management", "exchange", "data_feed"):
        assert set(document[name]) == set(sections[name].annotation.model_fields), name
    assert document["description"]
    assert document["created_at"]


def test_the_example_writes_the_defaults() -> None:
    written = leaves(load_config(EXAMPLE).config)
    default = leaves(ConfigFile())
    differing = {key for key, value in default.items() if written.get(key) != value}
    assert differing == {"created_at", "description"}


def test_the_example_holds_the_agreed_metrics() -> None:
    metrics = load_config(EXAMPLE).config.backtest_metrics
    assert metrics is not None
    assert (metrics.trades, metrics.win_rate, metrics.avg_R) == (45, 0.56, 0.42)
    assert (metrics.total_pnl, metrics.drawdown, metrics.sharpe) == (0.1234, -0.0456, 0.89)


def test_defaults_of_the_table() -> None:
    file = ConfigFile()
    assert (file.version, file.strategy_name, file.timeframe) == ("2.1.0", "Seller Exhaustion", "15m")
    seller = file.seller_params
    assert (seller.ema_fast, seller.ema_slow, seller.z_window, seller.atr_window) == (96, 672, 672, 96)
    assert (seller.vol_z, seller.tr_z, seller.cloc_min) == (2.0, 1.2, 0.6)
    assert seller.ema_fast_minutes is None
    exits = file.backtest_params
    assert (exits.use_fib_exits, exits.use_stop_loss, exits.use_time_exit, exits.use_traditional_tp) == (
        True,
        False,
        False,
        False,
    )
    assert (exits.fib_swing_lookback, exits.fib_swing_lookahead, exits.fib_target_level) == (96, 5, 0.618)
    assert (exits.atr_stop_mult, exits.reward_r, exits.max_hold) == (0.7, 2.0, 96)
    assert (exits.fee_bp, exits.slippage_bp) == (5.0, 5.0)
    risk = file.risk_management
    assert risk.risk_per_trade_percent == Decimal("1.0")
    assert risk.max_position_size_percent == Decimal("10.0")
    assert risk.max_daily_loss_percent == Decimal("5.0")
    assert risk.slippage_tolerance_percent == Decimal("0.5")
    assert (risk.max_daily_trades, risk.max_open_positions, risk.order_timeout_seconds) == (10, 1, 30)
    exchange = file.exchange
    assert (exchange.exchange_name, exchange.trading_pair) == ("binance", "ADA/USDT")
    assert (exchange.testnet, exchange.enable_rate_limit, exchange.paper_trading) == (True, True, True)
    assert exchange.paper_initial_balance == Decimal(10000)
    feed = file.data_feed
    assert (feed.data_source, feed.use_websocket, feed.websocket_ping_interval) == ("exchange", True, 20)
    assert (feed.rest_api_interval_seconds, feed.max_missing_bars, feed.validate_ohlcv) == (60, 3, True)


def test_defaults_of_the_agent_section() -> None:
    def unfolded(model: BaseModel) -> dict[str, Any]:
        values = {name: getattr(model, name) for name in type(model).model_fields}
        return {k: unfolded(v) if isinstance(v, BaseModel) else v for k, v in values.items()}

    assert unfolded(AgentSection()) == AGENT_DEFAULTS


def test_the_written_out_agent_section_is_accepted_and_changes_nothing() -> None:
    report = check_config(json.dumps(example(agent=AGENT_DEFAULTS)))
    assert report.config is not None
    assert report.config.agent == AgentSection()


def test_an_empty_document_means_the_defaults() -> None:
    report = check_config("{}")
    assert report.config is not None
    assert leaves(report.config.agent) == leaves(AgentSection())
    assert report.config.mode == "paper"


def test_money_is_decimal_and_born_from_the_text() -> None:
    text = EXAMPLE.read_text("utf-8").replace(
        '"risk_per_trade_percent": 1.0', '"risk_per_trade_percent": 1.1'
    )
    config = check_config(text).config
    assert config is not None
    assert str(config.risk_management.risk_per_trade_percent) == "1.1"
    assert isinstance(config.exchange.paper_initial_balance, Decimal)
    assert isinstance(config.seller_params.vol_z, float)


def test_the_configuration_is_frozen() -> None:
    config = load_config(EXAMPLE).config
    with pytest.raises(ValueError, match="frozen"):
        config.exchange.paper_trading = False  # type: ignore[misc]


def test_the_env_example_names_everything_and_sets_nothing() -> None:
    lines = (Path(ROOT) / ".env.example").read_text("utf-8").splitlines()
    assert all(line.startswith("#") or not line for line in lines)
    named = re.findall(r"^#([A-Z_]+)=", "\n".join(lines), re.MULTILINE)
    assert tuple(named) == ENV_NAMES
