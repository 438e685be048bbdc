"""What no single value shows: versions, unknown keys, pairs, windows, sandboxes, credentials in the file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_documents import accepted, checked, error, example, warned_keys, warning

from agent.config import check_config
from agent.config.model import bars_for
from agent.config.venues import VENUES, known_ids, source_timeframe

CANARY = "q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E"


# --- versions


@pytest.mark.parametrize("version", ["2.1.0", "2.1", "2", "2.0.9", "2.1.99"])
def test_versions_up_to_ours_are_read_silently(version: str) -> None:
    assert "version" not in warned_keys(checked(version=version))


@pytest.mark.parametrize("version", ["3.0.0", "3", "10.1"])
def test_a_later_major_version_is_refused(version: str) -> None:
    assert "reads up to 2" in error(checked(version=version), "version").reason


@pytest.mark.parametrize("version", ["v2.1", "2.1.0.0", "", "two", 2.1, None, ["2"], "²"])
def test_a_version_is_text_of_numbers(version: object) -> None:
    assert "2.1.0" in error(checked(version=version), "version").fix


def test_an_older_major_version_gets_a_warning() -> None:
    assert "older" in warning(checked(version="1.0.0"), "version").reason


def test_a_newer_minor_version_turns_unknown_keys_into_warnings() -> None:
    report = checked(version="2.2.0", exchange={"fancy": 1}, extra={"a": 1})
    assert report.valid
    assert "ignored" in warning(report, "exchange.fancy").reason
    assert "ignored" in warning(report, "extra").reason
    assert "newer" in warning(report, "version").reason


def test_a_newer_minor_version_excuses_no_wrong_value_and_no_credential() -> None:
    report = checked(version="2.9", exchange={"testnet": 1, "session_token": CANARY})
    assert error(report, "exchange.testnet")
    assert "credential" in error(report, "exchange.session_token").reason
    assert checked(version="2.9", exchange={"session_token": "YOUR_TOKEN_HERE"}).valid


# --- unknown keys


@pytest.mark.parametrize(
    ("sections", "key", "fix"),
    [
        ({"seller_params": {"emaFast": 3}}, "seller_params.emaFast", 'did you mean "ema_fast"?'),
        ({"exchange": {"paper-trading": True}}, "exchange.paper-trading", 'did you mean "paper_trading"?'),
        (
            {"risk_management": {"slipage_tolerance_percent": 1}},
            "risk_management.slipage_tolerance_percent",
            'did you mean "slippage_tolerance_percent"?',
        ),
        ({"Timeframe": "5m"}, "Timeframe", 'did you mean "timeframe"?'),
        ({"agent": {"telegram": {"levle": "INFO"}}}, "agent.telegram.levle", 'did you mean "level"?'),
        ({"fib_exit": "target"}, "fib_exit", 'did you mean to put it in section "agent"?'),
        (
            {"agent": {"max_hold": 5}},
            "agent.max_hold",
            'did you mean to put it in section "backtest_params"?',
        ),
        ({"agent": {"timeframe": "5m"}}, "agent.timeframe", "the top level"),
        ({"zzz": 1}, "zzz", "remove it"),
    ],
)
def test_unknown_keys_are_refused_with_a_suggestion(sections: dict[str, Any], key: str, fix: str) -> None:
    found = error(checked(**sections), key)
    assert fix in found.fix
    assert found.value is None


def test_metrics_may_hold_any_other_key() -> None:
    assert checked(backtest_metrics={"anything": {"at": "all"}, "sortino": None}).valid


@pytest.mark.parametrize("name", ["apiSecret", "password", "access_token", "PRIVATE_KEY", "EXCHANGE_API_KEY"])
def test_credentials_under_other_names_are_sent_to_the_env_file(name: str) -> None:
    report = checked(exchange={name: CANARY})
    found = error(report, f"exchange.{name}")
    assert ".env" in found.fix
    assert CANARY not in repr(report)


def test_a_flood_of_unknown_keys_is_counted_not_listed() -> None:
    report = check_config(json.dumps({f"key{i}": i for i in range(50_000)}))
    assert len(report.errors) == 51
    assert "49950 more unknown keys" in report.errors[-1].reason


def test_a_secret_in_place_of_a_name_is_not_repeated() -> None:
    report = checked(exchange={CANARY: 1}, **{CANARY + "x": 2})
    assert len(report.errors) == 2
    assert CANARY not in repr(report)


# --- credentials in the file


@pytest.mark.parametrize(
    ("section", "key", "env"),
    [
        ("exchange", "api_key", "EXCHANGE_API_KEY"),
        ("exchange", "api_secret", "EXCHANGE_API_SECRET"),
        ("exchange", "api_passphrase", "EXCHANGE_API_PASSPHRASE"),
        ("data_feed", "polygon_api_key", "POLYGON_API_KEY"),
    ],
)
@pytest.mark.parametrize("value", [CANARY, "hunter2", 918273645546372819, [CANARY], {"k": CANARY}, True])
def test_credentials_in_the_file_are_errors_that_never_echo(
    section: str, key: str, env: str, value: object
) -> None:
    report = checked(**{section: {key: value}})
    found = error(report, f"{section}.{key}")
    assert found.value is None
    assert env in found.fix
    assert ".env" in found.fix
    for secret in (CANARY, "hunter2", "918273645546372819"):
        assert secret not in repr(report)


def test_a_deleted_placeholder_is_asked_back() -> None:
    report = checked(exchange={"api_key": "", "api_secret": None})
    assert "YOUR_API_KEY_HERE" in error(report, "exchange.api_key").fix
    assert "YOUR_API_SECRET_HERE" in error(report, "exchange.api_secret").fix


def test_secrets_pasted_into_the_wrong_place_are_not_repeated() -> None:
    report = checked(
        exchange={
            "trading_pair": CANARY,
            "exchange_name": CANARY,
            "testnet": CANARY,
            "base_currency": CANARY,
        },
        timeframe=CANARY,
        risk_management={"max_daily_trades": CANARY},
    )
    assert len(report.errors) == 6
    assert CANARY not in repr(report)
    assert CANARY.lower() not in repr(report).lower()


# --- pair, base, quote


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ADAUSDT", "ADA/USDT"),
        ("ada/usdt", "ADA/USDT"),
        ("ADA-USDT", "ADA/USDT"),
        ("ada_usdt", "ADA/USDT"),
        ("ADA USDT", "ADA/USDT"),
        (" ADA/USDT ", "ADA/USDT"),
        ("ADA/USDT:USDT", "ADA/USDT"),
        ("ethbtc", "ETH/BTC"),
    ],
)
def test_pairs_that_were_meant(written: str, meant: str) -> None:
    assert (
        error(checked(exchange={"trading_pair": written}), "exchange.trading_pair").fix == f'write "{meant}"'
    )


@pytest.mark.parametrize("written", ["", "ADA", "/", "ADA/", "ADA/ADA", "A/B/C", "ADA/USDT/", "x" * 5000])
def test_pairs_nobody_can_guess(written: str) -> None:
    found = error(checked(exchange={"trading_pair": written}), "exchange.trading_pair")
    assert "BASE/QUOTE" in found.fix


def test_futures_are_not_spot() -> None:
    found = error(checked(exchange={"trading_pair": "ADA/USDT:USDT"}), "exchange.trading_pair")
    assert "futures" in found.reason


def test_base_and_quote_agree_with_the_pair() -> None:
    report = checked(exchange={"trading_pair": "BTC/EUR"})
    assert error(report, "exchange.base_currency").fix.startswith('write "BTC"')
    assert error(report, "exchange.quote_currency").fix.startswith('write "EUR"')
    pair = {"trading_pair": "BTC/EUR", "base_currency": "BTC", "quote_currency": "EUR"}
    assert accepted(exchange=pair).exchange.base_currency == "BTC"


def test_left_out_currencies_follow_the_pair() -> None:
    report = check_config('{"exchange": {"trading_pair": "BTC/EUR"}}')
    assert report.config is not None
    assert (report.config.exchange.base_currency, report.config.exchange.quote_currency) == ("BTC", "EUR")
    mixed = check_config('{"exchange": {"trading_pair": "BTC/EUR", "quote_currency": "USDT"}}')
    assert [finding.key for finding in mixed.errors] == ["exchange.quote_currency"]


def test_currencies_are_capitals() -> None:
    report = checked(exchange={"base_currency": "ada", "quote_currency": 5})
    assert error(report, "exchange.base_currency").fix == 'write "ADA"'
    assert "must be text" in error(report, "exchange.quote_currency").reason


# --- windows


def test_lookahead_stays_below_lookback() -> None:
    report = checked(backtest_params={"fib_swing_lookback": 5, "fib_swing_lookahead": 5})
    assert "below fib_swing_lookback (5)" in error(report, "backtest_params.fib_swing_lookahead").reason
    assert checked(backtest_params={"fib_swing_lookback": 6, "fib_swing_lookahead": 5}).valid


def test_agreement_is_not_judged_on_a_default_the_user_never_wrote() -> None:
    report = checked(backtest_params={"fib_swing_lookback": "4", "fib_swing_lookahead": 200})
    assert [finding.key for finding in report.errors] == ["backtest_params.fib_swing_lookback"]


@pytest.mark.parametrize(
    ("minutes", "timeframe", "bars"),
    [
        (1440, "15m", 96),
        (10080, "15m", 672),
        (1440, "60m", 24),
        (1440, "30m", 96),
        (10080, "30m", 672),
        (0, "15m", 1),
        (-60, "15m", 1),
        (1, "15m", 1),
        (7, "15m", 1),
        (8, "15m", 1),
        (25, "10m", 2),
        (35, "10m", 4),
        (15, "10m", 2),
        (5, "10m", 1),
        (1_000_000, "1m", 1_000_000),
        (22, "15m", 1),
        (23, "15m", 2),
    ],
)
def test_minutes_become_bars_as_in_the_backtester(minutes: int, timeframe: str, bars: int) -> None:
    assert bars_for(minutes, timeframe) == bars


def test_minutes_win_over_bars() -> None:
    config = accepted(seller_params={"ema_fast_minutes": 150, "atr_window_minutes": 0})
    assert config.bars.ema_fast == 10
    assert config.bars.ema_slow == 672
    assert config.bars.atr_window == 1
    assert config.seller_params.ema_fast == 96


# --- exchanges


@pytest.mark.parametrize("name", ["kraken", "coinbase"])
def test_testnet_needs_a_sandbox(name: str) -> None:
    outside_paper = checked(exchange={"exchange_name": name, "paper_trading": False})
    assert "no sandbox" in error(outside_paper, "exchange.testnet").reason
    assert checked(exchange={"exchange_name": name}).valid
    assert checked(exchange={"exchange_name": name, "paper_trading": False, "testnet": False}).valid
    signals = checked(exchange={"exchange_name": name}, agent={"signal_market": "testnet"})
    assert "no sandbox" in error(signals, "agent.signal_market").reason


@pytest.mark.parametrize("name", ["binance", "bybit", "okx"])
def test_testnet_where_there_is_one(name: str) -> None:
    assert accepted(exchange={"exchange_name": name, "paper_trading": False}).mode == "testnet"


@pytest.mark.parametrize(
    ("written", "fix"),
    [("Binance", 'write "binance"'), ("Binance US", 'write "binanceus"'), ("krakn", 'write "kraken"')],
)
def test_exchanges_that_were_meant(written: str, fix: str) -> None:
    assert error(checked(exchange={"exchange_name": written}), "exchange.exchange_name").fix == fix


@pytest.mark.parametrize("written", ["nowhere", "", "base", "__init__", "../binance", 5, None])
def test_exchanges_that_do_not_exist(written: object) -> None:
    assert error(checked(exchange={"exchange_name": written}), "exchange.exchange_name").fix.startswith(
        "write"
    )


def test_known_exchanges_are_those_of_ccxt() -> None:
    import ccxt

    assert known_ids() == frozenset(ccxt.exchanges)
    assert set(VENUES) <= known_ids()


@pytest.mark.parametrize("name", sorted(VENUES))
def test_what_is_said_about_an_exchange_is_what_ccxt_knows(name: str) -> None:
    import ccxt

    described = getattr(ccxt, name)().describe()
    words = {"60m": "1h"}
    offered = {
        tf
        for tf in ("1m", "3m", "5m", "10m", "15m", "30m", "60m")
        if words.get(tf, tf) in described["timeframes"]
    }
    assert VENUES[name].timeframes == offered
    assert VENUES[name].needs_passphrase == bool(described["requiredCredentials"].get("password"))
    assert VENUES[name].has_sandbox == bool(described["urls"].get("test"))


@pytest.mark.parametrize(
    ("exchange", "timeframe", "source"),
    [
        ("binance", "15m", "15m"),
        ("binance", "10m", "5m"),
        ("kraken", "3m", "1m"),
        ("kraken", "10m", "5m"),
        ("gate", "3m", "1m"),
    ],
)
def test_missing_timeframes_are_built_from_the_largest_divisor(
    exchange: str, timeframe: str, source: str
) -> None:
    assert source_timeframe(exchange, timeframe) == source


# --- modes


@pytest.mark.parametrize(
    ("paper", "testnet", "mode"),
    [(True, True, "paper"), (True, False, "paper"), (False, True, "testnet"), (False, False, "live")],
)
def test_modes(paper: bool, testnet: bool, mode: str) -> None:
    assert accepted(exchange={"paper_trading": paper, "testnet": testnet}).mode == mode


def test_top_level_must_be_an_object() -> None:
    for text in ("[]", "5", '"x"', "null"):
        report = check_config(text)
        assert "one object" in report.errors[0].reason
        assert report.exit_code == 1


def test_duplicates_cannot_smuggle_a_second_mode_in() -> None:
    text = json.dumps(example()).replace(
        '"paper_trading": true', '"paper_trading": true, "paper_trading": false'
    )
    found = error(check_config(text), "exchange.paper_trading")
    assert "twice" in found.reason
    assert found.reason.startswith("line 1, column ")
