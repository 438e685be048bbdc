"""What comes through a market socket, in our words, whatever the exchange. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from agent.core.market import Candle


@dataclass(frozen=True, slots=True)
class KlineFrame:
    """The bar in progress, or its end."""

    interval: str
    candle: Candle
    closed: bool


@dataclass(frozen=True, slots=True)
class TopFrame:
    """Best bid and ask. `update_id` grows with every change of the book."""

    update_id: int
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


@dataclass(frozen=True, slots=True)
class Unreadable:
    detail: str
