"""Which account a key belongs to, remembered; one engine for each exchange, account and pair."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from agent.compose.accounts import AccountTaken, KnownAccounts, Traded, fingerprint, trading_alone
from agent.compose.silences import Silences
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret

VENUE = "binance@testnet.binance.vision"


def keys(name):
    return ExchangeKeys(Secret(f"canary-key-{name}"), Secret("canary-secret"), None)


def traded(pair="ADA/USDT", account="u7", venue=VENUE, capital=None):
    return Traded(venue, account, pair, None if capital is None else Decimal(capital))


def test_an_account_is_remembered_by_key_and_venue_and_no_key_is_written(tmp_path):
    known = KnownAccounts(tmp_path)
    assert known.account(VENUE, keys("old")) is None
    known.learn(VENUE, keys("old"), "u7")
    known.learn(VENUE, keys("new"), "u7")
    again = KnownAccounts(tmp_path)
    assert again.account(VENUE, keys("old")) == again.account(VENUE, keys("new")) == "u7"
    assert again.account("binance@127.0.0.1:1", keys("old")) is None
    assert "canary" not in (tmp_path / "accounts.json").read_text()
    assert fingerprint(keys("old")) != fingerprint(keys("new"))


@pytest.mark.parametrize("content", ["", "[]", '{"a": 5}', "{" * 5_000])
def test_a_damaged_file_only_costs_a_question(tmp_path, content):
    (tmp_path / "accounts.json").write_text(content)
    known = KnownAccounts(tmp_path)
    assert known.account(VENUE, keys("old")) is None
    known.learn(VENUE, keys("old"), "u7")
    assert known.account(VENUE, keys("old")) == "u7"


def test_one_pair_of_one_account_is_traded_by_one_engine(tmp_path):
    with trading_alone(traded(), 1, tmp_path):
        with (
            pytest.raises(AccountTaken, match="already trades ADA/USDT on this account"),
            trading_alone(traded(), 2, tmp_path),
        ):
            pass
        for other in (traded(account="u8"), traded(venue="binance@127.0.0.1:1")):
            with trading_alone(other, 2, tmp_path):
                pass
    with trading_alone(traded(), 3, tmp_path):
        pass


@pytest.mark.parametrize(("ours", "theirs"), [(None, None), ("500", None), (None, "500")])
def test_two_pairs_of_one_account_need_their_capital_said(tmp_path, ours, theirs):
    with (
        trading_alone(traded(capital=theirs), 1, tmp_path),
        pytest.raises(AccountTaken, match=r"set agent\.capital for both"),
        trading_alone(traded("ETH/USDT", capital=ours), 2, tmp_path),
    ):
        pass


def test_with_capital_on_both_sides_two_pairs_go_together(tmp_path):
    with (
        trading_alone(traded(capital="500"), 1, tmp_path),
        trading_alone(traded("ETH/USDT", capital="300"), 2, tmp_path),
    ):
        pass


def test_who_is_gone_is_no_neighbour(tmp_path):
    with trading_alone(traded(), 1, tmp_path):
        pass
    note = next(iter(tmp_path.glob("*.lock"))).with_suffix(".json")
    gone = {"venue": VENUE, "account": "u7", "pair": "ADA/USDT", "capital": None}
    note.write_text(json.dumps(gone))
    with trading_alone(traded("ETH/USDT"), 2, tmp_path):
        pass


def test_silences_are_kept_by_venue(tmp_path):
    Silences(tmp_path).keep(VENUE, 5_000)
    Silences(tmp_path).keep("binance@api.binance.com", 7_000)
    again = Silences(tmp_path)
    assert (again.until_ms(VENUE), again.until_ms("binance@api.binance.com")) == (5_000, 7_000)
    assert again.until_ms("binance@elsewhere") == 0
    (tmp_path / "rate-limits.json").write_text("{")
    assert again.until_ms(VENUE) == 0
