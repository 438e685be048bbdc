"""Accounts and orders of the exchange: pure, no sockets, no clock.

Belongs here: who owns what and what was ordered; matching joins it with the trading side. Stays true:
amounts are Decimal; an asset that was never credited is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from agent.core.money import ZERO


@dataclass(frozen=True, slots=True)
class Balance:
    free: Decimal
    locked: Decimal


class Venue:
    """The account of the one key this exchange knows."""

    def __init__(self, deposits: Mapping[str, Decimal]) -> None:
        for asset, amount in deposits.items():
            assert amount >= 0, f"a deposit of {asset} cannot be negative"
        self._balances = {asset: Balance(amount, ZERO) for asset, amount in deposits.items()}

    @property
    def balances(self) -> Mapping[str, Balance]:
        return self._balances
