"""Why the account says no: Binance's codes and words, each with the numbers behind it.

Checked in the exchange's order: the pair and the request, the filters, the engine (duplicate, stop,
balance). A client id must be unique among open orders only: like Binance, the account lets the id of
a settled order be used again, so whoever resends without looking first buys twice, on paper too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.market import Book
from agent.core.money import floor_to, plain
from agent.core.order import OrderType, Side
from agent.exchange.paper.depth import Depth
from agent.exchange.paper.state import PaperState, Refusal, Ticket
from agent.exchange.paper.terms import Terms

FILTER_FAILURE: Final = -1013
MISSING_PARAMETER: Final = -1102
NEW_ORDER_REJECTED: Final = -2010
CANCEL_REJECTED: Final = -2011
NO_SUCH_ORDER: Final = -2013

UNKNOWN_ORDER: Final = Refusal(CANCEL_REJECTED, "Unknown order sent.")


def refusal_of(state: PaperState, ticket: Ticket, book: Book, terms: Terms) -> Refusal | None:
    """The first reason why `ticket` is not accepted now, or None."""
    instrument = terms.instrument
    if not instrument.trading:
        return Refusal(NEW_ORDER_REJECTED, "Market is closed.")
    if instrument.order_types and ticket.type.value not in instrument.order_types:
        return Refusal(NEW_ORDER_REJECTED, f"{ticket.type} orders are not supported for this symbol.")
    maker = ticket.type is OrderType.LIMIT_MAKER
    if ticket.price is not None and ticket.time_in_force is None and not maker:
        return Refusal(MISSING_PARAMETER, "Mandatory parameter 'timeInForce' was not sent.")
    failure = _filter_failure(ticket, book, terms)
    if failure is not None:
        return Refusal(FILTER_FAILURE, failure)
    if state.open_order(ticket.client_id) is not None:
        return Refusal(NEW_ORDER_REJECTED, "Duplicate order sent.")
    if is_reached(ticket, book):
        return Refusal(NEW_ORDER_REJECTED, "Stop price would trigger immediately.")
    if maker and _would_take(ticket, book):
        return Refusal(NEW_ORDER_REJECTED, "Order would immediately match and take.")
    return _shortage(state, ticket, book, terms)


def _would_take(ticket: Ticket, book: Book) -> bool:
    levels = book.bids if ticket.side is Side.SELL else book.asks
    if not levels or ticket.price is None:
        return False
    best = levels[0].price
    return best >= ticket.price if ticket.side is Side.SELL else best <= ticket.price


def pair_refusal_of(
    state: PaperState, stop: Ticket, target: Ticket, book: Book, terms: Terms
) -> Refusal | None:
    """The first reason why a list of these two is not accepted now, or None."""
    assert stop.stop_price is not None, "the first leg is the stop"
    assert target.price is not None, "the second leg is the target"
    if not terms.instrument.lists_allowed:
        return Refusal(NEW_ORDER_REJECTED, "OCO orders are not supported for this symbol.")
    if target.price <= stop.stop_price:
        return Refusal(NEW_ORDER_REJECTED, "The relationship of the prices for the orders is not correct.")
    return refusal_of(state, stop, book, terms) or refusal_of(state, target, book, terms)


def is_reached(ticket: Ticket, book: Book) -> bool:
    """Whether a taker's price has reached the stop: the best bid for a SELL, the best ask for a BUY."""
    if ticket.stop_price is None:
        return False
    if ticket.side is Side.SELL:
        return bool(book.bids) and book.bids[0].price <= ticket.stop_price
    return bool(book.asks) and book.asks[0].price >= ticket.stop_price


def _filter_failure(ticket: Ticket, book: Book, terms: Terms) -> str | None:
    """Binance's words and the name of the first filter that `ticket` breaks."""
    instrument = terms.instrument
    for name, price in (("price", ticket.price), ("stop price", ticket.stop_price)):
        if price is None:
            continue
        if price <= 0 or price < instrument.min_price or price != floor_to(price, instrument.tick):
            return f"Filter failure: PRICE_FILTER ({name} {plain(price)}, tick {plain(instrument.tick)})"
        if instrument.max_price and price > instrument.max_price:
            return f"Filter failure: PRICE_FILTER ({name} {plain(price)} above {plain(instrument.max_price)})"
    quantity = f"quantity {plain(ticket.qty)}"
    if ticket.price is not None and book.mid is not None:
        outside = instrument.band_breaches(ticket.price, book.mid, buying=ticket.side is Side.BUY)
        if outside:
            return f"Filter failure: PERCENT_PRICE_BY_SIDE ({outside[0]})"
    if ticket.qty < instrument.min_qty or ticket.qty != floor_to(ticket.qty, instrument.step):
        numbers = f"minimum {plain(instrument.min_qty)}, step {plain(instrument.step)}"
        return f"Filter failure: LOT_SIZE ({quantity}, {numbers})"
    if instrument.max_qty and ticket.qty > instrument.max_qty:
        return f"Filter failure: LOT_SIZE ({quantity} above {plain(instrument.max_qty)})"
    if ticket.price is None and instrument.market_max_qty and ticket.qty > instrument.market_max_qty:
        return f"Filter failure: MARKET_LOT_SIZE ({quantity} above {plain(instrument.market_max_qty)})"
    price = ticket.price if ticket.price is not None else ticket.stop_price
    return _notional_failure(ticket.qty, book.mid if price is None else price, terms)


def _notional_failure(qty: Decimal, price: Decimal | None, terms: Terms) -> str | None:
    """NOTIONAL of a limit at its price, of a market stop at its stop price, of a market order at mid."""
    if price is None:
        return None
    instrument, value = terms.instrument, qty * price
    if value < instrument.min_notional:
        return f"Filter failure: NOTIONAL (value {plain(value)} below {plain(instrument.min_notional)})"
    if instrument.max_notional and value > instrument.max_notional:
        return f"Filter failure: NOTIONAL (value {plain(value)} above {plain(instrument.max_notional)})"
    return None


def _shortage(state: PaperState, ticket: Ticket, book: Book, terms: Terms) -> Refusal | None:
    if ticket.side is Side.SELL:
        needed = ticket.qty
    elif ticket.type is OrderType.MARKET:
        needed = _cost(ticket, book, terms)
    else:
        needed = ticket.qty * ticket.lock_price
    currency = terms.pays_with(ticket.side)
    free = state.free(currency)
    if needed <= free:
        return None
    numbers = f"needs {plain(needed)} {currency}, free {plain(free)}"
    return Refusal(NEW_ORDER_REJECTED, f"Account has insufficient balance for requested action. ({numbers})")


def _cost(ticket: Ticket, book: Book, terms: Terms) -> Decimal:
    """What a market BUY will spend on what this book can give."""
    left, cost = ticket.qty, Decimal(0)
    for offer in Depth(book).offers(ticket.side, None, terms):
        qty = min(left, offer.qty)
        cost += qty * offer.price
        left -= qty
        if not left:
            break
    return cost
