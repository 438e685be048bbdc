"""Everything the agent can learn, in the past tense. `commands.py` is the other half of the vocabulary.

Each event reaches `engine.step` inside a `Stamped`, which carries the only time, order and chance the
core ever sees. Times are venue time in milliseconds UTC unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, DataSource, Quote
from agent.core.order import Fill, OrderReport
from agent.core.signal import SignalWindow
from agent.core.value import Value

# --- market data -------------------------------------------------------------------------------


class ClosedBy(StrEnum):
    """How a bar's end became known."""

    FLAG = "flag"
    REST = "rest"
    BACKFILL = "backfill"


class BarClosed(Value, frozen=True):
    """A valid closed bar, delivered once, in order, without gaps."""

    candle: Candle
    closed_by: ClosedBy


class BarUpdated(Value, frozen=True):
    """The bar in progress; its close is the last traded price."""

    candle: Candle


class BarDiffered(Value, frozen=True):
    """REST disagrees with a bar that was already decided. It is never decided again."""

    decided: Candle
    theirs: Candle


class BarLent(Value, frozen=True):
    """A closed bar of another source, while the own bars stay away: for exits alone, never for a signal.

    `here`: at the prices of where orders go; otherwise at those of the market that signals come from.
    """

    candle: Candle
    here: bool


class QuoteSeen(Value, frozen=True):
    """Best bid and ask. `trusted`: the connection is alive and REST confirmed the price recently."""

    quote: Quote
    trusted: bool


class BookSeen(Value, frozen=True):
    book: Book
    asked_by: int
    """The position id whose risk check asked."""


class BookUnreadable(Value, frozen=True):
    asked_by: int
    detail: str


class WarmupAdvanced(Value, frozen=True):
    """Bars of history loaded so far, of those needed."""

    bars: int
    needed: int


class WarmedUp(Value, frozen=True):
    """The indicator window over all history up to and including the bar at `last_open_ms`.

    Bars may have been delivered before, for the exits of open positions; those behind `last_open_ms` are
    delivered once more right after this, so that their signals are judged: up to `followed_to_ms`.
    """

    window: SignalWindow
    last_open_ms: int
    last_close: float
    followed_to_ms: int | None = None


class Scrutinized(Value, frozen=True):
    """A look at what is stored found something worth telling; `level` is one of AlertLevel's."""

    level: str
    kind: str
    text: str


# --- health ------------------------------------------------------------------------------------


class Impairment(StrEnum):
    """Why entries are blocked from outside the core. Managing a position is never blocked."""

    FEED_STALE = "feed stale"
    CANDLE_GAP = "candle gap"
    BAD_CANDLE = "bad candle"
    EXCHANGE_UNREACHABLE = "exchange unreachable"
    CLOCK_OFFSET = "clock offset"
    BALANCE_UNREADABLE = "balance unreadable"
    LEDGER_DIFFERENCE = "ledger difference"
    STORE_FAILING = "store failing"
    DATABASE_AWAY = "database away"
    CREDENTIALS_REFUSED = "credentials refused"
    KEY_RIGHTS = "key rights"
    USER_STREAM = "user stream not caught up"
    NOT_UNDERSTOOD = "exchange not understood"
    SETUP_REFUSED = "setup refused"
    HALT_LATCH = "halt latch"
    AGENT_FAULT = "agent fault"


class Impaired(Value, frozen=True):
    """`permanent`: repeating will not help (bad key, revoked permission); the agent goes to ERROR.
    `expected`: part of every start; entries are blocked, nobody is alarmed and nothing is paused."""

    by: Impairment
    detail: str
    permanent: bool = False
    expected: bool = False


class Healed(Value, frozen=True):
    by: Impairment


class FeedReported(Value, frozen=True):
    """Where data comes from now. `fresh`: the newest closed bar and the quotes are young enough."""

    source: DataSource
    fresh: bool


