"""Which market is read for what, and that no client that could send an order knows real money's address."""

from __future__ import annotations

import random

import pytest
from config_documents import accepted

from agent.compose.market import markets_of
from agent.compose.mode_gate import why_not_traded
from agent.compose.order_desk import REGULAR_TAKER_FEE, Account, SignedDesk, expected_fee_rate
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.exchange.addresses import Addresses, hosts_in
from agent.exchange.signed.arming import LiveRefusedError
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import WeightGate
from agent.options import exchange_address
from agent.shell.clock import SystemClock

PAPER = {"paper_trading": True}
TESTNET = {"paper_trading": False, "testnet": True}
LIVE = {"paper_trading": False, "testnet": False}
KEYS = ExchangeKeys(Secret("a key of nobody"), Secret("a secret of nobody"), None)
PRODUCTION, SANDBOX = Addresses.production("binance"), Addresses.sandbox("binance")


def desk(orders, config):
    clock = SystemClock()
    account = Account(orders, KEYS, None)
    gate, chance = WeightGate(clock), random.Random(1)
    return SignedDesk(account, config, gate, clock, chance, lambda: False, lambda client_id: None, Patience())


@pytest.mark.parametrize(
    ("exchange", "agent", "signals", "orders"),
    [
        (PAPER, {}, PRODUCTION, PRODUCTION),
        (TESTNET, {}, PRODUCTION, SANDBOX),
        (TESTNET, {"signal_market": "testnet"}, SANDBOX, SANDBOX),
        (LIVE, {}, PRODUCTION, PRODUCTION),
        (LIVE, {"signal_market": "testnet"}, PRODUCTION, PRODUCTION),
    ],
)
def test_signals_come_from_production_and_orders_go_where_the_mode_says(exchange, agent, signals, orders):
    markets = markets_of(accepted(exchange=exchange, agent=agent), None)
    assert (markets.signals, markets.orders) == (signals, orders)


@pytest.mark.parametrize("exchange", [PAPER, TESTNET, LIVE])
def test_a_replaced_address_replaces_both(exchange):
    given = exchange_address("http://127.0.0.1:8090", "ws://127.0.0.1:8091")
    markets = markets_of(accepted(exchange=exchange), given)
    assert markets.is_one
    assert hosts_in({"rest": markets.orders.rest, "ws": markets.orders.ws}) == {
        "127.0.0.1:8090",
        "127.0.0.1:8091",
    }


async def test_in_testnet_the_account_is_reached_at_the_sandbox_alone():
    config = accepted(exchange=TESTNET)
    markets = markets_of(config, None)
    made = desk(markets.orders, config)
    try:
        known = vars(made.exchange)["_client"]._ccxt.urls["api"]
        assert hosts_in(known) == {"testnet.binance.vision"}
    finally:
        await made.close()


@pytest.mark.parametrize("exchange", [PAPER, TESTNET, LIVE])
def test_no_account_can_be_made_at_the_production_address(exchange):
    with pytest.raises(LiveRefusedError):
        desk(PRODUCTION, accepted(exchange=exchange))


def test_paper_and_testnet_may_be_traded_and_real_money_may_not():
    assert why_not_traded(accepted(exchange=PAPER), None) is None
    assert why_not_traded(accepted(exchange=TESTNET), None) is None
    assert "live trading is not armed" in str(why_not_traded(accepted(exchange=LIVE), None))
    elsewhere = {**TESTNET, "exchange_name": "bybit"}
    assert "orders on Bybit" in str(why_not_traded(accepted(exchange=elsewhere), None))


def test_real_orders_are_expected_to_cost_at_least_the_regular_fee():
    cheap = {"fee_bp": 1}
    assert expected_fee_rate(accepted(exchange=PAPER, backtest_params=cheap)) < REGULAR_TAKER_FEE
    assert expected_fee_rate(accepted(exchange=TESTNET, backtest_params=cheap)) == REGULAR_TAKER_FEE
    dear = {"fee_bp": 20}
    assert expected_fee_rate(accepted(exchange=TESTNET, backtest_params=dear)) == 2 * REGULAR_TAKER_FEE
