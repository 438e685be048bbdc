"""What the API key may do, and whether that is more than an agent should hold.

PURE. Of Binance's `apiRestrictions`. A key needs reading and spot trading; rights to move money away, to
borrow, or to trade anything but spot refuse live trading, and so does every right nobody listed here: an
unknown right that is granted is refused, because it was made after this table. What is missing from the
answer counts as granted where it would be a danger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from agent.core.instant import iso_utc
from agent.core.market import DAY_MS
from agent.exchange.signed.fields import FieldError, obj

#: Rights a key must have.
_NEEDED: Final[Mapping[str, str]] = {
    "enableReading": "reading the account",
    "enableSpotAndMarginTrading": "spot trading",
}
#: Rights a key must not have.
_DANGEROUS: Final[Mapping[str, str]] = {
    "enableWithdrawals": "withdrawals",
    "enableInternalTransfer": "internal transfers",
    "permitsUniversalTransfer": "universal transfers",
    "enableMargin": "margin",
    "enableFutures": "futures",
    "enableVanillaOptions": "options",
    "enablePortfolioMarginTrading": "portfolio margin",
}
#: Other ways to the same spot orders and the same data.
_HARMLESS: Final = frozenset({"enableFixApiTrade", "enableFixReadOnly"})
_PREFIXES: Final = ("enable", "permits")
_EXPIRY: Final = "tradingAuthorityExpirationTime"
_EXPIRES_SOON_MS: Final = 14 * DAY_MS
#: The end of the year 9999.
_LAST_MOMENT_MS: Final = 253_402_300_799_999


class Gravity(StrEnum):
    REFUSES_LIVE = "refuses live"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """`right` is Binance's name for it; `text` says what is wrong and how to mend it."""

    gravity: Gravity
    right: str
    text: str


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What was found; nothing when the key is as it should be."""

    findings: tuple[KeyFinding, ...]

    @property
    def refuse_live(self) -> bool:
        return any(finding.gravity is Gravity.REFUSES_LIVE for finding in self.findings)


@dataclass(frozen=True, slots=True)
class NoKeyRights:
    """The exchange's sandbox tells no rights: it has nothing to protect."""


@dataclass(frozen=True, slots=True)
class KeyRightsUnreadable:
    """Live trading needs to know; it is refused until this can be read."""

    detail: str


def read_key_rights(answer: object, now_ms: int) -> KeyRights | KeyRightsUnreadable:
    """Judge an answer of `/sapi/v1/account/apiRestrictions`. `now_ms`: venue time."""
    try:
        data = obj(answer, "the rights of the key")
    except FieldError as error:
        return KeyRightsUnreadable(str(error))
    return KeyRights((*_needed(data), *_dangerous(data), *_unknown(data), *_restricted(data, now_ms)))


def _needed(data: Mapping[str, Any]) -> list[KeyFinding]:
    return [
        KeyFinding(Gravity.REFUSES_LIVE, right, f"the key does not allow {what}: enable it for this key")
        for right, what in _NEEDED.items()
        if data.get(right) is not True
    ]


def _dangerous(data: Mapping[str, Any]) -> list[KeyFinding]:
    found = []
    for right, what in _DANGEROUS.items():
        if data.get(right) is not False:
            tells = "allows" if data.get(right) is True else "may allow (the exchange does not say)"
            found.append(_refused(right, f"the key {tells} {what}: disable it, an agent must not hold that"))
    return found


def _unknown(data: Mapping[str, Any]) -> list[KeyFinding]:
    known = _NEEDED.keys() | _DANGEROUS.keys() | _HARMLESS
    return [
        _refused(right, f"the key has a right that is not known here, {right}: disable it")
        for right, granted in data.items()
        if right.startswith(_PREFIXES) and right not in known and granted is not False
    ]


def _restricted(data: Mapping[str, Any], now_ms: int) -> list[KeyFinding]:
    found = []
    if data.get("ipRestrict") is not True:
        text = "the key works from every address: restrict it to this machine's; such a key also expires"
        found.append(KeyFinding(Gravity.WARNING, "ipRestrict", text))
    expires_ms = data.get(_EXPIRY)
    if expires_ms is None:
        return found
    if type(expires_ms) is not int or not 0 <= expires_ms <= _LAST_MOMENT_MS:
        text = f"until when the key may trade makes no sense: {str(expires_ms)[:40]!r}"
        found.append(_refused(_EXPIRY, text))
    elif expires_ms <= now_ms:
        text = f"the right to trade ended at {iso_utc(expires_ms)}: renew the key or restrict it to addresses"
        found.append(_refused(_EXPIRY, text))
    elif expires_ms - now_ms < _EXPIRES_SOON_MS:
        text = f"the right to trade ends at {iso_utc(expires_ms)}: restrict the key to addresses or renew it"
        found.append(KeyFinding(Gravity.WARNING, _EXPIRY, text))
    return found


def _refused(right: str, text: str) -> KeyFinding:
    return KeyFinding(Gravity.REFUSES_LIVE, right, text)
