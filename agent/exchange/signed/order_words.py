"""Binance's words for one order, by REST, turned into ours.

PURE. Of an order everything that the core relies on is validated: ids, symbol, side, status, quantities, and
every fill the answer carries. What lacks one of them is `Unreadable`: it proves nothing. A status that nobody
listed is `NotUnderstood`, a type of its own, because the order exists and nobody knows what it is doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from agent.core.money import ZERO, plain
from agent.core.order import Fact, Fill, Intent, OrderReport, Side
from agent.core.value import Value
from agent.exchange.signed.fields import FieldError, amount, integer, obj, positive, rows, text

STATUS_FACTS: Final[Mapping[str, Fact]] = {
    "NEW": Fact.WORKING,
    "PENDING_NEW": Fact.WORKING,
    "PENDING_CANCEL": Fact.WORKING,
    "PARTIALLY_FILLED": Fact.PART_FILLED,
    "FILLED": Fact.FULLY_FILLED,
    "CANCELED": Fact.WAS_CANCELED,
    "REJECTED": Fact.WAS_REFUSED,
    "EXPIRED": Fact.HAS_EXPIRED,
    "EXPIRED_IN_MATCH": Fact.HAS_EXPIRED,
}


class Pair(Value, frozen=True):
    """The one pair an agent trades, in the exchange's spelling: `ADAUSDT`."""

    symbol: str
    base: str
    quote: str

    @classmethod
    def of(cls, name: str) -> Pair:
        """`ADA/USDT` in config's spelling."""
        base, _, quote = name.partition("/")
        assert base, f"{name!r} is not BASE/QUOTE"
        assert quote, f"{name!r} is not BASE/QUOTE"
        return cls(base + quote, base, quote)

    def received(self, side: Side) -> str:
        """The currency an execution brings in, which fees are taken from by default."""
        return self.base if side is Side.BUY else self.quote


class Unreadable(Value, frozen=True):
    detail: str


class NotUnderstood(Value, frozen=True):
    """An order in a status that nobody told us about."""

    client_id: str
    status: str

    @property
    def detail(self) -> str:
        return f"order {self.client_id} is said to be {self.status!r}, which means nothing here"


OrderWord = OrderReport | Unreadable | NotUnderstood


def read_order(answer: object, pair: Pair, client_id: str | None = None) -> OrderWord:
    """An order as POST, GET and DELETE tell it, or as one row of a list.

    `client_id`: the id it was asked by, used where the answer's own may be that of the cancel request. A
    DELETE names the order's id `origClientOrderId` and its own `clientOrderId`.
    """
    try:
        data = obj(answer, "the order")
        if text(data, "symbol") != pair.symbol:
            raise FieldError(f"the order is one of {data['symbol']}")
        named = text(data, "origClientOrderId" if "origClientOrderId" in data else "clientOrderId")
        return _report(data, pair, client_id or named)
    except FieldError as error:
        return Unreadable(str(error))


def read_legs(answer: object, pair: Pair) -> dict[str, OrderWord]:
    """The orders of an order list, by client id, as the answers to placing and canceling it tell them.

    A row that names no order of ours is left out: nothing can be said of that order then.
    """
    reports = answer.get("orderReports") if isinstance(answer, dict) else None
    found: dict[str, OrderWord] = {}
    for row in reports if isinstance(reports, list) else ():
        word = read_order(row, pair)
        if not isinstance(word, Unreadable):
            found[word.client_id] = word
    return found


def is_list(answer: object) -> bool:
    return isinstance(answer, dict) and "orderReports" in answer


def answers(answer: object, intent: Intent) -> bool:
    """Whether an answer speaks of the order that was asked about.

    A canceled order may go by the id of its cancel request; then side, type and quantity must be ours.
    """
    if not isinstance(answer, dict):
        return False
    if intent.client_id in (answer.get("clientOrderId"), answer.get("origClientOrderId")):
        return True
    same = (answer.get("side"), answer.get("type")) == (intent.side.value, intent.type.value)
    try:
        return same and answer.get("status") == "CANCELED" and amount(answer, "origQty") == intent.qty
    except FieldError:
        return False


def _report(data: Mapping[str, Any], pair: Pair, client_id: str) -> OrderReport | NotUnderstood:
    status = text(data, "status")
    order_id, side = str(integer(data, "orderId")), side_of(data, "side")
    qty, executed = positive(data, "origQty"), amount(data, "executedQty")
    at_ms = _time(data)
    fills = tuple(
        _fill(obj(row, "a fill"), pair, client_id, side, at_ms)
        for row in rows(data.get("fills", []), "fills")
    )
    check_quantities(qty, executed, sum((fill.qty for fill in fills), ZERO), status)
    fact = STATUS_FACTS.get(status)
    if fact is None:
        return NotUnderstood(client_id, status)
    return OrderReport(
        client_id=client_id,
        exchange_order_id=order_id,
        side=side,
        type=text(data, "type"),
        fact=fact,
        qty=qty,
        price=amount(data, "price"),
        executed_qty=executed,
        at_ms=at_ms,
        fills=fills,
        reason=reason_of(status, data.get("expiryReason"), data.get("rejectReason")),
        triggered=is_triggered(text(data, "type"), data.get("isWorking")),
    )


def is_triggered(kind: str, in_the_book: object) -> bool:
    """Whether a stop works as an ordinary order now; where the exchange does not say, it is not known to."""
    return in_the_book is True and kind in ("STOP_LOSS", "STOP_LOSS_LIMIT")


def check_quantities(qty: Decimal, executed: Decimal, in_fills: Decimal, status: str) -> None:
    """Raises FieldError where the numbers of one order contradict each other."""
    if executed > qty:
        raise FieldError(f"executed {plain(executed)} of {plain(qty)}")
    if in_fills > executed:
        raise FieldError(f"fills of {plain(in_fills)} where {plain(executed)} was executed")
    if status == "FILLED" and executed != qty:
        raise FieldError(f"FILLED with {plain(executed)} of {plain(qty)}")


def side_of(data: Mapping[str, Any], key: str) -> Side:
    name = text(data, key)
    if name not in Side.__members__:
        raise FieldError(f"{key} is neither BUY nor SELL: {name!r}")
    return Side[name]


def reason_of(status: str, *words: object) -> str:
    """Why an order ended, as far as the exchange says: `EXPIRED_IN_MATCH`, `INSUFFICIENT_LIQUIDITY`."""
    told = [word for word in words if isinstance(word, str) and word not in ("", "NONE")]
    return ", ".join([status, *told] if status == "EXPIRED_IN_MATCH" else told)


def fee_of(
    data: Mapping[str, Any], fee_key: str, currency_key: str, pair: Pair, side: Side
) -> tuple[Decimal, str]:
    """Fee and its currency. Where nothing was charged the exchange may name no currency."""
    fee = amount(data, fee_key)
    if fee == 0 and data.get(currency_key) in (None, ""):
        return fee, pair.received(side)
    return fee, text(data, currency_key)


def _fill(row: Mapping[str, Any], pair: Pair, client_id: str, side: Side, at_ms: int) -> Fill:
    fee, currency = fee_of(row, "commission", "commissionAsset", pair, side)
    return Fill(
        trade_id=str(integer(row, "tradeId")),
        client_id=client_id,
        side=side,
        price=positive(row, "price"),
        qty=positive(row, "qty"),
        fee=fee,
        fee_currency=currency,
        at_ms=at_ms,
    )


def _time(data: Mapping[str, Any]) -> int:
    for key in ("transactTime", "updateTime", "time"):
        if data.get(key) is not None:
            return integer(data, key)
    raise FieldError("the order has no time")
