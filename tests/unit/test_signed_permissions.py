"""What a key may do, right by right."""

from __future__ import annotations

from typing import Any

import pytest

from agent.exchange.signed.permissions import Gravity, KeyRights, KeyRightsUnreadable, read_key_rights

NOW = 1_750_000_000_000
DAY = 86_400_000

#: A key as it should be, with every field Binance documents.
GOOD: dict[str, Any] = {
    "ipRestrict": True,
    "createTime": 1_700_000_000_000,
    "enableInternalTransfer": False,
    "enableFutures": False,
    "enablePortfolioMarginTrading": False,
    "enableVanillaOptions": False,
    "permitsUniversalTransfer": False,
    "enableReading": True,
    "enableFixApiTrade": False,
    "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableMargin": False,
}


def judged(**changes: Any) -> KeyRights:
    answer = {k: v for k, v in {**GOOD, **changes}.items() if v != "gone"}
    rights = read_key_rights(answer, NOW)
    assert isinstance(rights, KeyRights)
    return rights


def test_a_key_as_it_should_be_has_no_findings() -> None:
    assert judged() == KeyRights(())
    assert not judged().refuse_live


@pytest.mark.parametrize(
    "right",
    [
        "enableWithdrawals",
        "enableInternalTransfer",
        "permitsUniversalTransfer",
        "enableMargin",
        "enableFutures",
        "enableVanillaOptions",
        "enablePortfolioMarginTrading",
    ],
)
@pytest.mark.parametrize("granted", [True, "gone", None, "false", 0])
def test_a_dangerous_right_refuses_live_unless_it_is_certainly_off(right: str, granted: object) -> None:
    rights = judged(**{right: granted})
    assert rights.refuse_live
    (finding,) = rights.findings
    assert finding.right == right
    assert finding.gravity is Gravity.REFUSES_LIVE


@pytest.mark.parametrize("right", ["enableReading", "enableSpotAndMarginTrading"])
@pytest.mark.parametrize("granted", [False, "gone", "true", 1])
def test_a_needed_right_must_certainly_be_there(right: str, granted: object) -> None:
    (finding,) = judged(**{right: granted}).findings
    assert (finding.right, finding.gravity) == (right, Gravity.REFUSES_LIVE)


@pytest.mark.parametrize("right", ["enableTeleport", "permitsEverything"])
@pytest.mark.parametrize("granted", [True, None, "yes"])
def test_a_right_nobody_knows_refuses_live(right: str, granted: object) -> None:
    (finding,) = judged(**{right: granted}).findings
    assert (finding.right, finding.gravity) == (right, Gravity.REFUSES_LIVE)


def test_a_right_nobody_knows_that_is_off_is_no_matter() -> None:
    assert judged(enableTeleport=False, note=True).findings == ()


@pytest.mark.parametrize("restricted", [False, "gone", None])
def test_a_key_that_works_from_everywhere_is_a_warning(restricted: object) -> None:
    rights = judged(ipRestrict=restricted)
    assert [f.gravity for f in rights.findings] == [Gravity.WARNING]
    assert not rights.refuse_live


@pytest.mark.parametrize(
    ("expires", "gravity"),
    [
        (NOW - 1, Gravity.REFUSES_LIVE),
        (NOW, Gravity.REFUSES_LIVE),
        (0, Gravity.REFUSES_LIVE),
        ("soon", Gravity.REFUSES_LIVE),
        (-(10**20), Gravity.REFUSES_LIVE),
        (10**20, Gravity.REFUSES_LIVE),
        (NOW + DAY, Gravity.WARNING),
        (NOW + 14 * DAY, None),
        (NOW + 90 * DAY, None),
        (None, None),
    ],
)
def test_the_end_of_the_right_to_trade_is_told_in_time(expires: object, gravity: Gravity | None) -> None:
    found = [f.gravity for f in judged(tradingAuthorityExpirationTime=expires).findings]
    assert found == ([] if gravity is None else [gravity])


@pytest.mark.parametrize("answer", [None, [], "yes", 7])
def test_an_answer_that_is_none_is_not_taken_for_a_good_key(answer: object) -> None:
    assert isinstance(read_key_rights(answer, NOW), KeyRightsUnreadable)


def test_an_empty_answer_refuses_everything() -> None:
    rights = read_key_rights({}, NOW)
    assert isinstance(rights, KeyRights)
    assert len(rights.findings) == 10
    assert rights.refuse_live
