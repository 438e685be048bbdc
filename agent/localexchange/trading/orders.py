"""Placing, testing, canceling and replacing single orders.

Belongs here: one function per endpoint, from parameters to JSON. Stays true: a parameter nobody asked for is
refused before anything is executed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from agent.core.money import ZERO
from agent.localexchange.pairs import eight
from agent.localexchange.parameters import Parameters, RejectionError, missing, not_valid
from agent.localexchange.trading import reading, wire_orders
from agent.localexchange.trading.counter import Ask
from agent.localexchange.trading.order_words import Answer, answer_of, default_answer, order_terms
from agent.localexchange.venue.order import Terms
from agent.localexchange.venue.outcomes import Canceled, Placed, Replaced, Which
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.wire import Json

_RESTRICTIONS: Final = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")


def place(ask: Ask) -> Json:
    """POST order."""
    symbol = ask.symbol()
    terms = order_terms(ask.parameters, symbol, ask.counter.make_id)
    answer = answer_of(ask.parameters, default_answer(terms.kind))
    ask.parameters.nothing_else()
    ask.must_be_within_limits(1)
    ask.fate.jump(ask.desk.venue)
    placed = ask.desk.venue.place(terms, ask.prices(symbol), ask.fate.of_order(terms))
    ask.desk.counts.add(1, ask.now_ms)
    return wire_orders.placed_answer(placed, answer)


def test(ask: Ask) -> Json:
    """POST order/test: everything but the engine."""
    symbol = ask.symbol()
    terms = order_terms(ask.parameters, symbol, ask.counter.make_id)
    answer_of(ask.parameters, Answer.ACK)
    wants_rates = reading.flag(ask.parameters, "computeCommissionRates")
    ask.parameters.nothing_else()
    ask.desk.venue.check(terms, ask.prices(symbol))
    if not wants_rates:
        return {}
    rates = ask.desk.venue.rates
    nothing = {"maker": eight(ZERO), "taker": eight(ZERO)}
    return {
        "standardCommissionForOrder": {"maker": eight(rates.maker), "taker": eight(rates.taker)},
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": discount(ask),
    }


def discount(ask: Ask) -> Json:
    """What paying in BNB saves."""
    rates = ask.desk.venue.rates
    return {
        "enabledForAccount": rates.in_bnb,
        "enabledForSymbol": True,
        "discountAsset": "BNB",
        "discount": eight(rates.discount),
    }


def cancel(ask: Ask) -> Json:
    """DELETE order."""
    symbol, parameters = ask.symbol(), ask.parameters
    which = _named(parameters, "orderId", "origClientOrderId")
    cancel_id = reading.client_id(parameters, "newClientOrderId") or ask.counter.make_id()
    restriction = _restriction(parameters)
    parameters.nothing_else()
    _race(ask, symbol, which)
    canceled = ask.desk.venue.cancel(symbol, which, cancel_id, restriction, ask.prices(symbol))
    _rename(ask, canceled)
    return wire_orders.cancel_answer(canceled)


def cancel_all(ask: Ask) -> list[Json]:
    """DELETE openOrders."""
    symbol = ask.symbol()
    ask.parameters.nothing_else()
    for order in ask.desk.venue.registry.open_orders(symbol):
        _race(ask, symbol, Which(order.id))
    canceled = ask.desk.venue.cancel_all(ask.counter.make_id(), ask.prices(symbol))
    return [wire_orders.cancel_answer(one) for one in canceled]


class Mode(StrEnum):
    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class LimitMode(StrEnum):
    """What a cancel-replace does when too many orders were placed."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


def cancel_replace(ask: Ask) -> Json:
    """POST order/cancelReplace: 200 when both halves succeed, 409 (-2021) when one does, 400 (-2022) else."""
    symbol, parameters = ask.symbol(), ask.parameters
    mode = reading.word(parameters, "cancelReplaceMode", Mode, not_valid("cancelReplaceMode"))
    if mode is None:
        raise missing("cancelReplaceMode")
    which = _named(parameters, "cancelOrderId", "cancelOrigClientOrderId")
    cancel_id = reading.client_id(parameters, "cancelNewClientOrderId") or ask.counter.make_id()
    restriction = _restriction(parameters)
    limit_mode = reading.word(
        parameters, "orderRateLimitExceededMode", LimitMode, not_valid("orderRateLimitExceededMode")
    )
    terms = order_terms(parameters, symbol, ask.counter.make_id)
    answer = answer_of(parameters, default_answer(terms.kind))
    parameters.nothing_else()
    try:
        ask.must_be_within_limits(1)
    except RejectionError as too_many:
        if limit_mode is LimitMode.CANCEL_ONLY:
            raise _cancel_only(ask, symbol, which, cancel_id, restriction, too_many) from None
        raise
    _race(ask, symbol, which)
    replaced = _replaced(ask, mode, which, cancel_id, restriction, terms)
    ask.desk.counts.add(1, ask.now_ms)
    return _replaced_answer(replaced, answer)


