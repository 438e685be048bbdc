"""Commissions.

Belongs here: what a trade costs and in which asset. Stays true: a commission is taken from what the trade
brought (base of a purchase, quote of a sale), or from quote where the order asks for that, or in BNB at a
discount when the account wants that and has enough of it: then not from what it brought. Rounded down to
eight decimals.
Source: Binance's commission FAQ, standard commission only; tax and special rates are zero here.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from agent.core.value import Value
from agent.localexchange.venue.listing import GRAIN

BNB: Final = "BNB"


class Rates(Value, frozen=True):
    """Shares of the traded amount. `in_bnb`: the account pays in BNB while it has any."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    discount: Decimal = Decimal("0.25")
    in_bnb: bool = True

    def of(self, maker: bool) -> Decimal:
        return self.maker if maker else self.taker


class Fee(Value, frozen=True):
    asset: str
    amount: Decimal


def plain_fee(asset: str, received: Decimal, rate: Decimal) -> Fee:
    """Taken from what the trade brought."""
    return Fee(asset, (received * rate).quantize(GRAIN, ROUND_DOWN))


def bnb_fee(received_in_quote: Decimal, rate: Decimal, discount: Decimal, bnb_price: Decimal) -> Fee:
    """The same in BNB; `bnb_price` is in the quote currency of the trade."""
    owed = received_in_quote * rate * (1 - discount) / bnb_price
    return Fee(BNB, owed.quantize(GRAIN, ROUND_DOWN))
