"""Every command of the guides is run: the agent's own for real, what changes the system by a stand-in.

A stand-in is believed only as far as it checks: a program that nobody thought of fails the test, a unit or
script that does not exist fails it, and the scripts of `deploy/` run as dry runs. The agent's commands meet a
real engine on the local exchange.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sys
from pathlib import Path

from agent_process import PATIENCE_S, ROOT, environment
from configurations import changed, example, written

from agent.store.backup import back_up
from agent.store.prepare import prepare

GUIDES = ROOT / "deploy" / "guides"
#: In the order in which they leave something for the next; the emergency comes last.
PAGES = ("vps", "routines", "hardening", "recovery", "testnet", "live", "troubleshooting", "emergency")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)

STAND_IN = """#!/bin/sh
# One program under many names; what it must not do on this machine it only looks at.
name=$(basename "$0")
case $name in
    sudo)
        [ "$1" != -u ] || shift 3
        case "$1 $2" in
            "sh deploy/"*) script=$2; shift 2; exec sh "$script" --dry-run "$@" ;;
            "tee /"*) cat >/dev/null; exit 0 ;;
        esac
        exec "$@" ;;
    seller-exhaustion)
        [ "$1" = main ] || { [ "$1" = second ] && exit 0; echo "no agent $1" >&2; exit 1; }
        shift
        # A doctor who finds something wrong has done the work.
        if [ "$1" = doctor ]; then "$PYTHON" -m agent.cli "$@" || [ $? = 1 ]; exit; fi
        exec "$PYTHON" -m agent.cli "$@" ;;
    systemctl)
        for word in "$@"; do
            case $word in
                agent*@main|agent*@main.service|agent*@main.timer)
                    unit=$(echo "$word" | sed 's/@main.*/@/')
                    ls "$ROOT"/deploy/$unit.* >/dev/null || { echo "no unit $word" >&2; exit 1; } ;;
            esac
        done
        case "$*" in
            "start agent-emergency@main")
                exec "$PYTHON" -m agent.cli emergency-stop --yes $EMERGENCY_OPTIONS ;;
        esac ;;
esac
exit 0
"""
#: On the reader's own computer; what they reach is looked at by the test of the VNC session.
ELSEWHERE = ("ssh", "vncviewer")
ASKING = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
NAMES = (
    *("sudo", "seller-exhaustion", "systemctl", "journalctl", "apt-get", "ufw", "sshd", "timedatectl"),
    *("dpkg-reconfigure", "systemd-analyze"),
)
#: What may be used as it is.
HARMLESS = ("sh", "cat", "ls", "df", "mkdir", "printf", "basename", "sed", "env", "echo", "cut", "tr", "tee")
NEEDED_BY_SCRIPTS = (
    *("dirname", "find", "sort", "xargs", "sha256sum", "readlink", "id", "grep", "getent", "install", "tar"),
    *("apt-cache", "dpkg-query", "python3", "cmp", "rm", "ln", "mv", "chmod", "chown", "od", "date", "head"),
)


def _programs(folder: Path) -> Path:
    folder.mkdir()
    stand_in = folder / ".stand-in"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    for name in NAMES:
        (folder / name).symlink_to(stand_in)
    for name in (*HARMLESS, *NEEDED_BY_SCRIPTS):
        found = shutil.which(name)
        if found is not None and not (folder / name).exists():
            (folder / name).symlink_to(found)
    (folder / "python3").unlink(missing_ok=True)
    (folder / "python3").symlink_to(sys.executable)
    return folder


def _unpacked() -> list[str]:
    """What a user finds after unpacking."""
    named = re.search(r'^CONTENT="(.*)"$', (ROOT / "deploy/release.sh").read_text(), re.M)
    assert named is not None
    return named[1].split()


async def _run(script: str, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", script),
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode is not None
    return process.returncode, said.decode()


def test_no_guide_is_forgotten() -> None:
    assert {page.stem for page in GUIDES.glob("*.md")} <= set(PAGES)


async def test_every_command_of_the_guides_works(house, tmp_path):
    state, prefix, desk = tmp_path / "state", tmp_path / "opt", tmp_path / "desk"
    data = state / "main"
    for folder in (data / "backups", prefix, desk):
        folder.mkdir(parents=True)
    (prefix / "current").symlink_to(ROOT)
    (prefix / "previous").write_text(f"{ROOT}\n")
    for content in _unpacked():
        (desk / content).symlink_to(ROOT / content)
    written(data, example())
    shutil.copy(written(desk, example()), desk / "second.json")
    market = await house.market(speed=60)
    agent = await house.agent(data, *market.address)
    env = environment(
        PATH=str(_programs(tmp_path / "bin")),
        PYTHON=sys.executable,
        PYTHONPATH=str(ROOT),
        ROOT=str(ROOT),
        HOME=str(tmp_path),
        AGENT_DATA_DIR=str(data),
        AGENT_STATE=str(state),
        AGENT_PREFIX=str(prefix),
        EMERGENCY_OPTIONS=" ".join(market.address),
        COLUMNS="120",
    )
    async with agent.watched() as watch:
        await watch.running()
        for page in (GUIDES / f"{name}.md" for name in PAGES):
            if not page.exists():
                continue
            for block in BLOCK.findall(page.read_text()):
                script = block.replace("/var/lib/agent", str(state))
                code, said = await _run(script, desk, env)
                assert code == 0, f"{page.name}:\n{block}\nended with {code}:\n{said}"
        await watch.until("started again", lambda s: s["halt"] is None and s["state"] != "HALTED")


def _asking() -> list[tuple[str, str]]:
    """Page and command of every block that is no script: it asks, or names a file that is one's own."""
    pages = {name: (GUIDES / f"{name}.md").read_text() for name in PAGES}
    return [
        (name, line)
        for name, text in pages.items()
        for block in ASKING.findall(re.sub(BLOCK, "", text))
        for line in block.splitlines()
    ]


