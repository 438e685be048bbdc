"""Where the market is read and where orders go: addresses, requests, sockets, clock.

Stays true: signals come from the production market's public candles in every mode, through a client without
keys and without order methods; quotes and the book come from where orders go. A replacement of every base by
`--exchange-url` makes both the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from agent.config.availability import has_candle_stream
from agent.config.model import Config
from agent.core.ports import Clock, FeePrices, MarketData
from agent.exchange.addresses import BINANCE, Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.binance_sockets import BinanceSockets
from agent.exchange.ccxt_public import CcxtPublic, gate_for
from agent.exchange.feed import MarketFeed, MarketSockets
from agent.exchange.feed_terms import CandleArchive, FeedTerms
from agent.exchange.polygon.signals import PolygonSignals
from agent.exchange.quote_feed import QuoteFeed
from agent.exchange.unified.sockets import UnifiedSockets
from agent.exchange.weight_gate import WeightGate
from agent.options import ExchangeAddress, RunOptions
from agent.shell.clock import ExchangeClock, SystemClock

PublicMarket = BinancePublic | CcxtPublic
SignalMarket = PublicMarket | PolygonSignals


@dataclass(frozen=True, slots=True)
class Markets:
    """The two feeds: `signals` for candles, `orders` for quotes, the book, the pair's rules, and orders."""

    signals: Addresses
    orders: Addresses

    @property
    def is_one(self) -> bool:
        """Whether both are the same market."""
        return self.signals == self.orders


def markets_of(config: Config, replaced: ExchangeAddress | None) -> Markets:
    """Which market is read for what."""
    exchange = config.exchange.exchange_name
    if replaced is not None:
        both = Addresses.replaced(exchange, replaced.rest, replaced.ws)
        return Markets(both, both)
    production = Addresses.production(exchange)
    orders = Addresses.sandbox(exchange) if config.mode == "testnet" else production
    if config.agent.signal_market == "testnet" and config.mode != "live":
        return Markets(Addresses.sandbox(exchange), orders)
    return Markets(production, orders)


def public_market(addresses: Addresses, config: Config, gate: WeightGate, clock: Clock) -> PublicMarket:
    """Public data by request. Raises ValueError, in words for the user, for a timeframe it cannot have."""
    kind = BinancePublic if addresses.exchange == BINANCE else CcxtPublic
    return kind(addresses, config.exchange.trading_pair, config.timeframe, gate, clock)


def fee_prices(market: object) -> FeePrices | None:
    """Where the price of BNB is asked for: on the market that takes fees in it."""
    return market if isinstance(market, BinancePublic) else None


def weight_gate(
    addresses: Addresses, clock: Clock, blocked_until_ms: int, on_blocked: Callable[[int], None]
) -> WeightGate:
    """The gate every request passes; a deadline the exchange set before the restart still holds."""
    if addresses.exchange == BINANCE:
        return WeightGate(clock, blocked_until_ms=blocked_until_ms, on_blocked=on_blocked)
    return gate_for(addresses.exchange, clock, blocked_until_ms=blocked_until_ms, on_blocked=on_blocked)


def market_feed(
    market: SignalMarket,
    addresses: Addresses,
    config: Config,
    clock: Clock,
    archive: CandleArchive,
    chance: random.Random,
) -> MarketFeed:
    """Sockets where we have them and the config wants them, REST otherwise."""
    if isinstance(market, PolygonSignals):
        terms = _terms(config)
        return MarketFeed(market, None, market.source, clock, terms, archive, market.data_source)
    sockets = _sockets(market, addresses, config, clock, chance, market.source.interval)
    return MarketFeed(market, sockets, market.source, clock, _terms(config), archive)


def quote_feed(
    market: PublicMarket, addresses: Addresses, config: Config, clock: Clock, chance: random.Random
) -> QuoteFeed:
    """Best bid and ask alone, of the market where orders go."""
    sockets = _sockets(market, addresses, config, clock, chance, None)
    return QuoteFeed(market, sockets, clock, _terms(config))


def _sockets(
    market: PublicMarket,
    addresses: Addresses,
    config: Config,
    clock: Clock,
    chance: random.Random,
    interval: str | None,
) -> MarketSockets | None:
    settings = config.data_feed
    if not settings.use_websocket:
        return None
    if isinstance(market, BinancePublic):
        if addresses.ws is None:
            return None
        return BinanceSockets(
            addresses,
            market.symbol,
            () if interval is None else (interval,),
            clock,
            ping_interval_s=settings.websocket_ping_interval,
            chance=chance,
        )
    somewhere = addresses.environment != "replaced" or addresses.ws is not None
    if not somewhere or not has_candle_stream(addresses.exchange, config.timeframe):
        return None
    return UnifiedSockets(
        addresses,
        config.exchange.trading_pair,
        interval,
        market,
        clock,
        ping_interval_s=settings.websocket_ping_interval,
    )


def _terms(config: Config) -> FeedTerms:
    return FeedTerms(config.data_feed.rest_api_interval_seconds, config.data_feed.max_missing_bars)


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
