"""Everything the agent can learn, in the past tense. `commands.py` is the other half of the vocabulary.

Each event reaches `engine.step` inside a `Stamped`, which carries the only time, order and chance the
core ever sees. Times are venue time in milliseconds UTC unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from agent.core.instrument import Instrument
from agent.core.market import Book, Candle, DataSource, Quote
from agent.core.order import Fill, OrderReport
from agent.core.signal import SignalWindow

# --- market data -------------------------------------------------------------------------------


class ClosedBy(StrEnum):
    """How a bar's end became known."""

    FLAG = "flag"
    REST = "rest"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A valid closed bar, delivered once, in order, without gaps."""

    candle: Candle
    closed_by: ClosedBy


@dataclass(frozen=True, slots=True)
class BarUpdated:
    """The bar in progress; its close is the last traded price."""

    candle: Candle


@dataclass(frozen=True, slots=True)
class BarDiffered:
    """REST disagrees with a bar that was already decided. It is never decided again."""

    decided: Candle
    theirs: Candle


@dataclass(frozen=True, slots=True)
class BarLent:
    """A closed bar of another source, while the own bars stay away: for exits alone, never for a signal.

    `here`: at the prices of where orders go; otherwise at those of the market that signals come from.
    """

    candle: Candle
    here: bool


@dataclass(frozen=True, slots=True)
class QuoteSeen:
    """Best bid and ask. `trusted`: the connection is alive and REST confirmed the price recently."""

    quote: Quote
    trusted: bool


@dataclass(frozen=True, slots=True)
class BookSeen:
    book: Book
    asked_by: int
    """The position id whose risk check asked."""


@dataclass(frozen=True, slots=True)
class BookUnreadable:
    asked_by: int
    detail: str


@dataclass(frozen=True, slots=True)
class WarmupAdvanced:
    """Bars of history loaded so far, of those needed."""

    bars: int
    needed: int


@dataclass(frozen=True, slots=True)
class WarmedUp:
    """The indicator window over all history up to and including the bar at `last_open_ms`.

    Bars may have been delivered before, for the exits of open positions; those behind `last_open_ms` are
    delivered once more right after this, so that their signals are judged: up to `followed_to_ms`.
    """

    window: SignalWindow
    last_open_ms: int
    last_close: float
    followed_to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Scrutinized:
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


@dataclass(frozen=True, slots=True)
class Impaired:
    """`permanent`: repeating will not help (bad key, revoked permission); the agent goes to ERROR.
    `expected`: part of every start; entries are blocked, nobody is alarmed and nothing is paused."""

    by: Impairment
    detail: str
    permanent: bool = False
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Healed:
    by: Impairment


@dataclass(frozen=True, slots=True)
class FeedReported:
    """Where data comes from now. `fresh`: the newest closed bar and the quotes are young enough."""

    source: DataSource
    fresh: bool


@dataclass(frozen=True, slots=True)
class ExchangeReported:
    """The last health check of the exchange connection (machine time for latency)."""

    reachable: bool
    latency_ms: float | None
    clock_offset_ms: int | None
    used_weight: int | None


@dataclass(frozen=True, slots=True)
class InstrumentSeen:
    instrument: Instrument


# --- orders and account --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderReported:
    """A believable word on an order: an answer to placing or canceling, a look-up, the user stream."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """A parsed, known refusal code: the order certainly does not exist."""

    client_id: str
    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """No believable answer to placing an order. It may exist."""

    client_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class PlacingBlocked:
    """The request was never sent: the halt latch or the rate limit stood in the way."""

    client_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class CancelFailed:
    """A cancel was refused or lost; the order's state must be looked up. `code` None: no answer."""

    client_id: str
    code: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class LookupFoundNothing:
    """A definite "no such order" from the exchange; one of several needed."""

    client_id: str


@dataclass(frozen=True, slots=True)
class LookupFailed:
    """The look-up itself had no believable answer: proves nothing."""

    client_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class FillsSeen:
    """Own trades, from the user stream or read back. Repeats are harmless."""

    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """The exchange's view at one moment: balances, open orders, own trades since `fills_since_ms`.

    `asked_ms`: when it was begun, with the open orders; None where that is not known.
    """

    holdings: Mapping[str, Holding]
    open_orders: tuple[OrderReport, ...]
    fills: tuple[Fill, ...]
    fills_since_ms: int
    asked_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AccountUnreadable:
    detail: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class FeePriceSeen:
    """What one unit of a currency that fees were taken in costs in quote currency."""

    currency: str
    price: Decimal


# --- the operator ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRequested:
    by: str


@dataclass(frozen=True, slots=True)
class PauseRequested:
    by: str


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    by: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """`flatten`: sell what is held first; otherwise an open position is managed to its exit."""

    by: str
    flatten: bool


@dataclass(frozen=True, slots=True)
class EmergencyRequested:
    by: str


@dataclass(frozen=True, slots=True)
class ClearHaltRequested:
    by: str


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """Close one position, or all when `position_id` is None."""

    by: str
    position_id: int | None


# --- time --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Woke:
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


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with its place in the sequence, its venue time, and 64 bits of injected randomness."""

    seq: int
    at_ms: int
    entropy: int
    event: Event
