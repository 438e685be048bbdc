"""The local exchange as Kraken's clients see it: unmodified ccxt.pro with every address on loopback."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import ccxt.pro

from agent.localexchange.serve import Running, Settings, serve

KEY: Final = "kraken-key"
SECRET: Final = base64.b64encode(b"kraken-secret-of-64-bytes-" * 3).decode()
PAIR: Final = "ADA/USDT"
#: A Wednesday, 10:07:30 UTC.
NOON_MS: Final = 1_750_241_250_000


def urls(running: Running) -> dict[str, Any]:
    """What replaces ccxt's `urls['api']` whole."""
    ws = dict.fromkeys(("public", "private"), running.ws) | dict.fromkeys(
        ("publicV2", "privateV2"), f"{running.ws}/v2"
    )
    return {"public": running.rest, "private": running.rest, "ws": ws}


@contextlib.asynccontextmanager
async def kraken(
    *, more: Mapping[str, Any] | None = None, key: str = KEY, secret: str = SECRET, **settings: Any
) -> AsyncIterator[tuple[Any, Running]]:
    """ccxt's client of a running exchange."""
    ours = {"seed": 7, "start_ms": NOON_MS, "key": KEY, "secret": SECRET, **settings}
    running = await serve(Settings(**ours))
    client = ccxt.pro.kraken({"apiKey": key, "secret": secret, "enableRateLimit": False, **(more or {})})
    client.urls = {**client.urls, "api": urls(running)}
    try:
        yield client, running
    finally:
        await client.close()
        await running.close()
