"""How every command ends: exit codes, sentences, help, and one document or nothing with --json."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from engine_threads import ScriptedDoor, engine
from status_documents import full_status

import agent
from agent.cli import main
from agent.command_line import looking
from agent.command_line.outcome import ExitCode

ROOT = Path(__file__).parents[2]
COMMANDS = [
    *("validate-config", "doctor", "status", "start", "pause", "resume", "stop", "emergency-stop"),
    *("clear-halt", "close", "trades", "decisions", "export", "backup", "restore", "paper-reset"),
    *("replay", "drill", "demo-market", "credentials", "exchanges"),
]


def process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_exit_codes_are_the_promised_ones():
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "REFUSED": 1,
        "UNREADABLE": 2,
        "NO_ENGINE": 3,
        "LOCKED": 4,
        "UNREACHABLE": 5,
        "NOT_FLAT": 6,
    }


LEAVING = """
import atexit, importlib, sys, threading
from agent.command_line.outcome import leave
atexit.register(lambda: print("what was registered"))
if sys.argv[1] == "busy":
    # What an emergency stop loads aside, whether it is needed or not.
    load = lambda: importlib.import_module("agent.compose.emergency")
    threading.Thread(target=load, daemon=True).start()
    while "sqlalchemy" not in sys.modules:
        pass
print("said", end="")
leave(6)
"""


@pytest.mark.parametrize("beside", ["busy", "alone"])
def test_an_end_keeps_its_code_and_its_words_whatever_runs_aside(beside):
    ended = subprocess.run(
        [sys.executable, "-c", LEAVING, beside], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert (ended.returncode, ended.stderr) == (6, "")
    assert ended.stdout in ("saidwhat was registered\n", "what was registered\nsaid")


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for command in COMMANDS:
        assert f"  {command} " in told
    assert "..." not in told.partition("Commands:")[2]
    assert main([]) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"agent.cli {command}" in capsys.readouterr().out


def test_help_loads_none_of_the_heavy_parts():
    script = (
        "import sys; from agent.cli import main; main(['--help'])\n"
        "heavy = {'pandas', 'numpy', 'sqlalchemy', 'ccxt', 'aiohttp', 'websockets', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "[]\n"


def test_steering_loads_neither_the_strategy_nor_the_database():
    script = (
        "import sys; from agent.cli import main; main(['pause', '--yes', '--data-dir', '/nowhere'])\n"
        "heavy = {'pandas', 'numpy', 'sqlalchemy', 'ccxt', 'aiohttp'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["status", "--nope"],
        ["close", "three"],
        ["trades", "--limit", "0"],
        ["validate-config"],
        ["replay", "candles.csv"],
        ["emergency-stop", "--wait", "soon"],
    ],
)
def test_wrong_words_are_exit_1_and_a_sentence(capsys, words):
    assert main(words) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "see python -m agent.cli --help" in told.err.lower()


def test_validate_config_has_its_own_codes(tmp_path, capsys):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text("{}")
    bad.write_text('{"timeframe": "7m"}')
    assert main(["validate-config", str(good)]) == 0
    assert main(["validate-config", str(bad)]) == 1
    assert main(["validate-config", str(tmp_path / "missing.json")]) == 2
    capsys.readouterr()
    assert main(["validate-config", str(good), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True


@pytest.mark.parametrize(
    "words",
    [
        ["--policy", "best"],
        ["--form", "round"],
    ],
)
def test_replay_refuses_what_it_does_not_know(tmp_path, capsys, words):
    assert main(["replay", "x.csv", "--out", str(tmp_path), *words]) == 1
    assert "is unknown" in capsys.readouterr().err


def test_replay_needs_its_configuration(tmp_path, capsys):
    missing = str(tmp_path / "config.json")
    assert main(["replay", "x.csv", "--out", str(tmp_path), "--config", missing]) == 2
    assert "config.json" in capsys.readouterr().err


def test_replay_needs_its_candles(tmp_path, capsys):
    config = tmp_path / "config.json"
    config.write_text("{}")
    assert main(["replay", str(tmp_path / "x.csv"), "--out", str(tmp_path), "--config", str(config)]) == 2
    assert "x.csv" in capsys.readouterr().err


@pytest.mark.parametrize("balance", ["USDT", "USDT=lots", "USDT=-5"])
def test_demo_market_refuses_balances_it_cannot_read(capsys, balance):
    assert main(["demo-market", "--balance", balance]) == 1
    assert capsys.readouterr().err


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(looking, "status_command", interrupted)
    assert main(["status"]) == 1
    assert "Interrupted." in capsys.readouterr().err


def test_as_a_process_the_codes_and_streams_are_the_same(tmp_path):
    none = process("status", "--json", "--data-dir", str(tmp_path))
    assert none.returncode == 3
    assert json.loads(none.stdout) == {"running": False}
    assert "No engine is running" in none.stderr
    refused = process("close", "--data-dir", str(tmp_path))
    assert (refused.returncode, refused.stdout) == (1, "")
    latched = process("emergency-stop", "--yes", "--json", "--data-dir", str(tmp_path))
    assert latched.returncode == 0
    assert json.loads(latched.stdout)["latched"] is True


def test_a_piped_status_has_no_escape_codes(tmp_path):
    with engine(tmp_path, ScriptedDoor(full_status())):
        done = process("status", "--data-dir", str(tmp_path))
    assert done.returncode == 0
    assert "RUNNING | Paper Trading | ADA/USDT 15m" in done.stdout
    assert "\x1b" not in done.stdout


def test_on_a_terminal_it_asks_and_no_is_the_default(tmp_path):
    door = ScriptedDoor(full_status())
    ours, theirs = pty.openpty()
    with engine(tmp_path, door):
        command = [sys.executable, "-m", "agent.cli", "close", "--all", "--data-dir", str(tmp_path)]
        child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 4096)
        os.write(ours, b"\n")
        assert child.wait(30) == 1
    os.close(ours)
    assert b"1,234.5 ADA" in seen
    assert door.asked == []


#: What takes long to import; a help text needs none of it.
HEAVY = ("aiohttp", "ccxt", "numpy", "pandas", "sqlalchemy")


@pytest.mark.parametrize("module", ["agent.cli", "agent.main"])
def test_help_loads_nothing_heavy(module):
    asking = f"""
import contextlib, io, sys
from {module} import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["--help"])
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""
    loaded = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.split() == []


def test_the_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert agent.__version__ == project["version"]
    assert project["scripts"]["seller-exhaustion"] == "agent.cli:run"
    assert project["scripts"]["seller-exhaustion-agent"] == "agent.main:run"
