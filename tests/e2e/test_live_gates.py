"""Live trading against the local exchange: refused gate by gate, then armed, and gated by the key's rights.

And the other side of the wall: paper and testnet at a given address talk to that address alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from agent_process import cli, command
from configurations import WISH, quick, written
from testnet_ground import TESTNET, credentials

import agent as program
from agent.arming.record import ArmingRecord, Override, write_record
from agent.cli import main
from agent.command_line.terminal import Terminal
from agent.config import check_config

LIVE = {"exchange": {"paper_trading": False, "testnet": False}}
GUARD = Path(__file__).parent / "socket_guard"


def armed(directory, document, version=program.__version__):
    """As `arm --override-phases` writes it."""
    config = check_config(json.dumps(document)).config
    override = Override("a rehearsal on the local exchange", "2026-01-01T00:00:00.000Z")
    write_record(
        directory, ArmingRecord(config.config_hash, version, "ADA/USDT", "2026-01-01", "typed", override)
    )


def env(tmp_path, **more):
    return credentials.environment(tmp_path) | {"LIVE_TRADING_CONFIRM": "ADA/USDT"} | more


async def test_without_its_gates_live_does_not_start_whatever_the_address(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**LIVE))
    for options in ((), ("--live",)):
        engine = await house.agent(tmp_path, *market.address, *options, env=env(tmp_path))
        assert await engine.ended() == 1
        assert "live trading is refused. " in engine.said
        assert "paper phase: 0.0 of 7 days, 0 of 10 trades" in engine.said
        assert "testnet phase: 0.0 of 7 days, 0 of 10 trades" in engine.said
    armed(tmp_path, quick(**LIVE))
    engine = await house.agent(
        tmp_path, *market.address, "--live", env=env(tmp_path, LIVE_TRADING_CONFIRM="BTC/USDT")
    )
    assert await engine.ended() == 1
    assert "does not equal the pair ADA/USDT" in engine.said
    changed = quick(**LIVE)
    changed["risk_management"]["risk_per_trade_percent"] = 1.5
    written(tmp_path, changed)
    engine = await house.agent(tmp_path, *market.address, "--live", env=env(tmp_path))
    assert await engine.ended() == 1
    assert "given for configuration" in engine.said
    signed = [r for r in (await market.control("ledger"))["requests"] if "signature" in r["query"]]
    assert signed == []


async def test_a_key_that_may_too_much_blocks_entries(house, tmp_path):
    market = await house.market(*credentials.options)
    await market.control("account", {"permissions": {"enableWithdrawals": True}})
    written(tmp_path, quick(**LIVE))
    armed(tmp_path, quick(**LIVE))
    engine = await house.agent(tmp_path, *market.address, "--live", env=env(tmp_path))
    async with engine.watched() as watch:
        await watch.running()
        state = await watch.until(
            "gated by the key's rights",
            lambda s: any("key rights: the key" in reason for reason in s["entries_blocked_by"]),
        )
        assert state["mode"] == "live"
        assert await engine.says("RUNNING | LIVE TRADING | ADA/USDT 1m")
    assert await engine.stopped() == 0


async def test_armed_at_a_terminal_it_may_enter_and_another_version_may_not(house, tmp_path, monkeypatch):
    """With keys as a service has them: files in a directory of its own, decrypted by systemd."""
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**LIVE, agent={"capital": 90}))
    given = tmp_path / "credentials"
    given.mkdir()
    keys = {"EXCHANGE_API_KEY": credentials.key, "EXCHANGE_API_SECRET": credentials.secret}
    for name, value in {**keys, "LIVE_TRADING_CONFIRM": "ADA/USDT"}.items():
        (given / name).write_text(value)
        (given / name).chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    monkeypatch.setattr(Terminal, "can_ask", property(lambda self: True))
    monkeypatch.setattr(Terminal, "ask", lambda self, question: "ADA/USDT")
    place = ("--config", str(tmp_path / "config.json"), "--data-dir", str(tmp_path), *market.address)
    assert await asyncio.to_thread(main, ["arm", *place, "--override-phases", "a rehearsal"]) == 0
    state_home = {"XDG_STATE_HOME": str(tmp_path / "state")}
    engine = await house.agent(tmp_path, *market.address, env=state_home)
    async with engine.watched() as watch:
        state = await watch.entries_allowed()
        assert (state["mode"], state["state"]) == ("live", "RUNNING")
    assert await engine.stopped() == 0
    assert "keys of the account: systemd" in engine.said
    armed(tmp_path, quick(**LIVE, agent={"capital": 90}), version="0.0.1")
    engine = await house.agent(tmp_path, *market.address, env=state_home)
    async with engine.watched() as watch:
        state = await watch.until(
            "entries refused", lambda s: any("0.0.1 was confirmed" in r for r in s["entries_blocked_by"])
        )
        assert state["state"] != "RUNNING"
    assert await engine.stopped() == 0


# --- the wall ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["paper", "testnet"])
async def test_at_a_given_address_nothing_beyond_this_machine_is_asked(house, tmp_path, mode):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**(TESTNET if mode == "testnet" else {})))
    told = tmp_path / "guard.txt"
    guarded = env(tmp_path, SOCKET_GUARD=str(told), PYTHONPATH=f"{GUARD}:{Path(__file__).parents[2]}")
    engine = await house.agent(tmp_path, *market.address, env=guarded)
    async with engine.watched() as watch:
        await watch.entries_allowed()
    assert await engine.stopped() == 0
    tried = told.read_text().splitlines()
    assert any(line.startswith("here socket.connect") for line in tried), "the guard saw nothing"
    assert [line for line in tried if line.startswith("AWAY")] == []


async def test_the_guard_itself_bites(tmp_path):
    told = tmp_path / "guard.txt"
    script = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    guarded = {"SOCKET_GUARD": str(told), "PYTHONPATH": str(GUARD)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env={**os.environ, **guarded}, stderr=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 1
    assert "AWAY" in told.read_text()


async def test_the_emergency_stop_of_a_killed_live_engine_needs_no_gate(house, tmp_path):
    """Neither the confirmation nor the record is there any more: what is open is sold all the same."""
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**LIVE))
    armed(tmp_path, quick(**LIVE))
    engine = await house.agent(tmp_path, *market.address, "--live", env=env(tmp_path))
    async with engine.watched() as watch:
        await watch.enters(market, **WISH)
        await engine.kill()
    (tmp_path / "arming.json").unlink()
    ended = await command(
        "-m", "agent.cli", "emergency-stop", "--yes", "--json", "--data-dir", str(tmp_path), *market.address,
        env=credentials.environment(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.document["flat"] is True
    # And a start without its gates only looks after what is left: nothing, so it is refused.
    engine = await house.agent(tmp_path, *market.address, env=credentials.environment(tmp_path))
    assert await engine.ended() == 1
    assert "live trading is refused. " in engine.said


async def test_an_open_live_position_is_managed_without_a_gate_and_nothing_is_entered(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**LIVE))
    armed(tmp_path, quick(**LIVE))
    engine = await house.agent(tmp_path, *market.address, "--live", env=env(tmp_path))
    async with engine.watched() as watch:
        await watch.enters(market, **WISH)
        await engine.kill()
    (tmp_path / "arming.json").unlink()
    engine = await house.agent(tmp_path, *market.address, env=credentials.environment(tmp_path))
    async with engine.watched() as watch:
        state = await watch.until("exits only", lambda s: s["state"] == "EXITS_ONLY" and s["positions"])
        assert any("LIVE_TRADING_CONFIRM" in reason for reason in state["entries_blocked_by"])
        assert (await cli(tmp_path, "close", "--all", "--yes")).code == 0
        await watch.until("flat", lambda s: not s["positions"])
    assert await engine.stopped() == 0
