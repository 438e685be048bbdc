"""Credentials: which source wins, which file is trusted; nothing is read without need, nothing is shown."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import keyring
import pytest
from config_documents import ROOT, accepted
from keyring.errors import NoKeyringError

from agent.config import Config
from agent.config.credentials import (
    KEYRING_SERVICE,
    Credentials,
    EnvFileSource,
    EnvironmentSource,
    KeyringSource,
    Source,
    SourceName,
    SystemdSource,
    credential_warnings,
    default_sources,
    needed_names,
    read_credentials,
)
from agent.config.env_file import ENV_NAMES, MAX_BYTES, CredentialsRefused, read_env_file
from agent.config.secret import Secret

KEY, SECRET, PASSPHRASE = "EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "EXCHANGE_API_PASSPHRASE"
CANARY = "q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E"


class Untouchable:
    """A source that must not be asked."""

    name: SourceName = "keyring"

    def look_up(self, names: tuple[str, ...]) -> tuple[Mapping[str, Secret], tuple[str, ...]]:
        raise AssertionError(f"asked for {names}")


def env_file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def refusal(path: Path) -> CredentialsRefused:
    with pytest.raises(CredentialsRefused) as caught:
        read_env_file(path)
    assert CANARY not in str(caught.value) + repr(caught.value)
    assert caught.value.__context__ is None or CANARY not in repr(vars(caught.value.__context__))
    assert not isinstance(caught.value.__context__, UnicodeDecodeError)
    return caught.value


def git(folder: Path, *arguments: str) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def on_testnet(**exchange: object) -> Config:
    return accepted(exchange={"paper_trading": False, **exchange})


# --- the .env file


def test_reads_values_literally(tmp_path: Path) -> None:
    text = (
        "# comment\n\nexport EXCHANGE_API_KEY=a$HOME${X}\n"
        "EXCHANGE_API_SECRET='with # and space'\nSMTP_PORT=587 # why\nSMTP_HOST=\nSMTP_USER=YOUR_USER_HERE\n"
    )
    file = read_env_file(env_file(tmp_path, text))
    assert file is not None
    assert {name: secret.reveal() for name, secret in file.values.items()} == {
        KEY: "a$HOME${X}",
        SECRET: "with # and space",
        "SMTP_PORT": "587",
    }
    assert file.remarks == ()
    assert "HOME" not in repr(file)


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") is None


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    file = read_env_file(env_file(tmp_path, b"\xef\xbb\xbfEXCHANGE_API_KEY=k"))
    assert file is not None
    assert list(file.values) == [KEY]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_files_closed_to_others_are_trusted(tmp_path: Path, mode: int) -> None:
    assert read_env_file(env_file(tmp_path, f"{KEY}=k\n", mode)) is not None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o601, 0o660, 0o666])
def test_files_open_to_others_are_refused(tmp_path: Path, mode: int) -> None:
    refused = refusal(env_file(tmp_path, f"{KEY}={CANARY}\n", mode))
    assert f"{mode:04o}" in refused.reason
    assert "chmod 600 .env" in refused.fix


def test_links_are_refused(tmp_path: Path) -> None:
    env_file(tmp_path, f"{KEY}={CANARY}\n").rename(tmp_path / "real")
    (tmp_path / ".env").symlink_to(tmp_path / "real")
    assert "symbolic link" in refusal(tmp_path / ".env").reason
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "symbolic link" in refusal(tmp_path / "dangling").reason


def test_files_that_may_not_be_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    path = env_file(tmp_path, f"{KEY}={CANARY}\n")
    monkeypatch.setattr(os, "open", denied)
    assert "permission denied" in refusal(path).reason


def test_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert "folder" in refusal(tmp_path / ".env").reason
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a regular file" in refusal(tmp_path / "pipe").reason


def test_files_of_another_user_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = env_file(tmp_path, f"{KEY}={CANARY}\n")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert "another user" in refusal(path).reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"OK=1\n{KEY} {CANARY}\n".encode(), "line 2 is not NAME=value"),
        (f"{KEY}='{CANARY}\n".encode(), "line 1 is not NAME=value"),
        (f"{KEY}=a\n\n{KEY}={CANARY}\n".encode(), "line 3 sets EXCHANGE_API_KEY a second time"),
        (f"{KEY}={CANARY}\n\xff".encode("latin-1"), "line 2 is not UTF-8"),
        (f"{KEY}={CANARY}".encode() + b"x" * MAX_BYTES, "more than"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_line(tmp_path: Path, text: bytes, words: str) -> None:
    assert words in refusal(env_file(tmp_path, text)).reason


def test_names_nothing_reads_are_remarked_upon(tmp_path: Path) -> None:
    file = read_env_file(env_file(tmp_path, f"EXCHANGE_APIKEY={CANARY}\nHELLO={CANARY}\n"))
    assert file is not None
    assert file.values == {}
    assert file.remarks == (
        "line 1: EXCHANGE_APIKEY is not read; did you mean EXCHANGE_API_KEY?",
        "line 2: HELLO is not read",
    )


# --- git


def test_a_work_tree_must_ignore_the_file(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    nested = tmp_path / "deep" / "er"
    nested.mkdir(parents=True)
    path = env_file(nested, f"{KEY}={CANARY}\n")
    assert "not ignored by git" in refusal(path).reason
    (tmp_path / ".gitignore").write_text(".env\n")
    assert read_env_file(path) is not None


def test_a_tracked_file_is_refused_even_when_ignored(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    path = env_file(tmp_path, f"{KEY}={CANARY}\n")
    git(tmp_path, "add", ".env")
    (tmp_path / ".gitignore").write_text(".env\n")
    refused = refusal(path)
    assert "tracked by git" in refused.reason
    assert "replace the keys" in refused.fix


def test_git_that_cannot_answer_is_no_permission(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert "cannot be asked" in refusal(env_file(tmp_path, f"{KEY}={CANARY}\n")).reason


def test_the_callers_git_variables_do_not_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert "not ignored" in refusal(env_file(tmp_path, f"{KEY}={CANARY}\n")).reason


def test_without_git_in_a_work_tree_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".env\n")
    path = env_file(tmp_path, f"{KEY}={CANARY}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "cannot be asked" in refusal(path).reason


# --- sources and their order


def test_precedence(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / KEY).write_text("from systemd\n")
    stored = {KEY: "no", SECRET: "from keyring"}
    path = env_file(tmp_path, f"{KEY}=no\n{SECRET}=no\n{PASSPHRASE}=from file\n")
    environment = dict.fromkeys((KEY, SECRET, PASSPHRASE, "POLYGON_API_KEY"), "from environment")
    sources: list[Source] = [
        SystemdSource(folder),
        KeyringSource(lambda service, name: stored.get(name) if service == KEYRING_SERVICE else None),
        EnvFileSource(path),
        EnvironmentSource(environment),
    ]
    found = read_credentials((KEY, SECRET, PASSPHRASE, "POLYGON_API_KEY"), sources)
    assert {name: secret.reveal() for name, secret in found.values.items()} == {
        KEY: "from systemd",
        SECRET: "from keyring",
        PASSPHRASE: "from file",
        "POLYGON_API_KEY": "from environment",
    }
    assert dict(found.sources) == {
        KEY: "systemd",
        SECRET: "keyring",
        PASSPHRASE: ".env",
        "POLYGON_API_KEY": "environment",
    }
    keys = found.exchange_keys
    assert keys is not None
    assert keys.api_secret.reveal() == "from keyring"
    assert "from" not in repr(found.values) + repr(keys)


def test_sources_behind_the_last_name_found_are_not_asked() -> None:
    found = read_credentials((KEY,), [EnvironmentSource({KEY: "k"}), Untouchable()])
    assert found.missing((KEY, SECRET)) == (SECRET,)
    assert found.exchange_keys is None


def test_without_names_no_source_is_asked() -> None:
    assert read_credentials((), [Untouchable()]) == Credentials()


def test_default_order(tmp_path: Path) -> None:
    sources = default_sources(tmp_path / ".env", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert [source.name for source in sources] == ["systemd", "keyring", ".env", "environment"]
    assert sources[0] == SystemdSource(tmp_path)
    assert default_sources(tmp_path / ".env", {})[0] == SystemdSource(None)
    assert CANARY not in repr(default_sources(tmp_path / ".env", {KEY: CANARY}))


def test_a_systemd_credential_is_a_plain_short_text(tmp_path: Path) -> None:
    def look_up() -> None:
        read_credentials((KEY,), [SystemdSource(tmp_path)])

    (tmp_path / "real").write_text(CANARY)
    (tmp_path / KEY).symlink_to(tmp_path / "real")
    with pytest.raises(CredentialsRefused):
        look_up()
    (tmp_path / KEY).unlink()
    for content in (b"\xff", b"x" * (MAX_BYTES + 1)):
        (tmp_path / KEY).write_bytes(content)
        with pytest.raises(CredentialsRefused, match="LoadCredential"):
            look_up()
    (tmp_path / KEY).write_bytes(b"\n")
    assert read_credentials((KEY,), [SystemdSource(tmp_path)]).missing((KEY,)) == (KEY,)
    assert read_credentials((KEY,), [SystemdSource(None)]).missing((KEY,)) == (KEY,)


def test_a_missing_keyring_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_here(service: str, name: str) -> str | None:
        raise NoKeyringError("no backend")

    monkeypatch.setattr(keyring, "get_password", none_here)
    assert read_credentials((KEY,), [KeyringSource()]).missing((KEY,)) == (KEY,)
    monkeypatch.setattr(keyring, "get_password", lambda service, name: f"{service}/{name}")
    secret = read_credentials((KEY,), [KeyringSource()]).get(KEY)
    assert secret is not None
    assert secret.reveal() == f"{KEYRING_SERVICE}/{KEY}"


def test_the_keyring_is_imported_only_when_asked() -> None:
    code = (
        "import sys, agent.config.credentials as c, agent.config.report\n"
        "c.read_credentials((), c.default_sources(__import__('pathlib').Path('.env')))\n"
        "assert 'keyring' not in sys.modules and 'ccxt' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


# --- what a mode needs


def test_paper_needs_nothing_and_touches_nothing() -> None:
    config = accepted()
    assert needed_names(config) == ()
    assert credential_warnings(config, [Untouchable()]) == []


def test_what_else_needs_credentials() -> None:
    assert needed_names(on_testnet()) == (KEY, SECRET)
    assert needed_names(on_testnet(testnet=False)) == (KEY, SECRET)
    assert needed_names(on_testnet(exchange_name="okx")) == (KEY, SECRET, PASSPHRASE)
    assert needed_names(accepted(data_feed={"data_source": "both"})) == ("POLYGON_API_KEY",)
    assert needed_names(accepted(agent={"email": {"enabled": True}})) == ("SMTP_HOST", "SMTP_FROM", "SMTP_TO")
    assert set(ENV_NAMES) > {KEY, SECRET, PASSPHRASE, "POLYGON_API_KEY"}


def test_missing_credentials_are_warned_about(tmp_path: Path) -> None:
    warnings = credential_warnings(on_testnet(), [EnvFileSource(tmp_path / ".env")])
    assert [finding.key for finding in warnings] == [KEY, SECRET]
    assert all("testnet trading" in finding.reason for finding in warnings)
    path = env_file(tmp_path, f"{KEY}={CANARY}\nEXCHANGE_SECRET={CANARY}\n")
    warnings = credential_warnings(on_testnet(), [EnvFileSource(path)])
    assert [finding.key for finding in warnings] == [SECRET, ".env"]
    assert "EXCHANGE_API_SECRET" in warnings[1].reason
    assert CANARY not in repr(warnings)


def test_a_warning_says_what_the_credential_is_for() -> None:
    config = accepted(data_feed={"data_source": "polygon"}, agent={"email": {"enabled": True}})
    reasons = {
        finding.key: finding.reason for finding in credential_warnings(config, [EnvironmentSource({})])
    }
    assert "Polygon" in reasons["POLYGON_API_KEY"]
    assert "e-mail" in reasons["SMTP_HOST"]


def test_a_file_that_is_refused_is_warned_about(tmp_path: Path) -> None:
    path = env_file(tmp_path, f"{KEY}={CANARY}\n", 0o644)
    (found,) = credential_warnings(on_testnet(), [EnvFileSource(path)])
    assert found.key == ".env"
    assert "chmod 600" in found.fix
