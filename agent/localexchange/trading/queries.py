"""Asking for orders, trades and the account.

Belongs here: one function per endpoint that changes nothing. Stays true: everything is told as of one moment:
now, or a past one when a fault makes the answer stale.
"""

from __future__ import annotations

from typing import Final

from agent.core.money import ZERO
from agent.localexchange.pairs import eight
from agent.localexchange.parameters import RejectionError
from agent.localexchange.trading import reading, wire_orders
from agent.localexchange.trading.counter import Ask
from agent.localexchange.trading.order_lists import span
from agent.localexchange.trading.orders import discount
from agent.localexchange.venue.order import Order, Trade
from agent.localexchange.venue.refusals import no_such_order, wrong_client_id
from agent.localexchange.wire import Json

_ROWS: Final = 500
_MOST_ROWS: Final = 1_000
_UID: Final = 354_937_868
_PER_UNIT: Final = 10_000


def order(ask: Ask) -> Json:
    """GET order."""
    symbol, parameters = ask.symbol(), ask.parameters
    order_id = parameters.whole("orderId")
    client_id = reading.client_id(parameters, "origClientOrderId")
    parameters.nothing_else()
    if order_id is None and client_id is None:
        raise RejectionError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    found = ask.desk.venue.registry.find(symbol, order_id, client_id, ask.as_of_ms)
    if found is None:
        raise no_such_order()
    if order_id is not None and client_id not in (None, found.terms.client_id):
        raise wrong_client_id()
    return _row(ask, found)


def open_orders(ask: Ask) -> list[Json]:
    """GET openOrders."""
    symbol = None if ask.parameters.text("symbol") is None else ask.symbol()
    ask.parameters.nothing_else()
    return [_row(ask, one) for one in ask.desk.venue.registry.open_as_of(symbol, ask.as_of_ms)]


def all_orders(ask: Ask) -> list[Json]:
    """GET allOrders, the oldest first."""
    symbol, parameters = ask.symbol(), ask.parameters
    from_id = parameters.whole("orderId")
    start_ms, end_ms = span(parameters)
    limit = parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    found = [
        one
        for one in ask.desk.venue.registry.of_symbol(symbol, ask.as_of_ms)
        if (from_id is None or one.id >= from_id)
        and (start_ms is None or one.created_ms >= start_ms)
        and (end_ms is None or one.created_ms <= end_ms)
    ]
    found = found[:limit] if from_id is not None or start_ms is not None else found[-limit:]
    return [_row(ask, one) for one in found]


def _row(ask: Ask, one: Order) -> Json:
    return wire_orders.order_row(one, renamed=ask.desk.venue.registry.renamed(one))


def my_trades(ask: Ask) -> list[Json]:
    """GET myTrades, the oldest first."""
    symbol, parameters = ask.symbol(), ask.parameters
    order_id, from_id = parameters.whole("orderId"), parameters.whole("fromId")
    start_ms, end_ms = span(parameters)
    limit = parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    in_time = start_ms is not None or end_ms is not None
    if in_time and (from_id is not None or order_id is not None):
        raise RejectionError(-1128, "Combination of optional parameters invalid.")
    found: list[Trade] = [
        trade
        for trade in ask.desk.venue.registry.trades_from(from_id or 0)
        if trade.symbol == symbol
        and (order_id is None or trade.order_id == order_id)
        and (start_ms is None or trade.at_ms >= start_ms)
        and (end_ms is None or trade.at_ms <= end_ms)
        and (ask.as_of_ms is None or trade.at_ms <= ask.as_of_ms)
    ]
    found = found[:limit] if from_id is not None or start_ms is not None else found[-limit:]
    return [wire_orders.trade_row(trade) for trade in found]


def account(ask: Ask) -> Json:
    """GET account."""
    without_zeros = reading.flag(ask.parameters, "omitZeroBalances")
    ask.parameters.nothing_else()
    ledger, rates = ask.desk.venue.ledger, ask.desk.venue.rates
    return {
        "makerCommission": int(rates.maker * _PER_UNIT),
        "takerCommission": int(rates.taker * _PER_UNIT),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": eight(rates.maker),
            "taker": eight(rates.taker),
            "buyer": eight(ZERO),
            "seller": eight(ZERO),
        },
        "canTrade": ask.counter.permissions.may_trade,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": ledger.updated_ms if ask.as_of_ms is None else min(ledger.updated_ms, ask.as_of_ms),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": eight(balance.free), "locked": eight(balance.locked)}
            for asset, balance in sorted(ledger.balances(ask.as_of_ms).items())
            if balance.total or not without_zeros
        ],
        "permissions": ["SPOT"],
        "uid": _UID,
    }


def commission(ask: Ask) -> Json:
    """GET account/commission."""
    symbol = ask.symbol()
    ask.parameters.nothing_else()
    rates = ask.desk.venue.rates
    nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), eight(ZERO))
    return {
        "symbol": symbol,
        "standardCommission": {**nothing, "maker": eight(rates.maker), "taker": eight(rates.taker)},
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": discount(ask),
    }


def order_counts(ask: Ask) -> list[Json]:
    """GET rateLimit/order."""
    ask.parameters.nothing_else()
    return [
        {
            "rateLimitType": "ORDERS",
            "interval": limit.interval,
            "intervalNum": limit.count,
            "limit": limit.most,
            "count": count,
        }
        for limit, count in ask.desk.counts.counts(ask.now_ms)
    ]
