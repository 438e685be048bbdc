"""emergency-stop as its own process: whatever became of the engine, flat and latched."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
from decimal import Decimal

import pytest
from account_books import Theirs, compared
from agent_process import command, rows_of
from configurations import WISH, quick, written
from testnet_ground import TESTNET, credentials

#: A stop rests on the exchange, so that there is something to cancel too.
STOP = {"backtest_params": {"use_stop_loss": True, "atr_stop_mult": 5.0}}


@contextlib.asynccontextmanager
async def holding(house, directory, *, paper=False, speed=60):
    """An engine in position, at a market that stands still: (market, agent, environment)."""
    market = await house.market(*credentials.options, speed=speed)
    sections = STOP if paper else {**TESTNET, **STOP}
    written(directory, quick(**sections))
    env = {} if paper else credentials.environment(directory)
    agent = await house.agent(directory, *market.address, env=env)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        await watch.until("in position", lambda s: s["positions"] and s["positions"][0]["protected_by"])
        yield market, agent, env


async def emergency(market, directory, env, *words):
    """The command, as the window or a button starts it: it reads most of the program while it waits."""
    return await command(
        "-m", "agent.cli", "emergency-stop", "--yes", "--json", "--data-dir", str(directory), *market.address,
        *words, env=env, cwd=directory, fresh=True,
    )  # fmt: skip


def assert_flat(ended, engine):
    assert ended.code == 0, ended.err
    document = ended.document
    assert (document["latched"], document["flat"], document["engine"]) == (True, True, engine)


async def assert_books_are_one(directory, market):
    theirs = await Theirs.read(market)
    assert compared(directory, theirs) == []
    assert not [o for o in theirs.orders.values() if o["status"] in ("NEW", "PARTIALLY_FILLED")]
    assert theirs.total("ADA") < 1, "what is left is dust"
    (trade,) = rows_of(directory, "trades")
    assert trade["reason"] == "EMERGENCY"


async def test_a_running_engine_does_it(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        ended = await emergency(market, tmp_path, env)
        # An engine that a busy machine keeps from confirming within a second is ended instead, as it must be.
        how = ended.document["engine"]
        assert_flat(ended, how if how == "silent" else "acknowledged")
    assert await agent.stopped() == (0 if how == "acknowledged" else -signal.SIGKILL)
    await assert_books_are_one(tmp_path, market)


async def test_a_frozen_engine_is_ended_first(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        agent.send(signal.SIGSTOP)
        ended = await emergency(market, tmp_path, env)
        assert_flat(ended, "silent")
        assert f"Process {agent.pid} did not answer and was ended" in ended.err
        assert await agent.ended() == -signal.SIGKILL
    await assert_books_are_one(tmp_path, market)


async def test_without_an_engine_or_a_configuration_the_stored_one_serves(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
    (tmp_path / "config.json").unlink()
    assert_flat(await emergency(market, tmp_path, env), "none")
    await assert_books_are_one(tmp_path, market)
    again = await emergency(market, tmp_path, env)
    assert_flat(again, "none")


async def test_paper_too(house, tmp_path):
    async with holding(house, tmp_path, paper=True) as (market, agent, env):
        await agent.kill()
    assert_flat(await emergency(market, tmp_path, env), "none")
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] == "EMERGENCY"


@contextlib.contextmanager
def small_disk(folder):
    """A disk of a few megabytes, mounted for the test."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    """Leave not one byte free."""
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass
    assert shutil.disk_usage(folder).free == 0


async def test_a_frozen_engine_on_a_full_disk(house, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        async with holding(house, disk) as (market, agent, env):
            agent.send(signal.SIGSTOP)
            fill(disk)
            assert_flat(await emergency(market, disk, env), "silent")
        theirs = await Theirs.read(market)
        assert theirs.total("ADA") < 1


async def test_an_engine_that_starts_on_a_full_disk_manages_what_is_held(house, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        async with holding(house, disk) as (market, agent, env):
            await agent.kill()
        fill(disk)
        again = await house.agent(disk, *market.address, env=env)
        await again.complains("tries to manage it all the same")
        await again.complains("store failing")
        again.send(signal.SIGUSR1)
        await again.complains("position 1: closed")
        assert (await Theirs.read(market)).total("ADA") < 1
        again.stop()
        assert await again.ended() == 0


async def test_what_a_full_disk_kept_from_the_ledger_the_next_start_brings_in(house, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        async with holding(house, disk) as (market, agent, env):
            assert await agent.stopped() == 0
            fill(disk)
            ended = await emergency(market, disk, env)
            assert_flat(ended, "none")
            assert "emergency.journal" in ended.err
        theirs = await Theirs.read(market)
        assert theirs.total("ADA") < 1
        assert [row for row in rows_of(disk, "trades") if row["reason"]] == [], "the ledger knows nothing yet"

        # With space again, the next start knows what was done.
        (disk / "filler").unlink()
        await market.control("clock", {"pause": False})
        later = await house.agent(disk, *market.address, env=env)
        async with later.watched() as watch:
            await watch.until("halted", lambda s: s["halt"] and s["halt"]["flat"])
            await watch.until("reconciled", lambda s: not s["positions"])
        assert await later.stopped() == 0
        await assert_books_are_one(disk, market)
        assert "is in the ledger now" in later.said


async def test_only_what_is_ours_is_canceled_and_sold(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
        tag = (tmp_path / "install-tag").read_text().strip()
        price = (await market.get("/api/v3/ticker/price?symbols=%5B%22ADAUSDT%22%5D"))[0]["price"]
        far = str((Decimal(price) / 2).quantize(Decimal("0.0001")))
        await market.control("account", {"deposit": {"ADA": "500", "XRP": "2"}})
        resting = {"side": "BUY", "type": "LIMIT", "quantity": "100", "price": far}
        await market.control("account", {"order": {**resting, "client_id": "somebody-elses"}})
        # One of ours that the ledger never knew, as after a restored backup.
        await market.control("account", {"order": {**resting, "client_id": f"{tag}lost0001"}})
    ended = await emergency(market, tmp_path, env)
    assert_flat(ended, "none")
    told = " ".join(ended.document["others"])
    assert "2 XRP" in told
    assert "somebody-elses" in told
    theirs = await Theirs.read(market)
    assert theirs.orders["somebody-elses"]["status"] == "NEW"
    assert theirs.orders[f"{tag}lost0001"]["status"] == "CANCELED"
    assert 500 <= theirs.total("ADA") < 501
    assert theirs.total("XRP") == 2


async def test_pressed_twice_the_second_waits_for_the_first(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
    both = await asyncio.gather(*(emergency(market, tmp_path, env) for _ in range(2)))
    for ended in both:
        assert_flat(ended, ended.document["engine"])
        assert "was ended" not in ended.err
    await assert_books_are_one(tmp_path, market)
    sold = [
        o for o in (await Theirs.read(market)).orders.values() if o["side"] == "SELL" and o["filled"] != "0"
    ]
    assert len(sold) == 1


async def test_an_exchange_that_is_away_and_then_loses_an_answer(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
    await market.fault("F8")
    away = await emergency(market, tmp_path, env, "--wait", "3")
    assert away.code == 5, away.err
    assert (away.document["latched"], away.document["flat"]) == (True, False)
    assert "position 1" in away.document["remaining"][0]
    await market.cure()
    await market.fault("F2", match={"method": "POST", "path": "/api/v3/order*"})
    assert_flat(await emergency(market, tmp_path, env), "none")
    assert await market.fired("F2") == 1


async def test_an_engine_started_meanwhile_goes_on_where_the_emergency_stop_ended(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        agent.send(signal.SIGSTOP)
        market.send(signal.SIGSTOP)
        # However long a start takes, it meets the lock: this one ends when the test ends it.
        words = ("--yes", "--json", "--wait", "600", "--data-dir", str(tmp_path), *market.address)
        stopping = await house.command("-m", "agent.cli", "emergency-stop", *words, env=env, cwd=tmp_path)
        assert await agent.ended() == -signal.SIGKILL
    again = await house.agent(tmp_path, *market.address, env=env)
    await again.complains("is an emergency stop")
    await stopping.kill()
    market.send(signal.SIGCONT)
    async with again.watched() as watch:
        await watch.until("flat", lambda s: s["halt"] and s["halt"]["flat"])
    assert await again.stopped() == 0
    await assert_books_are_one(tmp_path, market)


async def test_flat_at_another_exchange_is_not_flat(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
    another = await house.market(*credentials.options)
    ended = await emergency(another, tmp_path, env)
    assert ended.code == 6
    assert (ended.document["latched"], ended.document["flat"]) == (True, False)
    told = ended.document["remaining"][0]
    assert f"was not looked at, because this command was given binance@{another.rest[7:]}" in told
    assert f"repeat emergency-stop with --exchange-url {market.rest}" in told
    assert "position 1" in ended.document["remaining"][1]
    # Where it was traded is known, and may come from the environment as an engine's address may.
    known = {"EXCHANGE_URL": market.rest, "EXCHANGE_WS_URL": market.ws, **env}
    words = ("emergency-stop", "--yes", "--json", "--data-dir", str(tmp_path))
    assert_flat(await command("-m", "agent.cli", *words, env=known, cwd=tmp_path), "none")
    await assert_books_are_one(tmp_path, market)


async def test_keys_may_lie_in_another_file(house, tmp_path):
    async with holding(house, tmp_path) as (market, agent, env):
        await agent.kill()
    elsewhere = tmp_path / "keys.env"
    elsewhere.touch(mode=0o600)
    elsewhere.write_text(f"EXCHANGE_API_KEY={credentials.key}\nEXCHANGE_API_SECRET={credentials.secret}\n")
    keyless = {"XDG_STATE_HOME": env["XDG_STATE_HOME"]}
    without = await emergency(market, tmp_path, keyless, "--wait", "1")
    # A second may be too short to reach the exchange; without keys it would be of no use.
    assert without.code in (5, 6), without.err
    assert without.document["flat"] is False
    assert any("EXCHANGE_API_KEY" in sentence for sentence in without.document["remaining"])
    assert_flat(await emergency(market, tmp_path, keyless, "--env-file", str(elsewhere)), "none")
    await assert_books_are_one(tmp_path, market)
