"""What a paper exchange can be told to do wrong, for tests and drills. Nothing by default.

A rule is asked once for each place, cancel and replace and answers how that one request goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from agent.core.market import Book, BookLevel
from agent.core.order import Intent


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """`delay_ms` of machine time before the request arrives; `lose_answer` after it was executed and
    committed; `book_qty`: base currency that each side of the book holds for this order at most."""

    delay_ms: float = 0
    lose_answer: bool = False
    book_qty: Decimal | None = None

    def seen_by_order(self, book: Book) -> Book:
        if self.book_qty is None:
            return book
        return replace(book, bids=_up_to(self.book_qty, book.bids), asks=_up_to(self.book_qty, book.asks))


Rule = Callable[[Intent], Misbehaviour]


def well_behaved(_: Intent) -> Misbehaviour:
    return Misbehaviour()


def _up_to(qty: Decimal, levels: tuple[BookLevel, ...]) -> tuple[BookLevel, ...]:
    kept = []
    for level in levels:
        if qty <= 0:
            break
        kept.append(replace(level, qty=min(level.qty, qty)))
        qty -= level.qty
    return tuple(kept)
