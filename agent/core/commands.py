"""Everything the agent can ask for, in the imperative. `events.py` is the other half of the vocabulary.

`Keep` rows are written in the same transaction as the state they came with; order commands leave only
after that transaction is durable. Everything else may leave at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.core.records import Row
from agent.core.verdict import Approved, ApprovedPair


class AlertLevel(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    approved: Approved


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """Cancel `cancel_client_id` and, only if that succeeded, place the other, as one request."""

    cancel_client_id: str
    approved: Approved


@dataclass(frozen=True, slots=True)
class PlacePair:
    """Place a stop and a target as one order list."""

    pair: ApprovedPair


@dataclass(frozen=True, slots=True)
class ReplaceByPair:
    """Cancel a resting order and, only once that is certain and nothing of it was executed, place the pair.

    No exchange does this in one request; the second leaves as soon as the first is answered.
    """

    cancel_client_id: str
    pair: ApprovedPair


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """End a working order. Canceling one leg of an order list ends the whole list."""

    client_id: str


@dataclass(frozen=True, slots=True)
class LookUpOrder:
    client_id: str


@dataclass(frozen=True, slots=True)
class ReadFills:
    """Read the own trades of one order: it reported more than the ledger holds."""

    client_id: str


@dataclass(frozen=True, slots=True)
class ReadBook:
    asked_by: int


@dataclass(frozen=True, slots=True)
class ReadQuote:
    """Ask REST for best bid and ask: a second source for a price that looks wrong."""


@dataclass(frozen=True, slots=True)
class ReadAccount:
    fills_since_ms: int


@dataclass(frozen=True, slots=True)
class ReadFeePrice:
    """What one unit of `currency` (BNB) costs in our quote currency: fees were taken in it."""

    currency: str


@dataclass(frozen=True, slots=True)
class SetLatch:
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ClearLatch:
    pass


@dataclass(frozen=True, slots=True)
class Alert:
    level: AlertLevel
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply to the operator's request that is being stepped."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Keep:
    row: Row


OrderCommand = PlaceOrder | ReplaceOrder | PlacePair | ReplaceByPair | CancelOrder

Command = (
    OrderCommand
    | LookUpOrder
    | ReadFills
    | ReadBook
    | ReadQuote
    | ReadAccount
    | ReadFeePrice
    | SetLatch
    | ClearLatch
    | Alert
    | Answer
    | Keep
)
