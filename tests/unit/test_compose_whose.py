"""Whose rows a start uses: the account behind the key, and never a guess while something is open."""

from __future__ import annotations

import pytest
from config_documents import accepted

from agent.compose import whose as module
from agent.compose.accounts import KnownAccounts
from agent.compose.order_desk import Account
from agent.compose.whose import whose
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.exchange.addresses import Addresses
from agent.exchange.signed.account_identity import AccountNumber, KeyRefused, NoAnswer
from agent.exchange.unified.identity import KeyMark
from agent.exchange.weight_gate import WeightGate
from agent.shell.clock import SystemClock
from agent.store.batch import Scope

TESTNET = {"paper_trading": False, "testnet": True}
ORDERS = Addresses.sandbox("binance")
OPEN = Scope("agent", ORDERS.venue, "testnet", "u7", "ADA/USDT")
ELSEWHERE = Scope("agent", ORDERS.venue, "testnet", "u9", "ETH/USDT")


def keys(name="one"):
    return ExchangeKeys(Secret(f"key {name}"), Secret("a secret"), None)


@pytest.fixture
def asked(monkeypatch):
    """What the exchange would say, and how often it was asked."""
    said = []

    class Asked:
        answer = AccountNumber(7)

        async def __call__(self, *_):
            said.append(self.answer)
            return self.answer

    one = Asked()
    one.said = said
    monkeypatch.setattr(module, "account_of", one)
    return one


async def found(directory, *open_scopes, using="one"):
    clock = SystemClock()
    account = Account(ORDERS, keys(using), None)
    config = accepted(exchange=TESTNET)
    return await whose("agent", config, account, directory, open_scopes, WeightGate(clock), clock)


async def test_the_account_is_asked_for_once_for_every_key(tmp_path, asked):
    first = await found(tmp_path)
    assert first.scope == OPEN
    assert first == await found(tmp_path)
    assert len(asked.said) == 1
    assert await found(tmp_path, using="rotated") == first, "the account is the same"
    assert len(asked.said) == 2


async def test_a_rotated_key_finds_what_is_open(tmp_path, asked):
    rotated = await found(tmp_path, OPEN, using="rotated")
    assert (rotated.scope, rotated.exits_only_because, rotated.strangers_key) == (OPEN, None, False)


async def test_another_accounts_key_manages_nothing_of_this_one(tmp_path, asked):
    asked.answer = AccountNumber(8)
    other = await found(tmp_path, ELSEWHERE, OPEN)
    assert other.scope == OPEN
    assert other.strangers_key
    assert "account u7 and the key belongs to u8" in other.exits_only_because


async def test_a_refused_key_is_refused_flat_and_keeps_what_is_open(tmp_path, asked):
    asked.answer = KeyRefused("Invalid API-key (-2015)")
    assert "does not take the key" in await found(tmp_path)
    held = await found(tmp_path, OPEN)
    assert (held.scope, held.strangers_key) == (OPEN, False)
    assert "-2015" in held.exits_only_because
    assert KnownAccounts(tmp_path).account(ORDERS.venue, keys()) is None, "nothing was learned"


async def test_without_an_answer_what_is_open_is_looked_after_at_once(tmp_path, asked):
    asked.answer = NoAnswer("no answer within 8 s")
    assert (await found(tmp_path, OPEN)).scope == OPEN
    assert len(asked.said) == 1


# --- where the exchange has no number of an account


KRAKEN = Addresses.replaced("kraken", "http://127.0.0.1:1", None)
LIVE = {"exchange_name": "kraken", "paper_trading": False, "testnet": False}


@pytest.fixture
def marked(monkeypatch):
    """A key that is taken: by its own mark, and whether it shows orders of ours."""

    class Marked:
        sees_ours = False

        async def __call__(self, keys, *_, pair, tag):
            assert (pair, len(tag)) == ("ADA/USDT", 5)
            return KeyMark(f"k{keys.api_key.reveal()}", self.sees_ours)

    one = Marked()
    monkeypatch.setattr(module, "key_mark", one)
    return one


async def kraken(directory, *open_scopes, using="one"):
    clock = SystemClock()
    account = Account(KRAKEN, keys(using), None)
    config = accepted(exchange=LIVE)
    return await whose("agent", config, account, directory, open_scopes, WeightGate(clock), clock)


async def test_an_account_without_a_number_goes_by_its_first_key(tmp_path, marked):
    first = await kraken(tmp_path)
    assert first.scope.account == "kkey one"
    marked.sees_ours = True
    rotated = await kraken(tmp_path, first.scope, using="rotated")
    assert (rotated.scope, rotated.strangers_key) == (first.scope, False)
    assert rotated == await kraken(tmp_path, using="rotated"), "remembered"


async def test_a_key_that_shows_no_orders_of_ours_is_another_accounts(tmp_path, marked):
    first = await kraken(tmp_path)
    other = await kraken(tmp_path, first.scope, using="other")
    assert other.strangers_key
    assert (await kraken(tmp_path, using="other")).scope.account == "kkey other"
    # Of two accounts nobody can tell which one a third key belongs to.
    marked.sees_ours = True
    assert (await kraken(tmp_path, using="third")).scope.account == "kkey third"
