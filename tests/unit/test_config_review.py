"""Warnings: each appears where it should, disappears where it should not, and never makes a file invalid."""

from __future__ import annotations

from typing import Any

import pytest
from config_documents import checked, warned_keys, warning

STOP = {"backtest_params": {"use_stop_loss": True}}
QUIET: dict[str, Any] = {**STOP, "agent": {"fib_exit": "target"}}


def with_quiet(**sections: Any) -> dict[str, Any]:
    """The sections added to a document that gets no warning at all."""
    merged = {name: dict(content) for name, content in QUIET.items()}
    for name, content in sections.items():
        merged[name] = merged.get(name, {}) | content if isinstance(content, dict) else content
    return merged


def test_a_careful_paper_configuration_gets_no_warning() -> None:
    report = checked(**QUIET)
    assert report.valid
    assert report.warnings == ()


@pytest.mark.parametrize(
    ("sections", "key", "words"),
    [
        (
            {"risk_management": {"risk_per_trade_percent": 2.01}},
            "risk_management.risk_per_trade_percent",
            "2 %",
        ),
        (
            {"risk_management": {"max_daily_loss_percent": 10.01}},
            "risk_management.max_daily_loss_percent",
            "10 %",
        ),
        ({"timeframe": "1m"}, "timeframe", "1m bars"),
        ({"timeframe": "10m"}, "timeframe", "built from 5m"),
        ({"timeframe": "3m", "exchange": {"exchange_name": "kraken"}}, "timeframe", "built from 1m"),
        ({"exchange": {"exchange_name": "gate"}}, "exchange.exchange_name", "not tested"),
        ({"exchange": {"enable_rate_limit": False}}, "exchange.enable_rate_limit", "stay on"),
        ({"data_feed": {"validate_ohlcv": False}}, "data_feed.validate_ohlcv", "stay on"),
        ({"backtest_params": {"use_stop_loss": False}}, "backtest_params.use_stop_loss", "no stop-loss"),
        ({"seller_params": {"ema_fast": 672}}, "seller_params.ema_fast", "not below ema_slow"),
        ({"seller_params": {"ema_fast_minutes": 0}}, "seller_params.ema_fast_minutes", "single bar"),
        ({"backtest_metrics": {"win_rate": 56}}, "backtest_metrics.win_rate", "share"),
        ({"agent": {"min_paper_days": 6}}, "agent.min_paper_days", "usual 7"),
        ({"agent": {"min_testnet_days": 0}}, "agent.min_testnet_days", "usual 7"),
        ({"agent": {"min_phase_trades": 9}}, "agent.min_phase_trades", "usual 10"),
        ({"agent": {"database_url": "postgresql://u:pw@h/d"}}, "agent.database_url", "password"),
        ({"agent": {"database_url": "postgresql://u@h/d?password=pw"}}, "agent.database_url", "password"),
        ({"agent": {"database_url": "postgresql://u@h/d"}}, "agent.database_url", "readable"),
    ],
)
def test_each_concern_has_one_warning(sections: dict[str, Any], key: str, words: str) -> None:
    report = checked(**with_quiet(**sections))
    assert report.valid
    assert warned_keys(report) == {key}
    found = warning(report, key)
    assert words in found.reason
    assert found.fix
    assert "pw" not in repr(report)


@pytest.mark.parametrize(
    "sections",
    [
        {"risk_management": {"risk_per_trade_percent": 2.0, "max_daily_loss_percent": 10}},
        {"timeframe": "3m", "data_feed": {"data_source": "polygon"}},
        {"timeframe": "60m"},
        {"exchange": {"exchange_name": "kraken"}},
        {"exchange": {"testnet": False}},
        {"agent": {"min_paper_days": 7, "min_phase_trades": 10}},
        {"agent": {"database_url": "postgresql://u@h/d?sslmode=verify-full"}},
        {"agent": {"database_url": "postgresql://u@127.0.0.1:5433/d"}},
        {"agent": {"database_url": "postgresql://u@/d?host=/var/run/postgresql"}},
        {"backtest_params": {"use_stop_loss": False}, "agent": {"disaster_stop_percent": 10}},
        {"seller_params": {"ema_fast": 671}},
        {"backtest_metrics": None},
    ],
)
def test_no_warning_without_reason(sections: dict[str, Any]) -> None:
    assert checked(**with_quiet(**sections)).warnings == ()


