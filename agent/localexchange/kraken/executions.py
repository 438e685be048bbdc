"""The executions channel of Kraken's private socket: what happens to orders, and a snapshot of what is open.

Stays true: one entry for each thing that happened, in order; a fill of the last part is told twice, as a
trade and as the order's end, as Kraken does.
"""

from __future__ import annotations

from typing import Any, Final

from agent.localexchange.kraken import names as kraken
from agent.localexchange.kraken.names import names_of
from agent.localexchange.kraken.orders import References, client_id_of
from agent.localexchange.kraken.queries import KINDS
from agent.localexchange.market import Market
from agent.localexchange.venue.events import News, Report
from agent.localexchange.venue.order import Order, Trade
from agent.localexchange.venue.words import Execution, Kind, Status

Entry = dict[str, Any]

_STATUSES: Final = {
    Status.PENDING_NEW: "pending_new",
    Status.NEW: "new",
    Status.PARTIALLY_FILLED: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELED: "canceled",
    Status.REJECTED: "canceled",
    Status.EXPIRED: "canceled",
    Status.EXPIRED_IN_MATCH: "canceled",
}


def entries_of(news: News, market: Market, references: References) -> list[Entry]:
    """Empty for what the channel does not tell."""
    if not isinstance(news, Report):
        return []
    order = news.order
    if news.trade is not None:
        told = [_trade(order, news.trade, market, references)]
        if order.status is Status.FILLED:
            told.append({**_order(order, market, references, news.at_ms), "exec_type": "filled"})
        return told
    kind = "new" if news.execution is Execution.NEW else "canceled"
    return [{**_order(order, market, references, news.at_ms), "exec_type": kind}]


def open_entries(orders: list[Order], market: Market, references: References) -> list[Entry]:
    """The snapshot."""
    return [{**_order(o, market, references, o.updated_ms), "exec_type": "new"} for o in orders]


def _order(order: Order, market: Market, references: References, at_ms: int) -> Entry:
    terms = order.terms
    symbol = next(names_of(i.pair).symbol for i in market if i.pair.symbol == terms.symbol)
    entry: Entry = {
        "order_id": kraken.order_id(order.id),
        "order_userref": references.of_order.get(order.id, 0),
        "symbol": symbol,
        "order_qty": float(order.qty),
        "cum_qty": float(order.filled),
        "cum_cost": float(order.quote_filled),
        "time_in_force": terms.force,
        "side": terms.side.lower(),
        "order_type": KINDS[terms.kind],
        "limit_price_type": "static",
        "limit_price": float(terms.price),
        "stop_price": float(terms.stop_price),
        "order_status": _STATUSES[order.status],
        "fee_usd_equiv": 0.0,
        "fee_ccy_pref": "fciq" if terms.fee_in_quote else "fcib",
        "post_only": terms.kind is Kind.LIMIT_MAKER,
        "timestamp": kraken.moment(at_ms),
    }
    client_id = client_id_of(order)
    return entry if client_id is None else {**entry, "cl_ord_id": client_id}


def _trade(order: Order, trade: Trade, market: Market, references: References) -> Entry:
    # The trade that completes an order still calls it partly filled; its end is an entry of its own.
    return {
        **_order(order, market, references, trade.at_ms),
        "exec_type": "trade",
        "exec_id": kraken.trade_id(trade.id),
        "trade_id": trade.id,
        "last_qty": float(trade.qty),
        "last_price": float(trade.price),
        "cost": float(trade.quote),
        "liquidity_ind": "m" if trade.maker else "t",
        "order_status": "partially_filled",
        "fees": [{"asset": trade.fee_asset, "qty": float(trade.fee)}],
    }
