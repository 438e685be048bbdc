"""Binance's words for an account, by REST: balances and own trades.

PURE. Everything raises FieldError where it makes no sense; one row that cannot be read spoils the whole,
because an account of which a part is missing is no account.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.events import Holding
from agent.core.order import Fill, Side
from agent.core.value import Value
from agent.exchange.signed.fields import FieldError, amount, flag, integer, obj, positive, rows, text
from agent.exchange.signed.order_words import Pair, fee_of


class Balances(Value, frozen=True):
    """What is held, by currency, zeros left out; `changed_ms` is venue time of the last change, if told."""

    holdings: dict[str, Holding]
    changed_ms: int | None


class OwnTrade(Value, frozen=True):
    """One execution as the exchange keeps it: by order id, without our client id."""

    trade_id: int
    order_id: str
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_currency: str
    at_ms: int

    def fill(self, client_id: str) -> Fill:
        return Fill(
            trade_id=str(self.trade_id),
            client_id=client_id,
            side=self.side,
            price=self.price,
            qty=self.qty,
            fee=self.fee,
            fee_currency=self.fee_currency,
            at_ms=self.at_ms,
        )


def read_balances(answer: object) -> Balances:
    data = obj(answer, "the account")
    holdings: dict[str, Holding] = {}
    for row in rows(data.get("balances"), "balances"):
        entry = obj(row, "a balance")
        currency = text(entry, "asset")
        holding = Holding(amount(entry, "free"), amount(entry, "locked"))
        if currency in holdings:
            raise FieldError(f"{currency} is there twice")
        if holding.total:
            holdings[currency] = holding
    changed_ms = integer(data, "updateTime") if data.get("updateTime") is not None else None
    return Balances(holdings, changed_ms)


def read_trades(answer: object, pair: Pair) -> tuple[OwnTrade, ...]:
    """Own trades of `pair`, oldest first, as sent."""
    return tuple(_trade(row, pair) for row in rows(answer, "own trades"))


def _trade(row: object, pair: Pair) -> OwnTrade:
    data = obj(row, "a trade")
    if text(data, "symbol") != pair.symbol:
        raise FieldError(f"a trade of {data['symbol']}")
    side = Side.BUY if flag(data, "isBuyer") else Side.SELL
    fee, currency = fee_of(data, "commission", "commissionAsset", pair, side)
    return OwnTrade(
        trade_id=integer(data, "id"),
        order_id=str(integer(data, "orderId")),
        side=side,
        price=positive(data, "price"),
        qty=positive(data, "qty"),
        fee=fee,
        fee_currency=currency,
        at_ms=integer(data, "time"),
    )


def read_order_ids(answer: object, pair: Pair) -> dict[str, str]:
    """Client id by exchange order id, of a list of orders in any state."""
    found: dict[str, str] = {}
    for row in rows(answer, "orders"):
        data = obj(row, "an order")
        if text(data, "symbol") != pair.symbol:
            raise FieldError(f"an order of {data['symbol']}")
        found[str(integer(data, "orderId"))] = text(data, "clientOrderId")
    return found
