"""What a book still has to give while one operation takes from it.

Liquidity that one order takes is gone for the next order of the same operation; the following book is
a new one, because the market does not know that a paper order was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from agent.core.market import Book, BookLevel
from agent.core.order import Side
from agent.exchange.paper.terms import Terms, is_inside


class Depth:
    """The levels of one book, best first, shrinking as they are taken."""

    def __init__(self, book: Book) -> None:
        self._levels = {Side.BUY: list(book.asks), Side.SELL: list(book.bids)}
        self._mid = book.mid

    def _reference(self, side: Side) -> Decimal | None:
        """The price that slippage is counted from: mid, or the best level when the other side is empty."""
        if self._mid is not None:
            return self._mid
        levels = self._levels[side]
        return levels[0].price if levels else None

    def offers(self, side: Side, limit: Decimal | None, terms: Terms) -> Iterator[BookLevel]:
        """What a taker may have, best first: each level at its price after worsening, inside `limit`."""
        reference = self._reference(side)
        if reference is None:
            return
        at_best = terms.worsened(reference, side)
        worse = max if side is Side.BUY else min
        for level in self._levels[side]:
            price = worse(level.price, at_best)
            if not is_inside(price, limit, side):
                return
            yield BookLevel(price, level.qty)

    def arrivals(self, side: Side, limit: Decimal) -> Iterator[BookLevel]:
        """Levels that have reached a resting limit. It supplies the liquidity and trades at its own price."""
        for level in self._levels[side]:
            if not is_inside(level.price, limit, side):
                return
            yield BookLevel(limit, level.qty)

    def remove(self, side: Side, qty: Decimal) -> None:
        """Take `qty` away from the front."""
        levels = self._levels[side]
        while qty > 0:
            best = levels[0]
            if best.qty > qty:
                levels[0] = replace(best, qty=best.qty - qty)
                return
            qty -= best.qty
            del levels[0]
