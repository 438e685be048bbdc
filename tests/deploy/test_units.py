"""The service units are what systemd understands, wall the agent in, and start what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = sorted(DEPLOY.glob("*@.service"))
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed here")
#: What every unit refers to of the system's own.
SYSTEM = ("multi-user", "timers", "network-online", "time-sync", "basic", "sysinit", "shutdown", "network")


#: The wall around every unit. Its score alone would not notice that a single line is gone.
WALL = """
CapabilityBoundingSet= AmbientCapabilities= NoNewPrivileges=yes PrivateTmp=yes PrivateDevices=yes
PrivateUsers=yes PrivateIPC=yes PrivateMounts=yes ProtectSystem=strict ProtectHome=yes ProtectClock=yes
ProtectHostname=yes ProtectKernelLogs=yes ProtectKernelModules=yes ProtectKernelTunables=yes
ProtectControlGroups=yes ProtectProc=invisible ProcSubset=pid DevicePolicy=closed RemoveIPC=yes
KeyringMode=private LockPersonality=yes MemoryDenyWriteExecute=yes RestrictNamespaces=yes
RestrictRealtime=yes RestrictSUIDSGID=yes SystemCallArchitectures=native SystemCallErrorNumber=EPERM
StateDirectoryMode=0700 UMask=0077 LimitCORE=0 User=agent Group=agent
"""
#: What a unit cannot do without: others' processes, the compiler in Qt's graphics, the session's sockets.
OPENED = {
    "agent-emergency@.service": {"ProtectProc=invisible"},
    "agent-vnc@.service": {"ProtectProc=invisible", "MemoryDenyWriteExecute=yes"},
}
INTERNET = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
FAMILIES = {
    "agent-backup@.service": "RestrictAddressFamilies=AF_UNIX",
    "agent-vnc@.service": f"{INTERNET} AF_NETLINK",
}
CALLS = ["SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources"]
SCREEN_CALLS = [CALLS[0], "SystemCallFilter=~@privileged", "SystemCallFilter=@setuid"]


def settings(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if re.match(r"[A-Za-z]+=", line)]
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def test_there_is_a_unit_for_engine_emergency_window_and_backup() -> None:
    assert {unit.name for unit in SERVICES} == {
        "agent@.service",
        "agent-emergency@.service",
        "agent-vnc@.service",
        "agent-backup@.service",
    }


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_the_exposure_is_at_most_one_and_a_half(unit: Path) -> None:
    said = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said.stdout)
    assert found is not None, said.stderr
    assert float(found[1]) <= 1.5


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_no_line_of_the_wall_is_missing(unit: Path) -> None:
    lines = [line for line in unit.read_text().splitlines() if not line.startswith("#")]
    assert set(WALL.split()) - OPENED.get(unit.name, set()) - set(lines) == set()
    assert FAMILIES.get(unit.name, INTERNET) in lines
    calls = [line for line in lines if line.startswith("SystemCallFilter=")]
    assert calls == (SCREEN_CALLS if unit.name == "agent-vnc@.service" else CALLS)


@needs_systemd
@pytest.mark.parametrize("name", [*(u.name for u in SERVICES), "agent-backup@.timer"])
def test_systemd_accepts_the_unit(name: str, tmp_path: Path) -> None:
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in DEPLOY.glob("agent*@.*"):
        shutil.copy(unit, units)
    for program in ("opt/seller-exhaustion/current/.venv/bin/python", "bin/sh"):
        stand_in = tmp_path / program
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text("#!/bin/sh\n")
        stand_in.chmod(0o755)
    system = tmp_path / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    for target in SYSTEM:
        shutil.copy(f"/usr/lib/systemd/system/{target}.target", system)
    verified = subprocess.run(
        [str(ANALYZE), "verify", f"--root={tmp_path}", "--man=no", name.replace("@.", "@main.")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_engine_comes_back_except_where_a_start_cures_nothing() -> None:
    engine = settings(DEPLOY / "agent@.service")
    assert engine["Restart"] == "always"
    assert engine["RestartPreventExitStatus"].split() == ["1", "2", "4"]
    assert engine["StartLimitIntervalSec"] == "0"
    assert engine["User"] == "agent"
    assert engine["StateDirectoryMode"] == "0700"
    assert engine["LimitCORE"] == "0"


def test_the_emergency_stop_goes_on_until_flat_and_runs_as_the_engines_user() -> None:
    emergency = settings(DEPLOY / "agent-emergency@.service")
    assert emergency["Restart"] == "on-failure"
    assert not {"5", "6"} & set(emergency["RestartPreventExitStatus"].split())
    assert emergency["User"] == settings(DEPLOY / "agent@.service")["User"]
    # Seen under systemd 252: with "invisible" the frozen engine cannot be found, so it cannot be ended.
    assert emergency["ProtectProc"] == "default"
    assert emergency["OnSuccess"] == "agent@%i.service"
    assert "agent.cli emergency-stop --yes" in emergency["ExecStart"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_every_unit_starts_a_module_or_script_that_exists(unit: Path) -> None:
    command = settings(unit)["ExecStart"]
    module = re.search(r"-m ([a-z.]+)", command)
    script = re.search(r"/current/(\S+\.sh)", command)
    if module is not None:
        assert (ROOT / (module[1].replace(".", "/") + ".py")).is_file()
    else:
        assert script is not None
        assert (ROOT / script[1]).is_file()


def test_the_window_outlives_nothing_and_kills_nothing() -> None:
    # An emergency stop that the window started must not die with the screen.
    assert settings(DEPLOY / "agent-vnc@.service")["KillMode"] == "process"
    session = (DEPLOY / "vnc-session.sh").read_text()
    assert "-localhost" in session
    assert "-rfbauth" in session
    assert "-nolisten tcp" in session
    assert '-auth "$XAUTHORITY"' in session


def test_the_button_starts_the_emergency_stop_of_its_agent() -> None:
    rule = (DEPLOY / "99-agent-emergency.rules").read_text().splitlines()[-1]
    filled = rule.replace("@VENDOR@", "046d").replace("@PRODUCT@", "c52b").replace("@NAME@", "main")
    assert 'ENV{SYSTEMD_WANTS}+="agent-emergency@main.service"' in filled
    assert 'ATTR{idVendor}=="046d"' in filled
    assert 'TAG+="systemd"' in filled
