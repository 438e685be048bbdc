"""The keys a mode needs: asked for only then, hidden at once, and what is missing said with what to do."""

from __future__ import annotations

import pytest
from config_documents import accepted

from agent.compose.access import access_for
from agent.compose.account_keys import account_keys
from agent.config.load import Loaded
from agent.options import RunOptions
from agent.shell.redaction import Secrets
from agent.store.data_dir import DataDir
from agent.store.prepare import prepare

TESTNET = {"paper_trading": False, "testnet": True}
KEY, SECRET = "canary-key-0123456789", "canary-secret-9876543210"


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch):
    for name in ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def env_file(directory, text, mode=0o600):
    path = directory / ".env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_is_read_is_hidden_before_anything_else(tmp_path):
    secrets = Secrets()
    path = env_file(tmp_path, f"EXCHANGE_API_KEY={KEY}\nEXCHANGE_API_SECRET={SECRET}\n")
    found = account_keys(accepted(exchange=TESTNET), path, secrets)
    assert (found.api_key.reveal(), found.api_secret.reveal()) == (KEY, SECRET)
    assert secrets.redact(f"{KEY} and {SECRET}") == "*** and ***"


def test_missing_keys_are_named_with_what_to_do(tmp_path):
    path = env_file(tmp_path, f"EXCHANGE_API_KEY={KEY}\n")
    why = account_keys(accepted(exchange=TESTNET), path, Secrets())
    assert why.startswith("EXCHANGE_API_SECRET missing, and needed for testnet trading")
    assert "credentials set" in why
    assert "chmod 600 .env" in why
    assert KEY not in why


def test_a_person_is_asked_for_what_is_missing_and_only_for_that(tmp_path):
    asked = []

    def ask(name):
        asked.append(name)
        return SECRET

    path = env_file(tmp_path, f"EXCHANGE_API_KEY={KEY}\n")
    secrets = Secrets()
    found = account_keys(accepted(exchange=TESTNET), path, secrets, ask)
    assert asked == ["EXCHANGE_API_SECRET"]
    assert found.api_secret.reveal() == SECRET
    assert secrets.redact(SECRET) == "***"


def test_a_person_who_types_nothing_gets_the_sentence(tmp_path):
    why = account_keys(accepted(exchange=TESTNET), tmp_path / ".env", Secrets(), lambda name: None)
    assert "EXCHANGE_API_KEY and EXCHANGE_API_SECRET missing" in why


def test_a_file_others_may_read_is_no_source(tmp_path):
    path = env_file(tmp_path, f"EXCHANGE_API_KEY={KEY}\nEXCHANGE_API_SECRET={SECRET}\n", 0o640)
    why = account_keys(accepted(exchange=TESTNET), path, Secrets())
    assert "chmod 600 .env" in why
    assert "canary" not in why


def test_a_key_that_cannot_sign_is_refused_without_showing_it(tmp_path):
    pem = "-----BEGIN PRIVATE KEY-----\\ncanary0000\\n-----END PRIVATE KEY-----"
    path = env_file(tmp_path, f'EXCHANGE_API_KEY={KEY}\nEXCHANGE_API_SECRET="{pem}"\n')
    why = account_keys(accepted(exchange=TESTNET), path, Secrets())
    assert why.startswith("EXCHANGE_API_SECRET: ")
    assert "canary" not in why


def test_only_another_key_is_a_reason_to_start_again(tmp_path):
    """A key of another account than what is open there: looking for one must not find the same again."""
    prepare(tmp_path / "trades.db")
    path = env_file(tmp_path, f"EXCHANGE_API_KEY={KEY}\nEXCHANGE_API_SECRET={SECRET}\n")
    config = accepted(exchange=TESTNET)
    options = RunOptions(
        config=Loaded(config, (), tmp_path),
        config_path=tmp_path,
        env_path=path,
        data_dir=tmp_path,
        start=False,
        confirmed_live=False,
        exchange=None,
        clock="system",
        log_json=False,
    )
    access = access_for(config, options, DataDir(tmp_path), Secrets())
    assert access.account is not None
    assert not access.look()
    env_file(tmp_path, f"EXCHANGE_API_KEY=another-{KEY}\nEXCHANGE_API_SECRET={SECRET}\n")
    assert access.look()
    path.unlink()
    assert not access.look()
