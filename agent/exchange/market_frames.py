"""What comes through a market socket, in our words, whatever the exchange. PURE."""

from __future__ import annotations

from decimal import Decimal

from agent.core.market import Candle
from agent.core.value import Value


class KlineFrame(Value, frozen=True):
    """The bar in progress, or its end."""

    interval: str
    candle: Candle
    closed: bool


class TopFrame(Value, frozen=True):
    """Best bid and ask. `update_id` grows with every change of the book."""

    update_id: int
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


class Unreadable(Value, frozen=True):
    detail: str
