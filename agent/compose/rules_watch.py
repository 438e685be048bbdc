"""The pair's rules, read again when an order is refused for one of them, or because the market is closed.

Rules are read every hour anyway. An exchange that changed one in between refuses every exit that is made by
the old one; so the refusal itself is the reason to look, and the next try goes by the new rules. A market
that opens again is noticed so by the next try as well: on paper that is refused by what was read last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from agent.core.events import Event, InstrumentSeen, OrderRefused
from agent.core.instrument import Instrument
from agent.core.ports import Clock, MarketDataError, Sink

LOG: Final = logging.getLogger("agent")
#: "Filter failure" and "too much precision" (Binance's errors.md).
RULE_BROKEN: Final = frozenset({-1013, -1111})
#: -2010 has many reasons; this one is a rule of the pair.
_CLOSED: Final = "market is closed"
#: Machine time between two readings: refusals may come as fast as the network.
_APART_MS: Final = 2_000.0


class RulesWatch:
    """Hear every event through `hear`, which hands it on to `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._wanted = asyncio.Event()

    def hear(self, event: Event) -> None:
        if isinstance(event, OrderRefused) and _is_about_rules(event):
            self._wanted.set()
        self._sink(event)

    async def run(self, read: Callable[[], Awaitable[Instrument]], learn: Sink, clock: Clock) -> None:
        """Read whenever it is wanted, until canceled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                learn(InstrumentSeen(await read()))
            except MarketDataError as error:
                LOG.warning("the pair's rules cannot be read again: %s", error)
                self._wanted.set()
            await clock.sleep_machine(_APART_MS)


def _is_about_rules(refused: OrderRefused) -> bool:
    return refused.code in RULE_BROKEN or _CLOSED in refused.detail.lower()
