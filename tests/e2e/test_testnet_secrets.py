"""Keys of an account are nowhere but in the requests they sign: real processes, searched for canaries.

Searched: everything the processes wrote to standard output and error, every byte of the data directory (logs,
database with its log, status, journals), the command lines of the processes, and what the control channel
tells. The keys come from `.env`, which is the one file that holds them.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
from pathlib import Path

from agent_process import cli, command
from configurations import WISH, quick, written
from testnet_ground import TESTNET, credentials

CANARIES = (credentials.key, credentials.secret)


def leaks(directory: Path) -> list[str]:
    """Files below `directory`, except `.env`, that hold a canary."""
    found = []
    for path in directory.rglob("*"):
        if path.is_file() and path.name != ".env":
            content = path.read_bytes()
            found += [f"{path.name}: {word}" for word in CANARIES if word.encode() in content]
    return found


def command_line_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def core_limit_of(pid: int) -> list[str]:
    (line,) = [
        x for x in Path(f"/proc/{pid}/limits").read_text().splitlines() if x.startswith("Max core file")
    ]
    return line.split()[4:6]


@contextlib.contextmanager
def core_dumps():
    """What is started meanwhile may write core dumps, as desktops and shells may allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def with_keys(directory: Path) -> None:
    path = directory / ".env"
    path.write_text(f"EXCHANGE_API_KEY={credentials.key}\nEXCHANGE_API_SECRET='{credentials.secret}'\n")
    path.chmod(0o600)


async def test_keys_are_nowhere_but_in_the_requests(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET, agent={"log_level": "DEBUG"}))
    with_keys(tmp_path)
    env = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with core_dumps():
        agent = await house.agent(tmp_path, *market.address, "--log-json", env=env)
    said = []
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        # Errors of every kind the exchange has, whose texts travel through everything there is.
        for fault in ("F1", "F2", "F9"):
            await market.fault(fault, count=2)
        await market.control("account", {"permissions": {"enableSpotAndMarginTrading": False}})
        await cli(tmp_path, "close", "--all", "--yes")
        await watch.alerted("credentials refused")
        await market.control("account", {"permissions": {"enableSpotAndMarginTrading": True}})
        said += [json.dumps(watch.latest), *watch.alerts]
        said.append(command_line_of(agent.pid))
        assert core_limit_of(agent.pid) == ["0", "0"], "a crash writes no memory to a disk"
        for words in (("status", "--json"), ("status",), ("export", "orders")):
            ended = await cli(tmp_path, *words)
            said += [ended.out, ended.err]
        checked = await command(
            "-m", "agent.cli", "credentials", "check", "--config", str(tmp_path / "config.json"), env=env
        )
        assert checked.code == 0
        said += [checked.out, checked.err]
    agent.send(signal.SIGABRT)
    await agent.ended()
    later = await house.agent(tmp_path, *market.address, env=env)
    async with later.watched() as watch:
        await watch.until("up again", lambda s: s["balance"] is not None)
    await later.stopped()
    said += [agent.said, later.said]
    assert [word for word in CANARIES if any(word in text for text in said)] == []
    assert leaks(tmp_path) == []
    assert (tmp_path / "trades.db").stat().st_size > 100_000, "there was something to search"
    assert "keys of the account: .env" in later.said


async def test_a_file_of_keys_that_others_may_read_is_refused(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET))
    with_keys(tmp_path)
    (tmp_path / ".env").chmod(0o644)
    agent = await house.agent(tmp_path, *market.address, env={"XDG_STATE_HOME": str(tmp_path / "state")})
    assert await agent.ended() == 1
    assert "chmod 600 .env" in agent.said
    assert not any(word in agent.said for word in CANARIES)
