"""What a Kraken key may do, judged from its own answer."""

from __future__ import annotations

from typing import Any

import pytest

from agent.exchange.signed.permissions import Gravity, KeyRights, KeyRightsUnreadable
from agent.exchange.unified.kraken_reader import currency_of
from agent.exchange.unified.kraken_rights import read_kraken_rights

NOW_MS = 1_750_000_000_000
NEEDED = ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"]
GOOD: dict[str, Any] = {"permissions": NEEDED, "ipAllowlist": ["192.0.2.7"], "validUntil": "0"}


def judged(**more: Any) -> KeyRights:
    rights = read_kraken_rights({**GOOD, **more}, NOW_MS)
    assert isinstance(rights, KeyRights)
    return rights


def test_a_key_that_trades_and_nothing_else_is_as_it_should_be() -> None:
    assert judged().findings == ()
    assert judged(permissions=[*NEEDED, "access-websockets-api", "query-ledger"]).findings == ()


@pytest.mark.parametrize("right", ["withdraw-funds", "earn-funds", "transfer-everything"])
def test_rights_that_move_money_or_that_nobody_knows_refuse_live(right: str) -> None:
    rights = judged(permissions=[*NEEDED, right])
    assert rights.refuse_live
    assert [finding.right for finding in rights.findings] == [right]


@pytest.mark.parametrize("right", ["query-funds", "query-open-trades", "modify-trades"])
def test_rights_that_are_missing_refuse_live(right: str) -> None:
    rights = judged(permissions=[one for one in NEEDED if one != right])
    assert rights.refuse_live
    assert "enable it" in rights.findings[0].text


@pytest.mark.parametrize(
    "more", [{"ipAllowlist": []}, {"permissions": [*NEEDED, "add-funds"]}, {"validUntil": "1750500000"}]
)
def test_what_is_only_unwise_warns(more: dict[str, Any]) -> None:
    rights = judged(**more)
    assert [finding.gravity for finding in rights.findings] == [Gravity.WARNING]


@pytest.mark.parametrize("until", ["1749999999", "never", None])
def test_a_key_that_ended_or_says_nonsense_refuses_live(until: object) -> None:
    assert judged(validUntil=until).refuse_live


@pytest.mark.parametrize("answer", [None, [], {}, {"permissions": "all"}])
def test_what_cannot_be_read_is_not_taken_for_harmless(answer: object) -> None:
    assert isinstance(read_kraken_rights(answer, NOW_MS), KeyRightsUnreadable)


@pytest.mark.parametrize(
    ("asset", "coin"),
    [("XXBT", "BTC"), ("XBT", "BTC"), ("ZUSD", "USD"), ("XXDG", "DOGE"), ("ADA", "ADA"), ("USDT", "USDT"),
     ("XTZ", "XTZ"), ("ADA.S", "ADA.S")],
)  # fmt: skip
def test_old_names_of_coins(asset: str, coin: str) -> None:
    assert currency_of(asset) == coin
