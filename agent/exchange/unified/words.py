"""ccxt's unified orders, trades and balances in our words. PURE.

What is missing or contradicts itself raises FieldError; a status that nobody told us about is NotUnderstood.
Numbers are text (ccxt is told so), so that money stays exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agent.core.events import Holding
from agent.core.money import ZERO, money
from agent.core.order import Fact, Fill, OrderReport, Side
from agent.exchange.signed.fields import FieldError, obj, rows, text
from agent.exchange.signed.order_words import NotUnderstood, check_quantities

_FACTS: Final[Mapping[str, Fact]] = {
    "open": Fact.WORKING,
    "closed": Fact.FULLY_FILLED,
    "canceled": Fact.WAS_CANCELED,
    "canceling": Fact.WORKING,
    "expired": Fact.HAS_EXPIRED,
    "rejected": Fact.WAS_REFUSED,
}


def read_order(told: object, pair: str, client_id: str, now_ms: int) -> OrderReport | NotUnderstood:
    """An order as ccxt read it. `now_ms` dates one that has no time. Raises FieldError."""
    data = obj(told, "the order")
    if data.get("symbol") != pair:
        raise FieldError(f"the order is one of {data.get('symbol')}")
    status = data.get("status")
    fact = _FACTS.get(status) if isinstance(status, str) else None
    if fact is None:
        return NotUnderstood(client_id, str(status))
    qty, executed = _amount(data, "amount"), _amount(data, "filled")
    if qty <= 0:
        raise FieldError("the order has no quantity")
    if fact is Fact.FULLY_FILLED and executed < qty:
        # Bybit ends an order so whose rest was canceled; whatever is closed with a rest has lost it.
        fact = Fact.WAS_CANCELED
    check_quantities(qty, executed, ZERO, str(status))
    if fact is Fact.WORKING and executed:
        fact = Fact.PART_FILLED
    times = (data.get("lastUpdateTimestamp"), data.get("lastTradeTimestamp"), data.get("timestamp"))
    return OrderReport(
        client_id=client_id,
        exchange_order_id=text(data, "id"),
        side=_side(data),
        type=_type(data),
        fact=fact,
        qty=qty,
        price=_amount(data, "price"),
        executed_qty=executed,
        at_ms=next((at for at in times if type(at) is int), now_ms),
        reason="" if fact in (Fact.WORKING, Fact.PART_FILLED) else _reason(data),
    )


def order_id_of(told: object) -> str:
    """The exchange's id in the answer to placing. Raises FieldError."""
    return text(obj(told, "the order"), "id")


def wire_id_of(told: object) -> str | None:
    """The client order id an order carries at the exchange."""
    if not isinstance(told, dict):
        return None
    info = told.get("info")
    if isinstance(info, dict) and "userref" in info and not info.get("cl_ord_id"):
        # Kraken's number for anything; ccxt takes it for a client order id, and it is 0 for everybody's.
        return None
    found = told.get("clientOrderId")
    return found if isinstance(found, str) and found else None


def read_fill(told: object, pair: str, client_id: str) -> Fill:
    """One own trade. Raises FieldError."""
    data = obj(told, "a trade")
    if data.get("symbol") != pair:
        raise FieldError(f"a trade of {data.get('symbol')}")
    fee = data.get("fee")
    fee = fee if isinstance(fee, dict) else {}
    at_ms = data.get("timestamp")
    if type(at_ms) is not int:
        raise FieldError("a trade has no time")
    base, _, quote = pair.partition("/")
    side = _side(data)
    price, qty = _amount(data, "price"), _amount(data, "amount")
    if price <= 0 or qty <= 0:
        raise FieldError("a trade has no price or quantity")
    cost = _amount(fee, "cost")
    currency = fee.get("currency")
    if cost and not isinstance(currency, str):
        raise FieldError("a fee has no currency")
    received = base if side is Side.BUY else quote
    return Fill(
        trade_id=text(data, "id"),
        client_id=client_id,
        side=side,
        price=price,
        qty=qty,
        fee=cost,
        fee_currency=str(currency) if isinstance(currency, str) else received,
        at_ms=at_ms,
    )


def trade_ids(told: object) -> tuple[str, str]:
    """(trade id, order id). Raises FieldError."""
    data = obj(told, "a trade")
    return text(data, "id"), text(data, "order")


def read_balances(told: object) -> dict[str, Holding]:
    """What is held, by currency, zeros left out. Raises FieldError."""
    data = obj(told, "the balances")
    total = obj(data.get("total"), "the totals")
    holdings: dict[str, Holding] = {}
    for currency in total:
        entry = obj(data.get(currency), f"the balance of {currency}")
        whole, used = _amount(entry, "total"), _amount(entry, "used")
        if entry.get("total") is None:
            whole = _amount(entry, "free") + used
        if used > whole:
            raise FieldError(f"of {currency} more is held than there is")
        if whole:
            holdings[currency] = Holding(whole - used, used)
    return holdings


def listed(told: object, what: str) -> list[Any]:
    return list(rows(told, what))


def _type(data: Mapping[str, Any]) -> str:
    """In Binance's words; a price that starts it makes a stop of an order."""
    kind = str(data.get("type") or "").upper()
    starts = any(data.get(name) is not None for name in ("stopLossPrice", "triggerPrice", "stopPrice"))
    return {"MARKET": "STOP_LOSS", "LIMIT": "STOP_LOSS_LIMIT"}.get(kind, kind) if starts else kind


def _side(data: Mapping[str, Any]) -> Side:
    name = text(data, "side").upper()
    if name not in Side.__members__:
        raise FieldError(f"side is neither buy nor sell: {name!r}")
    return Side[name]


def _amount(data: Mapping[str, Any], key: str) -> Decimal:
    """Zero where it is not told. Raises FieldError for what is no amount."""
    value = data.get(key)
    if value is None:
        return ZERO
    try:
        amount = money(str(value))
    except ValueError:
        raise FieldError(f"{key} is no number: {str(value)[:40]!r}") from None
    if amount < 0:
        raise FieldError(f"{key} is negative: {value}")
    return amount


def _reason(data: Mapping[str, Any]) -> str:
    info = data.get("info")
    told = info.get("reason") if isinstance(info, dict) else None
    return told if isinstance(told, str) else ""
