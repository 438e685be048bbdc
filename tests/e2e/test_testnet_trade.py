"""From a signal to flat with real orders: the agent and the exchange, two ledgers that must be one.

The exchange is the local one, whole, over its real protocol: signed requests, user stream, filters, fees.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from account_books import Theirs, compared
from agent_process import cli, ms, rows_of
from configurations import BAR_MS, WISH, quick, written
from testnet_ground import TESTNET, credentials

INITIAL = Decimal(10_000)


@pytest.mark.parametrize("speed", [1, 60])
async def test_signal_order_fill_exit_flat_and_both_ledgers_agree(house, tmp_path, speed):
    market = await house.market(*credentials.options, speed=speed)
    written(tmp_path, quick(**TESTNET))
    agent = await house.agent(tmp_path, *market.address, env=credentials.environment(tmp_path))
    async with agent.watched() as watch:
        await watch.running()
        line = await agent.says("RUNNING")
        assert line == "RUNNING | Testnet | ADA/USDT 1m | Balance: 10,000.00 USDT"
        forced = await market.signal(**WISH)
        # Time enough for the connections that a jump of the clock costs: what closes before they stand
        # again is no signal to be entered.
        await shortly_before(market, forced["open_ms"] + BAR_MS, left_ms=6_000 * speed)
        status = await watch.in_position()
        (position,) = status["positions"]
        # The entry bar is not examined for the target.
        await shortly_before(market, ms(position["opened_at"]) // BAR_MS * BAR_MS + BAR_MS)
        await market.price((Decimal(position["target"]) * Decimal("1.01")).quantize(Decimal("0.0001")))
        await watch.flat()
        final = await watch.until("booked", lambda s: s["day"]["wins"] + s["day"]["losses"] == 1)
    assert await agent.stopped() == 0

    theirs = await Theirs.read(market)
    assert compared(tmp_path, theirs) == []
    (trade,) = rows_of(tmp_path, "trades")
    assert (trade["reason"], trade["mode"]) == ("FIB_61.8", "testnet")
    assert Decimal(final["balance"]) == INITIAL + Decimal(trade["pnl_quote"]) == theirs.total("USDT")
    assert {order["type"] for order in theirs.orders.values()} == {"LIMIT", "MARKET"}


async def shortly_before(market, at_ms, left_ms=6_000):
    """Let the market's time come near a moment that would take a minute of life."""
    ahead_ms = at_ms - left_ms - await market.now_ms()
    if ahead_ms > 0:
        await market.control("clock", {"advance_ms": ahead_ms})


async def test_without_keys_testnet_says_what_to_do_and_touches_nothing(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET))
    agent = await house.agent(tmp_path, *market.address)
    assert await agent.ended() == 1
    assert "EXCHANGE_API_KEY and EXCHANGE_API_SECRET missing" in agent.said
    assert "credentials set" in agent.said
    ledger = await market.control("ledger")
    assert not [r for r in ledger["requests"] if "signature" in r["query"]]
    status = await cli(tmp_path, "status")
    assert status.code in (2, 3)


async def test_a_refused_key_ends_a_flat_start_in_words(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET))
    env = credentials.environment(tmp_path, key="another-key-that-nobody-knows")
    agent = await house.agent(tmp_path, *market.address, env=env)
    assert await agent.ended() == 1
    assert "does not take the key" in agent.said
    assert "another-key-that-nobody-knows" not in agent.said


async def test_one_engine_for_each_account_and_pair_whatever_the_directory(house, tmp_path):
    market = await house.market(*credentials.options)
    directories = [tmp_path / name for name in ("one", "two")]
    env = credentials.environment(tmp_path)
    for directory in directories:
        written(directory, quick(**TESTNET))
    first = await house.agent(directories[0], *market.address, env=env)
    async with first.watched() as watch:
        await watch.running()
    second = await house.agent(directories[1], *market.address, env=env)
    assert await second.ended() == 4
    assert "already trades ADA/USDT on this account" in second.said
    await first.kill()
    third = await house.agent(directories[1], *market.address, env=env)
    async with third.watched() as watch:
        await watch.running()
