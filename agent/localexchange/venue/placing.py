"""What an order must satisfy before it is accepted.

Belongs here: symbol status, filters, prices, funds, in the order in which the exchange looks at them. Stays
true: nothing in here changes anything; every refusal is Binance's code and text.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from agent.core.money import ZERO
from agent.localexchange.venue import refusals
from agent.localexchange.venue.floor import Floor
from agent.localexchange.venue.listing import Listing
from agent.localexchange.venue.matching import would_take
from agent.localexchange.venue.order import ListTerms, Terms, quote_needed
from agent.localexchange.venue.plan import NO_PLAN, Plan, plan
from agent.localexchange.venue.prices import Prices
from agent.localexchange.venue.twist import Twist
from agent.localexchange.venue.words import Contingency, Kind, Side, SymbolStatus


def check_filters(floor: Floor, terms: Terms, prices: Prices, beside: int = 0, algo_beside: int = 0) -> None:
    """Raises RefusedError. `beside`: orders of the same list before it; `algo_beside`: conditional ones."""
    listing = prices.listing
    _check_numbers(terms, listing)
    _check_price(terms.price if terms.kind.limited else ZERO, listing)
    _check_price(terms.stop_price, listing)
    _check_percent(terms, prices)
    _check_lot(terms, listing)
    _check_notional(terms, prices)
    _check_counts(floor, terms, listing, beside, algo_beside)
    _check_position(floor, terms, listing)


def _check_numbers(terms: Terms, listing: Listing) -> None:
    if terms.qty <= 0 and terms.quote_qty <= 0:
        raise refusals.invalid("quantity")
    if terms.kind.limited and terms.price <= 0:
        raise refusals.invalid("price")
    if terms.kind.conditional and terms.stop_price <= 0:
        raise refusals.invalid("stopPrice")
    if terms.prevention not in listing.preventions:
        raise refusals.prevention_not_allowed()


def _check_price(price: Decimal, listing: Listing) -> None:
    if price == 0:
        return
    if price % listing.tick or price < listing.min_price or (listing.max_price and price > listing.max_price):
        raise refusals.filter_failure("PRICE_FILTER")


def _check_percent(terms: Terms, prices: Prices) -> None:
    if not terms.kind.limited:
        return
    listing, average = prices.listing, prices.average()
    buys = terms.side is Side.BUY
    low = average * (listing.bid_down if buys else listing.ask_down)
    high = average * (listing.bid_up if buys else listing.ask_up)
    if not low <= terms.price <= high:
        raise refusals.filter_failure("PERCENT_PRICE_BY_SIDE")


def _check_lot(terms: Terms, listing: Listing) -> None:
    if terms.quote_qty > 0:
        return
    for qty in (terms.qty, terms.iceberg_qty):
        if qty and (qty < listing.min_qty or qty > listing.max_qty or qty % listing.step):
            raise refusals.filter_failure("LOT_SIZE")
    if terms.iceberg_qty:
        parts = (terms.qty / terms.iceberg_qty).to_integral_value(ROUND_CEILING)
        if parts > listing.iceberg_parts:
            raise refusals.filter_failure("ICEBERG_PARTS")
    if terms.kind.limited:
        return
    off_grid = listing.market_step and terms.qty % listing.market_step
    if off_grid or terms.qty < listing.market_min_qty:
        raise refusals.filter_failure("MARKET_LOT_SIZE")
    if listing.market_max_qty and terms.qty > listing.market_max_qty:
        raise refusals.filter_failure("MARKET_LOT_SIZE")


def _check_notional(terms: Terms, prices: Prices) -> None:
    listing = prices.listing
    at_market = not terms.kind.limited
    if terms.quote_qty > 0:
        value = terms.quote_qty
    elif terms.kind.limited:
        value = terms.qty * terms.price
    else:
        value = terms.qty * prices.average()
    too_small = value < listing.min_notional and (listing.min_to_market or not at_market)
    too_big = (
        listing.max_notional and value > listing.max_notional and (listing.max_to_market or not at_market)
    )
    if too_small or (too_big and listing.notional_filter == "NOTIONAL"):
        raise refusals.filter_failure(listing.notional_filter)


def _check_counts(floor: Floor, terms: Terms, listing: Listing, beside: int, algo_beside: int) -> None:
    orders = floor.registry.open_orders(terms.symbol)
    if len(orders) + beside >= listing.max_orders:
        raise refusals.filter_failure("MAX_NUM_ORDERS")
    if not terms.kind.conditional:
        return
    algo = sum(order.terms.kind.conditional for order in orders)
    if algo + algo_beside >= listing.max_algo_orders:
        raise refusals.filter_failure("MAX_NUM_ALGO_ORDERS")


def _check_position(floor: Floor, terms: Terms, listing: Listing) -> None:
    if not listing.max_position or terms.side is Side.SELL:
        return
    coming = sum(
        (o.leaves for o in floor.registry.open_orders(terms.symbol) if o.terms.side is Side.BUY), ZERO
    )
    if floor.ledger.balance(listing.base).total + coming + terms.qty > listing.max_position:
        raise refusals.filter_failure("MAX_POSITION")


# -- beyond filters -------------------------------------------------------------------------------------


def check_tradable(prices: Prices) -> None:
    if prices.listing.status is not SymbolStatus.TRADING:
        raise refusals.market_closed()


def check_cancelable(prices: Prices) -> None:
    if prices.listing.status not in (SymbolStatus.TRADING, SymbolStatus.CANCEL_ONLY):
        raise refusals.cancel_in_closed_market()


def check_placement(floor: Floor, terms: Terms, prices: Prices, twist: Twist) -> Plan:
    """Client id, stop price, book and funds of one order; what it would do. Raises RefusedError."""
    check_client_id(floor, terms)
    if twist.refusal is not None:
        raise twist.refusal
    own = [o for o in floor.registry.open_orders(terms.symbol) if o.resting]
    if terms.kind.conditional:
        if terms.starts_at(prices.last()):
            raise refusals.would_trigger()
        what = NO_PLAN
    else:
        what = plan(terms, terms.qty, prices, own, twist)
    if would_take(terms.kind, what):
        raise refusals.would_match()
    if terms.quote_qty > 0 and not what.steps and twist.share is None:
        raise refusals.no_liquidity()
    _check_funds(floor, terms, prices.listing, what)
    return what


def check_client_id(floor: Floor, terms: Terms) -> None:
    if floor.registry.holder(terms.symbol, terms.client_id) is not None:
        raise refusals.duplicate_order()


def _check_funds(floor: Floor, terms: Terms, listing: Listing, what: Plan) -> None:
    if terms.side is Side.SELL:
        floor.ledger.must_have(listing.base, max(terms.qty, what.qty))
    elif terms.kind is Kind.MARKET:
        floor.ledger.must_have(listing.quote, terms.quote_qty or what.quote)
    else:
        price = terms.price if terms.kind.limited else terms.stop_price
        floor.ledger.must_have(listing.quote, quote_needed(price, terms.qty))


def check_list(floor: Floor, terms: ListTerms, prices: Prices) -> None:
    """Filters, counts and ids of all orders of a list. Raises RefusedError."""
    algo = 0
    for place, order in enumerate(terms.orders):
        check_filters(floor, order, prices, place, algo)
        algo += order.kind.conditional
    ids = [order.client_id for order in terms.orders]
    if len(set(ids)) < len(ids):
        raise refusals.duplicate_order()
    for order in terms.orders:
        check_client_id(floor, order)
    open_lists = floor.registry.open_lists(terms.symbol)
    if any(one.client_id == terms.client_id for one in open_lists):
        raise refusals.duplicate_order()
    if len(open_lists) >= prices.listing.max_lists:
        raise refusals.filter_failure("MAX_NUM_ORDER_LISTS")
    pair = terms.orders if terms.contingency is Contingency.OCO else terms.orders[1:]
    if len(pair) == 2:
        _check_relation(pair[0], pair[1], prices.last() if terms.contingency is Contingency.OCO else None)


def _check_relation(stop: Terms, other: Terms, last: Decimal | None) -> None:
    """The stop on one side of the last price, the profit on the other; pending pairs are only compared."""
    goal = other.price if other.kind is Kind.LIMIT_MAKER else other.stop_price
    below, above = (stop.stop_price, goal) if stop.side is Side.SELL else (goal, stop.stop_price)
    if below >= above or (last is not None and not below < last < above):
        raise refusals.bad_price_relation()


def check_pair(floor: Floor, pair: tuple[Terms, ...], prices: Prices, twist: Twist) -> None:
    """Funds and book of an OCO that goes to the book at once. Raises RefusedError."""
    if twist.refusal is not None:
        raise twist.refusal
    listing, (stop, other) = prices.listing, pair
    own = [o for o in floor.registry.open_orders(stop.symbol) if o.resting]
    if would_take(other.kind, plan(other, other.qty, prices, own, twist)):
        raise refusals.would_match()
    if stop.side is Side.SELL:
        floor.ledger.must_have(listing.base, stop.qty)
        return
    needed = max(quote_needed(t.price if t.kind.limited else t.stop_price, t.qty) for t in pair)
    floor.ledger.must_have(listing.quote, needed)