def test_polygon_must_be_asked_as_often_as_bars_close() -> None:
    report = checked(**with_quiet(timeframe="1m", data_feed={"data_source": "polygon"}))
    assert warned_keys(report) == {"timeframe", "data_feed.data_source"}
    assert "five times a minute" in warning(report, "data_feed.data_source").reason
    report = checked(**with_quiet(timeframe="1m", data_feed={"data_source": "both"}))
    assert warned_keys(report) == {"timeframe"}


def test_no_exit_at_all() -> None:
    report = checked(**with_quiet(backtest_params={"use_fib_exits": False, "use_stop_loss": False}))
    assert "no exit is enabled" in warning(report, "backtest_params.use_fib_exits").reason
    assert "disaster_stop_percent" in warning(report, "backtest_params.use_stop_loss").fix
    with_time = checked(
        **with_quiet(backtest_params={"use_fib_exits": False, "use_stop_loss": False, "use_time_exit": True})
    )
    assert warned_keys(with_time) == {"backtest_params.use_stop_loss"}


def test_live_is_announced_twice() -> None:
    report = checked(**with_quiet(exchange={"paper_trading": False, "testnet": False}))
    assert "live mode" in warning(report, "exchange.paper_trading").reason
    assert "EXTREME RISK" in warning(report, "exchange.testnet").reason
    assert checked(**with_quiet(exchange={"paper_trading": False})).warnings == ()


@pytest.mark.parametrize(("name", "testnet"), [("bybit", False), ("okx", True), ("kucoin", False)])
def test_what_a_start_will_refuse_is_said_before(name: str, testnet: bool) -> None:
    sections = {"exchange_name": name, "paper_trading": False, "testnet": testnet}
    told = [w for w in checked(**with_quiet(exchange=sections)).warnings if "start will be" in w.reason]
    assert [w.key for w in told] == ["exchange.paper_trading"]
    assert "binance or kraken" in told[0].fix


def test_nobody_is_sent_to_a_testnet_that_is_not_there() -> None:
    sections = {"exchange_name": "kraken", "paper_trading": False, "testnet": False}
    report = checked(**with_quiet(exchange=sections))
    assert "no testnet" in warning(report, "exchange.testnet").fix
    assert not [w for w in report.warnings if "start will be" in w.reason]


def test_live_on_a_testnets_signals() -> None:
    sections = with_quiet(
        exchange={"paper_trading": False, "testnet": False}, agent={"signal_market": "testnet"}
    )
    assert "thin" in warning(checked(**sections), "agent.signal_market").reason
    assert checked(**with_quiet(agent={"signal_market": "testnet"})).warnings == ()


def test_metrics_without_an_explicit_policy() -> None:
    found = warning(checked(**STOP), "agent.fib_exit")
    assert "2.1" in found.reason
    assert found.value == "target"
    for policy in ("target", "first_level"):
        assert checked(**STOP, agent={"fib_exit": policy}).warnings == ()


def test_thirty_minutes_are_counted_as_the_backtester_does() -> None:
    report = checked(
        **with_quiet(timeframe="30m", seller_params={"ema_fast_minutes": 1440, "atr_window_minutes": 60})
    )
    assert "96 bars" in warning(report, "seller_params.ema_fast_minutes").reason
    assert "4 bars" in warning(report, "seller_params.atr_window_minutes").reason
    assert checked(**with_quiet(timeframe="30m")).warnings == ()
    assert checked(**with_quiet(timeframe="60m", seller_params={"ema_fast_minutes": 1440})).warnings == ()


def test_warnings_come_beside_errors_but_not_about_refused_values() -> None:
    report = checked(
        timeframe="1 m", risk_management={"risk_per_trade_percent": 11, "max_daily_loss_percent": 15}
    )
    assert not report.valid
    assert "risk_management.max_daily_loss_percent" in warned_keys(report)
    assert "risk_management.risk_per_trade_percent" not in warned_keys(report)
    assert "timeframe" not in warned_keys(report)


def test_a_warning_shows_the_value_in_force() -> None:
    report = checked(**with_quiet(risk_management={"risk_per_trade_percent": 2.5}))
    assert warning(report, "risk_management.risk_per_trade_percent").value == 2.5
