"""Everything the agent knows, as one immutable value. `engine.step` makes the next one from it.

`Setup` never changes while the engine runs. `Durable` and the positions and orders survive a restart;
the store writes whichever of them is a different object after a step. The rest is learned anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final

from agent.core.account import Account, DayBook
from agent.core.events import ExchangeReported, Impairment
from agent.core.instrument import Instrument
from agent.core.market import Candle, DataSource, Quote
from agent.core.order import Order, OrderReport, OrderStatus
from agent.core.parameters import ExitParams, SellerParams
from agent.core.phase import Phase
from agent.core.position import IN_FLIGHT_STATES, OPEN_STATES, Position, PositionState
from agent.core.signal import Features, SignalWindow
from agent.core.value import Value


class RiskLimits(Value, frozen=True):
    """Percentages are of equity (risk, size) or of the day's starting equity (daily loss)."""

    risk_per_trade_percent: Decimal
    max_position_size_percent: Decimal
    max_daily_loss_percent: Decimal
    max_daily_trades: int
    max_open_positions: int
    slippage_tolerance_percent: Decimal
    order_timeout_ms: int


class Setup(Value, frozen=True):
    """What the config says, in the core's words. `fee_rate` is the expected taker fee as a fraction.

    `scales_levels`: signals come from another market than orders go to (a testnet), so levels are scaled.
    """

    seller: SellerParams
    exits: ExitParams
    limits: RiskLimits
    mode: str
    venue: str
    pair: str
    base: str
    quote: str
    timeframe: str
    bar_ms: int
    config_hash: str
    tag: str
    entry_bar_exits: str
    enter_without_room: bool
    entry_order: str
    protective_stop: bool
    disaster_stop_percent: Decimal | None
    capital: Decimal | None
    late_signal: str
    late_after_ms: int
    auto_resume: bool
    fee_rate: Decimal
    scales_levels: bool = False


class HaltReason(StrEnum):
    EMERGENCY = "emergency"
    DAILY_LOSS = "daily_loss"


class Halt(Value, frozen=True):
    """The latch. It is set in a file and a row, and cleared only by a deliberate act."""

    reason: HaltReason
    at_ms: int
    by: str


class Durable(Value, frozen=True):
    """What must survive a restart besides positions and orders.

    `flattening`: the operator stopped and wants nothing held, so a late entry fill is sold too.
    """

    phase: Phase
    phase_since_ms: int
    halt: Halt | None
    day: DayBook | None
    account: Account
    next_position_id: int
    decided_open_ms: int | None
    flattening: bool = False


class PriceWatch(Value, frozen=True):
    """The last quote that may trigger something, the last of those that came from REST, and the last that
    must first be confirmed."""

    trusted: Quote | None = None
    confirmed: Quote | None = None
    suspect: Quote | None = None
    suspect_asked_ms: int | None = None
    connection_ok: bool = False


NO_PRICE: Final = PriceWatch()


class FeePrice(Value, frozen=True):
    """Quote currency for one unit of a currency that fees are taken in, seen at `at_ms`."""

    price: Decimal
    at_ms: int


class Missing(Value, frozen=True):
    """`qty` of base currency, seen to be missing in every reading since `since_ms`."""

    qty: Decimal
    since_ms: int


class PendingSignal(Value, frozen=True):
    """A signal whose risk check waits for the book. Never stored: nothing has been sent for it."""

    features: Features
    closed_by: str
    decided_ms: int
    asked_ms: int


