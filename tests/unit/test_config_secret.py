"""A secret does not show itself by any of the ways text usually gets out."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest

from agent.config.findings import looks_like_secret, shown, shown_name, visible
from agent.config.secret import Secret

CANARY = "canary-9f8e7d6c"


def test_nothing_but_reveal_shows_it() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    for text in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r:>40}",
        f"{secret:>40}",
        f"{secret} {secret!r}",
    ):
        assert CANARY not in text
    assert CANARY not in repr([secret]) + repr({"k": secret})


def test_it_is_not_written_down() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError, match="not written down"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not hasattr(secret, "__dict__")


def test_it_compares_by_content() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret(CANARY + "x")
    assert Secret(CANARY) != CANARY
    assert len({Secret(CANARY), Secret(CANARY)}) == 1


def test_it_stays_hidden_in_logs_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("test").warning("key %s %r", secret, {"k": secret})
    assert CANARY not in caplog.text
    try:
        raise ValueError(secret)
    except ValueError:
        assert CANARY not in traceback.format_exc()


@pytest.mark.parametrize(
    "text",
    [
        "q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E",
        "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
        "organizations/0a1b2c3d-1111-2222-3333-444455556666/apiKeys/x",
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE",
        "postgresql://user:pw@host/db",
        "abcdefghijklmnopqrstuvwxyzabcdef",
        "before q7Wm2ZxVb91LkTn4 after",
    ],
)
def test_what_looks_like_a_secret_is_withheld(text: str) -> None:
    assert looks_like_secret(text)
    assert shown(text) is None


@pytest.mark.parametrize(
    "text", ["ADAUSDT", "ada/usdt:usdt", "first_level_touched", "15 minutes", "5%", "Binance US"]
)
def test_what_a_trader_mistypes_is_shown(text: str) -> None:
    assert shown(text) == text


def test_names_are_shown_unless_they_look_like_keys() -> None:
    assert shown_name("max_daily_loss_percent2") == "max_daily_loss_percent2"
    assert shown_name("") == '""'
    assert "q7Wm" not in shown_name("q7Wm2ZxVb91LkTn4RcYs8PdHf3GjQa6E")


def test_nothing_reaches_the_terminal_raw() -> None:
    assert visible("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    assert visible("\u202eabc") == "\\u202eabc"
    assert visible("x" * 100) == "x" * 57 + "..."
