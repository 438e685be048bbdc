"""What trading costs on paper: the fee, the slippage, and the arithmetic that must not round.

Every price a taker gets is at least as bad as mid * (1 +/- slippage), rounded against us to the tick,
so paper never fills better than the backtest's cost model assumed, and worse when the book says so.
All sums of the account run under `EXACT`, which raises instead of rounding; the two places that do
round, the tick of a worsened price and the eighth decimal of a fee, round against us.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Final

from agent.core.instrument import Instrument
from agent.core.money import ONE, PRECISION, ceil_to, floor_to
from agent.core.order import Side
from agent.core.value import Value

EXACT: Final = decimal.Context(
    prec=PRECISION,
    traps=[
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
        decimal.FloatOperation,
    ],
)
"""A result that does not fit is our mistake and stops the operation; it never becomes a lost digit."""

FEE_GRID: Final = Decimal("0.00000001")
"""Binance states commissions with eight decimals, whatever the precision of price and quantity."""

BASIS_POINTS: Final = Decimal(10_000)


class Terms(Value, frozen=True):
    """The pair and its costs. `fee_bp` and `slippage_bp` are basis points (1 bp = 0.01 %)."""

    instrument: Instrument
    fee_bp: Decimal
    slippage_bp: Decimal

    def __post_init__(self) -> None:
        assert 0 <= self.fee_bp < BASIS_POINTS, f"a fee of {self.fee_bp} bp would take everything"
        assert 0 <= self.slippage_bp < BASIS_POINTS, f"slippage of {self.slippage_bp} bp leaves no price"

    def fee(self, received: Decimal) -> Decimal:
        """The fee on `received` (base on BUY, quote on SELL), rounded up to the eighth decimal."""
        return min(ceil_to(received * self.fee_bp / BASIS_POINTS, FEE_GRID), received)

    def worsened(self, price: Decimal, side: Side) -> Decimal:
        """`price` moved against us by the slippage and then to the next tick; never below one tick."""
        share = self.slippage_bp / BASIS_POINTS
        if side is Side.BUY:
            return ceil_to(price * (ONE + share), self.instrument.tick)
        return max(floor_to(price * (ONE - share), self.instrument.tick), self.instrument.tick)

    def pays_with(self, side: Side) -> str:
        return self.instrument.quote if side is Side.BUY else self.instrument.base

    def receives(self, side: Side) -> str:
        """The currency an execution brings in; Binance takes its fee from it unless BNB pays."""
        return self.instrument.base if side is Side.BUY else self.instrument.quote


def is_inside(price: Decimal, limit: Decimal | None, side: Side) -> bool:
    """Whether an order with this `limit` may trade at `price`; without a limit it always may."""
    if limit is None:
        return True
    return price <= limit if side is Side.BUY else price >= limit