async def test_commands_that_ask_or_need_a_file_of_ones_own_work_too(tmp_path):
    state, desk = tmp_path / "state", tmp_path / "desk"
    data = state / "main"
    for folder in (data, desk):
        folder.mkdir(parents=True, mode=0o700)
    for content in _unpacked():
        (desk / content).symlink_to(ROOT / content)
    written(data, changed(example(), exchange={"paper_trading": False, "testnet": False}))
    prepare(data / "trades.db")
    backup = back_up(data / "trades.db", data / "backups", at_ms=0, keep=9).path
    programs = _programs(tmp_path / "bin")
    for name, said in {
        "sudo": 'exec "$@"',
        "id": "echo 0",
        # What systemd would encrypt must come by standard input, and go into a file of its own.
        "systemd-creds": '[ "$1" = encrypt ] && [ "$3" = - ] && sed s/typed/encrypted/ > "$4"',
    }.items():
        (programs / name).unlink(missing_ok=True)
        (programs / name).write_text(f"#!/bin/sh\n{said}\n")
        (programs / name).chmod(0o755)
    env = environment(
        PATH=str(programs), PYTHON=sys.executable, PYTHONPATH=str(ROOT), ROOT=str(ROOT), HOME=str(tmp_path),
        AGENT_DATA_DIR=str(data), AGENT_STATE=str(state), AGENT_ETC=str(tmp_path / "etc"),
        XDG_STATE_HOME=str(tmp_path / "locks"), EXCHANGE_URL="http://127.0.0.1:9",
        EXCHANGE_WS_URL="ws://127.0.0.1:9",
    )  # fmt: skip
    met = set()
    for page, line in _asking():
        words = shlex.split(line, comments=True)
        met.add(words[0])
        if words[0] in ELSEWHERE:
            continue
        # At a terminal it asks first.
        script = re.sub(r"/var/lib/agent/main/backups/\S+", f"{backup} --yes", line)
        code, said = await _run(
            f"printf 'typed\\ntyped\\n' | {script}", data if "arm" in words else desk, env
        )
        where = f"{page}: {line}\n{said}"
        if "arm" in words:
            assert (code, "Gates to live trading:" in said) == (1, True), where
        else:
            assert code == 0, where
    assert met == {"sudo", "seller-exhaustion", *ELSEWHERE}
    stored = {file.name: file.read_text() for file in (tmp_path / "etc/agent/credentials/main").iterdir()}
    assert stored == dict.fromkeys(
        ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "LIVE_TRADING_CONFIRM"), "encrypted"
    )
    for unit in ("agent", "agent-emergency", "agent-vnc"):
        given = (tmp_path / f"etc/systemd/system/{unit}@main.service.d/credentials.conf").read_text()
        assert all(f"LoadCredentialEncrypted={name}:" in given for name in stored)
