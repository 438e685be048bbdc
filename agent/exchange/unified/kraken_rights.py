"""What a key of Kraken may do, out of its own answer to GetApiKeyInfo.

PURE. A key needs to read funds and open orders and to make orders; the right to withdraw refuses live
trading, and so does any right that nobody listed here, because it was made after this table. The rights to
deposit and to allocate to earning programmes are not needed: allocating moves coins and refuses, a deposit
address does neither. Source: Kraken, "Get API Key Info" and "API key permissions" (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agent.core.instant import iso_utc
from agent.core.market import DAY_MS
from agent.exchange.signed.fields import FieldError, obj, rows
from agent.exchange.signed.permissions import Gravity, KeyFinding, KeyRights, KeyRightsUnreadable

_NEEDED: Final[Mapping[str, str]] = {
    "query-funds": "Query Funds",
    "query-open-trades": "Query Open Orders & Trades",
    "modify-trades": "Create & Modify Orders",
}
_HARMLESS: Final = frozenset(
    {"query-closed-trades", "close-trades", "cancel-trades", "query-ledger", "query-ledgers", "export-data"}
)
#: The right to be let into the account's socket, however it is written.
_SOCKETS: Final = "websocket"
_DANGEROUS: Final[Mapping[str, str]] = {"withdraw-funds": "withdrawals", "earn-funds": "earning programmes"}
_IDLE: Final = "add-funds"
_EXPIRES_SOON_MS: Final = 14 * DAY_MS


def read_kraken_rights(answer: object, now_ms: int) -> KeyRights | KeyRightsUnreadable:
    """Judge the `result` of GetApiKeyInfo. `now_ms`: venue time."""
    try:
        data = obj(answer, "the rights of the key")
        rights = {str(right) for right in rows(data.get("permissions"), "the permissions of the key")}
    except FieldError as error:
        return KeyRightsUnreadable(str(error))
    found = [
        _refused(right, f"the key does not allow {name}: enable it for this key")
        for right, name in _NEEDED.items()
        if right not in rights
    ]
    for right in sorted(rights - _NEEDED.keys() - _HARMLESS):
        if right in _DANGEROUS:
            text = f"the key allows {_DANGEROUS[right]}: disable it, an agent must not hold that"
            found.append(_refused(right, text))
        elif right == _IDLE:
            text = "the key may make deposit addresses: disable it, it is not needed"
            found.append(KeyFinding(Gravity.WARNING, right, text))
        elif _SOCKETS not in right:
            found.append(_refused(right, f"the key has a right that is not known here, {right}: disable it"))
    if not data.get("ipAllowlist"):
        text = "the key works from every address: restrict it to this machine's"
        found.append(KeyFinding(Gravity.WARNING, "ipAllowlist", text))
    return KeyRights((*found, *_expiry(data, now_ms)))


def _expiry(data: Mapping[str, Any], now_ms: int) -> list[KeyFinding]:
    told = data.get("validUntil", "0")
    try:
        until_ms = int(str(told)) * 1_000
        moment = iso_utc(until_ms)
    except (ValueError, OverflowError, OSError):
        return [_refused("validUntil", f"until when the key is valid makes no sense: {str(told)[:40]!r}")]
    if not until_ms:
        return []
    if until_ms <= now_ms:
        return [_refused("validUntil", f"the key ended at {moment}: make a new one")]
    if until_ms - now_ms < _EXPIRES_SOON_MS:
        return [
            KeyFinding(Gravity.WARNING, "validUntil", f"the key ends at {moment}: make a new one in time")
        ]
    return []


def _refused(right: str, text: str) -> KeyFinding:
    return KeyFinding(Gravity.REFUSES_LIVE, right, text)
