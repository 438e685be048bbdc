"""Testnet as it is: candles of one exchange, orders and prices at another whose prices are not the same.

Two local exchanges stand in for the production market and the sandbox; only here are the addresses given to
the engine from inside, because `--exchange-url` makes both the same on purpose.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from account_books import Theirs, compared
from agent_process import House, rows_of
from configurations import WISH, quick, written
from testnet_ground import TESTNET, credentials

from agent.compose import engine as engine_module
from agent.compose.access import Access
from agent.compose.engine import Engine
from agent.compose.market import Markets
from agent.compose.order_desk import Account
from agent.config.credentials import ExchangeKeys
from agent.config.load import load_config
from agent.config.secret import Secret
from agent.exchange.addresses import Addresses
from agent.options import ExchangeAddress, RunOptions
from agent.store.data_dir import DataDir
from agent.store.prepare import prepare


class Inside:
    """An engine in this process, between two exchanges."""

    def __init__(self, directory: Path, signals, orders, monkeypatch) -> None:
        config = load_config(directory / "config.json")
        both = Markets(
            Addresses.replaced("binance", signals.rest, signals.ws),
            Addresses.replaced("binance", orders.rest, orders.ws),
        )
        monkeypatch.setattr(engine_module, "markets_of", lambda config, replaced: both)
        monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
        options = RunOptions(
            config=config,
            config_path=directory / "config.json",
            env_path=directory / ".env",
            data_dir=directory,
            start=True,
            confirmed_live=False,
            exchange=ExchangeAddress(orders.rest, orders.ws),
            clock="exchange",
            log_json=False,
        )
        prepare(directory / "trades.db")
        keys = ExchangeKeys(Secret(credentials.key), Secret(credentials.secret), None)
        access = Access(Account(both.orders, keys, None), "", lambda: False)
        self.engine = Engine(options, config.config, DataDir(directory), None, access=access)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self.engine.run(self.stopping))

    async def until(self, condition) -> None:
        async with asyncio.timeout(60):
            while self.engine._runtime is None or not condition(self.engine._runtime.state):
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.02)

    @property
    def state(self):
        return self.engine._runtime.state


@pytest.fixture
async def two_exchanges(house: House):
    at = ("--start", "2025-05-03T02:00:00Z")
    signals = await house.market(*at, speed=60)
    orders = await house.market(*at, *credentials.options, seed=7, speed=60)
    # The sandbox's price is a fifth higher: a level of the one market means nothing in the other.
    (last,) = await orders.get("/api/v3/ticker/price?symbols=%5B%22ADAUSDT%22%5D")
    await orders.price((Decimal(last["price"]) * Decimal("1.2")).quantize(Decimal("0.0001")))
    return signals, orders


async def test_a_signal_of_one_market_is_traded_at_the_prices_of_the_other(
    two_exchanges, tmp_path, monkeypatch
):
    signals, orders = two_exchanges
    written(tmp_path, quick(**TESTNET))
    inside = Inside(tmp_path, signals, orders, monkeypatch)
    try:
        await inside.until(lambda s: s.phase.value == "RUNNING" and s.fresh and not s.impairments)
        await signals.signal(**WISH)
        await inside.until(lambda s: s.open_positions() and not s.in_flight())
        (position,) = inside.state.open_positions()
        entry, close = float(position.entry_price), position.plan.signal_close
        assert entry / close > 1.1, "bought at the sandbox's price"
        assert position.levels.target > entry, "and the target is scaled to it"
        await orders.control("clock", {"advance_ms": 60_000})
        await orders.price(Decimal(str(position.levels.target * 1.02)).quantize(Decimal("0.0001")))
        await inside.until(lambda s: not s.open_positions())
        await asyncio.sleep(0)
    finally:
        inside.stopping.set()
        assert await asyncio.wait_for(inside.task, 20) == 0
    assert compared(tmp_path, await Theirs.read(orders)) == []
    theirs = await Theirs.read(signals)
    assert not theirs.orders, "nothing was sent to the market of the signals"
    assert not [r for r in theirs.requests if "signature" in r["query"]]
    assert not [r for r in (await Theirs.read(orders)).requests if r["path"] == "/api/v3/klines"]
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] == "FIB_61.8"
