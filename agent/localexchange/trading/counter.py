"""What an answer to a signed request is made from.

Belongs here: one request as the endpoints see it, and the parts of the exchange they may use. Stays true: an
endpoint is a synchronous function of these two; the market has been brought to `now_ms` before it is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.core.value import Value
from agent.localexchange.parameters import Parameters, RejectionError
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.fate import Fate
from agent.localexchange.trading.market_prices import MarketPrices
from agent.localexchange.trading.permissions import Permissions
from agent.localexchange.venue.refusals import RefusedError

_FIRST_ID = 1


@dataclass(slots=True)
class Counter:
    """Where requests are answered."""

    desk: Desk
    permissions: Permissions
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(_FIRST_ID))

    def make_id(self) -> str:
        """A client id for who gave none; 22 characters, as Binance makes them."""
        return f"local{next(self._ids):017d}"


class Ask(Value, frozen=True):
    """A request whose key, time and signature are right."""

    counter: Counter
    parameters: Parameters
    now_ms: int
    fate: Fate
    as_of_ms: int | None = None

    @property
    def desk(self) -> Desk:
        return self.counter.desk

    def symbol(self) -> str:
        """The symbol asked for. Raises RejectionError when it is not listed here."""
        symbol = self.parameters.symbol()
        self.desk.listing(symbol)
        return symbol

    def prices(self, symbol: str) -> MarketPrices:
        return self.desk.prices(symbol, self.now_ms)

    def must_be_within_limits(self, orders: int) -> None:
        """Raises RejectionError when so many more orders are too many."""
        exceeded = self.desk.counts.exceeded(orders, self.now_ms)
        if exceeded is not None:
            raise RejectionError(-1015, exceeded.text, 429, retry_after_s=exceeded.retry_after_s)


def as_rejection(refused: RefusedError) -> RejectionError:
    """The venue's refusal as an answer."""
    return RejectionError(refused.code, refused.text)
