"""What the outside must offer: protocols that the shell joins to the core. No implementation here.

Every way of trading (paper, testnet, live, simulation) is an implementation of `Exchange`; every way
of seeing the market is a `MarketData` and a `Feed`. A paper broker never receives a client that could
send an order, because it is not given one of these.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from agent.core.events import (
    AccountSeen,
    AccountUnreadable,
    CancelFailed,
    Event,
    FillsSeen,
    LookupFailed,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
    PlacingBlocked,
)
from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, Quote
from agent.core.order import Intent
from agent.core.verdict import Approved, ApprovedPair

Sink = Callable[[Event], None]
"""Where a source puts what it learned. Never blocks."""

Placed = OrderReported | OrderRefused | OutcomeUnknown | PlacingBlocked
Canceled = OrderReported | CancelFailed
Lookup = OrderReported | LookupFoundNothing | LookupFailed


class Clock(Protocol):
    """Venue time in milliseconds UTC; it may run faster than the machine's in a rehearsal."""

    def now_ms(self) -> int: ...

    def machine_ms(self) -> float:
        """Monotonic machine time in milliseconds: time-outs, pings, back-off."""
        ...

    async def sleep_until(self, venue_ms: int) -> None:
        """Return once venue time has reached `venue_ms`."""
        ...

    async def sleep_machine(self, ms: float) -> None: ...


class Exchange(Protocol):
    """Where orders go. No method raises for what the exchange or the network does: it answers an event."""

    async def place(self, approved: Approved) -> Placed: ...

    async def cancel(self, intent: Intent) -> Canceled: ...

    async def replace(self, cancel: Intent, approved: Approved) -> tuple[Canceled, Placed | None]:
        """One request: cancel, then place only if that succeeded; the second is None if it was not tried."""
        ...

    async def place_pair(self, pair: ApprovedPair) -> tuple[Placed, Placed]:
        """One request for an order list: what became of the stop and of the target, in this order.

        Both are accepted or neither is. Canceling one leg, alone or by `replace`, ends the list.
        """
        ...

    async def look_up(self, intent: Intent) -> Lookup: ...

    async def fills_of(self, intent: Intent) -> FillsSeen | LookupFailed: ...

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable: ...

    async def run(self, sink: Sink) -> None:
        """Deliver what happens to our orders without being asked, until canceled."""
        ...

    async def close(self) -> None: ...


class FeePrices(Protocol):
    """What a currency that fees are taken in costs. Optional: nothing waits for it."""

    async def fee_price(self, currency: str) -> Decimal:
        """Quote currency for one unit of `currency`. Raises MarketDataError."""
        ...


class MarketDataError(Exception):
    """The market cannot be read. `permanent`: asking again will not help (unknown pair)."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class MarketData(Protocol):
    """Public data by request, without keys and without order methods. Raises MarketDataError."""

    async def instrument(self) -> Instrument: ...

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        """Closed and open bars from `since_ms` on, oldest first, at most `limit`, as the exchange sent."""
        ...

    async def book(self) -> Book: ...

    async def quote(self) -> Quote: ...

    async def server_time_ms(self) -> int: ...

    async def close(self) -> None: ...


class Feed(Protocol):
    """Market data by subscription: validated, in order, without gaps, each bar once."""

    async def run(self, sink: Sink, after_open_ms: int) -> None:
        """Deliver bars after the one opened at `after_open_ms`, quotes and health, until canceled."""
        ...

    def watch_closely(self, watching: bool) -> None:
        """A position is open (or not any more): quotes are needed at least once a second."""
        ...