@dataclass(frozen=True)
class AgentState:
    """With a dictionary, unlike everything else here: it keeps what was found among positions and orders."""

    setup: Setup
    durable: Durable
    now_ms: int
    began_ms: int = 0
    """When this run started: an order of ours that is younger and not among `orders` is somebody else's."""
    positions: Mapping[int, Position] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    watch: PositionState = PositionState.INITIALIZING
    window: SignalWindow | None = None
    warmup: tuple[int, int] = (0, 0)
    last_features: Features | None = None
    instrument: Instrument | None = None
    prices: PriceWatch = NO_PRICE
    last_price: float | None = None
    live_bar: Candle | None = None
    last_bar: Candle | None = None
    pending: Mapping[int, PendingSignal] = field(default_factory=dict)
    impairments: Mapping[Impairment, str] = field(default_factory=dict)
    expected: frozenset[Impairment] = frozenset()
    """Those of `impairments` that every start goes through and nobody was alarmed about."""
    reconciled_ms: int | None = None
    account_asked_ms: int | None = None
    account_asked_from_ms: int = 0
    """Since when own trades were asked for then, or last."""
    account_asked_in_doubt: bool = True
    """Whether that was as far back as is needed to conclude something."""
    account_seen_ms: int | None = None
    sellable: Decimal | None = None
    """What the account has free of our base currency, once a sale was refused for lack of it."""
    doubted_cash: Decimal | None = None
    """By how much cash differed at the last reading, and since when by the same amount."""
    doubted_since_ms: int | None = None
    missing_base: Missing | None = None
    """Coins of ours that the account does not hold, while that is being proven."""
    missed_since_ms: Mapping[str, int] = field(default_factory=dict)
    """By client id: since when readings of the account show a resting order of unknown outcome nowhere."""
    lost_history_ms: int | None = None
    """Since when the exchange does not know trades of ours, while a reset testnet is being proven."""
    source: DataSource = DataSource.NONE
    fresh: bool = False
    exchange: ExchangeReported | None = None
    exit_retry_ms: Mapping[int, int] = field(default_factory=dict)
    exit_attempts: Mapping[int, int] = field(default_factory=dict)
    protect_retry_ms: Mapping[int, int] = field(default_factory=dict)
    pair_retry_ms: Mapping[int, int] = field(default_factory=dict)
    """By position: when its stop may be exchanged for a list of stop and target."""
    rest_due_ms: Mapping[int, int] = field(default_factory=dict)
    """By position: what rests was reached and must have sold everything by then."""
    verified_ms: Mapping[str, int] = field(default_factory=dict)
    """By client id: when the exchange last said that the order is working."""
    last_balance_row_ms: int = 0
    fee_prices: Mapping[str, FeePrice] = field(default_factory=dict)
    bnb_is_low: bool = False
    """It was told that soon there will be no BNB left to pay fees with."""
    strangers: tuple[OrderReport, ...] = ()
    """Open orders on our pair that are not ours, at the last reading: shown, counted, never touched."""
    told_trades: tuple[str, ...] = ()
    """Trades that are not ours and were told of."""

    _open: ClassVar[tuple[Mapping[int, Position], tuple[Position, ...]] | None] = None
    _flying: ClassVar[tuple[Mapping[int, Position], tuple[Position, ...]] | None] = None
    _moving: ClassVar[tuple[Mapping[str, Order], tuple[Order, ...]] | None] = None

    def but(self, **fields: Any) -> AgentState:
        """The same state with these fields replaced, like `dataclasses.replace`."""
        return self.having(fields)

    def having(self, fields: dict[str, Any]) -> AgentState:
        """As `but`, for who has the fields in a dictionary."""
        assert _FIELDS.issuperset(fields), f"no such fields: {fields.keys()}"
        changed = object.__new__(AgentState)
        object.__setattr__(changed, "__dict__", self.__dict__ | fields)
        return changed

    @property
    def phase(self) -> Phase:
        return self.durable.phase

    def open_positions(self) -> tuple[Position, ...]:
        """Positions that own base currency, oldest first. Found once, as `moving_orders`."""
        found = self._open
        if found is None or found[0] is not self.positions:
            found = self.positions, tuple([p for p in self.positions.values() if p.state in OPEN_STATES])
            self.__dict__["_open"] = found
        return found[1]

    def in_flight(self) -> tuple[Position, ...]:
        """Positions that may come to own base currency, oldest first. Found once, as `moving_orders`."""
        found = self._flying
        if found is None or found[0] is not self.positions:
            found = self.positions, tuple([p for p in self.positions.values() if p.state in IN_FLIGHT_STATES])
            self.__dict__["_flying"] = found
        return found[1]

    def orders_of(self, position_id: int) -> tuple[Order, ...]:
        return tuple([o for o in self.orders.values() if o.intent.position_id == position_id])

    def moving_orders(self) -> tuple[Order, ...]:
        """Those that are not at rest, oldest first: of a day's orders the few that have a deadline.

        Asked for at every event, so they are found once for all states that share their orders.
        """
        found = self._moving
        if found is None or found[0] is not self.orders:
            found = self.orders, tuple([o for o in self.orders.values() if not o.is_at_rest])
            self.__dict__["_moving"] = found
        return found[1]

    def unknown_orders(self) -> tuple[Order, ...]:
        # Nothing that is at rest is unknown.
        return tuple([o for o in self.moving_orders() if o.status is OrderStatus.UNKNOWN])

    def bid(self) -> Decimal | None:
        """The best bid we believe, or None while there is none."""
        return self.prices.trusted.bid if self.prices.trusted else None


_FIELDS: Final = frozenset(of.name for of in fields(AgentState))
