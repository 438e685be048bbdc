"""Positions: the machine of SIGNAL to CLOSED, and what a position owns.

The table `MOVES` says which event moves which state where; a pair that is not in it is impossible
and asserts. What a position holds derives from fills alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import field

from agent.core.exits import ExitParams, Levels
from agent.core.money import ZERO, Price, Qty
from agent.core.order import Fill, Side
from agent.core.value import Value, replace


class PositionState(StrEnum):
    INITIALIZING = "INITIALIZING"
    CONNECTED = "CONNECTED"
    MONITORING = "MONITORING"
    SIGNAL = "SIGNAL"
    RISK_CHECK = "RISK_CHECK"
    ENTERING = "ENTERING"
    IN_POSITION = "IN_POSITION"
    EXITING = "EXITING"
    CLOSED = "CLOSED"


class PositionEvent(StrEnum):
    EXCHANGE_ANSWERED = "exchange_answered"
    WARMED_UP = "warmed_up"
    DISCONNECTED = "disconnected"
    SIGNAL_SEEN = "signal_seen"
    RISK_ASKED = "risk_asked"
    RISK_REFUSED = "risk_refused"
    RISK_APPROVED = "risk_approved"
    NOTHING_FILLED = "nothing_filled"
    ENTRY_FILLED = "entry_filled"
    EXIT_WANTED = "exit_wanted"
    EXIT_INCOMPLETE = "exit_incomplete"
    FLAT = "flat"
    ARCHIVED = "archived"


class Move(Value, frozen=True):
    to: PositionState
    why: str


def _moves() -> dict[tuple[PositionState, PositionEvent], Move]:
    s, e = PositionState, PositionEvent
    return {
        (s.INITIALIZING, e.EXCHANGE_ANSWERED): Move(s.CONNECTED, "the exchange answers and the pair exists"),
        (s.CONNECTED, e.WARMED_UP): Move(s.MONITORING, "enough history for the indicators"),
        (s.CONNECTED, e.DISCONNECTED): Move(s.INITIALIZING, "the exchange went away during warm-up"),
        (s.MONITORING, e.DISCONNECTED): Move(s.CONNECTED, "history has a hole and is loaded again"),
        (s.MONITORING, e.SIGNAL_SEEN): Move(s.SIGNAL, "a bar closed as seller exhaustion"),
        (s.SIGNAL, e.RISK_ASKED): Move(s.RISK_CHECK, "levels are fixed, the book is asked for"),
        (s.SIGNAL, e.RISK_REFUSED): Move(s.MONITORING, "late, no ladder, no room or blocked"),
        (s.RISK_CHECK, e.RISK_REFUSED): Move(s.MONITORING, "a limit said no; the reason is stored"),
        (s.RISK_CHECK, e.RISK_APPROVED): Move(s.ENTERING, "the intent is committed, then sent"),
        (s.ENTERING, e.NOTHING_FILLED): Move(s.MONITORING, "the entry ended without a fill"),
        (s.ENTERING, e.ENTRY_FILLED): Move(s.IN_POSITION, "what was filled is the position"),
        (s.MONITORING, e.ENTRY_FILLED): Move(s.IN_POSITION, "a fill of an order thought dead: adopted"),
        (s.IN_POSITION, e.ENTRY_FILLED): Move(s.IN_POSITION, "a late fill enlarges the position"),
        (s.IN_POSITION, e.EXIT_WANTED): Move(s.EXITING, "a level, the time limit or the operator"),
        (s.IN_POSITION, e.FLAT): Move(s.CLOSED, "a resting stop sold all of it"),
        (s.EXITING, e.ENTRY_FILLED): Move(s.EXITING, "a late entry fill must be sold too"),
        (s.EXITING, e.EXIT_WANTED): Move(s.EXITING, "already leaving; the first reason stays"),
        (s.EXITING, e.EXIT_INCOMPLETE): Move(s.EXITING, "something is left; a new exit follows"),
        (s.EXITING, e.FLAT): Move(s.CLOSED, "nothing sellable is left"),
        (s.CLOSED, e.ENTRY_FILLED): Move(s.EXITING, "a fill nobody expected any more: sell it"),
        (s.CLOSED, e.ARCHIVED): Move(s.MONITORING, "the trade is booked"),
    }


#: (state, event) -> where to, and why. What is missing must never happen.
MOVES: Final[Mapping[tuple[PositionState, PositionEvent], Move]] = _moves()


def move(state: PositionState, event: PositionEvent) -> PositionState:
    """The next state. Asserts on a pair the table does not know: that would be our own mistake."""
    found = MOVES.get((state, event))
    assert found is not None, f"impossible: {event} in {state}"
    return found.to


def diagram() -> str:
    """The table as Mermaid text for the documentation."""
    rows = [f"    {a} --> {m.to}: {e}" for (a, e), m in MOVES.items()]
    return "\n".join(["stateDiagram-v2", *rows])


class Plan(Value, frozen=True):
    """Everything fixed when the signal was accepted; a position keeps it whatever the config becomes.

    `basis` is the price of the market traded on by that of the signal's market, where they are two: levels
    are scaled by it, and the trade cannot be compared with the backtest.
    """

    signal_open_ms: int
    signal_close: float
    bar_ms: int
    exits: ExitParams
    levels: Levels
    expected_entry: Price
    qty: Qty
    entry_bar_exits: str
    config_hash: str
    mode: str
    venue: str
    basis: float | None = None


class Position(Value, frozen=True):
    """One episode from signal to flat. Amounts in base or quote currency as named, from fills."""

    id: int
    state: PositionState
    plan: Plan
    levels: Levels
    bought_qty: Decimal = ZERO
    buy_cost: Decimal = ZERO
    sold_qty: Decimal = ZERO
    sell_proceeds: Decimal = ZERO
    base_fees: Decimal = ZERO
    base_fees_quote: Decimal = ZERO
    cash_fees_quote: Decimal = ZERO
    opened_ms: int | None = None
    last_fill_ms: int | None = None
    closed_ms: int | None = None
    entry_bar_open_ms: int | None = None
    bars_held: int = 0
    exit_reason: str | None = None
    exit_level: float | None = None
    seen_at_close: bool = False
    dust_qty: Decimal = ZERO
    unprotected_since_ms: int | None = None
    unprotected_ms: int = 0
    booked_pnl: Decimal | None = None
    notes: tuple[str, ...] = ()
    unvalued_fees: Mapping[str, Decimal] = field(default_factory=dict)
    """Fees taken in a third currency whose price is not known yet, by currency; counted as zero so far."""
    external_qty: Decimal = ZERO
    external_value: Decimal = ZERO
    """What left the account without a sale of ours, and its worth at the best bid when that was proven."""

    @property
    def held_qty(self) -> Decimal:
        """Base currency that is ours: bought, less fees in base, sold, booked dust and what was taken."""
        return self.bought_qty - self.base_fees - self.sold_qty - self.dust_qty - self.external_qty

    @property
    def entry_price(self) -> Decimal | None:
        return self.buy_cost / self.bought_qty if self.bought_qty else None

    @property
    def exit_price(self) -> Decimal | None:
        return self.sell_proceeds / self.sold_qty if self.sold_qty else None

    def moved(self, event: PositionEvent) -> Position:
        return replace(self, state=move(self.state, event))

    def with_protection(self, unprotected_since_ms: int | None, unprotected_ms: int) -> Position:
        """Since when no stop rests on the exchange, and for how long none did in all."""
        return replace(self, unprotected_since_ms=unprotected_since_ms, unprotected_ms=unprotected_ms)

    def noted(self, note: str) -> Position:
        return self if note in self.notes else replace(self, notes=(*self.notes, note))

    def with_fill(self, fill: Fill, *, base: str, fee_in_quote: Decimal | None) -> Position:
        """Book one new fill (already de-duplicated). `fee_in_quote` values its fee, None: not known yet."""
        base_fee = fill.fee if fill.fee_currency == base else ZERO
        unvalued = self.unvalued_fees
        if fee_in_quote is None:
            fee_in_quote = ZERO
            unvalued = {**unvalued, fill.fee_currency: unvalued.get(fill.fee_currency, ZERO) + fill.fee}
        booked = replace(
            self,
            unvalued_fees=unvalued,
            base_fees=self.base_fees + base_fee,
            base_fees_quote=self.base_fees_quote + (fee_in_quote if base_fee else ZERO),
            cash_fees_quote=self.cash_fees_quote + (ZERO if base_fee else fee_in_quote),
            last_fill_ms=max(fill.at_ms, self.last_fill_ms or fill.at_ms),
        )
        if fill.side is Side.BUY:
            return replace(
                booked,
                bought_qty=self.bought_qty + fill.qty,
                buy_cost=self.buy_cost + fill.qty * fill.price,
                opened_ms=fill.at_ms if self.opened_ms is None else min(self.opened_ms, fill.at_ms),
            )
        return replace(
            booked,
            sold_qty=self.sold_qty + fill.qty,
            sell_proceeds=self.sell_proceeds + fill.qty * fill.price,
        )

    @property
    def pnl_quote(self) -> Decimal:
        """Realised profit in quote currency after fees; meaningful once the position is closed.

        A fee taken in base currency is not subtracted again: it already left less to sell. What was taken
        from outside counts at its worth then, so that it is neither a loss nor a gain of ours.
        """
        return self.sell_proceeds + self.external_value - self.buy_cost - self.cash_fees_quote

    @property
    def fees_quote(self) -> Decimal:
        """All fees, whatever currency they were taken in, valued in quote currency."""
        return self.base_fees_quote + self.cash_fees_quote


#: Reasons of trades that are no results of the strategy and stay outside its metrics.
EXTERNAL: Final = "EXTERNAL"
TESTNET_RESET: Final = "TESTNET_RESET"
OUTSIDE_METRICS: Final = frozenset({EXTERNAL, TESTNET_RESET})

OPEN_STATES: Final = frozenset({PositionState.IN_POSITION, PositionState.EXITING})
"""A position that owns base currency."""

IN_FLIGHT_STATES: Final = frozenset({PositionState.RISK_CHECK, PositionState.ENTERING})
"""A position that may come to own base currency."""
