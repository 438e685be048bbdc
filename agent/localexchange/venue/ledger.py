"""Who owns what: balances, and the books they must agree with.

Belongs here: free and locked amounts per asset, moved by deposits, locks, trades and fees. Stays true: no
balance is ever negative; free + locked = what came from outside + what trades moved - what fees took,
exactly, for every asset and after every movement; locked = the sum of all holds. A movement that cannot be
made raises before anything is changed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal

from agent.core.money import ZERO
from agent.core.value import Value
from agent.localexchange.venue.refusals import insufficient_balance


class Balance(Value, frozen=True):
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


class Hold(Value, frozen=True):
    """An amount set aside for an order, or for a pair of which only one can trade."""

    asset: str
    amount: Decimal


_NOTHING = Balance(ZERO, ZERO)


class Ledger:
    """The account of the one key this exchange knows."""

    def __init__(self, deposits: Mapping[str, Decimal], at_ms: int) -> None:
        self._versions: dict[str, list[tuple[int, Balance]]] = {}
        self._holds: dict[int, Hold] = {}
        self._outside: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self._traded: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self._fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self._touched: dict[str, None] = {}
        self.updated_ms = at_ms
        for asset, amount in deposits.items():
            assert amount >= 0, f"a deposit of {asset} cannot be negative"
            self.deposit(asset, amount, at_ms)
        self._touched.clear()

    # -- reading -------------------------------------------------------------------------------------

    def balance(self, asset: str) -> Balance:
        versions = self._versions.get(asset)
        return versions[-1][1] if versions else _NOTHING

    def balances(self, as_of_ms: int | None = None) -> dict[str, Balance]:
        """Every asset that was ever credited, as it is or as it was at a past moment."""
        if as_of_ms is None:
            return {asset: versions[-1][1] for asset, versions in self._versions.items()}
        found = {}
        for asset, versions in self._versions.items():
            place = bisect_right(versions, as_of_ms, key=lambda version: version[0])
            if place:
                found[asset] = versions[place - 1][1]
        return found

    def hold(self, key: int) -> Hold | None:
        return self._holds.get(key)

    @property
    def holds(self) -> Mapping[int, Hold]:
        return self._holds

    def take_touched(self) -> list[str]:
        """Assets moved since the last call, in the order in which they were first touched."""
        touched = list(self._touched)
        self._touched.clear()
        return touched

    # -- moving --------------------------------------------------------------------------------------

    def deposit(self, asset: str, amount: Decimal, at_ms: int) -> None:
        self._outside[asset] += amount
        self._move(asset, amount, ZERO, at_ms)

    def withdraw(self, asset: str, amount: Decimal, at_ms: int) -> None:
        """Raises RefusedError when not that much is free."""
        self.must_have(asset, amount)
        self._outside[asset] -= amount
        self._move(asset, -amount, ZERO, at_ms)

    def must_have(self, asset: str, amount: Decimal) -> None:
        """Raises RefusedError when less is free."""
        if self.balance(asset).free < amount:
            raise insufficient_balance()

    def set_hold(self, key: int, asset: str, amount: Decimal, at_ms: int) -> None:
        """Set aside exactly `amount`, whatever was before; zero ends the hold. Raises RefusedError."""
        before = self._holds.get(key)
        assert before is None or before.asset == asset, "a hold does not change its asset"
        more = amount - (before.amount if before else ZERO)
        if more > 0:
            self.must_have(asset, more)
        if more:
            self._move(asset, -more, more, at_ms)
        if amount:
            self._holds[key] = Hold(asset, amount)
        else:
            self._holds.pop(key, None)

    def pay(self, key: int | None, asset: str, amount: Decimal, at_ms: int) -> None:
        """Give `amount` away in a trade, out of a hold or, without one, out of what is free."""
        hold = None if key is None else self._holds.get(key)
        self._traded[asset] -= amount
        if hold is None or key is None:
            self._move(asset, -amount, ZERO, at_ms)
            return
        assert hold.asset == asset, "a hold pays in its own asset"
        assert hold.amount >= amount, f"a hold of {hold.amount} {asset} cannot pay {amount}"
        self._move(asset, ZERO, -amount, at_ms)
        self._holds[key] = Hold(asset, hold.amount - amount)

    def receive(self, asset: str, amount: Decimal, at_ms: int) -> None:
        """Get `amount` in a trade."""
        self._traded[asset] += amount
        self._move(asset, amount, ZERO, at_ms)

    def pay_fee(self, asset: str, amount: Decimal, at_ms: int) -> None:
        self._fees[asset] += amount
        self._move(asset, -amount, ZERO, at_ms)

    def _move(self, asset: str, free: Decimal, locked: Decimal, at_ms: int) -> None:
        before = self.balance(asset)
        after = Balance(before.free + free, before.locked + locked)
        assert after.free >= 0, f"{asset}: free would be {after.free}"
        assert after.locked >= 0, f"{asset}: locked would be {after.locked}"
        versions = self._versions.setdefault(asset, [])
        assert not versions or versions[-1][0] <= at_ms, "balances do not change in the past"
        if versions and versions[-1][0] == at_ms:
            versions[-1] = (at_ms, after)
        else:
            versions.append((at_ms, after))
        self.updated_ms = at_ms
        self._touched[asset] = None

    # -- the law -------------------------------------------------------------------------------------

    def audit(self) -> None:
        """Assert that balances equal the sum of what moved them, and that locked is what is held."""
        locked: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for hold in self._holds.values():
            locked[hold.asset] += hold.amount
        for asset, versions in self._versions.items():
            balance = versions[-1][1]
            moved = self._outside[asset] + self._traded[asset] - self._fees[asset]
            assert balance.total == moved, f"{asset}: {balance.total} owned, {moved} moved"
            assert balance.locked == locked[asset], f"{asset}: {balance.locked} locked, {locked[asset]} held"
