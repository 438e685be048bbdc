"""Where the market is read: addresses, requests, sockets, clock, chosen by config and options."""

from __future__ import annotations

import random
from collections.abc import Callable

from agent.config.model import Config
from agent.core.ports import Clock, MarketData
from agent.exchange.addresses import BINANCE, Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.binance_sockets import BinanceSockets
from agent.exchange.ccxt_public import CcxtPublic, gate_for
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import CandleArchive, FeedTerms
from agent.exchange.weight_gate import WeightGate
from agent.options import ExchangeAddress, RunOptions
from agent.shell.clock import ExchangeClock, SystemClock

PublicMarket = BinancePublic | CcxtPublic


def addresses_of(config: Config, replaced: ExchangeAddress | None) -> Addresses:
    """Signals come from the production market in every mode, unless every base is replaced."""
    exchange = config.exchange.exchange_name
    if replaced is not None:
        return Addresses.replaced(exchange, replaced.rest, replaced.ws)
    return Addresses.production(exchange)


def public_market(addresses: Addresses, config: Config, gate: WeightGate, clock: Clock) -> PublicMarket:
    """Public data by request. Raises ValueError, in words for the user, for a timeframe it cannot have."""
    kind = BinancePublic if addresses.exchange == BINANCE else CcxtPublic
    return kind(addresses, config.exchange.trading_pair, config.timeframe, gate, clock)


def weight_gate(
    addresses: Addresses, clock: Clock, blocked_until_ms: int, on_blocked: Callable[[int], None]
) -> WeightGate:
    """The gate every request passes; a deadline the exchange set before the restart still holds."""
    if addresses.exchange == BINANCE:
        return WeightGate(clock, blocked_until_ms=blocked_until_ms, on_blocked=on_blocked)
    return gate_for(addresses.exchange, clock, blocked_until_ms=blocked_until_ms, on_blocked=on_blocked)


def market_feed(
    market: PublicMarket,
    addresses: Addresses,
    config: Config,
    clock: Clock,
    archive: CandleArchive,
    chance: random.Random,
) -> MarketFeed:
    """Sockets where we have them and the config wants them, REST otherwise."""
    settings = config.data_feed
    sockets = None
    if isinstance(market, BinancePublic) and settings.use_websocket and addresses.ws is not None:
        sockets = BinanceSockets(
            addresses,
            market.symbol,
            (market.source.interval,),
            clock,
            ping_interval_s=settings.websocket_ping_interval,
            chance=chance,
        )
    told = FeedTerms(settings.rest_api_interval_seconds, settings.max_missing_bars)
    return MarketFeed(market, sockets, market.source, clock, told, archive)


def clock_for(
    options: RunOptions, config: Config, addresses: Addresses
) -> tuple[SystemClock | ExchangeClock, MarketData | None]:
    """Venue time from this machine or, sampled, from the exchange; then also the client that samples."""
    if options.clock == "system":
        return SystemClock(), None
    machine = SystemClock()
    # A client of its own: the clock must be able to ask before anything that needs the clock exists.
    asks: MarketData = public_market(addresses, config, WeightGate(machine), machine)
    return ExchangeClock(asks.server_time_ms), asks
