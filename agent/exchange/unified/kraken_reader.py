"""Reads what a key of Kraken may do and what its account holds; it can do nothing else.

Needed before anything is armed, like its counterpart for Binance (`signed/rights_reader.py`): the type that
places orders refuses production then. Kraken's private requests are all POST, so this one knows two paths and
has no way to a third.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable, NoKeyRights
from agent.exchange.signed.rights_reader import AccountGlance
from agent.exchange.unified.kraken_rights import read_kraken_rights
from agent.exchange.unified.rising import RisingNumbers

_RIGHTS: Final = "/0/private/GetApiKeyInfo"
_BALANCES: Final = "/0/private/BalanceEx"
_PRODUCTION: Final = "https://api.kraken.com"
_TIMEOUT_S: Final = 10.0
#: Old coins have a letter in front, and two have names of their own.
_NAMES: Final = {"XBT": "BTC", "XDG": "DOGE"}


class KrakenReader:
    """`clock` says the exchange's time. Raises ValueError for a secret that cannot sign."""

    def __init__(self, addresses: Addresses, keys: ExchangeKeys, clock: Clock) -> None:
        try:
            self._secret = base64.b64decode(keys.api_secret.reveal(), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the secret of a Kraken key is base64, and this one is not") from None
        self._rest = addresses.rest or _PRODUCTION
        self._key = keys.api_key
        self._clock = clock
        self._numbers = RisingNumbers()
        # Numbers must arrive in the order in which they rise.
        self._lane = asyncio.Lock()

    async def rights(self) -> KeyRights | NoKeyRights | KeyRightsUnreadable:
        answer = await self._post(_RIGHTS)
        if isinstance(answer, str):
            return KeyRightsUnreadable(answer)
        return read_kraken_rights(answer, self._clock.now_ms())

    async def account(self) -> AccountGlance | str:
        """Or why it cannot be read."""
        answer = await self._post(_BALANCES)
        if isinstance(answer, str):
            return answer
        try:
            totals: dict[str, Decimal] = {}
            for asset, row in answer.items():
                coin = currency_of(asset)
                totals[coin] = totals.get(coin, Decimal(0)) + Decimal(row["balance"])
            return AccountGlance(totals, None)
        except (AttributeError, KeyError, TypeError, InvalidOperation):
            return "the account's answer makes no sense"

    async def _post(self, path: str) -> Any | str:
        async with self._lane:
            return await self._sent(path)

    async def _sent(self, path: str) -> Any | str:
        number = str(self._numbers.next())
        body = urlencode({"nonce": number})
        digest = hashlib.sha256((number + body).encode()).digest()
        sign = base64.b64encode(hmac.digest(self._secret, path.encode() + digest, "sha512")).decode()
        headers = {
            "API-Key": self._key.reveal(),
            "API-Sign": sign,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.post(
                    f"{self._rest}{path}", data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                told = await answer.json(content_type=None)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # The error's text may hold the request, and with it the signature.
            return f"no believable answer ({type(error).__name__})"
        errors = told.get("error") if isinstance(told, dict) else None
        if errors == [] and isinstance(told.get("result"), dict):
            return told["result"]
        said = "; ".join(map(str, errors))[:120] if isinstance(errors, list) else ""
        return f"HTTP {answer.status} {said}".strip()


def currency_of(asset: str) -> str:
    """Kraken's name of a coin as everybody else calls it; one with a suffix (staked, earning) as it is."""
    name = asset[1:] if len(asset) == 4 and asset[0] in "XZ" else asset
    return _NAMES.get(name, name)
