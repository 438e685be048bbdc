"""What Kraken tells of an account: balances, orders, trades.

Belongs here: the venue's values in Kraken's words. Stays true: nothing here changes anything; lists of what
is over come in pages of 50, the newest first, with the number there are in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from agent.core.money import ZERO
from agent.localexchange.kraken import names as kraken
from agent.localexchange.kraken.errors import UNKNOWN_ORDER, KrakenError, invalid
from agent.localexchange.kraken.names import Names, asset_id, names_of
from agent.localexchange.kraken.orders import References, client_id_of, described_order
from agent.localexchange.trading.desk import Desk
from agent.localexchange.venue.order import Order, Trade
from agent.localexchange.venue.words import Kind, Status

Json = dict[str, Any]

PAGE: Final = 50

_STATUSES: Final[Mapping[Status, str]] = {
    Status.PENDING_NEW: "pending",
    Status.NEW: "open",
    Status.PARTIALLY_FILLED: "open",
    Status.FILLED: "closed",
    Status.CANCELED: "canceled",
    Status.REJECTED: "canceled",
    # What an immediate order leaves over is canceled here; only a time limit expires.
    Status.EXPIRED: "canceled",
    Status.EXPIRED_IN_MATCH: "canceled",
}
KINDS: Final[Mapping[Kind, str]] = {
    Kind.MARKET: "market",
    Kind.LIMIT: "limit",
    Kind.LIMIT_MAKER: "limit",
    Kind.STOP_LOSS: "stop-loss",
    Kind.STOP_LOSS_LIMIT: "stop-loss-limit",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `as_of_ms` None: now."""

    desk: Desk
    references: References
    sent: Mapping[str, str]
    as_of_ms: int | None = None


def balance(asked: Asked) -> Json:
    """POST Balance: totals."""
    _nothing_but(asked.sent)
    return {asset_id(a): f"{b.total:.8f}" for a, b in asked.desk.venue.ledger.balances().items()}


def balance_ex(asked: Asked) -> Json:
    """POST BalanceEx: totals and what orders hold of them."""
    _nothing_but(asked.sent)
    return {
        asset_id(a): {"balance": f"{b.total:.8f}", "hold_trade": f"{b.locked:.8f}"}
        for a, b in asked.desk.venue.ledger.balances().items()
    }


def open_orders(asked: Asked) -> Json:
    desk, references, sent = asked.desk, asked.references, asked.sent
    _nothing_but(sent, "trades", "userref", "cl_ord_id", "start")
    registry = desk.venue.registry
    found = [o for o in registry.open_as_of(None, asked.as_of_ms) if _is_asked(o, references, sent)]
    return {"open": {kraken.order_id(o.id): order_row(desk, references, o, _trades(sent)) for o in found}}


def closed_orders(asked: Asked) -> Json:
    desk, references, sent = asked.desk, asked.references, asked.sent
    _nothing_but(sent, "trades", "userref", "cl_ord_id", "start", "end", "ofs", "closetime", "without_count")
    found = [
        o
        for o in _all_orders(asked)
        if not o.open and _is_asked(o, references, sent) and _in_time(sent, o.updated_ms)
    ]
    page = _page(sorted(found, key=lambda o: -o.updated_ms), sent)
    rows = {kraken.order_id(o.id): order_row(desk, references, o, _trades(sent)) for o in page}
    return {"closed": rows, "count": len(found)}


def query_orders(asked: Asked) -> Json:
    desk, references, sent = asked.desk, asked.references, asked.sent
    _nothing_but(sent, "trades", "userref", "cl_ord_id", "txid", "consolidate_taker")
    wanted = [kraken.number_of(text) for text in sent.get("txid", "").split(",") if text]
    if not wanted:
        raise invalid("txid")
    known = {o.id: o for o in _all_orders(asked)}
    found = [known[number] for number in wanted if number in known]
    if not found:
        raise KrakenError(UNKNOWN_ORDER)
    return {kraken.order_id(o.id): order_row(desk, references, o, _trades(sent)) for o in found}


def trades_history(asked: Asked) -> Json:
    desk, sent = asked.desk, asked.sent
    _nothing_but(sent, "type", "trades", "start", "end", "ofs", "without_count", "consolidate_taker")
    found = [t for t in reversed(desk.venue.registry.trades) if _in_time(sent, t.at_ms) and _told(asked, t)]
    page = _page(found, sent)
    return {"trades": {kraken.trade_id(t.id): trade_row(desk, t) for t in page}, "count": len(found)}


