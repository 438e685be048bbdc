"""A symbol as it is listed: its status and its filters.

Belongs here: the rules orders are checked against, as values. Stays true: exchangeInfo is written from the
same object that is enforced; a rule of zero is switched off, as on Binance.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Final

from agent.core.money import ZERO
from agent.core.value import Value
from agent.localexchange.pairs import Pair
from agent.localexchange.venue.words import Kind, Prevention, SymbolStatus

#: Amounts on the wire have eight decimals.
GRAIN: Final = Decimal("0.00000001")

_MOST_TICKS: Final = 10_000_000


class Listing(Value, frozen=True):
    """Prices in quote, quantities in base. `None` and zero switch a rule off."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_price: Decimal
    max_price: Decimal
    min_qty: Decimal
    max_qty: Decimal
    market_max_qty: Decimal
    min_notional: Decimal
    max_notional: Decimal
    market_min_qty: Decimal = ZERO
    market_step: Decimal = ZERO
    notional_filter: str = "NOTIONAL"
    min_to_market: bool = True
    max_to_market: bool = False
    bid_up: Decimal = Decimal(5)
    bid_down: Decimal = Decimal("0.2")
    ask_up: Decimal = Decimal(5)
    ask_down: Decimal = Decimal("0.2")
    iceberg_parts: int = 10
    max_orders: int = 200
    max_algo_orders: int = 5
    max_lists: int = 20
    max_position: Decimal = ZERO
    status: SymbolStatus = SymbolStatus.TRADING
    kinds: tuple[Kind, ...] = tuple(Kind)
    preventions: tuple[Prevention, ...] = tuple(Prevention)

    def __post_init__(self) -> None:
        assert self.tick > 0, "a symbol has a tick"
        assert self.step > 0, "a symbol has a step"


@lru_cache(maxsize=64)
def listing_of(pair: Pair) -> Listing:
    """How the exchange lists `pair` unless an operator changes it."""
    usual = Decimal(str(pair.minute_volume))
    return Listing(
        pair.symbol,
        pair.base,
        pair.quote,
        tick=pair.tick,
        step=pair.step,
        min_price=pair.tick,
        max_price=pair.tick * _MOST_TICKS,
        min_qty=pair.step,
        max_qty=_on_grid(usual * 1_000, pair.step),
        market_max_qty=_on_grid(usual * 20, pair.step),
        min_notional=pair.min_notional,
        max_notional=Decimal(9_000_000),
    )


def _on_grid(amount: Decimal, step: Decimal) -> Decimal:
    return max(step, amount // step * step)
