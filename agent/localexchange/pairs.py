"""What is traded here: a pair, its grid and how its numbers look on the wire.

Belongs here: constants of an instrument and the text form of prices and amounts. Stays true: inside the
local exchange a price is an integer number of ticks and an amount an integer number of steps, so that
every aggregate is exact; text with eight decimals, as Binance sends it, exists only on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Final

#: Binance writes every price and amount with eight decimals.
WIRE_UNITS: Final = 10**8


@dataclass(frozen=True)
class Pair:
    """An instrument. `typical_price` and `minute_volume` scale the synthetic market and the book."""

    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    typical_price: float
    minute_volume: float

    def __hash__(self) -> int:
        """Of the name alone: hashing decimals takes long, and hardly two pairs share a name."""
        return hash((self.base, self.quote))

    @cached_property
    def symbol(self) -> str:
        return self.base + self.quote

    @cached_property
    def price_unit(self) -> int:
        """One tick in units of 1e-8."""
        return int(self.tick * WIRE_UNITS)

    @cached_property
    def amount_unit(self) -> int:
        """One step in units of 1e-8."""
        return int(self.step * WIRE_UNITS)

    def price_text(self, ticks: int) -> str:
        return eight_decimals(ticks * self.price_unit)

    def amount_text(self, steps: int) -> str:
        return eight_decimals(steps * self.amount_unit)

    def quote_text(self, tick_steps: int) -> str:
        """An amount of quote currency counted in ticks times steps."""
        return eight_decimals(tick_steps * self.price_unit * self.amount_unit // WIRE_UNITS)

    def average_text(self, tick_steps: int, steps: int) -> str:
        """The average price of `steps` that cost `tick_steps`; zero when nothing was traded."""
        return eight_decimals(tick_steps * self.price_unit // steps if steps else 0)

    def ticks(self, price: Decimal) -> int:
        """The nearest number of ticks, at least one."""
        return max(1, int((price / self.tick).to_integral_value()))

    def steps(self, amount: Decimal) -> int:
        return max(0, int((amount / self.step).to_integral_value()))


def eight_decimals(units: int) -> str:
    """`units` of 1e-8 as text: 50000000 -> "0.50000000"."""
    if units < 0:
        return "-" + eight_decimals(-units)
    digits = str(units).zfill(9)
    return f"{digits[:-8]}.{digits[-8:]}"


def eight(value: Decimal) -> str:
    """An amount as text with eight decimals."""
    return f"{value:.8f}"


_KNOWN: Final = {
    "ADA/USDT": ("0.0001", "0.1", "5", 0.52, 60_000.0),
    "BNB/USDT": ("0.01", "0.001", "5", 600.0, 60.0),
    "BTC/USDT": ("0.01", "0.00001", "5", 60_000.0, 12.0),
    "ETH/USDT": ("0.01", "0.0001", "5", 3_000.0, 200.0),
    "SHIB/USDT": ("0.00000001", "1", "1", 0.0000123, 2_500_000_000.0),
}


def pair_named(name: str) -> Pair:
    """The pair called `name` ("ADA/USDT"). Unknown ones get the grid of a coin worth about one.

    Raises ValueError, with a sentence, when the name is not BASE/QUOTE.
    """
    base, slash, quote = name.partition("/")
    if not (slash and base.isalnum() and quote.isalnum() and name == name.upper()):
        raise ValueError(f"the pair {name!r} is not of the form BASE/QUOTE, for example ADA/USDT")
    tick, step, notional, price, volume = _KNOWN.get(name, ("0.0001", "0.1", "5", 1.0, 30_000.0))
    return Pair(base, quote, Decimal(tick), Decimal(step), Decimal(notional), price, volume)
