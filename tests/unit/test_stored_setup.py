"""Which configuration is in force when something is still open under another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.compose.stored_setup import Decided, decide_setup
from agent.config import Config, check_config
from agent.config.load import Loaded
from agent.core.position import PositionState
from agent.options import ExchangeAddress, RunOptions
from agent.store.batch import AcceptedConfig, Batch, Scope
from agent.store.data_dir import DataDir
from tests.store_ground import T0, Store, position
from tests.unit.config_documents import accepted, example

REAL = Scope("agent", "binance@api.binance.com", "paper", "paper-1", "ADA/USDT")
REHEARSED = replace(REAL, venue="binance@127.0.0.1:8090")
OTHER_PAIR = {"trading_pair": "BTC/USDT", "base_currency": "BTC", "quote_currency": "USDT"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def open_under(
    store: Store, scope: Scope, config: Config, state: PositionState = PositionState.IN_POSITION
) -> None:
    """A position that was left behind at `scope`, with the configuration accepted then."""
    batch = Batch(
        T0, positions=(position(1, state),), config=AcceptedConfig(config.config_hash, config.canonical, T0)
    )
    store.ledger(scope).commit(batch)


def options(tmp_path: Path, exchange: ExchangeAddress | None = None) -> RunOptions:
    config = accepted()
    return RunOptions(
        config=Loaded(config, (), tmp_path / "config.json"),
        config_path=tmp_path / "config.json",
        env_path=tmp_path / ".env",
        data_dir=tmp_path,
        start=True,
        confirmed_live=False,
        exchange=exchange,
        clock="system",
        log_json=False,
    )


def decide(tmp_path: Path, asked: Config | None, exchange: ExchangeAddress | None = None) -> Decided | str:
    return decide_setup(options(tmp_path, exchange), asked, DataDir(tmp_path))


def test_nothing_open_and_the_given_configuration_is_in_force(store: Store, tmp_path: Path) -> None:
    asked = accepted(exchange=OTHER_PAIR)
    assert decide(tmp_path, asked) == Decided(asked, None)


def test_a_position_of_the_same_market_is_managed_under_the_new_configuration(
    store: Store, tmp_path: Path
) -> None:
    open_under(store, REAL, accepted())
    asked = accepted(risk_management={"max_daily_trades": 3})
    assert decide(tmp_path, asked) == Decided(asked, None)


def test_another_timeframe_keeps_the_stored_setup_without_entries(store: Store, tmp_path: Path) -> None:
    then = accepted()
    open_under(store, REAL, then)
    decided = decide(tmp_path, accepted(timeframe="5m"))
    assert isinstance(decided, Decided)
    assert decided.config.config_hash == then.config_hash
    assert (decided.exits_only_because or "").startswith("the timeframe was 15m and is now 5m and something")


def test_another_timeframe_with_nothing_open_is_in_force(store: Store, tmp_path: Path) -> None:
    open_under(store, REAL, accepted(), PositionState.CLOSED)
    asked = accepted(timeframe="5m")
    assert decide(tmp_path, asked) == Decided(asked, None)


def test_another_pair_keeps_the_stored_setup_without_entries(store: Store, tmp_path: Path) -> None:
    then = accepted()
    open_under(store, REAL, then)
    decided = decide(tmp_path, accepted(exchange=OTHER_PAIR))
    assert isinstance(decided, Decided)
    assert decided.config.config_hash == then.config_hash
    assert decided.exits_only_because is not None
    assert "ADA/USDT at binance@api.binance.com" in decided.exits_only_because


def test_a_refused_configuration_keeps_the_stored_setup_without_entries(store: Store, tmp_path: Path) -> None:
    open_under(store, REAL, accepted())
    decided = decide(tmp_path, None)
    assert isinstance(decided, Decided)
    assert (decided.exits_only_because or "").startswith("the configuration is refused")


def test_a_refused_configuration_with_nothing_open_does_not_run(store: Store, tmp_path: Path) -> None:
    open_under(store, REAL, accepted(), PositionState.CLOSED)
    assert decide(tmp_path, None) == (
        "The configuration is refused and no accepted one with something open is stored."
    )


def test_a_rehearsal_does_not_hijack_a_real_market_s_position(store: Store, tmp_path: Path) -> None:
    open_under(store, REAL, accepted())
    loopback = ExchangeAddress("http://127.0.0.1:9000", "ws://127.0.0.1:9000")
    sentence = decide(tmp_path, accepted(), loopback)
    assert isinstance(sentence, str)
    assert "Use another --data-dir" in sentence


def test_a_simulated_exchange_of_the_past_is_gone(store: Store, tmp_path: Path) -> None:
    open_under(store, REHEARSED, accepted())
    asked = accepted(exchange=OTHER_PAIR)
    assert decide(tmp_path, asked) == Decided(asked, None)


def test_the_simulated_exchange_given_again_keeps_its_position(store: Store, tmp_path: Path) -> None:
    then = accepted()
    open_under(store, REHEARSED, then)
    again = ExchangeAddress("http://127.0.0.1:8090", None)
    decided = decide(tmp_path, accepted(exchange=OTHER_PAIR), again)
    assert isinstance(decided, Decided)
    assert decided.config.config_hash == then.config_hash


def test_what_is_stored_is_a_configuration_again() -> None:
    """The stored text is checked like any other when it comes back."""
    config = accepted()
    assert check_config(config.canonical).config == config
    assert json.loads(json.dumps(example()))["version"] == config.version