class ExchangeReported(Value, frozen=True):
    """The last health check of the exchange connection (machine time for latency)."""

    reachable: bool
    latency_ms: float | None
    clock_offset_ms: int | None
    used_weight: int | None


class InstrumentSeen(Value, frozen=True):
    instrument: Instrument


# --- orders and account --------------------------------------------------------------------------


class OrderReported(Value, frozen=True):
    """A believable word on an order: an answer to placing or canceling, a look-up, the user stream."""

    report: OrderReport


class OrderRefused(Value, frozen=True):
    """A parsed, known refusal code: the order certainly does not exist."""

    client_id: str
    code: int
    detail: str


class OutcomeUnknown(Value, frozen=True):
    """No believable answer to placing an order. It may exist."""

    client_id: str
    detail: str


class PlacingBlocked(Value, frozen=True):
    """The request was never sent: the halt latch or the rate limit stood in the way."""

    client_id: str
    detail: str


class CancelFailed(Value, frozen=True):
    """A cancel was refused or lost; the order's state must be looked up. `code` None: no answer."""

    client_id: str
    code: int | None
    detail: str


class LookupFoundNothing(Value, frozen=True):
    """A definite "no such order" from the exchange; one of several needed."""

    client_id: str


class LookupFailed(Value, frozen=True):
    """The look-up itself had no believable answer: proves nothing."""

    client_id: str
    detail: str


class FillsSeen(Value, frozen=True):
    """Own trades, from the user stream or read back. Repeats are harmless."""

    fills: tuple[Fill, ...]


class Holding(Value, frozen=True):
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


class AccountSeen(Value, frozen=True):
    """The exchange's view at one moment: balances, open orders, own trades since `fills_since_ms`.

    `asked_ms`: when it was begun, with the open orders; None where that is not known.
    """

    holdings: Mapping[str, Holding]
    open_orders: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    fills_since_ms: int
    asked_ms: int | None = None


class AccountUnreadable(Value, frozen=True):
    detail: str
    permanent: bool = False


class FeePriceSeen(Value, frozen=True):
    """What one unit of a currency that fees were taken in costs in quote currency."""

    currency: str
    price: Decimal


# --- the operator ------------------------------------------------------------------------------


class StartRequested(Value, frozen=True):
    by: str


class PauseRequested(Value, frozen=True):
    by: str


class ResumeRequested(Value, frozen=True):
    by: str


class StopRequested(Value, frozen=True):
    """`flatten`: sell what is held first; otherwise an open position is managed to its exit."""

    by: str
    flatten: bool


class EmergencyRequested(Value, frozen=True):
    by: str


class ClearHaltRequested(Value, frozen=True):
    by: str


class CloseRequested(Value, frozen=True):
    """Close one position, or all when `position_id` is None."""

    by: str
    position_id: int | None


# --- time --------------------------------------------------------------------------------------


class Woke(Value, frozen=True):
    """The deadline the state asked for has passed (`AgentState.wake_at_ms`)."""


Operator = (
    StartRequested
    | PauseRequested
    | ResumeRequested
    | StopRequested
    | EmergencyRequested
    | ClearHaltRequested
    | CloseRequested
)

Event = (
    BarClosed
    | BarUpdated
    | BarDiffered
    | BarLent
    | QuoteSeen
    | BookSeen
    | BookUnreadable
    | WarmupAdvanced
    | WarmedUp
    | Impaired
    | Healed
    | FeedReported
    | ExchangeReported
    | InstrumentSeen
    | Scrutinized
    | OrderReported
    | OrderRefused
    | OutcomeUnknown
    | PlacingBlocked
    | CancelFailed
    | LookupFoundNothing
    | LookupFailed
    | FillsSeen
    | AccountSeen
    | AccountUnreadable
    | FeePriceSeen
    | Operator
    | Woke
)


class Stamped(Value, frozen=True):
    """An event with its place in the sequence, its venue time, and 64 bits of injected randomness."""

    seq: int
    at_ms: int
    entropy: int
    event: Event
