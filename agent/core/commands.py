"""Everything the agent can ask for, in the imperative. `events.py` is the other half of the vocabulary.

`Keep` rows are written in the same transaction as the state they came with; order commands leave only
after that transaction is durable. Everything else may leave at once.
"""

from __future__ import annotations

from enum import StrEnum

from agent.core.records import Row
from agent.core.value import Value
from agent.core.verdict import Approved, ApprovedPair


class AlertLevel(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class PlaceOrder(Value, frozen=True):
    approved: Approved


class ReplaceOrder(Value, frozen=True):
    """Cancel `cancel_client_id` and, only if that succeeded, place the other, as one request."""

    cancel_client_id: str
    approved: Approved


class PlacePair(Value, frozen=True):
    """Place a stop and a target as one order list."""

    pair: ApprovedPair


class ReplaceByPair(Value, frozen=True):
    """Cancel a resting order and, only once that is certain and nothing of it was executed, place the pair.

    No exchange does this in one request; the second leaves as soon as the first is answered.
    """

    cancel_client_id: str
    pair: ApprovedPair


class CancelOrder(Value, frozen=True):
    """End a working order. Canceling one leg of an order list ends the whole list."""

    client_id: str


class LookUpOrder(Value, frozen=True):
    client_id: str


class ReadFills(Value, frozen=True):
    """Read the own trades of one order: it reported more than the ledger holds."""

    client_id: str


class ReadBook(Value, frozen=True):
    asked_by: int


class ReadQuote(Value, frozen=True):
    """Ask REST for best bid and ask: a second source for a price that looks wrong."""


class ReadAccount(Value, frozen=True):
    fills_since_ms: int


class ReadFeePrice(Value, frozen=True):
    """What one unit of `currency` (BNB) costs in our quote currency: fees were taken in it."""

    currency: str


class SetLatch(Value, frozen=True):
    reason: str
    at_ms: int


class ClearLatch(Value, frozen=True):
    pass


class Alert(Value, frozen=True):
    level: AlertLevel
    kind: str
    text: str


class Answer(Value, frozen=True):
    """The reply to the operator's request that is being stepped."""

    ok: bool
    text: str


class Keep(Value, frozen=True):
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
