"""Placing, canceling and asking for order lists.

Belongs here: OCO, OTO and OTOCO from parameters to JSON. Stays true: which leg is above and which below is
checked with Binance's own codes before prices are compared; the stop of a pair is the venue's first leg.
"""

from __future__ import annotations

from typing import Final

from agent.localexchange.parameters import Parameters, RejectionError, missing
from agent.localexchange.trading import reading, wire_orders
from agent.localexchange.trading.counter import Ask
from agent.localexchange.trading.order_words import (
    Answer,
    Names,
    answer_of,
    kind_of,
    leg_terms,
    prevention_of,
    side_of,
)
from agent.localexchange.venue.order import ListTerms, Terms
from agent.localexchange.venue.outcomes import Which
from agent.localexchange.venue.refusals import no_such_list
from agent.localexchange.venue.words import Contingency, Kind, Side
from agent.localexchange.wire import Json

_STOPS: Final = (Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT)
_GOALS: Final = (Kind.LIMIT_MAKER, Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_LIMIT)
_DAY_MS: Final = 86_400_000
_ROWS: Final = 500
_MOST_ROWS: Final = 1_000


def place_oco(ask: Ask) -> Json:
    """POST orderList/oco."""
    symbol, parameters = ask.symbol(), ask.parameters
    list_id = reading.client_id(parameters, "listClientOrderId") or ask.counter.make_id()
    side = side_of(parameters)
    legs = _pair(ask, symbol, side, "quantity", "above", "below")
    return _placed(ask, ListTerms(symbol, list_id, Contingency.OCO, legs))


def place_oto(ask: Ask) -> Json:
    """POST orderList/oto."""
    symbol, parameters = ask.symbol(), ask.parameters
    list_id = reading.client_id(parameters, "listClientOrderId") or ask.counter.make_id()
    working = _working(ask, symbol)
    kind, side = kind_of(parameters, "pendingType"), side_of(parameters, "pendingSide")
    pending = _leg(ask, "pending", symbol, side, kind, "pendingQuantity")
    return _placed(ask, ListTerms(symbol, list_id, Contingency.OTO, (working, pending)))


def place_otoco(ask: Ask) -> Json:
    """POST orderList/otoco."""
    symbol, parameters = ask.symbol(), ask.parameters
    list_id = reading.client_id(parameters, "listClientOrderId") or ask.counter.make_id()
    working = _working(ask, symbol)
    side = side_of(parameters, "pendingSide")
    legs = _pair(ask, symbol, side, "pendingQuantity", "pendingAbove", "pendingBelow")
    return _placed(ask, ListTerms(symbol, list_id, Contingency.OTO, (working, *legs)))


def _placed(ask: Ask, terms: ListTerms) -> Json:
    answer = answer_of(ask.parameters, Answer.RESULT)
    ask.parameters.nothing_else()
    count = len(terms.orders)
    ask.must_be_within_limits(count)
    ask.fate.jump(ask.desk.venue)
    placed = ask.desk.venue.place_list(terms, ask.prices(terms.symbol), ask.fate.of_list(terms))
    ask.desk.counts.add(count, ask.now_ms)
    return wire_orders.placed_list_answer(placed, answer)


def _working(ask: Ask, symbol: str) -> Terms:
    kind = kind_of(ask.parameters, "workingType")
    if kind not in (Kind.LIMIT, Kind.LIMIT_MAKER):
        raise RejectionError(-1116, "Invalid orderType.")
    side = side_of(ask.parameters, "workingSide")
    return _leg(ask, "working", symbol, side, kind, "workingQuantity")


def _leg(ask: Ask, prefix: str, symbol: str, side: Side, kind: Kind, quantity_name: str) -> Terms:
    parameters = ask.parameters
    quantity = reading.amount(parameters, quantity_name)
    if quantity is None:
        raise missing(quantity_name)
    prevention = prevention_of(parameters)
    return leg_terms(parameters, Names(prefix), symbol, side, kind, quantity, prevention, ask.counter.make_id)


