"""The table of what exchanges can do: against ccxt, in 100 columns, and what it drives."""

from __future__ import annotations

import json
from typing import Any

import ccxt.pro
import pytest
from rich.console import Console

from agent.command_line.exchanges import all_table, document, exchanges_command, one_table
from agent.command_line.outcome import Ended
from agent.config.capabilities import CAPABILITIES, Listening, Uniqueness, stated, without_sandbox

NAMES = tuple(CAPABILITIES)


@pytest.fixture(scope="module", params=NAMES)
def described(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, getattr(ccxt.pro, request.param)()


def test_what_ccxt_states_too_is_the_same(described: tuple[str, Any]) -> None:
    name, exchange = described
    row, spot = CAPABILITIES[name], exchange.features["spot"]
    assert row.candles == spot["fetchOHLCV"]["limit"]
    assert row.sandbox == bool(exchange.urls.get("test"))
    assert row.candle_stream == bool(exchange.has["watchOHLCV"])
    assert row.cancel_after == bool(exchange.has.get("cancelAllOrdersAfter"))
    assert row.needs_passphrase == bool(exchange.requiredCredentials.get("password"))
    forces = spot["createOrder"]["timeInForce"]
    assert all(forces[force] for force in row.time_in_force)
    assert forces["PO"] == ("LIMIT_MAKER" in row.order_types)
    assert bool(spot["createOrder"]["stopLossPrice"]) or not row.stops
    assert set(row.stops) <= set(row.order_types)
    assert exchange.has["watchOrders"], "there is something to listen to"
    asked_of_all = (
        "fetchOpenOrders",
        "fetchMyTrades",
        "fetchBalance",
        "fetchOrder",
        "createOrder",
        "cancelOrder",
    )
    for asked in asked_of_all:
        assert exchange.has[asked], asked


def test_ccxt_drops_the_flag_of_a_closed_candle_wherever_it_exists() -> None:
    """So only our own socket client can have it."""
    assert {name for name in NAMES if CAPABILITIES[name].closed_flag} == {"binance"}
    assert {name for name in NAMES if CAPABILITIES[name].listening is Listening.EVENTS} == {"binance"}


def test_our_client_order_ids_fit_everywhere() -> None:
    for row in CAPABILITIES.values():
        assert row.client_ids.longest >= 32
        assert row.client_ids.reads_back
    assert not CAPABILITIES["kraken"].client_ids.unique.tells_duplicates
    assert Uniqueness.ALWAYS.tells_duplicates


def test_where_orders_may_leave() -> None:
    assert set(without_sandbox()) == {"kraken", "coinbase"}
    for row in CAPABILITIES.values():
        assert row.refuses("paper") is None
        assert (row.refuses("live") is None) == row.orders_are_proven
        assert (row.refuses("testnet") is None) == (row.sandbox and row.orders_are_proven)


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_has_a_consequence_and_fits_in_a_hundred_columns(name: str) -> None:
    facts = stated(CAPABILITIES[name])
    assert [fact.name for fact in facts] == [fact.name for fact in stated(CAPABILITIES["binance"])]
    assert all(fact.fact and fact.so for fact in facts)
    console = Console(width=100, record=True, markup=False)
    with console.capture() as shown:
        console.print(one_table(CAPABILITIES[name]))
        console.print(all_table(tuple(CAPABILITIES.values())))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines), "nothing is cut off"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exchanges_command("kraken", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"kraken": json.loads(json.dumps(document(CAPABILITIES["kraken"])))}
    assert told["kraken"]["history"] == 720
    assert exchanges_command(None, as_json=False) == 0
    assert "Coinbase" in capsys.readouterr().out
    with pytest.raises(Ended) as ended:
        exchanges_command("krakn", as_json=False)
    assert "kraken" in ended.value.fix
