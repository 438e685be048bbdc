"""Every key by itself: its type, its range, and what a trader who typed something else is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from config_documents import accepted, checked, error

#: section, key, smallest and largest accepted value, values just outside.
RANGES: list[tuple[str, str, list[Any], list[Any]]] = [
    *[
        ("seller_params", name, [1, 1_000_000], [0, -1, 1_000_001])
        for name in ("ema_fast", "z_window", "atr_window", "ema_slow")
    ],
    *[
        ("seller_params", f"{name}_minutes", [None, 15, 1_000_000], [1_000_001])
        for name in ("ema_fast", "z_window", "atr_window", "ema_slow")
    ],
    ("seller_params", "vol_z", [-3, 0, 2.5], []),
    ("seller_params", "tr_z", [-3, 0, 2.5], []),
    ("seller_params", "cloc_min", [0, 0.6, 1], [-0.01, 1.01]),
    ("backtest_params", "fib_swing_lookback", [6, 500], [0]),
    ("backtest_params", "fib_swing_lookahead", [0, 95], [-1]),
    ("backtest_params", "fib_target_level", [0.382, 0.5, 0.618, 0.786, 1.0, 1], [0.6, 0, 61.8]),
    ("backtest_params", "atr_stop_mult", [0.01, 5], [0, -1]),
    ("backtest_params", "reward_r", [0.01, 5], [0, -1]),
    ("backtest_params", "max_hold", [1, 5000], [0]),
    ("backtest_params", "fee_bp", [0, 7.5], [-0.1]),
    ("backtest_params", "slippage_bp", [0, 7.5], [-0.1]),
    ("risk_management", "risk_per_trade_percent", [0.1, 10], [0.09, 10.01, 0]),
    ("risk_management", "max_position_size_percent", [1, 100], [0.99, 100.01]),
    ("risk_management", "max_daily_loss_percent", [1, 20], [0.99, 20.01]),
    ("risk_management", "max_daily_trades", [1, 100], [0, 101]),
    ("risk_management", "max_open_positions", [1, 10], [0, 11]),
    ("risk_management", "slippage_tolerance_percent", [0.1, 5], [0.09, 5.01]),
    ("risk_management", "order_timeout_seconds", [5, 300], [4, 301]),
    ("exchange", "paper_initial_balance", [100, 1e12], [99.99, 1.1e12]),
    ("data_feed", "websocket_ping_interval", [5, 60], [4, 61]),
    ("data_feed", "rest_api_interval_seconds", [15, 300], [14, 301]),
    ("data_feed", "max_missing_bars", [1, 10], [0, 11]),
    ("agent", "disaster_stop_percent", [None, 0.1, 99.9], [0, 100]),
    ("agent", "capital", [None, 0.01, 1000], [0, -1]),
    ("agent", "late_after_seconds", [1, 86400], [0]),
    ("agent", "metrics_port", [None, 1, 65535], [0, 65536]),
    ("agent", "min_paper_days", [0, 30], [-1]),
    ("agent", "min_testnet_days", [0, 30], [-1]),
    ("agent", "min_phase_trades", [0, 30], [-1]),
]

FLAGS = [
    *[
        ("backtest_params", name)
        for name in ("use_fib_exits", "use_stop_loss", "use_time_exit", "use_traditional_tp")
    ],
    *[("exchange", name) for name in ("testnet", "enable_rate_limit", "paper_trading")],
    *[("data_feed", name) for name in ("use_websocket", "validate_ohlcv")],
    *[("agent", name) for name in ("enter_without_room", "protective_stop", "auto_resume")],
]

CHOICES = [
    ("data_feed", "data_source", ["exchange", "polygon", "both"]),
    ("agent", "fib_exit", ["target", "first_level"]),
    ("agent", "entry_bar_exits", ["stop_only", "all"]),
    ("agent", "entry_order", ["limit", "market"]),
    ("agent", "signal_market", ["production", "testnet"]),
    ("agent", "late_signal", ["skip", "enter"]),
    ("agent", "log_level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
]


@pytest.mark.parametrize(("section", "key", "good", "bad"), RANGES)
def test_ranges(section: str, key: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        held = getattr(getattr(accepted(**{section: {key: value}}), section), key)
        assert held == (Decimal(str(value)) if isinstance(held, Decimal) else value)
    for value in bad:
        found = error(checked(**{section: {key: value}}), f"{section}.{key}")
        assert found.value == value
        assert found.reason.startswith("must be")


@pytest.mark.parametrize(("section", "key", "good", "bad"), RANGES)
@pytest.mark.parametrize("value", ["5", True, [5], {"a": 5}, "abc"])
def test_numbers_are_numbers(section: str, key: str, good: object, bad: object, value: object) -> None:
    found = error(checked(**{section: {key: value}}), f"{section}.{key}")
    assert "must be a number" in found.reason
    assert "without quotes" in found.fix


@pytest.mark.parametrize(
    ("section", "key"), [(section, key) for section, key, good, _ in RANGES if None not in good]
)
def test_null_is_no_number(section: str, key: str) -> None:
    assert "not null" in error(checked(**{section: {key: None}}), f"{section}.{key}").reason


@pytest.mark.parametrize("key", ["max_daily_trades", "max_open_positions", "order_timeout_seconds"])
def test_counts_are_whole(key: str) -> None:
    assert "whole number" in error(checked(risk_management={key: 7.5}), f"risk_management.{key}").reason
    config = accepted(risk_management={key: 7.0})
    assert type(getattr(config.risk_management, key)) is int


@pytest.mark.parametrize(("section", "key"), FLAGS)
def test_flags(section: str, key: str) -> None:
    for value in (True, False):
        assert getattr(getattr(accepted(**{section: {key: value}}), section), key) is value
    for value, fix in [("true", "true"), ("no", "false"), (1, "true"), (0, "false"), (None, "true or false")]:
        found = error(checked(**{section: {key: value}}), f"{section}.{key}")
        assert "true or false" in found.reason
        assert found.fix.startswith(f"write {fix}")


@pytest.mark.parametrize(("section", "key", "words"), CHOICES)
def test_choices(section: str, key: str, words: list[str]) -> None:
    for word in words:
        assert getattr(getattr(accepted(**{section: {key: word}}), section), key) == word
    found = error(checked(**{section: {key: f" {words[-1].swapcase()}"}}), f"{section}.{key}")
    assert found.fix == f'write "{words[-1]}"'
    for value in ("nonsense", "", 3, None, True):
        assert error(checked(**{section: {key: value}}), f"{section}.{key}").fix.startswith("write one of")


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("15 min", "15m"),
        ("15min", "15m"),
        ("15 minutes", "15m"),
        ("15", "15m"),
        (15, "15m"),
        ("15M", "15m"),
        ("1h", "60m"),
        ("1 hour", "60m"),
        ("60", "60m"),
    ],
)
def test_timeframes_that_were_meant(value: object, fix: str) -> None:
    assert error(checked(timeframe=value), "timeframe").fix == f'write "{fix}"'


@pytest.mark.parametrize("value", ["4h", "7m", "1d", "", None, True, 15.5])
def test_timeframes_that_do_not_exist(value: object) -> None:
    assert "write one of" in error(checked(timeframe=value), "timeframe").fix


@pytest.mark.parametrize("name", ["1m", "3m", "5m", "10m", "15m", "30m", "60m"])
def test_timeframes(name: str) -> None:
    config = accepted(timeframe=name)
    assert config.bar_ms == int(name[:-1]) * 60_000


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("5%", "write 5 without quotes and without a unit"),
        ("0,5", "write 0.5 without quotes"),
        ("+2", "write 2 without quotes"),
        ("2 percent", "write 2 without quotes and without a unit"),
        ("1.000,00", "write a percentage from 0.1 to 10, without quotes"),
        ("lots", "write a percentage from 0.1 to 10, without quotes"),
    ],
)
def test_numbers_typed_as_text_get_their_number_back(value: str, fix: str) -> None:
    found = error(
        checked(risk_management={"risk_per_trade_percent": value}), "risk_management.risk_per_trade_percent"
    )
    assert found.fix == fix
    assert found.value == value


def test_a_fraction_in_place_of_a_percentage_is_recognised() -> None:
    report = checked(risk_management={"risk_per_trade_percent": 0.01, "max_daily_loss_percent": 0.05})
    assert error(report, "risk_management.risk_per_trade_percent").fix == "write 1 if you mean 1 %"
    assert error(report, "risk_management.max_daily_loss_percent").fix == "write 5 if you mean 5 %"


def test_a_percentage_in_place_of_a_ladder_level_is_recognised() -> None:
    report = checked(backtest_params={"fib_target_level": 61.8})
    assert error(report, "backtest_params.fib_target_level").fix == "write 0.618"


def test_texts() -> None:
    config = accepted(strategy_name="Erschöpfung 😀", description="", created_at="yesterday")
    assert config.strategy_name == "Erschöpfung 😀"
    for key in ("strategy_name", "description", "created_at"):
        assert "must be text" in error(checked(**{key: 5}), key).reason
        assert "shorten it" in error(checked(**{key: "x y " * 5000}), key).fix


@pytest.mark.parametrize(
    "section",
    [
        "seller_params",
        "backtest_params",
        "risk_management",
        "exchange",
        "data_feed",
        "agent",
        "backtest_metrics",
    ],
)
@pytest.mark.parametrize("value", [[], "binance", 5, True])
def test_sections_are_objects(section: str, value: object) -> None:
    document_error = error(checked(**{section: value}), section)
    assert "must be a section" in document_error.reason
    assert document_error.value is None


@pytest.mark.parametrize("section", ["seller_params", "exchange", "agent"])
def test_only_the_metrics_may_be_null(section: str) -> None:
    assert "must be a section" in error(checked(**{section: None}), section).reason
    assert accepted(backtest_metrics=None).backtest_metrics is None


def test_alert_sections() -> None:
    config = accepted(agent={"telegram": {"level": "INFO"}, "email": {"enabled": True}})
    assert config.agent.telegram.level == "INFO"
    assert config.agent.telegram.daily_summary
    report = checked(agent={"telegram": {"level": "DEBUG"}, "email": {"level": "error"}})
    assert "write one of" in error(report, "agent.telegram.level").fix
    assert error(report, "agent.email.level").fix == 'write "ERROR"'


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        (
            "database_url",
            ["sqlite:///trades.db", "postgresql://h/d", "postgresql+psycopg://u@h/d", "postgres://h/d"],
            ["mysql://h/d", "trades.db", "", "sqlite://", 5, True, "postgresql://h\n/d"],
        ),
        (
            "heartbeat_url",
            ["https://hc.example/ping", "http://127.0.0.1:1"],
            ["ftp://h", "hc.example", 5, []],
        ),
    ],
)
def test_addresses_become_secrets_and_are_never_shown(key: str, good: list[str], bad: list[object]) -> None:
    for value in good:
        config = accepted(agent={key: value})
        assert getattr(config.agent, key).reveal() == value
        assert value not in repr(config)
        assert value not in str(config)
    for value in bad:
        found = error(checked(agent={key: value}), f"agent.{key}")
        assert found.value is None


def test_metrics_take_other_keys_and_both_spellings() -> None:
    metrics = accepted(
        backtest_metrics={"n": 3, "max_dd": -1.5, "profit_factor": {"deep": [1]}}
    ).backtest_metrics
    assert metrics is not None
    assert metrics.trades == 45
    older = accepted(backtest_metrics=None)
    assert older.backtest_metrics is None
    report = checked(backtest_metrics={"total_trades": 1.5, "win_rate": "56%", "sharpe": None})
    assert "whole" in error(report, "backtest_metrics.total_trades").reason
    assert error(report, "backtest_metrics.win_rate").fix == "write 56 without quotes and without a unit"


def test_metrics_under_their_older_names() -> None:
    document = {"n": 3, "max_dd": -1.5, "total_trades": None, "max_drawdown": None}
    metrics = accepted(backtest_metrics=document).backtest_metrics
    assert metrics is not None
    assert (metrics.trades, metrics.drawdown) == (3, -1.5)


def test_all_errors_are_reported_at_once_with_their_lines() -> None:
    report = checked(
        timeframe="15 min",
        risk_management={"max_daily_trades": "ten", "max_open_positions": 0},
        exchange={"exchange_name": "Binance", "trading_pair": "ADAUSDT"},
    )
    keys = [finding.key for finding in report.errors]
    assert sorted(keys) == [
        "exchange.exchange_name",
        "exchange.trading_pair",
        "risk_management.max_daily_trades",
        "risk_management.max_open_positions",
        "timeframe",
    ]
    assert all(finding.line == 1 for finding in report.errors)
    assert report.config is None
    assert report.exit_code == 1
