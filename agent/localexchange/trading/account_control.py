"""What `POST /control/account` asks for, and what `GET /control/ledger` tells.

Belongs here: from JSON to deposits, withdrawals, strangers' orders, permissions, rates and a wipe; the
venue's own books as JSON. Stays true: the ledger is the venue's, whatever clients were told; nothing is
done unless all of it can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agent.core.money import money, plain
from agent.localexchange.exchange import Exchange
from agent.localexchange.trading.permissions import Permissions, UnknownPermissionError
from agent.localexchange.trading.strangers import StrangerError, Strangers
from agent.localexchange.venue.fees import Rates
from agent.localexchange.wire import Json

_WISHES: Final = ("deposit", "withdraw", "order", "cancel", "permissions", "commission", "wipe")


class AccountControl:
    def __init__(self, exchange: Exchange, strangers: Strangers, permissions: Permissions) -> None:
        self._exchange = exchange
        self._strangers = strangers
        self._permissions = permissions

    def grant(self, body: Mapping[str, Any]) -> Json:
        """Do one thing to the account; says what came of it. Raises StrangerError."""
        asked = [wish for wish in _WISHES if wish in body]
        strangers = body.keys() - set(_WISHES)
        if len(asked) != 1 or strangers:
            raise StrangerError(
                f"ask for one of {', '.join(_WISHES)}"
                + (f", not for {sorted(strangers)[0]}" if strangers else "")
            )
        wish, value = asked[0], body[asked[0]]
        if wish == "wipe":
            if value is not True:
                raise StrangerError(f"wipe is true, not {value!r}")
            self._exchange.desk.wipe(self._exchange.desk.catch_up())
            return {"balances": self._balances()}
        if not isinstance(value, dict):
            raise StrangerError(f"{wish} is an object, not {value!r}")
        match wish:
            case "order":
                order = self._strangers.order(value).order
                return {"order_id": order.id, "client_id": order.terms.client_id, "status": order.status}
            case "cancel":
                self._strangers.cancel(value)
                return {}
            case "permissions":
                return self._permit(value)
            case "commission":
                return self._set_rates(value)
        for asset, amount in _amounts(wish, value).items():
            (self._strangers.deposit if wish == "deposit" else self._strangers.withdraw)(asset, amount)
        return {"balances": self._balances()}

    def _permit(self, flags: dict[str, Any]) -> Json:
        try:
            self._permissions.set(flags)
        except UnknownPermissionError as error:
            raise StrangerError(str(error)) from None
        return self._permissions.told()

    def _set_rates(self, value: Mapping[str, Any]) -> Json:
        rates = self._exchange.desk.venue.rates
        known = {"maker", "taker", "discount", "bnb"}
        if value.keys() - known:
            raise StrangerError(
                f"commission takes {', '.join(sorted(known))}, not {sorted(value.keys() - known)[0]}"
            )
        in_bnb = value.get("bnb", rates.in_bnb)
        if not isinstance(in_bnb, bool):
            raise StrangerError(f"bnb is true or false, not {in_bnb!r}")
        shares = {
            name: _share(name, value.get(name, getattr(rates, name)))
            for name in ("maker", "taker", "discount")
        }
        self._exchange.desk.venue.set_rates(Rates(**shares, in_bnb=in_bnb))
        return {**{name: plain(share) for name, share in shares.items()}, "bnb": in_bnb}

    def ledger(self) -> Json:
        """Balances, orders, fills and requests, as the venue has them."""
        self._exchange.desk.catch_up()
        registry = self._exchange.desk.venue.registry
        return {
            "balances": self._balances(),
            "orders": [
                {
                    "client_id": order.terms.client_id,
                    "order_id": order.id,
                    "side": order.terms.side,
                    "type": order.terms.kind,
                    "status": order.status,
                    "quantity": plain(order.qty),
                    "filled": plain(order.filled),
                    "price": plain(order.terms.price),
                    "ts": order.created_ms,
                }
                for order in registry.all_orders()
            ],
            "fills": [
                {
                    "trade_id": trade.id,
                    "client_id": trade.client_id,
                    "side": trade.side,
                    "price": plain(trade.price),
                    "quantity": plain(trade.qty),
                    "fee": plain(trade.fee),
                    "fee_currency": trade.fee_asset,
                    "ts": trade.at_ms,
                }
                for trade in registry.trades
            ],
            "requests": [
                {"method": r.method, "path": r.path, "query": r.query, "ts": r.ts, "status": r.status}
                for r in self._exchange.requests
            ],
        }

    def connections(self) -> list[int]:
        """By which connection each of the ledger's requests came, in their order."""
        return [request.connection for request in self._exchange.requests]

    def _balances(self) -> Json:
        return {
            asset: {"free": plain(balance.free), "locked": plain(balance.locked)}
            for asset, balance in self._exchange.desk.venue.ledger.balances().items()
        }


def _amounts(wish: str, value: Mapping[str, Any]) -> dict[str, Decimal]:
    """{"USDT": "10", ...} or {"asset": "USDT", "amount": "10"}."""
    if value.keys() == {"asset", "amount"}:
        value = {str(value["asset"]): value["amount"]}
    amounts = {}
    for asset, text in value.items():
        try:
            amount = Decimal(0) if isinstance(text, bool) else money(str(text))
        except ValueError:
            amount = Decimal(0)
        if amount <= 0 or not asset.isalnum():
            raise StrangerError(f"{wish} is an object of coins and positive amounts, not {asset!r}: {text!r}")
        amounts[asset.upper()] = amount
    return amounts


def _share(name: str, value: object) -> Decimal:
    try:
        share = money(str(value))
    except ValueError:
        share = Decimal(-1)
    if not 0 <= share < 1:
        raise StrangerError(f"{name} is a share from 0 to below 1, not {value!r}")
    return share
