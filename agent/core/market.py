"""What the market tells us: candles, quotes, the book, and the bar lengths they come in.

Candles feed indicators, charts and statistics and are therefore float64, exactly as the backtester
read them. Quotes and the book feed orders and are therefore Decimal. Times are integer milliseconds
UTC. Nothing here knows where the data came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Final

from agent.core.money import ZERO
from agent.core.value import Value

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

#: Minutes per bar of every timeframe a config may name.
TIMEFRAME_MINUTES: Final[dict[str, int]] = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "10m": 10,
    "15m": 15,
    "30m": 30,
    "60m": 60,
}


def bar_ms(timeframe: str) -> int:
    """Length of one bar in milliseconds. `timeframe` is a key of TIMEFRAME_MINUTES."""
    return TIMEFRAME_MINUTES[timeframe] * MINUTE_MS


class Candle(Value, frozen=True):
    """One closed bar. `open_ms` is the open time; prices in quote currency, volume in base currency."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def scaled(self, by: float) -> Candle:
        """The same bar on a market where everything costs `by` times as much."""
        return Candle(
            self.open_ms, self.open * by, self.high * by, self.low * by, self.close * by, self.volume
        )

    def faults(self, bar_length_ms: int) -> tuple[str, ...]:
        """Every reason why this candle cannot be believed; empty when it can.

        Order in time is a property of a series, not of one candle: see the feed.
        """
        low, high = self.low, self.high
        sound = 0 < low <= self.open <= high < math.inf and low <= self.close <= high
        if sound and 0 <= self.volume < math.inf and self.open_ms % bar_length_ms == 0:
            # Nearly every candle; a number that is none compares as false.
            return ()
        numbers = (self.open, self.high, self.low, self.close, self.volume)
        if not all(math.isfinite(x) for x in numbers):
            return ("a number is not finite",)
        found = []
        if self.open_ms % bar_length_ms:
            found.append("open time is off the grid")
        if min(self.open, self.high, self.low, self.close) <= 0:
            found.append("a price is not positive")
        if self.high < max(self.open, self.close, self.low):
            found.append("high is below another price")
        if self.low > min(self.open, self.close, self.high):
            found.append("low is above another price")
        if self.volume < 0:
            found.append("volume is negative")
        return tuple(found)


class DataSource(StrEnum):
    """Where market data comes from at the moment."""

    WEBSOCKET = "websocket"
    REST = "rest"
    POLYGON = "polygon"
    NONE = "none"


class Quote(Value, frozen=True):
    """Best bid and ask with their sizes, and where and when (venue time) they were seen."""

    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    at_ms: int
    source: DataSource

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    @property
    def is_crossed(self) -> bool:
        return self.bid >= self.ask


class BookLevel(Value, frozen=True):
    price: Decimal
    qty: Decimal


class Book(Value, frozen=True):
    """Bids descending, asks ascending, as the exchange sent them at `at_ms`."""

    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    at_ms: int

    @property
    def mid(self) -> Decimal | None:
        if not self.bids or not self.asks:
            return None
        return (self.bids[0].price + self.asks[0].price) / 2


class Walk(Value, frozen=True):
    """What a taker order of some size would get from a book, before fees."""

    qty: Decimal
    cost: Decimal

    @property
    def average_price(self) -> Decimal | None:
        return self.cost / self.qty if self.qty else None


def walk(levels: Iterable[BookLevel], qty: Decimal) -> Walk:
    """Take `qty` from `levels` best first. The result holds less than `qty` when the book is too thin."""
    left, cost = qty, ZERO
    for level in levels:
        if left <= 0:
            break
        taken = min(left, level.qty)
        cost += taken * level.price
        left -= taken
    return Walk(qty - left, cost)
