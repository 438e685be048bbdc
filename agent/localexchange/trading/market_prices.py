"""The market as the venue sees it.

Belongs here: last and average price, the finite book without what was bought out of it, the price of BNB, of
one symbol at one moment. Stays true: a level somebody took from stays thinner for as long as the book keeps a
level's size; nothing later than the moment is ever read.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from agent.localexchange.book import STEP_MS
from agent.localexchange.intervals import MINUTE_MS
from agent.localexchange.market import Instrument, Market
from agent.localexchange.venue.fees import BNB
from agent.localexchange.venue.listing import Listing
from agent.localexchange.venue.prices import Offer
from agent.localexchange.venue.words import Side

_AVERAGE_MINUTES: Final = 5
#: How long what was taken is missing: the time after which the book draws a level's size anew.
_TAKEN_FOR_MS: Final = 120 * STEP_MS


class Taken:
    """What was bought out of the book lately."""

    def __init__(self) -> None:
        self._amounts: dict[tuple[str, Side, int], tuple[int, int]] = {}

    def note(self, symbol: str, taker: Side, price: int, amount: int, at_ms: int) -> None:
        """Prices in ticks, amounts in steps."""
        if len(self._amounts) > 1_000:
            fresh = {k: v for k, v in self._amounts.items() if at_ms - v[0] < _TAKEN_FOR_MS}
            self._amounts = fresh
        before = self.amount(symbol, taker, price, at_ms)
        self._amounts[symbol, taker, price] = (at_ms, before + amount)

    def amount(self, symbol: str, taker: Side, price: int, at_ms: int) -> int:
        noted = self._amounts.get((symbol, taker, price))
        return noted[1] if noted is not None and at_ms - noted[0] < _TAKEN_FOR_MS else 0

    def forget(self) -> None:
        self._amounts.clear()


class MarketPrices:
    """One symbol at `at_ms`; implements the venue's `Prices`. Something was traded in it by then."""

    def __init__(self, market: Market, instrument: Instrument, taken: Taken, at_ms: int) -> None:
        self.at_ms = at_ms
        self._market = market
        self._instrument = instrument
        self._taken = taken

    @property
    def listing(self) -> Listing:
        return self._instrument.listing

    def last(self) -> Decimal:
        last = self._instrument.tape.last_trade(self.at_ms)
        assert last is not None, "a symbol that is traded has a last trade"
        return last.price * self._instrument.pair.tick

    def average(self) -> Decimal:
        minute_ms = (self.at_ms // MINUTE_MS - _AVERAGE_MINUTES + 1) * MINUTE_MS
        span = self._instrument.tape.span(minute_ms, self.at_ms)
        if span is None or not span.volume:
            return self.last()
        return span.quote * self._instrument.pair.tick / span.volume

    def bnb(self) -> Decimal | None:
        instrument = self._market.find(BNB + self._instrument.pair.quote)
        last = None if instrument is None else instrument.tape.last_trade(self.at_ms)
        return None if instrument is None or last is None else last.price * instrument.pair.tick

    def offers(self, taker: Side) -> Iterator[Offer]:
        pair = self._instrument.pair
        side = self._instrument.book.offered(self.at_ms, to_buyers=taker is Side.BUY)
        for price, amount in side.items():
            left = amount - self._taken.amount(pair.symbol, taker, price, self.at_ms)
            if left > 0:
                yield Offer(price * pair.tick, left * pair.step)

    def took(self, taker: Side, price: Decimal, qty: Decimal) -> None:
        pair = self._instrument.pair
        self._taken.note(pair.symbol, taker, pair.ticks(price), pair.steps(qty), self.at_ms)


def market_prices(market: Market, symbol: str, taken: Taken, at_ms: int) -> MarketPrices | None:
    """None for a symbol that is not listed, or in which nothing was traded yet."""
    instrument = market.find(symbol)
    if instrument is None or instrument.tape.last_trade(at_ms) is None:
        return None
    return MarketPrices(market, instrument, taken, at_ms)
