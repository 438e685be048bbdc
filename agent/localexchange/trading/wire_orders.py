"""Orders, lists and trades as REST and the socket API write them.

Belongs here: from the venue's values to field names and text forms of WIRE. Stays true: amounts are text with
eight decimals, ids and times are integers; what Binance shows only sometimes is shown in the same cases; pure
functions.
"""

from __future__ import annotations

from typing import Any

from agent.localexchange.pairs import eight
from agent.localexchange.trading.order_words import Answer
from agent.localexchange.venue.order import Order, OrderList, Trade
from agent.localexchange.venue.outcomes import Canceled, Placed, PlacedList
from agent.localexchange.venue.words import Status
from agent.localexchange.wire import Json


def placed_answer(placed: Placed, answer: Answer) -> Json:
    """What a new order is answered with."""
    order = placed.order
    ack = {
        "symbol": order.terms.symbol,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": order.terms.client_id,
        "transactTime": order.updated_ms,
    }
    if answer is Answer.ACK:
        return ack
    result = {**ack, **_amounts(order), "workingTime": order.working_ms}
    if answer is Answer.FULL:
        result["fills"] = [_fill(trade) for trade in placed.trades]
    return {**result, **_prevention(order), **_end(order)}


def canceled_answer(order: Order) -> Json:
    """What the cancel of one order is answered with: `clientOrderId` is the cancel's own."""
    return {
        "symbol": order.terms.symbol,
        "origClientOrderId": order.terms.client_id,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": order.cancel_id,
        "transactTime": order.updated_ms,
        **_amounts(order),
        **_prevention(order),
    }


def order_row(order: Order, *, renamed: bool = False) -> Json:
    """An order as it is asked for."""
    terms = order.terms
    return {
        "symbol": terms.symbol,
        "orderId": order.id,
        "orderListId": order.list_id,
        "clientOrderId": order.cancel_id if renamed else terms.client_id,
        "price": eight(terms.price),
        "origQty": eight(order.qty),
        "executedQty": eight(order.filled),
        "cummulativeQuoteQty": eight(order.quote_filled),
        "status": order.status,
        "timeInForce": terms.force,
        "type": terms.kind,
        "side": terms.side,
        "stopPrice": eight(terms.stop_price),
        "icebergQty": eight(terms.iceberg_qty),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working,
        "workingTime": order.working_ms,
        "origQuoteOrderQty": eight(terms.quote_qty),
        **_strategy(order),
        **_prevention(order),
        **_end(order),
    }


def trade_row(trade: Trade) -> Json:
    return {
        "symbol": trade.symbol,
        "id": trade.id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id,
        "price": eight(trade.price),
        "qty": eight(trade.qty),
        "quoteQty": eight(trade.quote),
        "commission": eight(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def list_row(order_list: OrderList) -> Json:
    """A list without its orders' state."""
    done = order_list.done
    orders = zip(order_list.order_ids, order_list.client_ids, strict=True)
    return {
        "orderListId": order_list.id,
        "contingencyType": order_list.contingency,
        "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if done else "EXECUTING",
        "listClientOrderId": order_list.client_id,
        "transactionTime": order_list.updated_ms,
        "symbol": order_list.symbol,
        "orders": [
            {"symbol": order_list.symbol, "orderId": order_id, "clientOrderId": client_id}
            for order_id, client_id in orders
        ],
    }


def placed_list_answer(placed: PlacedList, answer: Answer) -> Json:
    return {**list_row(placed.list), "orderReports": [placed_answer(one, answer) for one in placed.orders]}


def cancel_answer(canceled: Canceled) -> Json:
    """One order, or the list it was a leg of."""
    if canceled.list is None:
        return canceled_answer(canceled.orders[0])
    return {**list_row(canceled.list), "orderReports": [canceled_answer(one) for one in canceled.orders]}


def _amounts(order: Order) -> Json:
    terms = order.terms
    shown: dict[str, Any] = {
        "price": eight(terms.price),
        "origQty": eight(order.qty),
        "executedQty": eight(order.filled),
        "origQuoteOrderQty": eight(terms.quote_qty),
        "cummulativeQuoteQty": eight(order.quote_filled),
        "status": order.status,
        "timeInForce": terms.force,
        "type": terms.kind,
        "side": terms.side,
    }
    if terms.kind.conditional:
        shown["stopPrice"] = eight(terms.stop_price)
    if terms.iceberg_qty:
        shown["icebergQty"] = eight(terms.iceberg_qty)
    return {**shown, **_strategy(order)}


def _strategy(order: Order) -> Json:
    labels = {"strategyId": order.terms.strategy_id, "strategyType": order.terms.strategy_type}
    return {name: value for name, value in labels.items() if value is not None}


def _prevention(order: Order) -> Json:
    shown: Json = {"selfTradePreventionMode": order.terms.prevention}
    if order.status is Status.EXPIRED_IN_MATCH:
        shown |= {"preventedMatchId": order.id, "preventedQuantity": eight(order.prevented)}
    return shown


def _end(order: Order) -> Json:
    return {} if order.expiry is None else {"expiryReason": order.expiry}


def _fill(trade: Trade) -> Json:
    return {
        "price": eight(trade.price),
        "qty": eight(trade.qty),
        "commission": eight(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.id,
    }
