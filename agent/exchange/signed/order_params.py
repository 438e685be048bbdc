"""An order of ours in Binance's parameters. PURE.

Numbers go as plain text, the client id is always ours, the answer is always asked for in full.
"""

from __future__ import annotations

from agent.core.money import plain
from agent.core.order import Intent, OrderType
from agent.core.verdict import ApprovedPair
from agent.exchange.signed.order_words import Pair

Params = dict[str, str | int]


def new_order(intent: Intent, pair: Pair) -> Params:
    params: Params = {"symbol": pair.symbol, "side": intent.side.value, "type": intent.type.value}
    if intent.price is not None and intent.type is not OrderType.LIMIT_MAKER:
        assert intent.time_in_force is not None, "an order with a price says how long it stands"
        params["timeInForce"] = intent.time_in_force.value
    params["quantity"] = plain(intent.qty)
    if intent.price is not None:
        params["price"] = plain(intent.price)
    if intent.stop_price is not None:
        params["stopPrice"] = plain(intent.stop_price)
    return {**params, "newClientOrderId": intent.client_id, "newOrderRespType": "FULL"}


def new_pair(pair: ApprovedPair, symbol: Pair) -> Params:
    """A sale's order list: the target above the price, the stop below."""
    stop, target = pair.legs
    assert target.price is not None, "a target has a price"
    assert stop.stop_price is not None, "a stop has a stop price"
    params: Params = {
        "symbol": symbol.symbol,
        "side": stop.side.value,
        "quantity": plain(stop.qty),
        "listClientOrderId": pair.list_id,
        "aboveType": target.type.value,
        "abovePrice": plain(target.price),
        "aboveClientOrderId": target.client_id,
        "belowType": stop.type.value,
        "belowStopPrice": plain(stop.stop_price),
        "belowClientOrderId": stop.client_id,
    }
    if stop.price is not None:
        assert stop.time_in_force is not None, "an order with a price says how long it stands"
        params |= {"belowPrice": plain(stop.price), "belowTimeInForce": stop.time_in_force.value}
    return {**params, "newOrderRespType": "RESULT"}


def named(intent: Intent, pair: Pair) -> Params:
    """The order to look up or to cancel, by our id."""
    return {"symbol": pair.symbol, "origClientOrderId": intent.client_id}


def replacing(cancel: Intent, intent: Intent, pair: Pair) -> Params:
    """Cancel one and, only if that worked and it had executed nothing, place the other.

    The new one was sized before: what the old one sells in the last moment would be sold twice.
    """
    return {
        **new_order(intent, pair),
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrigClientOrderId": cancel.client_id,
        "cancelRestrictions": "ONLY_NEW",
    }
