"""Starting and stopping the local exchange.

Belongs here: settings, joining the parts, the listening socket, the ready line. Stays true: it listens on
127.0.0.1 alone; what `serve` started, `Running.close` ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from aiohttp import web

from agent.localexchange.clock import VenueClock
from agent.localexchange.control import Control
from agent.localexchange.exchange import Exchange
from agent.localexchange.intervals import DAY_MS
from agent.localexchange.market import HISTORY_MS, Instrument, Market
from agent.localexchange.market_synthetic import SyntheticSource
from agent.localexchange.pairs import pair_named
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import Rest
from agent.localexchange.sockets import Sockets
from agent.localexchange.trading import TradingSide
from agent.localexchange.venue import Venue

HOST: Final = "127.0.0.1"
_FEE_PAIR: Final = "BNB/USDT"
_DEFAULT_START_MS: Final = int(datetime(2025, 6, 2, tzinfo=UTC).timestamp()) * 1_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What `demo-market` can be told. `start_ms` None: chosen from the market."""

    port: int = 0
    seed: int = 1
    start_ms: int | None = None
    speed: float = 1.0
    pair: str = "ADA/USDT"
    key: str = "local-key"
    secret: str = "local-secret"
    balances: Mapping[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(10_000)})


@dataclass(frozen=True, slots=True)
class Running:
    """A local exchange that answers."""

    exchange: Exchange
    port: int
    start_ms: int
    _runner: web.AppRunner
    _sockets: Sockets
    _streaming: asyncio.Task[None]

    @property
    def rest(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ws(self) -> str:
        return f"ws://{HOST}:{self.port}"

    @property
    def control(self) -> str:
        return f"{self.rest}/control"

    @property
    def ready_line(self) -> dict[str, str]:
        """What a caller needs to trade here."""
        return {
            "rest": self.rest,
            "ws": self.ws,
            "control": self.control,
            "key": self.exchange.key,
            "secret": self.exchange.secret,
            "start": datetime.fromtimestamp(self.start_ms / 1_000, UTC).isoformat(),
        }

    async def close(self) -> None:
        """Disconnect everybody and stop listening."""
        await self._sockets.close_all()
        self._streaming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._streaming
        await self._runner.cleanup()


async def serve(settings: Settings) -> Running:
    """Start listening. Raises OSError when the port is taken, ValueError for settings that make no sense."""
    start_ms = settings.start_ms if settings.start_ms is not None else _DEFAULT_START_MS
    listed_ms = (start_ms - HISTORY_MS) // DAY_MS * DAY_MS
    names = dict.fromkeys((settings.pair, _FEE_PAIR))
    pairs = [pair_named(name) for name in names]
    market = Market(Instrument(p, SyntheticSource(p, settings.seed), settings.seed, listed_ms) for p in pairs)
    exchange = Exchange(
        VenueClock(start_ms, settings.speed),
        market,
        Venue(settings.balances),
        settings.key,
        settings.secret,
    )
    trading = TradingSide(exchange)
    publisher = Publisher(exchange)
    sockets = Sockets(exchange, publisher, trading)
    runner = web.AppRunner(
        _application(exchange, publisher, sockets, trading), access_log=None, shutdown_timeout=1.0
    )
    await runner.setup()
    site = web.TCPSite(runner, HOST, settings.port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    port = runner.addresses[0][1]
    return Running(exchange, port, start_ms, runner, sockets, asyncio.create_task(publisher.run()))


def _application(
    exchange: Exchange, publisher: Publisher, sockets: Sockets, trading: TradingSide
) -> web.Application:
    application = web.Application(client_max_size=2**20)
    application.add_routes(Control(exchange, publisher).routes())
    application.router.add_get("/ws-api/v3", sockets.handle_api)
    for path in ("/ws", "/ws/{names:.*}", "/stream", "/stream/ws", "/stream/ws/{names:.*}"):
        application.router.add_get(path, sockets.handle_streams)
    application.router.add_route("*", "/{path:.*}", Rest(exchange, trading).handle)
    return application
