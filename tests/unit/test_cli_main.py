"""`python -m agent.main`: what it refuses, in words, and what it hands over to the engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from stored_agents import closed_position, open_position, positions_batch, store

import agent.compose
import ui.app
from agent.config.findings import Report
from agent.config.load import Loaded
from agent.main import main
from agent.options import ExchangeAddress, OptionRefused, RunOptions, exchange_address
from ui.launching import Place


@pytest.fixture
def started(monkeypatch):
    """Every start of the engine, instead of the engine."""
    seen: list[RunOptions] = []

    def run(options: RunOptions) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(agent.compose, "run_headless", run)
    return seen


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "config.json"
    path.write_text("{}")
    return path


def run(config: Path, *words: str, **environment: str) -> int:
    return main(["--config", str(config), *words], environment)


def test_the_defaults(config, started):
    assert run(config, "--headless") == 0
    (options,) = started
    assert isinstance(options.config, Loaded)
    assert options.data_dir == config.parent
    assert options.env_path == config.parent / ".env"
    assert options.start is True
    assert options.confirmed_live is False
    assert options.exchange is None
    assert options.clock == "system"
    assert options.log_json is False


def test_every_option_arrives(config, started, tmp_path):
    words = ["--headless", "--no-start", "--clock", "exchange", "--log-json"]
    words += ["--env-file", str(tmp_path / "my.env"), "--data-dir", str(tmp_path / "data")]
    words += ["--exchange-url", "http://127.0.0.1:8090", "--exchange-ws-url", "ws://127.0.0.1:8091/"]
    assert run(config, *words) == 0
    (options,) = started
    assert options.start is False
    assert options.clock == "exchange"
    assert options.log_json is True
    assert options.env_path == tmp_path / "my.env"
    assert options.data_dir == tmp_path / "data"
    assert options.exchange == ExchangeAddress("http://127.0.0.1:8090", "ws://127.0.0.1:8091")


def test_addresses_and_directory_may_come_from_the_environment(config, started, tmp_path):
    code = run(
        config,
        "--headless",
        EXCHANGE_URL="http://127.0.0.1:1",
        EXCHANGE_WS_URL="ws://127.0.0.1:2",
        AGENT_DATA_DIR=str(tmp_path / "there"),
    )
    assert code == 0
    assert started[0].exchange == ExchangeAddress("http://127.0.0.1:1", "ws://127.0.0.1:2")
    assert started[0].data_dir == tmp_path / "there"


def test_an_option_wins_over_the_environment(config, started):
    run(config, "--headless", "--exchange-url", "http://127.0.0.1:7", EXCHANGE_URL="http://127.0.0.1:1")
    assert started[0].exchange == ExchangeAddress("http://127.0.0.1:7", None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
def test_without_a_display_the_window_is_refused_in_words(config, started, capsys):
    assert run(config) == 1
    assert capsys.readouterr().err == (
        "There is no display for the window. Run the engine alone with --headless, or open the window in a "
        "desktop or VNC session (DISPLAY).\n"
    )
    assert started == []


@pytest.fixture
def opened(monkeypatch) -> list[Place]:
    """Every window that was opened, instead of the window."""
    seen: list[Place] = []

    def run_window(place: Place) -> int:
        seen.append(place)
        return 0

    monkeypatch.setattr(ui.app, "run_window", run_window)
    return seen


def test_the_window_is_told_how_to_start_its_engine(config, started, opened, tmp_path):
    words = [
        "--clock",
        "exchange",
        "--exchange-url",
        "http://127.0.0.1:8090",
        "--data-dir",
        str(tmp_path / "d"),
    ]
    assert run(config, *words, DISPLAY=":9") == 0
    (place,) = opened
    assert (place.config, place.data_dir) == (config, tmp_path / "d")
    assert place.exchange == ("--exchange-url", "http://127.0.0.1:8090")
    assert place.more == ("--clock", "exchange")
    assert place.start is None
    assert started == []


def test_a_window_without_a_configuration_is_opened_all_the_same(tmp_path, opened):
    assert run(tmp_path / "none.json", "--no-start", DISPLAY=":9") == 0
    assert opened[0].start is False


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--exchange-url", "127.0.0.1:8090"], "--exchange-url"),
        (["--exchange-url", "ws://127.0.0.1:8090"], "--exchange-url"),
        (["--exchange-url", "http://127.0.0.1"], "names no port"),
        (["--exchange-url", "http://127.0.0.1:99999"], "is not a URL"),
        (["--exchange-url", "http://:80"], "and a host"),
        (["--exchange-url", "http://127.0.0.1:80/api"], "behind the port"),
        (["--exchange-url", "http://me:pw@127.0.0.1:80"], "password"),
        (["--exchange-ws-url", "ws://127.0.0.1:80"], "without --exchange-url"),
        (
            ["--exchange-url", "http://127.0.0.1:80", "--exchange-ws-url", "http://127.0.0.1:80"],
            "--exchange-ws-url",
        ),
        (["--clock", "sundial"], "sundial"),
        (["--start", "--no-start"], "not allowed"),
        (["--colour"], "--colour"),
        (["--head"], "--head"),
    ],
)
def test_arguments_that_make_no_sense_are_a_sentence_and_exit_1(config, started, capsys, words, named):
    assert run(config, "--headless", *words) == 1
    told = capsys.readouterr()
    assert named in told.err
    assert told.err.count("\n") == 1
    assert "pw" not in told.err.replace("password", "")
    assert started == []


def test_addresses_know_whether_they_are_this_machine():
    def on_loopback(rest, ws=None):
        address = exchange_address(rest, ws)
        assert address is not None
        return address.is_loopback

    assert on_loopback("http://127.0.0.1:1", "ws://localhost:2")
    assert on_loopback("http://[::1]:1")
    assert not on_loopback("http://127.0.0.1:1", "ws://10.0.0.1:2")
    assert not on_loopback("https://api.example.com:443")
    assert exchange_address(None, None) is None
    with pytest.raises(OptionRefused):
        exchange_address(None, "ws://127.0.0.1:1")


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, 2), ("{", 2), ('{"timeframe": "7m"}', 1), ('{"exchange": {"api_key": "abcdef"}}', 1)],
)
def test_a_configuration_that_is_refused_ends_with_its_code(tmp_path, started, capsys, content, code):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    assert run(path, "--headless") == code
    told = capsys.readouterr().err
    assert "validate-config" in told
    assert "Traceback" not in told
    assert started == []


@pytest.mark.parametrize(
    ("exchange", "words", "named"),
    [
        ({"paper_trading": False, "exchange_name": "bybit"}, [], "orders on Bybit were only checked"),
        ({}, ["--live"], "the configuration's mode is paper"),
    ],
)
def test_modes_that_may_not_run_are_refused(config, started, capsys, exchange, words, named):
    config.write_text(json.dumps({"exchange": exchange}))
    assert run(config, "--headless", *words) == 1
    assert named in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize("content", ["{", json.dumps({"agent": {"database_url": "sqlite:///x"}})])
def test_no_gate_stops_the_management_of_an_open_position(config, started, capsys, content):
    store(config.parent, positions_batch(open_position()))
    config.write_text(content)
    assert run(config, "--headless") == 0
    (options,) = started
    assert isinstance(options.config, Report)
    assert options.config.errors
    assert "makes no entries" in capsys.readouterr().err


def test_with_everything_closed_a_bad_configuration_is_refused(config, started):
    store(config.parent, positions_batch(closed_position()))
    config.write_text("{")
    assert run(config, "--headless") == 2
    assert started == []


def test_a_store_that_cannot_be_read_may_hold_a_position(config, started):
    (config.parent / "trades.db").write_bytes(b"nonsense" * 500)
    config.write_text("{")
    assert run(config, "--headless") == 0
    assert isinstance(started[0].config, Report)


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"], {})
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for option in (
        *("--config", "--env-file", "--data-dir", "--headless", "--start", "--no-start", "--live"),
        *("--exchange-url", "--exchange-ws-url", "--clock", "--log-json"),
    ):
        assert option in told
