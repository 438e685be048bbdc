"""Other hands on the account: its owner by hand, a second bot, the cashier.

Belongs here: orders, cancels, deposits and withdrawals that do not come from the client under test. Stays
true: they are ordinary events of the venue, told like all others; what cannot be done raises a sentence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from agent.core.money import ZERO, money
from agent.localexchange.trading.desk import Desk
from agent.localexchange.venue.order import Terms
from agent.localexchange.venue.outcomes import Placed, Which
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.words import Force, Kind, Side

#: What Binance's own website calls its orders.
_TAG: Final = "web_"


class StrangerError(Exception):
    """What was asked for cannot be done; the text says why."""


class Strangers:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ids: Iterator[int] = itertools.count(1)

    def check(self, wish: Mapping[str, Any]) -> None:
        """Raises StrangerError for what makes no sense at any time."""
        match wish.get("variant"):
            case "order":
                self._terms(wish)
            case "deposit" | "withdraw":
                _asset(wish)
                _positive(wish, "amount")

    def act(self, wish: Mapping[str, Any]) -> None:
        """`variant` order, cancel, deposit or withdraw, with what belongs to it. Raises StrangerError."""
        match wish.get("variant"):
            case "order":
                self.order(wish)
            case "cancel":
                self.cancel(wish)
            case "deposit":
                self.deposit(_asset(wish), _positive(wish, "amount"))
            case _:
                self.withdraw(_asset(wish), _positive(wish, "amount"))

    def order(self, wish: Mapping[str, Any]) -> Placed:
        """`symbol`, `side`, `type`, `quantity`, `price`, `stop_price`, `time_in_force`, `client_id`."""
        terms = self._terms(wish)
        now_ms = self._desk.catch_up()
        try:
            placed = self._desk.venue.place(terms, self._desk.prices(terms.symbol, now_ms))
        except RefusedError as refused:
            raise StrangerError(f"the exchange refuses this order: {refused.text}") from None
        self._desk.publish()
        return placed

    def cancel(self, wish: Mapping[str, Any]) -> None:
        """The open order with `client_id`, or all of `symbol` without one."""
        symbol, client_id = self._symbol(wish), str(wish.get("client_id") or "")
        now_ms = self._desk.catch_up()
        prices = self._desk.prices(symbol, now_ms)
        cancel_id = f"{_TAG}{next(self._ids):018d}"
        try:
            if client_id:
                self._desk.venue.cancel(symbol, Which(None, client_id), cancel_id, "", prices)
            else:
                self._desk.venue.cancel_all(cancel_id, prices)
        except RefusedError as refused:
            raise StrangerError(f"the exchange refuses this cancel: {refused.text}") from None
        self._desk.publish()

    def deposit(self, asset: str, amount: Decimal) -> None:
        self._desk.venue.deposit(asset, amount, self._desk.catch_up())
        self._desk.publish()

    def withdraw(self, asset: str, amount: Decimal) -> None:
        try:
            self._desk.venue.withdraw(asset, amount, self._desk.catch_up())
        except RefusedError:
            free = self._desk.venue.ledger.balance(asset).free
            raise StrangerError(f"cannot withdraw {amount} {asset}: only {free} are free") from None
        self._desk.publish()

    def _symbol(self, wish: Mapping[str, Any]) -> str:
        symbol = str(wish.get("symbol") or self._desk.market.main.pair.symbol)
        if self._desk.market.find(symbol) is None:
            offered = ", ".join(self._desk.market.symbols)
            raise StrangerError(f"there is no symbol {symbol!r}; there are {offered}")
        return symbol

    def _terms(self, wish: Mapping[str, Any]) -> Terms:
        symbol = self._symbol(wish)
        try:
            side = Side(wish.get("side", ""))
            kind = Kind(wish.get("type", ""))
            force = Force(wish.get("time_in_force") or "GTC")
        except ValueError as error:
            raise StrangerError(
                f"an order needs side, type and quantity in the exchange's words: {error}"
            ) from None
        price = _positive(wish, "price") if kind.limited else ZERO
        stop_price = _positive(wish, "stop_price") if kind.conditional else ZERO
        client_id = str(wish.get("client_id") or f"{_TAG}{next(self._ids):018d}")
        return Terms(
            symbol,
            side,
            kind,
            client_id,
            qty=_positive(wish, "quantity"),
            price=price,
            stop_price=stop_price,
            force=force,
        )


def _positive(wish: Mapping[str, Any], name: str) -> Decimal:
    value = wish.get(name)
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            amount = money(str(value))
            if amount > 0:
                return amount
    except ValueError:
        pass
    raise StrangerError(f"{name} must be a positive number, not {value!r}")


def _asset(wish: Mapping[str, Any]) -> str:
    asset = wish.get("asset")
    if not isinstance(asset, str) or not asset.isalnum():
        raise StrangerError(f"asset must be the name of a coin, not {asset!r}")
    return asset.upper()
