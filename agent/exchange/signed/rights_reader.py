"""Reads what a key may do, and what its account holds; it can do nothing else.

Needed before anything is armed: the type that places orders refuses production then. This one knows two
requests, both GET, and has no way to another; so it needs no arming.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import aiohttp

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import BINANCE, Addresses
from agent.exchange.signed.keys import RequestKeys
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable, NoKeyRights, read_key_rights

_RIGHTS: Final = "/sapi/v1/account/apiRestrictions"
_ACCOUNT: Final = "/api/v3/account"
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class AccountGlance:
    """Free and locked together, by currency; the taker fee as a fraction, None where it is not told."""

    totals: dict[str, Decimal]
    taker_fee_rate: Decimal | None


class RightsReader:
    """`clock` says the exchange's time. Raises ValueError for a key that cannot sign, or another exchange."""

    def __init__(self, addresses: Addresses, keys: ExchangeKeys, clock: Clock) -> None:
        if addresses.exchange != BINANCE or addresses.rest is None:
            raise ValueError(f"the rights of a key on {addresses.exchange} cannot be read")
        self._rest = addresses.rest
        self._offers_rights = addresses.environment != "sandbox"
        self._keys = RequestKeys(keys)
        self._clock = clock

    async def rights(self) -> KeyRights | NoKeyRights | KeyRightsUnreadable:
        if not self._offers_rights:
            return NoKeyRights()
        answer = await self._get(_RIGHTS)
        if isinstance(answer, str):
            return KeyRightsUnreadable(answer)
        return read_key_rights(answer, self._clock.now_ms())

    async def account(self) -> AccountGlance | str:
        """Or why it cannot be read."""
        answer = await self._get(_ACCOUNT)
        if isinstance(answer, str):
            return answer
        try:
            totals = {
                row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in answer["balances"]
            }
            rate = answer.get("commissionRates", {}).get("taker")
            return AccountGlance(totals, None if rate is None else Decimal(rate))
        except (AttributeError, KeyError, TypeError, InvalidOperation):
            return "the account's answer makes no sense"

    async def _get(self, path: str) -> Any | str:
        now_ms = self._clock.now_ms()
        url = f"{self._rest}{path}?{self._keys.signed_query({'recvWindow': 5_000, 'timestamp': now_ms})}"
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(
                    url, headers={"X-MBX-APIKEY": self._keys.api_key}, allow_redirects=False
                ) as answer,
            ):
                body = await answer.json(content_type=None)
                if answer.status == 200:
                    return body
                said = str(body.get("msg", ""))[:120] if isinstance(body, dict) else ""
                return f"HTTP {answer.status} {said}".strip()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            # The error's text may hold the request, and with it the signature.
            return f"no believable answer ({type(error).__name__})"
