"""What the market shows the venue.

Belongs here: the protocol of a market at one moment, as matching needs it. Stays true: whoever implements it
answers the same as long as the moment lasts, but for what was taken meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

from agent.core.value import Value
from agent.localexchange.venue.listing import Listing
from agent.localexchange.venue.words import Side


class Offer(Value, frozen=True):
    """One price of the other side and how much is to be had there."""

    price: Decimal
    qty: Decimal


class Prices(Protocol):
    """One symbol at `at_ms`."""

    @property
    def at_ms(self) -> int:
        """Venue time."""

    @property
    def listing(self) -> Listing:
        """The rules in force."""

    def last(self) -> Decimal:
        """The price of the last trade."""

    def average(self) -> Decimal:
        """The volume-weighted average of the last minutes, which filters refer to."""

    def bnb(self) -> Decimal | None:
        """One BNB in this symbol's quote currency; None when that cannot be told."""

    def offers(self, taker: Side) -> Iterator[Offer]:
        """What a taker of this side can have, best first, without what was taken before."""

    def took(self, taker: Side, price: Decimal, qty: Decimal) -> None:
        """So much is gone from the book."""
