"""The engine's parts in a world over Kraken's rules: ccxt's sessions and the account's hints.

Stays true: what is sent is what ccxt wrote and signed; a hint names an order and nothing else, and may be
lost, doubled or late like any event of the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any, Final

from agent.core.ports import Clock
from agent.exchange import ccxt_client
from agent.exchange.dialing import NotOpened
from agent.exchange.unified import account as unified_account
from agent.exchange.unified import carrier, rising
from agent.exchange.waiting import BackOff
from agent.localexchange.kraken.names import order_id
from agent.localexchange.venue.events import News, Report
from agent.simulation.agenda import VirtualLoop
from agent.simulation.network import Network
from agent.simulation.session import MemorySession, Underway
from agent.simulation.venue import Request

#: As often as the quick profile polls everywhere.
_POLL_EVERY_MS: Final = 600_000.0
_PUBLIC: Final = ccxt_client._instance
_SIGNED: Final = carrier._instance


def kraken_parts(
    network: Network, loop: VirtualLoop, made: list[Any], wall_ns: Callable[[], int]
) -> dict[tuple[ModuleType, str], object]:
    """What takes the place of what. `made` gets every instance of ccxt that holds a session."""

    def remembered(make: Callable[..., Any]) -> Callable[..., Any]:
        def instance(*given: Any) -> Any:
            made.append(make(*given))
            return made[-1]

        return instance

    def session(tls: Any, *traces: Any, keep_alive_s: float = 0.0) -> Any:
        return KrakenSession(network, loop)

    def hints(
        addresses: Any, pair: str, markets: Any, clock: Clock, signs: Any, admitted: Any, **more: Any
    ) -> Any:
        return VirtualHints(network, loop, clock, admitted)

    return {
        (ccxt_client, "_instance"): remembered(_PUBLIC),
        (carrier, "_instance"): remembered(_SIGNED),
        (ccxt_client, "open_session"): session,
        (carrier, "open_session"): session,
        (unified_account, "Hints"): hints,
        (rising, "wall_ms"): lambda: wall_ns() // 1_000_000,
        (unified_account, "_POLL_EVERY_MS"): _POLL_EVERY_MS,
    }


class KrakenSession(MemorySession):
    """Stands where ccxt expects a session; carries Kraken's headers."""

    def _ask(
        self, method: str, url: Any, data: bytes | None, headers: Mapping[str, str], timeout: Any
    ) -> Underway:
        form = "" if data is None else data.decode()
        key, sign = headers.get("API-Key"), headers.get("API-Sign")
        request = Request(method, url.raw_path, url.raw_query_string, form, key, sign)
        return Underway(self, request, getattr(timeout, "total", timeout))


class _Door:
    """What `admitted` needs of a ccxt.pro instance."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.urls: Final = {"api": {"ws": {"private": ""}}}
        self.subscriptions: dict[str, Any] = {}

    def seconds(self) -> int:
        return self._clock.now_ms() // 1_000

    def client(self, url: str) -> _Door:
        return self


class VirtualHints:
    """`unified.hints.Hints` over the world's network."""

    def __init__(
        self,
        network: Network,
        loop: VirtualLoop,
        clock: Clock,
        admitted: Callable[[Any], Awaitable[str | None]],
    ) -> None:
        self._network = network
        self._loop = loop
        self._clock = clock
        self._admitted = admitted

    async def run(self, touched: Callable[[str], None], opened: Callable[[], None]) -> None:
        back_off = BackOff()
        while True:
            if await self._admitted(_Door(self._clock)) is None:
                refused = await self._network.knock()
                if not isinstance(refused, NotOpened):
                    back_off.reset()
                    socket = HintSocket(self._network, self._loop, touched)
                    opened()
                    try:
                        await socket.over.wait()
                    finally:
                        socket.leave()
            await self._clock.sleep_machine(back_off.next_ms())


class HintSocket:
    """The account's socket, both ends of it."""

    def __init__(self, network: Network, loop: VirtualLoop, touched: Callable[[str], None]) -> None:
        self.loop = loop
        self.over = asyncio.Event()
        self._network = network
        self._touched = touched
        self._open = True
        network.sockets.append(self)

    def publish(self, news: News) -> None:
        """Something happened at the venue; what becomes of that on the way is the network's chance."""
        if self._open and isinstance(news, Report):
            number, network = order_id(news.order.id), self._network
            for after_us in network.copies_of_event():
                network.hand(self.loop, network.latency_us() + after_us, lambda: self._hear(number))

    def _hear(self, number: str) -> None:
        if self._open:
            self._touched(number)

    def end(self, code: int | None) -> None:
        if self._open:
            self.leave()
            self._network.hand(self.loop, self._network.latency_us(), self.over.set)

    def leave(self) -> None:
        self._open = False
        if self in self._network.sockets:
            self._network.sockets.remove(self)
