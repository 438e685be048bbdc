"""What tests of the venue trade with: a listing, a book that is given, and short ways to give orders.

The pair has a tick of 0.0001 and a step of 0.1 and a commission of 0.1 %. Time moves when it is told to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from agent.core.money import plain
from agent.localexchange.pairs import pair_named
from agent.localexchange.venue.events import ListChanged, News, Positions, Report
from agent.localexchange.venue.listing import Listing, listing_of
from agent.localexchange.venue.order import ListTerms, Order, Terms
from agent.localexchange.venue.outcomes import Canceled, Placed, PlacedList, Which
from agent.localexchange.venue.prices import Offer
from agent.localexchange.venue.refusals import RefusedError
from agent.localexchange.venue.twist import NO_TWIST, Twist
from agent.localexchange.venue.venue import Venue
from agent.localexchange.venue.words import Contingency, Force, Kind, Side

D = Decimal
NOON = 1_750_240_800_000
LISTING = listing_of(pair_named("ADA/USDT"))
HALF, BNB_PRICE = D("0.5"), D(600)


@dataclass
class Book:
    """A market that stands where it is put: levels as (price, quantity), best first."""

    bids: list[Offer] = field(default_factory=list)
    asks: list[Offer] = field(default_factory=list)
    at_ms: int = NOON
    listing: Listing = LISTING
    last_price: Decimal = HALF
    bnb_price: Decimal | None = BNB_PRICE

    def last(self) -> Decimal:
        return self.last_price

    def average(self) -> Decimal:
        return self.last_price

    def bnb(self) -> Decimal | None:
        return self.bnb_price

    def offers(self, taker: Side) -> Iterator[Offer]:
        return iter(list(self.asks if taker is Side.BUY else self.bids))

    def took(self, taker: Side, price: Decimal, qty: Decimal) -> None:
        side = self.asks if taker is Side.BUY else self.bids
        at = next(n for n, offer in enumerate(side) if offer.price == price)
        left = side[at].qty - qty
        assert left >= 0, "more was taken than was offered"
        side[at : at + 1] = [Offer(price, left)] if left else []


def levels(*pairs: tuple[str, str]) -> list[Offer]:
    return [Offer(D(price), D(qty)) for price, qty in pairs]


@dataclass
class Desk:
    """Someone with an account, in front of a market."""

    venue: Venue
    book: Book
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 10**9)))

    def terms(self, side: str, kind: str, qty: str = "0", **more: Any) -> Terms:
        """`more`: price, stop, force, client_id, quote_qty, iceberg."""
        return Terms(
            "ADAUSDT",
            Side(side),
            Kind(kind),
            more.get("client_id") or f"c{next(self.numbers)}",
            qty=D(qty),
            quote_qty=D(more.get("quote_qty", 0)),
            price=D(more.get("price", 0)),
            stop_price=D(more.get("stop", 0)),
            force=Force(more.get("force", "GTC")),
            iceberg_qty=D(more.get("iceberg", 0)),
            **{key: more[key] for key in ("prevention", "strategy_id") if key in more},
        )

    def place(self, side: str, kind: str, qty: str = "0", twist: Twist = NO_TWIST, **more: Any) -> Placed:
        return self.venue.place(self.terms(side, kind, qty, **more), self.book, twist)

    def refused(self, side: str, kind: str, qty: str = "0", twist: Twist = NO_TWIST, **more: Any) -> str:
        """Why an order is refused; nothing may have changed."""
        before = self.state()
        with pytest.raises(RefusedError) as caught:
            self.place(side, kind, qty, twist, **more)
        assert self.state() == before
        return f"{caught.value.code} {caught.value.text}"

    def list(self, contingency: str, *orders: Terms, twist: Twist = NO_TWIST) -> PlacedList:
        terms = ListTerms("ADAUSDT", f"l{next(self.numbers)}", Contingency(contingency), orders)
        return self.venue.place_list(terms, self.book, twist)

    def oco(self, side: str, qty: str, *, stop: str, goal: str, stop_limit: str | None = None) -> PlacedList:
        stop_kind = "STOP_LOSS" if stop_limit is None else "STOP_LOSS_LIMIT"
        return self.list(
            "OCO",
            self.terms(side, stop_kind, qty, stop=stop, price=stop_limit or 0),
            self.terms(side, "LIMIT_MAKER", qty, price=goal),
        )

    def cancel(self, order: Order, restriction: str = "") -> Canceled:
        return self.venue.cancel("ADAUSDT", Which(order.id), "cancel", restriction, self.book)

    def trade(self, price: str, qty: str = "1000", seconds: int = 1) -> None:
        """Time passes; the market trades and stands at the price from then on."""
        self.book.at_ms += seconds * 1_000
        self.book.last_price = D(price)
        self.venue.pass_trade(self.book, D(price), D(qty))

    def now(self, order: Order) -> Order:
        return self.venue.registry.order(order.id)

    def free(self, asset: str) -> Decimal:
        return self.venue.ledger.balance(asset).free

    def locked(self, asset: str) -> Decimal:
        return self.venue.ledger.balance(asset).locked

    def state(self) -> object:
        registry = self.venue.registry
        return (
            self.venue.ledger.balances(),
            list(registry.all_orders()),
            list(registry.trades),
            registry.lists(),
        )

    def news(self) -> list[News]:
        return self.venue.take_news()

    def told(self) -> list[str]:
        """The news in short: `NEW c1`, `TRADE c1 5.0@0.5`, `list ALL_DONE`, `USDT ADA`."""
        return [_short(one) for one in self.news()]


def _short(one: News) -> str:
    match one:
        case Report(trade=trade) if trade is not None:
            return f"TRADE {trade.client_id} {plain(trade.qty)}@{plain(trade.price)}"
        case Report():
            why = f" {one.order.expiry}" if one.order.expiry else ""
            return f"{one.execution} {one.order.terms.client_id}{why}"
        case ListChanged():
            return f"list {'ALL_DONE' if one.list.done else 'EXECUTING'}"
        case Positions():
            return " ".join(asset for asset, _ in one.balances)
    return str(one)


def desk(
    *,
    bids: Sequence[tuple[str, str]] = (("0.4999", "1000"), ("0.4998", "2000")),
    asks: Sequence[tuple[str, str]] = (("0.5001", "1000"), ("0.5002", "2000")),
    funds: dict[str, str] | None = None,
    **rules: Any,
) -> Desk:
    """An account with 1,000 USDT and 1,000 ADA, unless told otherwise; `rules` change the listing."""
    owned = {"USDT": "1000", "ADA": "1000"} if funds is None else funds
    book = Book(levels(*bids), levels(*asks), listing=replace(LISTING, **rules))
    return Desk(Venue({asset: D(amount) for asset, amount in owned.items()}, NOON), book)
