"""Keys go into the keyring at a prompt, come out by name, and are shown by nobody."""

from __future__ import annotations

import json
import sys

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import KeyringLocked, PasswordDeleteError

from agent.cli import main
from agent.command_line.credentials import set_command
from agent.command_line.outcome import Ended
from agent.config.credentials import KEYRING_SERVICE, default_sources, read_credentials

CANARY = "CANARY-key-never-to-be-seen"


class Drawer(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self):
        self.kept = {}
        self.locked = False

    def _ask(self):
        if self.locked:
            raise KeyringLocked(f"cannot give {CANARY}")

    def get_password(self, service, name):
        self._ask()
        return self.kept.get((service, name))

    def set_password(self, service, name, value):
        self._ask()
        self.kept[service, name] = value

    def delete_password(self, service, name):
        self._ask()
        if (service, name) not in self.kept:
            raise PasswordDeleteError(name)
        del self.kept[service, name]


@pytest.fixture
def drawer(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before, one = keyring.get_keyring(), Drawer()
    keyring.set_keyring(one)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    yield one
    keyring.set_keyring(before)


def typed(monkeypatch, *values):
    answers, asked = iter(values), []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def prompt(question):
        asked.append(question)
        return next(answers)

    return prompt, asked


def test_what_is_typed_is_kept_and_found_by_the_engine(drawer, monkeypatch, capsys, tmp_path):
    prompt, asked = typed(monkeypatch, f" {CANARY} ", "the-secret")
    assert set_command([], None, prompt=prompt) == 0
    assert asked == ["EXCHANGE_API_KEY (not shown): ", "EXCHANGE_API_SECRET (not shown): "]
    assert drawer.kept[KEYRING_SERVICE, "EXCHANGE_API_KEY"] == CANARY
    found = read_credentials(["EXCHANGE_API_KEY"], default_sources(tmp_path / ".env", {}))
    assert found.sources == {"EXCHANGE_API_KEY": "keyring"}
    told = capsys.readouterr()
    assert main(["credentials", "check", "--json"]) == 0
    shown = capsys.readouterr()
    assert CANARY not in told.out + told.err + shown.out + shown.err
    document = json.loads(shown.out)
    assert document["credentials"][0] == {
        "name": "EXCHANGE_API_KEY",
        "source": "keyring",
        "also_in": [],
        "needed": False,
    }


def test_check_names_what_hides_what_and_what_is_missing(drawer, monkeypatch, capsys, tmp_path):
    drawer.kept[KEYRING_SERVICE, "EXCHANGE_API_KEY"] = CANARY
    monkeypatch.setenv("EXCHANGE_API_KEY", CANARY)
    (tmp_path / "config.json").write_text('{"exchange": {"paper_trading": false}}')
    assert main(["credentials", "check"]) == 1
    shown = capsys.readouterr()
    assert "EXCHANGE_API_KEY: keyring (hides environment)" in shown.out
    assert "EXCHANGE_API_SECRET: MISSING" in shown.out
    assert "Missing: EXCHANGE_API_SECRET" in shown.err
    assert CANARY not in shown.out + shown.err


def test_a_value_from_a_file(drawer, tmp_path):
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")
    assert main(["credentials", "set", "EXCHANGE_API_SECRET", "--file", "key.pem"]) == 0
    assert drawer.kept[KEYRING_SERVICE, "EXCHANGE_API_SECRET"].count("\n") == 2
    assert main(["credentials", "set", "--file", "key.pem"]) == 1
    assert main(["credentials", "set", "EXCHANGE_API_SECRET", "--file", "none.pem"]) == 2


def test_removing(drawer, capsys):
    drawer.kept[KEYRING_SERVICE, "EXCHANGE_API_KEY"] = CANARY
    assert main(["credentials", "remove", "EXCHANGE_API_KEY"]) == 1  # no terminal, no --yes
    assert drawer.kept
    assert main(["credentials", "remove", "EXCHANGE_API_KEY", "--yes"]) == 0
    assert not drawer.kept
    assert main(["credentials", "remove", "EXCHANGE_API_KEY", "--yes"]) == 1
    assert main(["credentials", "remove", "--yes"]) == 1


def test_a_value_as_an_argument_is_not_repeated(drawer, capsys):
    assert main(["credentials", "set", f"EXCHANGE_API_KEY={CANARY}"]) == 1
    shown = capsys.readouterr()
    assert "named here, not given" in shown.err
    assert CANARY not in shown.out + shown.err
    assert main(["credentials", "set", "EXCHANGE_API_KE"]) == 1
    assert "Did you mean EXCHANGE_API_KEY." in capsys.readouterr().err


def test_without_a_terminal_without_a_keyring_locked_and_empty(drawer, monkeypatch, capsys):
    assert main(["credentials", "set", "EXCHANGE_API_KEY"]) == 1
    assert "typed at a terminal" in capsys.readouterr().err
    prompt, _ = typed(monkeypatch, "", "YOUR_API_KEY_HERE", CANARY)
    for _ in range(2):
        with pytest.raises(Ended, match="empty or a placeholder"):
            set_command(["EXCHANGE_API_KEY"], None, prompt=prompt)
    drawer.locked = True
    with pytest.raises(Ended, match="the keyring refuses") as why:
        set_command(["EXCHANGE_API_KEY"], None, prompt=prompt)
    assert CANARY not in str(why.value) + why.value.fix
    keyring.set_keyring(fail.Keyring())
    with pytest.raises(Ended, match="no keyring is available here"):
        set_command(["EXCHANGE_API_KEY"], None, prompt=prompt)
    assert drawer.kept == {}
