"""Keys of an account are nowhere but in the requests they sign: real processes, searched for canaries.

Searched: everything the processes wrote to standard output and error, every byte of the data directory (logs,
database with its log, status, journals, a backup), the command lines of the processes, every export, what the
control channel tells, and every message that Telegram and the mail server were given. The keys come from
`.env`, the one file that holds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
from pathlib import Path

from agent_process import PATIENCE_S, cli, command
from configurations import WISH, quick, written
from testnet_ground import TESTNET, credentials

from agent.cli import main
from tests.alerts.smtp_stub import SmtpStub
from tests.alerts.telegram_stub import CHAT, TOKEN, USER, TelegramStub

MAIL_PASSWORD = "canary-mail-5e6f7a8b9c"
CANARIES = (credentials.key, credentials.secret, TOKEN, TOKEN.partition(":")[2], MAIL_PASSWORD)
EXPORTS = (
    "trades",
    "orders",
    "fills",
    "decisions",
    "balances",
    "tax",
    "costs",
    "incidents",
    "dust",
    "configs",
)


def leaks(directory: Path) -> list[str]:
    """Files below `directory`, except `.env`, that hold a canary."""
    found = []
    for path in directory.rglob("*"):
        if path.is_file() and path.name != ".env":
            content = path.read_bytes()
            found += [f"{path.name}: {word}" for word in CANARIES if word.encode() in content]
    return found


def open_to_others(directory: Path) -> list[str]:
    """Files that another user could read. Candles are public."""
    return [
        path.name
        for path in directory.rglob("*")
        if path.is_file()
        and path.stat().st_mode & 0o077
        and path.name != "config.json"
        and not path.name.startswith("candles.db")
    ]


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


def with_keys(directory: Path, *more: str) -> None:
    path = directory / ".env"
    keys = (f"EXCHANGE_API_KEY={credentials.key}", f"EXCHANGE_API_SECRET='{credentials.secret}'", *more)
    path.write_text("".join(f"{line}\n" for line in keys))
    path.chmod(0o600)


def inherited(pid: int) -> list[bytes]:
    """The environments of the process and of all it has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if pid in (parent, int(entry.name)):
                found.append((entry / "environ").read_bytes())
    return found


async def test_keys_are_nowhere_but_in_the_requests(house, tmp_path, capsys):
    market = await house.market(*credentials.options)
    alerts = {"telegram": {"level": "INFO"}, "email": {"enabled": True, "level": "ERROR"}}
    written(tmp_path, quick(**TESTNET, agent={"log_level": "DEBUG", **alerts}))
    async with TelegramStub() as telegram, SmtpStub() as mail:
        mailing = {
            "HOST": "127.0.0.1",
            "PORT": str(mail.port),
            "FROM": "a@example.org",
            "TO": "b@example.org",
        }
        with_keys(
            tmp_path,
            *(f"TELEGRAM_BOT_TOKEN={TOKEN}", f"TELEGRAM_CHAT_ID={CHAT}", f"TELEGRAM_USER_ID={USER}"),
            *(f"SMTP_{name}={value}" for name, value in mailing.items()),
            *("SMTP_USER=a@example.org", f"SMTP_PASSWORD={MAIL_PASSWORD}"),
        )
        env = {"XDG_STATE_HOME": str(tmp_path / "state"), "TELEGRAM_API_URL": telegram.url}
        said = await lived(house, market, tmp_path, env, telegram)
        said = [*capsys.readouterr(), *said]
        given = [json.dumps(telegram.sent), *mail.mails]
    assert len(telegram.sent) >= 3, "there were messages to search"
    assert [word for word in CANARIES if any(word in text for text in (*said, *given))] == []
    assert leaks(tmp_path) == []
    assert open_to_others(tmp_path) == []
    assert (tmp_path / "trades.db").stat().st_size > 100_000, "there was something to search"
    assert list((tmp_path / "backups").glob("trades-*.db"))
    assert "keys of the account: .env" in said[-1]


async def lived(house, market, tmp_path, env, telegram):
    """All that a life full of refusals, a crash and another start has said, the last start's words last."""
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
        await telegram.say("/status")
        await telegram.until(lambda: any(", Testnet, " in sent["text"] for sent in telegram.sent), PATIENCE_S)
        environments = inherited(agent.pid)
        assert environments
        assert not [word for word in CANARIES if any(word.encode() in one for one in environments)]
        (tmp_path / "exported").mkdir()
        exports = [("export", kind, "--out", str(tmp_path / "exported" / kind)) for kind in EXPORTS]
        for words in (("status", "--json"), ("stats",), ("parity",), ("backup",), *exports):
            assert await asyncio.to_thread(main, [*words, "--data-dir", str(tmp_path)]) == 0, words
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
    return [*said, agent.said, later.said]


async def test_a_file_of_keys_that_others_may_read_is_refused(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, quick(**TESTNET))
    with_keys(tmp_path)
    (tmp_path / ".env").chmod(0o644)
    agent = await house.agent(tmp_path, *market.address, env={"XDG_STATE_HOME": str(tmp_path / "state")})
    assert await agent.ended() == 1
    assert "chmod 600 .env" in agent.said
    assert not any(word in agent.said for word in CANARIES)
