"""Starting and stopping the local exchange.

Belongs here: settings, joining the parts, the listening socket, the ready line. Stays true: it listens on
127.0.0.1 alone; what `serve` started, `Running.close` ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from aiohttp import web

from agent.localexchange.clock import VenueClock
from agent.localexchange.control import Control
from agent.localexchange.exchange import Exchange
from agent.localexchange.faults import FaultBoard
from agent.localexchange.faults_stream import FrameFaults
from agent.localexchange.intervals import DAY_MS, MINUTE_MS
from agent.localexchange.kraken.side import KrakenSide
from agent.localexchange.line import Pulse
from agent.localexchange.market import HISTORY_MS, Instrument, Market
from agent.localexchange.market_csv import read_candles
from agent.localexchange.market_synthetic import SyntheticSource
from agent.localexchange.opening import lively_start_ms
from agent.localexchange.pairs import pair_named
from agent.localexchange.publisher import Publisher
from agent.localexchange.rest import Rest
from agent.localexchange.sockets import Sockets
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.side import TradingSide

HOST: Final = "127.0.0.1"
_LAST_PORT: Final = 65_535
_FEE_PAIR: Final = "BNB/USDT"
#: A made-up market opens after this day, when something is about to happen.
_OPENING_MS: Final = int(datetime(2025, 6, 2, tzinfo=UTC).timestamp()) * 1_000
#: What the default config needs to warm up (7,000 bars for the averages, 768 for the windows), but no more
#: of a file than this share, so that something is left to trade.
_WARM_UP_GRID_MS: Final = 15 * MINUTE_MS
_WARM_UP_MS: Final = 7_768 * _WARM_UP_GRID_MS
_WARM_UP_SHARE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Settings:
    """What `demo-market` can be told. `candles` None: a made-up market; `start_ms` None: chosen from it."""

    port: int = 0
    seed: int = 1
    candles: Path | None = None
    start_ms: int | None = None
    speed: float = 1.0
    paused: bool = False
    pair: str = "ADA/USDT"
    key: str = "local-key"
    secret: str = "local-secret"
    balances: Mapping[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(10_000)})
    pulse: Pulse = field(default_factory=Pulse)


@dataclass(frozen=True, slots=True)
class Running:
    """A local exchange that answers."""

    exchange: Exchange
    port: int
    start_ms: int
    streaming: asyncio.Task[None]
    """Sends the streams. It ends only when closed or by a fault of ours."""
    _runner: web.AppRunner
    _sockets: Sockets
    _kraken: KrakenSide

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
            "start": _iso(self.start_ms),
        }

    async def close(self) -> None:
        """Disconnect everybody and stop listening."""
        self._sockets.close_all()
        self._kraken.close_all()
        await asyncio.sleep(0)
        self.streaming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.streaming
        await self._runner.cleanup()


async def serve(settings: Settings) -> Running:
    """Start listening.

    Raises OSError when the port is taken, UnreadableCandlesError for a file that holds none, ValueError for
    settings that make no sense.
    """
    if not 0 <= settings.port <= _LAST_PORT:
        raise ValueError(f"the port must be between 0 and {_LAST_PORT}, not {settings.port}")
    opened = open_market(settings)
    clock = VenueClock(opened.start_ms, settings.speed, paused=settings.paused)
    board = FaultBoard(lambda: time.monotonic() * 1_000, clock.now_ms)
    exchange = Exchange(
        clock,
        opened.market,
        Desk(clock, opened.market, settings.balances),
        settings.key,
        settings.secret,
        board,
        FrameFaults(board, clock.now_ms),
    )
    trading = TradingSide(exchange)
    publisher = Publisher(exchange, settings.pulse.read_within_s)
    sockets = Sockets(exchange, publisher, trading, settings.pulse)
    kraken = KrakenSide(exchange, trading)
    application = _application(exchange, publisher, sockets, trading, kraken)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, HOST, settings.port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    port = runner.addresses[0][1]
    streaming = asyncio.create_task(_keep_going(publisher, exchange.desk))
    return Running(exchange, port, opened.start_ms, streaming, runner, sockets, kraken)


async def _keep_going(publisher: Publisher, desk: Desk) -> None:
    """Streams and open orders, until cancelled or until one of them fails."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publisher.run())
        tasks.create_task(desk.run())


@dataclass(frozen=True, slots=True)
class OpenedMarket:
    market: Market
    start_ms: int


def open_market(settings: Settings) -> OpenedMarket:
    """The pair asked for, made up or from a file, and BNB/USDT beside it for fees."""
    pair = pair_named(settings.pair)
    if settings.candles is None:
        source = SyntheticSource(pair, settings.seed)
        start_ms = settings.start_ms
        if start_ms is None:
            start_ms = lively_start_ms(source, _OPENING_MS)
        main = Instrument(pair, source, settings.seed, _listed_ms(start_ms))
    else:
        recorded = read_candles(settings.candles, pair)
        first_ms, end_ms = recorded.first_minute * MINUTE_MS, recorded.end_minute * MINUTE_MS
        start_ms = settings.start_ms
        if start_ms is None:
            start_ms = first_ms + min(_WARM_UP_MS, int((end_ms - first_ms) * _WARM_UP_SHARE))
            start_ms = start_ms // _WARM_UP_GRID_MS * _WARM_UP_GRID_MS
        if not first_ms <= start_ms < end_ms:
            raise ValueError(
                f"the start {_iso(start_ms)} is not within the candles, "
                f"which go from {_iso(first_ms)} to {_iso(end_ms)}"
            )
        main = Instrument(recorded.pair, recorded, settings.seed, first_ms)
    instruments = [main]
    if settings.pair != _FEE_PAIR:
        fee_pair = pair_named(_FEE_PAIR)
        fees = SyntheticSource(fee_pair, settings.seed)
        instruments.append(Instrument(fee_pair, fees, settings.seed, _listed_ms(start_ms)))
    return OpenedMarket(Market(instruments), start_ms)


def _listed_ms(start_ms: int) -> int:
    return (start_ms - HISTORY_MS) // DAY_MS * DAY_MS


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat()


def _application(
    exchange: Exchange, publisher: Publisher, sockets: Sockets, trading: TradingSide, kraken: KrakenSide
) -> web.Application:
    application = web.Application(client_max_size=2**20)
    application.add_routes(Control(exchange, publisher, (sockets, kraken), trading).routes())
    application.add_routes(kraken.routes())
    application.router.add_get("/ws-api/v3", sockets.handle_api)
    for path in ("/ws", "/ws/{names:.*}", "/stream", "/stream/ws", "/stream/ws/{names:.*}"):
        application.router.add_get(path, sockets.handle_streams)
    application.router.add_route("*", "/{path:.*}", Rest(exchange, trading).handle)
    return application
