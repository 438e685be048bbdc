"""Rows that are only ever added: what was decided, what was checked, what the account was worth.

Orders, fills and positions are not here: the store writes those from the state itself, by comparing
it with what it wrote before.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from agent.core.value import Value


class Outcome(StrEnum):
    """What became of a closed bar."""

    NO_SIGNAL = "no_signal"
    ENTERED = "entered"
    REFUSED = "refused"
    LATE = "late"
    IN_POSITION = "in_position"
    BLOCKED = "blocked"
    NO_LADDER = "no_ladder"
    NO_ROOM = "no_room"


class DecisionRow(Value, frozen=True):
    """One closed bar: every condition with its value, and the outcome. None: undefined at this bar."""

    bar_open_ms: int
    decided_ms: int
    close: float
    ema_f: float
    ema_s: float
    atr: float | None
    vol_z: float | None
    tr_z: float | None
    cloc: float | None
    downtrend: bool
    exhaustion: bool
    borderline: bool
    outcome: Outcome
    reason: str
    closed_by: str
    position_id: int | None = None


class Check(Value, frozen=True):
    """One limit with its numbers, whether it passed or not."""

    name: str
    passed: bool
    numbers: str


class VerdictRow(Value, frozen=True):
    """The answer of the risk manager to one wish to enter."""

    at_ms: int
    position_id: int
    client_id: str | None
    approved: bool
    checks: tuple[Check, ...]


class BalanceRow(Value, frozen=True):
    """Quote currency: `balance` free and locked, `equity` with our own positions at best bid."""

    at_ms: int
    balance: Decimal
    equity: Decimal


class EventRow(Value, frozen=True):
    """Something worth telling: an alert, an operator's act, a change of state."""

    at_ms: int
    level: str
    kind: str
    text: str


class DustRow(Value, frozen=True):
    """A remainder too small to sell, left behind when a position closed."""

    at_ms: int
    position_id: int
    currency: str
    qty: Decimal


Row = DecisionRow | VerdictRow | BalanceRow | EventRow | DustRow
