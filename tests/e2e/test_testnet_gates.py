"""Gates that fail while a position is open on an account: it is managed all the same, or waited for."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from account_books import Theirs, compared
from agent_process import cli, rows_of
from configurations import WISH, changed, quick, written
from testnet_ground import TESTNET, credentials


@contextlib.asynccontextmanager
async def left_holding(house, directory):
    """A position that an engine left behind: (market, environment)."""
    market = await house.market(*credentials.options)
    written(directory, quick(**TESTNET))
    env = credentials.environment(directory)
    agent = await house.agent(directory, *market.address, env=env)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await market.control("clock", {"pause": True})
    await agent.kill()
    await market.control("clock", {"pause": False})
    yield market, env


async def closed_by_hand(house, directory, market, agent):
    async with agent.watched() as watch:
        status = await watch.until("holding", lambda s: s["positions"] and s["balance"])
        assert (await cli(directory, "close", "--all", "--yes")).code == 0
        await watch.flat()
    assert await agent.stopped() == 0
    assert compared(directory, await Theirs.read(market)) == []
    (trade,) = rows_of(directory, "trades")
    assert trade["reason"] == "MANUAL"
    return status


async def test_killed_in_position_it_goes_on_and_the_books_agree(house, tmp_path):
    async with left_holding(house, tmp_path) as (market, env):
        agent = await house.agent(tmp_path, *market.address, env=env)
        status = await closed_by_hand(house, tmp_path, market, agent)
        assert status["state"] in ("STARTING", "RUNNING")


@pytest.mark.parametrize(
    "other",
    [
        {"exchange": {"paper_trading": True, "trading_pair": "BNB/USDT", "base_currency": "BNB"}},
        {"exchange": {"testnet": False}},
    ],
    ids=["mode and pair", "live"],
)
async def test_another_setup_keeps_the_stored_one_and_makes_no_entries(house, tmp_path, other):
    async with left_holding(house, tmp_path) as (market, env):
        document = changed(changed(quick(), **TESTNET), **other)
        written(tmp_path, document)
        agent = await house.agent(tmp_path, *market.address, env=env)
        status = await closed_by_hand(house, tmp_path, market, agent)
        assert status["state"] == "EXITS_ONLY"
        assert (status["mode"], status["pair"], status["timeframe"]) == ("testnet", "ADA/USDT", "1m")
        assert "[CRITICAL] setup refused" in agent.said


async def test_without_keys_it_stays_up_and_takes_them_when_they_are_there(house, tmp_path):
    async with left_holding(house, tmp_path) as (market, env):
        without = {"XDG_STATE_HOME": env["XDG_STATE_HOME"]}
        agent = await house.agent(tmp_path, *market.address, env=without)
        async with agent.watched() as watch:
            status = await watch.until("up", lambda s: s["positions"])
            assert any("EXCHANGE_API_KEY" in reason for reason in status["entries_blocked_by"])
        path = tmp_path / ".env"
        path.write_text(f"EXCHANGE_API_KEY={credentials.key}\nEXCHANGE_API_SECRET={credentials.secret}\n")
        path.chmod(0o600)
        await agent.complains("there are keys now")
        await closed_by_hand(house, tmp_path, market, agent)
        assert sum("keys of the account" in line for line in agent.err.lines) == 1, "one log at a time"


async def test_a_revoked_key_keeps_the_position_and_its_management(house, tmp_path):
    async with left_holding(house, tmp_path) as (market, env):
        agent = await house.agent(tmp_path, *market.address, env=env)
        async with agent.watched() as watch:
            await watch.until("running", lambda s: not s["entries_blocked_by"])
            await market.fault("F43", params={"variant": "trading"})
            await cli(tmp_path, "close", "--all", "--yes")
            status = await watch.until("refused", lambda s: s["state"] == "ERROR")
            assert status["positions"]
            assert await watch.alerted("credentials refused")
            await market.cure()
            await watch.flat()
        assert await agent.stopped() == 0
        assert compared(tmp_path, await Theirs.read(market)) == []


async def test_a_clock_half_a_second_off_blocks_entries(house, tmp_path):
    market = await house.market(*credentials.options, speed=1)
    written(tmp_path, quick(**TESTNET))
    agent = await house.agent(
        tmp_path, *market.address, env=credentials.environment(tmp_path), clock="system"
    )
    async with agent.watched() as watch:
        status = await watch.until("blocked", lambda s: _has(s, "clock offset"))
        assert status["state"] != "ERROR"


def _has(status, words):
    return any(words in reason for reason in status["entries_blocked_by"])


async def test_a_ban_is_obeyed_across_a_restart(house, tmp_path):
    before = datetime.now(UTC) - timedelta(minutes=10)
    market = await house.market("--start", before.isoformat(), *credentials.options, speed=1)
    await market.keep_step()
    written(tmp_path, quick(**TESTNET))
    env = credentials.environment(tmp_path)
    agent = await house.agent(tmp_path, *market.address, env=env, clock="system")
    async with agent.watched() as watch:
        await watch.running()
        await market.fault("F7", match={"path": "/api/v3/time"}, params={"retry_after": 600})
        await watch.until("written down", lambda s: (tmp_path / "rate-limits.json").exists())
    await agent.kill()
    asked = len((await Theirs.read(market)).requests)
    later = await house.agent(tmp_path, *market.address, env=env, clock="system")
    async with later.watched() as watch:
        status = await watch.until("up", lambda s: s["state"] == "STARTING")
        assert status["balance"] is not None, "what is stored is shown meanwhile"
        assert (await cli(tmp_path, "pause", "--yes")).code == 0
    assert await later.stopped() == 0
    assert len((await Theirs.read(market)).requests) == asked, "nothing was asked before the deadline"
