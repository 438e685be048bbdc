"""The account as the agent may count it: cash, what is ours, and the day it is judged by.

Cash follows our own fills at once and is compared with the exchange at every reconciliation; what fills
cannot explain is an external flow (a deposit or a withdrawal), which moves the day's starting equity and
never the PnL. Everything else on the account is foreign: known, shown, never counted, never sold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from msgspec import field

from agent.core.events import Holding
from agent.core.market import DAY_MS
from agent.core.money import ZERO
from agent.core.order import Fill, Side
from agent.core.value import Value, replace


class Account(Value, frozen=True):
    """Amounts in quote currency unless named otherwise.

    `cash` is None until the exchange's balances were read once. `realized_pnl` is the sum over closed
    positions. `capital` is the configured one in force; `capital_mark` is the realised PnL that it counts
    from: it grows with every profit above the capital, because that is not ours to count any more, and
    stays where it is through a loss. `foreign` holds what was there before us and what we did not buy.
    `history_from_ms`: the exchange knows nothing from before, because its testnet was reset then.
    `last_fill_ms`: when the newest fill that was ever counted happened; None while nothing is known of it.
    """

    cash: Decimal | None = None
    realized_pnl: Decimal = ZERO
    foreign: Mapping[str, Decimal] = field(default_factory=dict)
    capital: Decimal | None = None
    capital_mark: Decimal = ZERO
    history_from_ms: int = 0
    last_fill_ms: int | None = None

    def after_fill(self, fill: Fill, quote: str) -> Account:
        """Cash after one new fill of ours."""
        newest_ms = max(fill.at_ms, self.last_fill_ms or 0)
        if self.cash is None:
            return replace(self, last_fill_ms=newest_ms)
        value = fill.price * fill.qty
        fee = fill.fee if fill.fee_currency == quote else ZERO
        cash = self.cash + (value if fill.side is Side.SELL else -value) - fee
        return replace(self, cash=cash, last_fill_ms=newest_ms)


class DayBook(Value, frozen=True):
    """One UTC day of venue time. `start_equity` is None until the first trusted price of the day, which
    was the price at `marked_ms`.

    `flows` are deposits less withdrawals since then. Counters survive restarts with the state.
    """

    day: int
    start_equity: Decimal | None = None
    flows: Decimal = ZERO
    trades: int = 0
    wins: int = 0
    losses: int = 0
    loss_limit_hit: bool = False
    marked_ms: int | None = None

    @property
    def date(self) -> str:
        return (dt.date(1970, 1, 1) + dt.timedelta(days=self.day)).isoformat()

    def pnl(self, equity: Decimal | None) -> Decimal | None:
        """Profit of the day so far, realised and unrealised, in quote currency."""
        if self.start_equity is None or equity is None:
            return None
        return equity - self.start_equity - self.flows


def day_of(at_ms: int) -> int:
    """The UTC day as days since 1970-01-01."""
    return at_ms // DAY_MS


def holdings_total(holdings: Mapping[str, Holding], currency: str) -> Decimal:
    holding = holdings.get(currency)
    return holding.total if holding else ZERO
