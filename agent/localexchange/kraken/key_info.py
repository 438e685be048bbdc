"""GetApiKeyInfo: what the one key may do, in Kraken's words."""

from __future__ import annotations

from typing import Any, Final

from agent.localexchange.trading.permissions import Permissions

#: What each permission of the venue's is called here.
_NAMES: Final = {
    "enableReading": ("query-funds", "query-open-trades", "query-closed-trades"),
    "enableSpotAndMarginTrading": ("modify-trades", "close-trades"),
    "enableWithdrawals": ("withdraw-funds",),
}


def key_info(permissions: Permissions, key: str) -> dict[str, Any]:
    told = permissions.told()
    granted = [name for flag, names in _NAMES.items() if told[flag] for name in names]
    # What nobody has heard of is told as it was set.
    granted += [name for name, on in told.items() if name.startswith("enableNew") and on is True]
    created = str(told["createTime"] // 1_000)
    return {
        "apiKeyName": "local",
        "apiKey": key,
        "nonce": "0",
        "nonceWindow": 0,
        "permissions": granted,
        "iban": "AA00 0000 0000 0000",
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": created,
        "modifiedTime": created,
        "ipAllowlist": ["127.0.0.1"] if told["ipRestrict"] else [],
        "lastUsed": created,
    }
