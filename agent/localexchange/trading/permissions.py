"""What the key may do.

Belongs here: the restrictions of the one key, as `/sapi/v1/account/apiRestrictions` tells them. Stays true:
what the answer says is what is enforced for reading and for trading; the rest is told and has no effect, for
a client that refuses to trade with a key that may do too much.
"""

from __future__ import annotations

from typing import Any, Final

_DEFAULTS: Final[dict[str, bool]] = {
    "ipRestrict": True,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": False,
    "enableSpotAndMarginTrading": True,
    "enablePortfolioMarginTrading": False,
}


class UnknownPermissionError(Exception):
    """The text says which are known."""


class Permissions:
    def __init__(self, created_ms: int) -> None:
        self._created_ms = created_ms
        self._flags = dict(_DEFAULTS)
        self._more: dict[str, Any] = {}

    @property
    def may_read(self) -> bool:
        return self._flags["enableReading"]

    @property
    def may_trade(self) -> bool:
        return self._flags["enableSpotAndMarginTrading"]

    def set(self, flags: dict[str, Any]) -> None:
        """Change some; an unheard-of `enable...` is told as given. Raises UnknownPermissionError."""
        for name, value in flags.items():
            known = name in self._flags or name.startswith(("enable", "permits"))
            if not isinstance(value, bool) or not known:
                offered = ", ".join(self._flags)
                raise UnknownPermissionError(
                    f"permissions are true or false, of {offered}; not {name}: {value!r}"
                )
        for name, value in flags.items():
            (self._flags if name in self._flags else self._more)[name] = value

    def told(self) -> dict[str, Any]:
        return {**self._flags, **self._more, "createTime": self._created_ms}