def _replaced(ask: Ask, mode: Mode, which: Which, cancel_id: str, restriction: str, terms: Terms) -> Replaced:
    ask.fate.jump(ask.desk.venue)
    old = ask.desk.venue.registry.find(terms.symbol, which.id, which.client_id)
    replaced = ask.desk.venue.cancel_replace(
        which,
        cancel_id,
        restriction,
        terms,
        ask.prices(terms.symbol),
        stop_on_failure=mode is Mode.STOP_ON_FAILURE,
        twist=ask.fate.of_replacement(terms, old),
    )
    if isinstance(replaced.canceled, Canceled):
        _rename(ask, replaced.canceled)
    return replaced


def _replaced_answer(replaced: Replaced, answer: Answer) -> Json:
    canceled, placed = replaced.canceled, replaced.placed
    halves: Json = {
        "cancelResult": "SUCCESS" if isinstance(canceled, Canceled) else "FAILURE",
        "newOrderResult": "SUCCESS"
        if isinstance(placed, Placed)
        else "FAILURE"
        if placed
        else "NOT_ATTEMPTED",
        "cancelResponse": _canceled_half(canceled),
        "newOrderResponse": _placed_half(placed, answer),
    }
    if isinstance(canceled, Canceled) and isinstance(placed, Placed):
        return halves
    if isinstance(canceled, Canceled) or isinstance(placed, Placed):
        raise RejectionError(-2021, "Order cancel-replace partially failed.", 409, data=halves)
    raise RejectionError(-2022, "Order cancel-replace failed.", data=halves)


def _canceled_half(canceled: Canceled | RefusedError) -> Json:
    return wire_orders.cancel_answer(canceled) if isinstance(canceled, Canceled) else _told(canceled)


def _placed_half(placed: Placed | RefusedError | None, answer: Answer) -> Json | None:
    if placed is None:
        return None
    return wire_orders.placed_answer(placed, answer) if isinstance(placed, Placed) else _told(placed)


def _told(refused: RefusedError) -> Json:
    return {"code": refused.code, "msg": refused.text}


def _cancel_only(
    ask: Ask, symbol: str, which: Which, cancel_id: str, restriction: str, too_many: RejectionError
) -> RejectionError:
    """Too many orders: the old one is canceled all the same, the new one is not placed."""
    halves: Json = {"cancelResult": "SUCCESS", "newOrderResult": "FAILURE"}
    try:
        canceled = ask.desk.venue.cancel(symbol, which, cancel_id, restriction, ask.prices(symbol))
        halves["cancelResponse"] = wire_orders.cancel_answer(canceled)
    except RefusedError as refused:
        halves |= {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED"}
        halves["cancelResponse"] = _told(refused)
        halves["newOrderResponse"] = None
        return RejectionError(
            -2022, "Order cancel-replace failed.", 429, data=halves, retry_after_s=too_many.retry_after_s
        )
    halves["newOrderResponse"] = too_many.body
    text = "Order cancel-replace partially failed."
    return RejectionError(-2021, text, 429, data=halves, retry_after_s=too_many.retry_after_s)


def _named(parameters: Parameters, id_name: str, client_name: str) -> Which:
    which = Which(parameters.whole(id_name), reading.client_id(parameters, client_name))
    if which.id is None and which.client_id is None:
        raise RejectionError(
            -1102, f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!"
        )
    return which


def _restriction(parameters: Parameters) -> str:
    text = parameters.text("cancelRestrictions")
    if text is not None and text not in _RESTRICTIONS:
        raise RejectionError(-1145, "Invalid cancelRestrictions")
    return text or ""


def _race(ask: Ask, symbol: str, which: Which) -> None:
    """Somebody may be quicker than the cancel."""
    order = ask.desk.venue.registry.find(symbol, which.id, which.client_id)
    share = ask.fate.race(order)
    if share is not None and order is not None:
        ask.desk.venue.fill_by_fate(order, share, ask.prices(symbol))


def _rename(ask: Ask, canceled: Canceled) -> None:
    if ask.fate.renames():
        for order in canceled.orders:
            ask.desk.venue.registry.rename(order)