def query_trades(asked: Asked) -> Json:
    desk, sent = asked.desk, asked.sent
    _nothing_but(sent, "txid", "trades")
    wanted = {kraken.number_of(text) for text in sent.get("txid", "").split(",") if text}
    found = [t for t in desk.venue.registry.trades if t.id in wanted]
    if not found:
        raise KrakenError("EQuery:Unknown trade")
    return {kraken.trade_id(t.id): trade_row(desk, t) for t in found}


def _all_orders(asked: Asked) -> list[Order]:
    registry = asked.desk.venue.registry
    return [
        order
        for instrument in asked.desk.market
        for order in registry.of_symbol(instrument.pair.symbol, asked.as_of_ms)
    ]


def _told(asked: Asked, trade: Trade) -> bool:
    return asked.as_of_ms is None or trade.at_ms <= asked.as_of_ms


def order_row(desk: Desk, references: References, order: Order, with_trades: bool) -> Json:
    terms, names = order.terms, _names(desk, order.terms.symbol)
    trades = [t for t in desk.venue.registry.trades if t.order_id == order.id]
    conditional = terms.kind.conditional
    mean = order.quote_filled / order.filled if order.filled else ZERO
    row: Json = {
        "refid": None,
        "userref": references.of_order.get(order.id, 0),
        "cl_ord_id": client_id_of(order),
        "status": _STATUSES[order.status],
        "opentm": kraken.seconds(order.created_ms),
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": names.altname,
            "type": terms.side.lower(),
            "ordertype": KINDS[terms.kind],
            "price": names.price(terms.stop_price if conditional else terms.price),
            "price2": names.price(terms.price if conditional else ZERO),
            "leverage": "none",
            "order": described_order(terms, names),
            "close": "",
        },
        "vol": f"{order.qty:.8f}",
        "vol_exec": f"{order.filled:.8f}",
        "cost": f"{order.quote_filled:.8f}",
        "fee": f"{sum((t.fee for t in trades), ZERO):.8f}",
        "price": f"{mean:.8f}",
        "stopprice": names.price(terms.stop_price),
        "limitprice": names.price(terms.price if conditional else ZERO),
        "misc": "stopped" if conditional and order.working else "",
        "oflags": ",".join(_flags(order)),
    }
    if not order.open:
        row |= {"closetm": kraken.seconds(order.updated_ms), "reason": _reason(order)}
    if with_trades and trades:
        row["trades"] = [kraken.trade_id(t.id) for t in trades]
    return row


def trade_row(desk: Desk, trade: Trade) -> Json:
    order = desk.venue.registry.order(trade.order_id)
    return {
        "ordertxid": kraken.order_id(trade.order_id),
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": _names(desk, trade.symbol).id,
        "time": kraken.seconds(trade.at_ms),
        "type": trade.side.lower(),
        "ordertype": KINDS[order.terms.kind],
        "price": f"{trade.price:.8f}",
        "cost": f"{trade.quote:.8f}",
        "fee": f"{trade.fee:.8f}",
        "vol": f"{trade.qty:.8f}",
        "margin": f"{ZERO:.8f}",
        "misc": "",
        "trade_id": trade.id,
        "maker": trade.maker,
    }


def _flags(order: Order) -> list[str]:
    flags = ["fciq" if order.terms.fee_in_quote else "fcib"]
    return [*flags, "post"] if order.terms.kind is Kind.LIMIT_MAKER else flags


def _reason(order: Order) -> str | None:
    if order.status is Status.CANCELED:
        return "User requested"
    return None if order.expiry is None else str(order.expiry)


def _names(desk: Desk, symbol: str) -> Names:
    return next(names_of(i.pair) for i in desk.market if i.pair.symbol == symbol)


def _is_asked(order: Order, references: References, sent: Mapping[str, str]) -> bool:
    client_id, userref = sent.get("cl_ord_id"), sent.get("userref")
    if client_id is not None and order.terms.client_id != client_id:
        return False
    return userref is None or str(references.of_order.get(order.id)) == userref


def _in_time(sent: Mapping[str, str], at_ms: int) -> bool:
    try:
        start, end = Decimal(sent.get("start", "0")), Decimal(sent.get("end", "inf"))
    except ArithmeticError:
        raise invalid("start") from None
    return start * 1_000 < at_ms <= end * 1_000


def _page(rows: list[Any], sent: Mapping[str, str]) -> list[Any]:
    if not sent.get("ofs", "0").isdigit():
        raise invalid("ofs")
    first = int(sent.get("ofs", "0"))
    return rows[first : first + PAGE]


def _trades(sent: Mapping[str, str]) -> bool:
    return sent.get("trades", "").lower() in ("true", "1")


def _nothing_but(sent: Mapping[str, str], *known: str) -> None:
    for name in sent:
        if name not in known:
            raise invalid(name)
