"""What the engine is made of: every part that touches a clock, a disk, a network or chance, in one place.

`Engine` decides how the parts are joined and in which order they start and stop; `Parts` decides what they
are. Another world (virtual time, a disk that loses writes) is another `Parts`, never another start.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent.compose.door import Door
from agent.compose.errand import Errand
from agent.compose.market import (
    PublicMarket,
    SignalMarket,
    clock_for,
    market_feed,
    public_market,
    quote_feed,
    weight_gate,
)
from agent.compose.onlookers import Onlookers
from agent.compose.progress import WarmupProgress
from agent.config.model import Config
from agent.control.messages import Versions
from agent.control.server import ControlServer
from agent.core.instrument import Instrument
from agent.core.ports import Clock, MarketData, Sink
from agent.exchange.addresses import Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.feed import MarketFeed
from agent.exchange.feed_terms import CandleArchive
from agent.exchange.health import SIGNED_OFFSET_MS, HealthProbe
from agent.exchange.paper.broker import PaperBroker
from agent.exchange.paper.store import PaperStore
from agent.exchange.quote_feed import QuoteFeed
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import WeightGate
from agent.options import RunOptions
from agent.shell.clock import ExchangeClock, SystemClock
from agent.store.batch import Scope
from agent.store.candles import CandleStore
from agent.store.ledger import Ledger
from agent.store.writer import Watch, Writer


class Parts:
    """The real ones."""

    #: Machine seconds between two looks at the latch file.
    latch_look_s: float = 0.5
    #: Outside paper: refuse to trade beside another engine of the account and pair.
    trades_alone: bool = True
    #: What this run is for, when it is not to trade until it is stopped.
    errand: Errand | None = None

    def chance(self) -> random.Random:
        return random.Random(secrets.randbits(128))

    def clock(
        self, options: RunOptions, config: Config, addresses: Addresses
    ) -> tuple[SystemClock | ExchangeClock, MarketData | None]:
        """Venue time, and the client that samples it where one does."""
        return clock_for(options, config, addresses)

    def ledger(self, path: Path, scope: Scope) -> Ledger:
        return Ledger.open(path, scope)

    def writer(self, ledger: Ledger, watch: Watch) -> Writer:
        return Writer(ledger, watch, tidy=ledger.tidy)

    def gate(
        self, addresses: Addresses, clock: Clock, blocked_until_ms: int, on_blocked: Callable[[int], None]
    ) -> WeightGate:
        return weight_gate(addresses, clock, blocked_until_ms, on_blocked)

    def market(self, addresses: Addresses, config: Config, gate: WeightGate, clock: Clock) -> PublicMarket:
        return public_market(addresses, config, gate, clock)

    def candles(self, path: Path) -> CandleStore:
        return CandleStore(path)

    def feed(
        self,
        market: SignalMarket,
        addresses: Addresses,
        config: Config,
        clock: Clock,
        archive: CandleArchive,
        chance: random.Random,
    ) -> MarketFeed:
        return market_feed(market, addresses, config, clock, archive, chance)

    def quotes(
        self, market: PublicMarket, addresses: Addresses, config: Config, clock: Clock, chance: random.Random
    ) -> QuoteFeed:
        return quote_feed(market, addresses, config, clock, chance)

    def paper_broker(
        self,
        *,
        market: MarketData,
        instrument: Instrument,
        fee_bp: Decimal,
        slippage_bp: Decimal,
        initial_balance: Decimal,
        bar_ms: int,
        store: PaperStore,
        clock: Clock,
    ) -> PaperBroker:
        return PaperBroker(
            market=market,
            instrument=instrument,
            fee_bp=fee_bp,
            slippage_bp=slippage_bp,
            initial_balance=initial_balance,
            bar_ms=bar_ms,
            store=store,
            clock=clock,
        )

    def patience(self, config: Config) -> Patience:
        """How long the account's connection waits for what."""
        return Patience(ping_interval_s=config.data_feed.websocket_ping_interval)

    def probe(self, market: PublicMarket, gate: WeightGate, clock: Clock, sink: Sink) -> HealthProbe:
        return HealthProbe(market, gate, clock, sink)

    def signed_probe(self, market: PublicMarket, gate: WeightGate, clock: Clock, sink: Sink) -> HealthProbe:
        """Where requests carry a time of ours, the clocks must agree better."""
        if not isinstance(market, BinancePublic):
            return HealthProbe(market, gate, clock, sink)
        return HealthProbe(market, gate, clock, sink, offset_ms=SIGNED_OFFSET_MS)

    def control(self, door: Door, versions: Versions) -> ControlServer:
        return ControlServer(door, versions)

    def onlookers(
        self, control: ControlServer, progress: WarmupProgress, watch: Callable[[bool], None]
    ) -> Callable[[Any, Any], None]:
        return Onlookers(control, progress, watch)
