"""A status document with everything in it, for tests to change."""

from __future__ import annotations

import copy
from typing import Any

_FULL: dict[str, Any] = {
    "running": True,
    "state": "RUNNING",
    "state_since": "2025-01-15T14:32:05.000Z",
    "at": "2025-01-15T15:44:05.000Z",
    "mode": "paper",
    "venue": "binance@127.0.0.1:8090",
    "pair": "ADA/USDT",
    "timeframe": "15m",
    "balance": "9580.12",
    "equity": "10003.456",
    "day": {"date": "2025-01-15", "pnl": "3.456", "trades": 1, "start_equity": "10000"},
    "positions": [
        {
            "id": 3,
            "mode": "paper",
            "opened_at": "2025-01-15T14:45:02.123Z",
            "entry_price": "0.34211",
            "size": "1234.5",
            "stop": "0.3301",
            "target": "0.3612",
            "take_profit": None,
            "unrealized_pnl": "3.456",
            "protected_by": "sx01protect",
            "unprotected_since": None,
        }
    ],
    "orders": [
        {
            "client_id": "sx01protect",
            "side": "SELL",
            "type": "STOP_LOSS",
            "status": "NEW",
            "quantity": "1234.5",
            "filled": "0",
            "price": "0.3301",
        }
    ],
    "feed": {"source": "websocket", "fresh": True, "last_closed_bar": "2025-01-15T15:15:00.000Z"},
    "exchange": {"reachable": True, "latency_ms": 45.3, "clock_offset_ms": 3, "used_weight": 120},
    "price": {"bid": "0.3449"},
    "warmup": {"bars": 7000, "needed": 7100, "error_bound": 1.2e-9},
    "halt": None,
    "entries_blocked_by": [],
    "version": "0.1.0",
    "config_hash": "abcdef0123456789",
}

HALT = {
    "reason": "emergency",
    "at": "2025-01-15T15:43:00.000Z",
    "flat": False,
    "remaining": ["position 3: 1234.5 ADA"],
}


def full_status(**changes: Any) -> dict[str, Any]:
    """A running engine with one protected position; `changes` replace top-level keys."""
    return {**copy.deepcopy(_FULL), **changes}


def flat_status(**changes: Any) -> dict[str, Any]:
    return full_status(**{"positions": [], "orders": [], **changes})
