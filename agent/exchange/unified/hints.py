"""The account's own socket through ccxt.pro, taken as hints: something happened to these orders.

What ccxt makes of an event differs from exchange to exchange and loses what arrives while nobody waits. So no
event is believed here: it names an order, and REST tells what is true. Stays true: a socket that is silent or
dead costs time, never truth, because orders are followed and the account is read without it as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from agent.core.ports import Clock, MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.unified.pro_client import closed, pro_instance, with_markets_of
from agent.exchange.unified.sockets import kept_waiting
from agent.exchange.waiting import BackOff, first_of

_log: Final = logging.getLogger(__name__)

_HEALTHY_LIFE_MS: Final = 30_000.0


class KnowsMarkets(Protocol):
    async def loaded(self) -> Any:
        """A ccxt instance with its markets loaded. Raises MarketDataError."""
        ...


class Hints:
    """`touched` hears the exchange's ids of orders that something happened to; `opened` that hints begin.

    `admitted` gives a new instance what the exchange asks of a socket, or says why it cannot.
    """

    def __init__(
        self,
        addresses: Addresses,
        pair: str,
        markets: KnowsMarkets,
        clock: Clock,
        signs: Callable[[], dict[str, str]],
        admitted: Callable[[Any], Awaitable[str | None]],
        *,
        ping_interval_s: float,
    ) -> None:
        self._addresses = addresses
        self._pair = pair
        self._markets = markets
        self._clock = clock
        self._signs = signs
        self._admitted = admitted
        self._ping_interval_ms = round(ping_interval_s * 1_000)

    async def run(self, touched: Callable[[str], None], opened: Callable[[], None]) -> None:
        """Listen until canceled."""
        back_off = BackOff()
        while True:
            began_ms = self._clock.machine_ms()
            why = await self._live(_Life(touched, opened))
            _log.info("the account's socket is down: %s", why)
            if self._clock.machine_ms() - began_ms >= _HEALTHY_LIFE_MS:
                back_off.reset()
            await self._clock.sleep_machine(back_off.next_ms())

    async def _live(self, life: _Life) -> str:
        try:
            known = await self._markets.loaded()
        except MarketDataError as error:
            return str(error)
        made = pro_instance(
            self._addresses,
            life,
            ping_interval_ms=self._ping_interval_ms,
            keys=self._signs(),
        )
        try:
            with_markets_of(made, known)
            why = await self._admitted(made)
            if why is not None:
                return why
            life.made = made
            await first_of(life.over.wait(), kept_waiting(lambda: made.watch_orders(self._pair), life))
            return life.why
        finally:
            life.made = None
            await closed(made)


class _Life:
    made: Any = None

    def __init__(self, touched: Callable[[str], None], opened: Callable[[], None]) -> None:
        self._touched = touched
        self._opened = opened
        self._seen: dict[str, object] = {}
        self.over = asyncio.Event()
        self.why = "the connection ended"

    def opened(self) -> None:
        self._opened()

    def ended(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def not_understood(self, why: str) -> None:
        # What it was about is not known: whoever reads the account finds it.
        self._opened()

    def heard(self) -> None:
        if self.made is None or self.over.is_set():
            return
        for key, state, order_id in self._now():
            if self._seen.get(key) != state:
                self._seen[key] = state
                self._touched(order_id)
        while len(self._seen) > 4_096:
            del self._seen[next(iter(self._seen))]

    def _now(self) -> Iterable[tuple[str, object, str]]:
        """What ccxt's caches say of orders and trades."""
        for order in list(self.made.orders or ()):
            yield f"o{order.get('id')}", (order.get("status"), order.get("filled")), str(order.get("id"))
        for trade in list(self.made.myTrades or ()):
            yield f"t{trade.get('id')}", True, str(trade.get("order"))
