"""The scripts of `deploy/` are valid shell, show before they do, and refuse what makes no sense."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = sorted([*DEPLOY.rglob("*.sh"), DEPLOY / "seller-exhaustion"])


def sh(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_is_valid_shell_and_says_what_it_is_for(script: Path) -> None:
    assert sh("-n", str(script)).returncode == 0
    shebang, *rest = script.read_text().splitlines()
    law = rest[0] if shebang.startswith("#!") else shebang
    assert law.startswith("# ")


def test_a_dry_run_shows_every_step_and_changes_nothing() -> None:
    said = sh(
        "deploy/install.sh", "--dry-run", "--vnc", "--button", "046d:c52b", "--config", "config.example.json"
    )
    assert said.returncode == 0, said.stderr
    for step in (
        "useradd --system",
        "config.json",
        "/etc/systemd/system/",
        "systemctl -q enable agent@main.service agent-backup@main.timer agent-vnc@main.service",
        "systemctl start agent@main.service",
    ):
        assert step in said.stdout
    assert not Path("/opt/seller-exhaustion").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--name", "a b"], "use letters"),
        (["--name"], "needs a value"),
        (["--config", "/no/such.json"], "cannot be read"),
        (["--button", "12"], "VENDOR:PRODUCT"),
        (["--speed"], "unknown option --speed"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(words: list[str], reason: str) -> None:
    said = sh("deploy/install.sh", "--dry-run", *words)
    assert said.returncode == 1
    assert reason in said.stderr
    assert "useradd" not in said.stdout


def test_an_upgrade_where_nothing_is_installed_says_so() -> None:
    if Path("/opt/seller-exhaustion/current").exists():
        pytest.skip("the agent is installed on this machine")
    said = sh("deploy/upgrade.sh", "--dry-run")
    assert said.returncode == 1
    assert "install.sh" in said.stderr


def test_the_same_content_is_the_same_release_and_other_content_another(tmp_path: Path) -> None:
    def name(source: Path) -> str:
        script = f'PROGRAM=t; DRY_RUN=1; PREFIX=/x; SOURCE="{source}"; . "{DEPLOY}/release.sh"; release_name'
        said = sh("-c", script)
        assert said.returncode == 0, said.stderr
        return said.stdout.strip()

    copy = tmp_path / "copy"
    copy.mkdir()
    for part in ("agent", "ui", "deploy"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("config.example.json", ".env.example", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / file, copy)
    for file in ("README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / file, copy)
    assert name(copy) == name(ROOT)
    (copy / "agent/main.py").write_text("raise SystemExit\n")
    assert name(copy) != name(ROOT)


def test_the_screen_is_refused_without_a_private_password(tmp_path: Path) -> None:
    session = str(DEPLOY / "vnc-session.sh")
    missing = sh(session, "main", AGENT_DATA=str(tmp_path))
    assert (missing.returncode, "vnc.passwd is missing" in missing.stderr) == (2, True)
    password = tmp_path / "vnc.passwd"
    password.write_bytes(b"x")
    password.chmod(0o644)
    public = sh(session, "main", AGENT_DATA=str(tmp_path))
    assert (public.returncode, "mode 0600" in public.stderr) == (2, True)


def test_the_menu_entry_is_written_and_removed(tmp_path: Path) -> None:
    if not (ROOT / ".venv/bin/python").exists():
        pytest.skip("no .venv here")
    config = tmp_path / "my folder" / "config.json"
    added = sh("deploy/desktop/install.sh", str(config), XDG_DATA_HOME=str(tmp_path))
    entry = tmp_path / "applications/seller-exhaustion.desktop"
    assert added.returncode == 0, added.stderr
    assert f'--config "{config}"' in entry.read_text()
    assert "@" not in entry.read_text()
    removed = sh("deploy/desktop/install.sh", "--remove", XDG_DATA_HOME=str(tmp_path))
    assert (removed.returncode, entry.exists()) == (0, False)


def test_nothing_in_deploy_is_writable_by_others() -> None:
    assert not [p for p in DEPLOY.rglob("*") if p.is_file() and p.stat().st_mode & stat.S_IWOTH]
