"""The traded pair and its grid: the only maker of prices and quantities that may be sent.

A level computed in float becomes money here and nowhere else, rounded to the tick in a stated
direction. `breaches` lists every exchange filter an order would break, with the numbers, so that
an order is refused here before the exchange has to.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from agent.core.money import ZERO, Price, Qty, ceil_to, floor_to, plain
from agent.core.value import Value

Toward = Literal["down", "up", "nearest"]


class PriceBand(Value, frozen=True):
    """PERCENT_PRICE_BY_SIDE: limits as multiples of the exchange's average price."""

    bid_down: Decimal
    bid_up: Decimal
    ask_down: Decimal
    ask_up: Decimal


class Instrument(Value, frozen=True):
    """What the exchange says about a pair. Prices in quote, quantities in base currency.

    A maximum of zero means that the exchange states none. `max_orders`, `max_conditional_orders` (stops) and
    `max_lists` are how many may be open on this pair at once. `lists_allowed`: order lists (OCO) are offered.
    """

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    max_notional: Decimal
    min_price: Decimal
    max_price: Decimal
    order_types: frozenset[str]
    trading: bool
    taker_fee_rate: Decimal
    price_band: PriceBand | None = None
    lists_allowed: bool = True
    max_orders: int = 0
    max_conditional_orders: int = 0
    max_lists: int = 0

    def __post_init__(self) -> None:
        assert self.tick > 0, f"{self.symbol}: tick size must be positive"
        assert self.step > 0, f"{self.symbol}: step size must be positive"

    def price(self, level: float | Decimal, toward: Toward) -> Price:
        """`level` on the tick grid, rounded `toward` the stated direction. Never below one tick."""
        exact = level if isinstance(level, Decimal) else Decimal(repr(level))
        assert exact.is_finite(), f"not a price: {level!r}"
        if toward == "down":
            rounded = floor_to(exact, self.tick)
        elif toward == "up":
            rounded = ceil_to(exact, self.tick)
        else:
            rounded = floor_to(exact + self.tick / 2, self.tick)
        return Price(max(rounded, self.tick))

    def qty(self, amount: Decimal) -> Qty:
        """`amount` rounded down to the step grid; zero when less than one step is left."""
        return Qty(floor_to(max(amount, ZERO), self.step))

    def most(self, amount: Decimal, *, market: bool) -> Qty:
        """As much of `amount` as one order may carry, on the step grid."""
        return self.qty(min((amount, *self._maxima(market))))

    def _maxima(self, market: bool) -> tuple[Decimal, ...]:
        return tuple(m for m in (self.max_qty, self.market_max_qty if market else ZERO) if m)

    def breaches(self, qty: Decimal, price: Decimal, *, market: bool) -> tuple[str, ...]:
        """Every filter that an order of `qty` at `price` would break, in words with numbers."""
        found = []
        top = min(self._maxima(market), default=ZERO)
        if qty < self.min_qty or qty <= 0:
            found.append(f"quantity {plain(qty)} {self.base} is below the minimum {plain(self.min_qty)}")
        if top and qty > top:
            found.append(f"quantity {plain(qty)} {self.base} is above the maximum {plain(top)}")
        if qty != floor_to(qty, self.step):
            found.append(f"quantity {plain(qty)} is not a multiple of the step size {plain(self.step)}")
        if not market and price != floor_to(price, self.tick):
            found.append(f"price {plain(price)} is not a multiple of the tick size {plain(self.tick)}")
        if self.min_price and price < self.min_price:
            found.append(f"price {plain(price)} is below the minimum {plain(self.min_price)}")
        if self.max_price and price > self.max_price:
            found.append(f"price {plain(price)} is above the maximum {plain(self.max_price)}")
        notional = qty * price
        if notional < self.min_notional:
            found.append(
                f"order value {plain(notional)} {self.quote} is below the minimum {plain(self.min_notional)}"
            )
        if self.max_notional and notional > self.max_notional:
            found.append(
                f"order value {plain(notional)} {self.quote} is above the maximum {plain(self.max_notional)}"
            )
        return tuple(found)

    def band_breaches(self, price: Decimal, reference: Decimal, *, buying: bool) -> tuple[str, ...]:
        """PERCENT_PRICE_BY_SIDE of a limit `price` against `reference` (the exchange's average price)."""
        band = self.price_band
        if band is None or reference <= 0:
            return ()
        low = reference * (band.bid_down if buying else band.ask_down)
        high = reference * (band.bid_up if buying else band.ask_up)
        if low <= price <= high:
            return ()
        return (f"price {plain(price)} is outside the allowed band {plain(low)} to {plain(high)}",)

    def is_dust(self, qty: Decimal, price: Decimal) -> bool:
        """Whether a holding can no longer be sold: under the step, the minimum or the minimum value."""
        sellable = self.qty(qty)
        return sellable < self.min_qty or sellable <= 0 or sellable * price < self.min_notional