def _pair(ask: Ask, symbol: str, side: Side, quantity: str, above: str, below: str) -> tuple[Terms, Terms]:
    """The stop and the other leg."""
    above_kind, below_kind = kind_of(ask.parameters, f"{above}Type"), kind_of(ask.parameters, f"{below}Type")
    _check_kinds(side, above_kind, below_kind)
    legs = (
        _leg(ask, above, symbol, side, above_kind, quantity),
        _leg(ask, below, symbol, side, below_kind, quantity),
    )
    return legs if legs[0].kind in _STOPS else (legs[1], legs[0])


def _check_kinds(side: Side, above: Kind, below: Kind) -> None:
    """Which types may lie on which side of the price. Raises RejectionError."""
    for kind in (above, below):
        if kind not in (*_STOPS, *_GOALS):
            raise RejectionError(-1158, "Order type not supported in OCO.")
    if above in _GOALS and below in _GOALS:
        raise RejectionError(-1168, "At least one OCO order must be contingent.")
    if above in _STOPS and below in _STOPS:
        raise RejectionError(-1158, "Order type not supported in OCO.")
    sells = side is Side.SELL
    # A sale stops below the price and takes its profit above it; a purchase the other way round.
    if sells and above in _STOPS:
        raise RejectionError(-1197, "A stop loss order in a sell OCO must be below.")
    if not sells and below in _STOPS:
        raise RejectionError(-1196, "A stop loss order in a buy OCO must be above.")


# -- canceling and asking -------------------------------------------------------------------------------


def cancel_list(ask: Ask) -> Json:
    """DELETE orderList."""
    symbol, parameters = ask.symbol(), ask.parameters
    which = _named(parameters, "listClientOrderId")
    cancel_id = reading.client_id(parameters, "newClientOrderId") or ask.counter.make_id()
    parameters.nothing_else()
    registry = ask.desk.venue.registry
    found = registry.find_list(which.id, which.client_id)
    legs = [registry.order(order_id) for order_id in found.order_ids] if found is not None else []
    racing = next((leg for leg in legs if leg.open and (leg.resting or leg.waiting)), None)
    share = ask.fate.race(racing)
    if share is not None and racing is not None:
        ask.desk.venue.fill_by_fate(racing, share, ask.prices(symbol))
    canceled = ask.desk.venue.cancel_list(symbol, which, cancel_id, ask.prices(symbol))
    return wire_orders.cancel_answer(canceled)


def query_list(ask: Ask) -> Json:
    """GET orderList."""
    which = _named(ask.parameters, "origClientOrderId")
    ask.parameters.nothing_else()
    found = ask.desk.venue.registry.find_list(which.id, which.client_id, ask.as_of_ms)
    if found is None:
        raise no_such_list()
    return wire_orders.list_row(found)


def open_lists(ask: Ask) -> list[Json]:
    """GET openOrderList."""
    ask.parameters.nothing_else()
    lists = ask.desk.venue.registry.lists(ask.as_of_ms)
    return [wire_orders.list_row(one) for one in lists if not one.done]


def all_lists(ask: Ask) -> list[Json]:
    """GET allOrderList, the newest first."""
    parameters = ask.parameters
    from_id = parameters.whole("fromId")
    start_ms, end_ms = span(parameters)
    limit = parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise RejectionError(-1128, "Combination of optional parameters invalid.")
    found = [
        one
        for one in ask.desk.venue.registry.lists(ask.as_of_ms)
        if (from_id is None or one.id >= from_id)
        and (start_ms is None or one.created_ms >= start_ms)
        and (end_ms is None or one.created_ms <= end_ms)
    ]
    found = found[:limit] if from_id is not None or start_ms is not None else found[-limit:]
    return [wire_orders.list_row(one) for one in reversed(found)]


def span(parameters: Parameters) -> tuple[int | None, int | None]:
    """A start and an end at most a day apart. Raises RejectionError."""
    start_ms, end_ms = parameters.whole("startTime"), parameters.whole("endTime")
    if start_ms is not None and end_ms is not None and end_ms - start_ms > _DAY_MS:
        raise RejectionError(-1127, "More than 24 hours between startTime and endTime.")
    return start_ms, end_ms


def _named(parameters: Parameters, client_name: str) -> Which:
    which = Which(parameters.whole("orderListId"), reading.client_id(parameters, client_name))
    if which.id is None and which.client_id is None:
        raise RejectionError(
            -1102, f"Param '{client_name}' or 'orderListId' must be sent, but both were empty/null!"
        )
    return which
