"""Unmodified ccxt.pro, pointed at a local exchange with an account.

As WIRE says: `urls['api']` is replaced whole, so that nothing else can be reached.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import ccxt.pro
from trading_ground import KEY, SECRET, account
from trading_ground import Account as Ground


@contextlib.asynccontextmanager
async def client(
    secret: str = SECRET, options: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Any, Ground]]:
    """A client with markets loaded and the exchange's clock, and the ground it stands on."""
    async with account(**settings) as ground:
        base, socket = ground.running.rest, ground.running.ws
        exchange = ccxt.pro.binance(
            {
                "apiKey": KEY,
                "secret": secret,
                "enableRateLimit": False,
                "options": {
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "fetchCurrencies": False,
                    **(options or {}),
                },
            }
        )
        exchange.urls = {
            **exchange.urls,
            "api": {
                "public": f"{base}/api/v3",
                "private": f"{base}/api/v3",
                "sapi": f"{base}/sapi/v1",
                "ws": {"spot": f"{socket}/stream/ws", "ws-api": {"spot": f"{socket}/ws-api/v3"}},
            },
        }
        exchange.milliseconds = lambda: ground.now_ms
        try:
            await exchange.load_markets()
            yield exchange, ground
        finally:
            await exchange.close()
