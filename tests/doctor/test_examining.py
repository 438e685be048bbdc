"""The doctor beside a local exchange, a Bot API stub and a real data directory, and with none of them."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from agent.alerts.gate import Owner
from agent.cli import main
from agent.command_line.doctor import examine
from agent.compose.alert_settings import TelegramAccount
from agent.config.load import check_file
from agent.config.secret import Secret
from agent.doctor import alert_checks, machine
from agent.doctor.result import Light
from agent.options import ExchangeAddress
from agent.store.data_dir import DataDir
from agent.store.latch import Latch
from tests.alerts.telegram_stub import CHAT, CONFLICT, TOKEN, USER, TelegramStub, failing
from tests.store_ground import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))
from local_ground import local_exchange

GREEN, YELLOW, RED = Light.GREEN, Light.YELLOW, Light.RED
NAMES = ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "TELEGRAM_BOT_TOKEN", "CREDENTIALS_DIRECTORY")


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def written(tmp_path, **sections):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(sections))
    return check_file(path)


async def lights(report, tmp_path, replaced):
    diagnosis = await examine(report, tmp_path / ".env", tmp_path, replaced)
    return {finding.name: finding for finding in diagnosis.findings}, diagnosis


def at(ground):
    return ExchangeAddress(ground.running.rest, ground.running.ws)


async def test_paper_with_an_exchange_and_without_an_engine(tmp_path):
    async with local_exchange(paused=False) as ground:
        found, diagnosis = await lights(written(tmp_path), tmp_path, at(ground))
    assert diagnosis.exit_code == 0
    for name in ("exchange", "latency", "pair", "socket", "warm-up", "tradable size", "disk", "versions"):
        assert found[name].light is GREEN, found[name]
    assert found["fee"].light is YELLOW
    assert "10 bp" in found["fee"].text
    assert "keys" not in found
    assert found["paper phase"].light is YELLOW
    assert all(finding.fix for finding in diagnosis.findings if finding.light is not GREEN)


async def test_keys_their_rights_and_the_size_for_this_balance(tmp_path, monkeypatch):
    monkeypatch.setenv("EXCHANGE_API_KEY", "local-key")
    monkeypatch.setenv("EXCHANGE_API_SECRET", "local-secret")
    live = written(tmp_path, exchange={"paper_trading": False, "testnet": False})
    async with local_exchange(paused=False) as ground:
        found, diagnosis = await lights(live, tmp_path, at(ground))
        assert found["keys"].light is GREEN, found["keys"]
        assert "10000.00 USDT" in found["tradable size"].text
        assert found["paper phase"].light is RED
        await ground.control("account", {"permissions": {"enableWithdrawals": True}})
        found, _ = await lights(live, tmp_path, at(ground))
        assert (found["key rights"].light, "withdrawals" in found["key rights"].text) == (RED, True)
        monkeypatch.setenv("EXCHANGE_API_SECRET", "CANARY-wrong-secret")
        found, diagnosis = await lights(live, tmp_path, at(ground))
        assert found["keys"].light is RED
        assert found["key rights"].light is RED
    assert diagnosis.exit_code == 1
    assert "CANARY" not in json.dumps(diagnosis.document())


async def test_without_a_network_it_says_so_and_looks_at_the_rest(tmp_path):
    Store(tmp_path).close()
    offline = ExchangeAddress("http://127.0.0.1:9", "ws://127.0.0.1:9")
    found, diagnosis = await lights(written(tmp_path), tmp_path, offline)
    assert found["exchange"].light is RED
    assert found["not checked"].light is YELLOW
    assert found["database"].light is GREEN
    assert found["backup"].light is YELLOW
    assert diagnosis.exit_code == 1


async def test_a_pair_that_does_not_exist(tmp_path):
    exchange = {"trading_pair": "XYZ/USDT", "base_currency": "XYZ"}
    async with local_exchange() as ground:
        found, _ = await lights(written(tmp_path, exchange=exchange), tmp_path, at(ground))
    assert found["pair"].light is RED


# --- this machine --------------------------------------------------------------------------------------


def test_the_env_file(tmp_path):
    path = tmp_path / ".env"
    assert machine.env_file(path)[0].light is GREEN
    path.write_text("EXCHANGE_API_KEY=CANARY\n")
    path.chmod(0o644)
    (wide,) = machine.env_file(path)
    assert (wide.light, "chmod 600" in wide.fix) == (RED, True)
    path.chmod(0o600)
    assert machine.env_file(path)[0].text == "ours alone, 1 values"
    path.write_text("EXCHANGE_API_KEYY=CANARY\n")
    (typo,) = machine.env_file(path)
    assert typo.light is YELLOW
    assert "CANARY" not in typo.text


def test_a_damaged_database_and_a_latched_halt(tmp_path):
    Store(tmp_path).close()
    Latch.create(tmp_path).set("emergency", 1)
    found, pid = machine.engine_and_latch(DataDir(tmp_path))
    assert (found[1].light, "emergency" in found[1].text, pid) == (YELLOW, True, None)
    path = tmp_path / "trades.db"
    content = bytearray(path.read_bytes())
    content[4_096:12_288] = b"\xff" * 8_192
    path.write_bytes(content)
    database = next(f for f in machine.storage(DataDir(tmp_path)) if f.name == "database")
    assert (database.light, "restore" in database.fix) == (RED, True)


def test_versions_of_the_running_engine():
    assert machine.versions(None)[0].light is GREEN
    (other,) = machine.versions("0.0.1")
    assert (other.light, other.fix) == (YELLOW, "restart the engine")


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="only Linux tells")
@pytest.mark.parametrize(
    ("family", "host", "light"),
    [
        (socket.AF_INET, "127.0.0.1", GREEN),
        (socket.AF_INET, "127.1.2.3", GREEN),
        (socket.AF_INET, "0.0.0.0", RED),
        (socket.AF_INET6, "::1", GREEN),
        (socket.AF_INET6, "::", RED),
    ],
)
def test_ports_that_others_can_reach_are_red(monkeypatch, family, host, light):
    assert machine.listeners(None) == []
    with socket.socket(family) as one:
        try:
            one.bind((host, 0))
        except OSError:
            pytest.skip("no such address here")
        one.listen()
        (found,) = machine.listeners(os.getpid())
        # A service's descriptors are hidden from everybody: then every port of its user counts.
        monkeypatch.setattr(machine, "_sockets", lambda pid: None)
        (by_user,) = machine.listeners(os.getpid())
    assert found.light is light, found
    assert by_user.light is RED or light is GREEN, by_user
    assert "of the engine's user" in by_user.text


# --- alerts ----------------------------------------------------------------------------------------------


async def telegram(server, *, engine_runs=False):
    account = TelegramAccount(Secret(TOKEN), Owner(CHAT, USER), server.url)
    return await alert_checks._telegram(account, engine_runs)


async def test_telegram_reachable_in_conflict_rejected_and_beside_an_engine():
    async with TelegramStub(longest_poll_s=0.01) as server:
        assert (await telegram(server)).light is GREEN
        asked = server.asked.count("getUpdates")
        assert (await telegram(server, engine_runs=True)).light is GREEN
        assert server.asked.count("getUpdates") == asked
        server.trouble["getUpdates"] = lambda: failing(409, CONFLICT)
        conflict = await telegram(server)
        assert (conflict.light, "another program" in conflict.text) == (RED, True)
        server.trouble["getMe"] = lambda: failing(401, "Unauthorized")
        rejected = await telegram(server)
        assert (rejected.light, TOKEN in repr(rejected)) == (RED, False)


# --- as a command ----------------------------------------------------------------------------------------


def test_as_a_command(tmp_path, capsys):
    assert main(["doctor", "--exchange-url", "http://127.0.0.1:9"]) == 1
    told = capsys.readouterr().out
    assert "red    configuration: " in told
    assert "fix: python -m agent.cli validate-config config.json" in told
    written(tmp_path)
    assert main(["doctor", "--json", "--exchange-url", "http://127.0.0.1:9"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["light"] == "red"
    assert {"name", "light", "text", "fix"} == set(document["findings"][0])
    assert main(["doctor", "--exchange-url", "nonsense"]) == 1
