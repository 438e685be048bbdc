"""Polygon in a run: its key, its address, and which part it plays.

`data_source: polygon`: candles come from it alone. `both`: the exchange's candles count, Polygon lends older
history and has a second opinion. Whichever of the two signals come from, the other lends bars for exits when
they stay away. Stays true: a simulated market is never mixed with the real one, so with `--exchange-url`
Polygon is left out unless POLYGON_URL names a stand-in for it; the key comes from the same places as every
other credential and is hidden from every log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.compose.silences import Silences
from agent.config.credentials import default_sources, read_credentials
from agent.config.env_file import CredentialsRefused
from agent.config.model import Config
from agent.config.secret import Secret
from agent.core.commands import Command, Keep
from agent.core.events import Event, Scrutinized
from agent.core.market import TIMEFRAME_MINUTES, Candle, DataSource
from agent.core.ports import Clock, MarketData
from agent.core.records import DecisionRow
from agent.core.state import AgentState
from agent.exchange.polygon.aggregates import BASE_URL, PolygonAggregates
from agent.exchange.polygon.lending import Lender, StandIn
from agent.exchange.polygon.pacing import RequestPace
from agent.exchange.polygon.second_opinion import Opinion, SecondOpinion
from agent.options import ExchangeAddress
from agent.shell.redaction import Secrets
from agent.store.batch import Batch
from agent.store.candles import StoredSeries
from agent.store.second_opinion import OPINION_KEY

LOG: Final = logging.getLogger("agent")
KEY: Final = "POLYGON_API_KEY"
#: A stand-in for Polygon, for rehearsals.
URL: Final = "POLYGON_URL"
KIND: Final = "second opinion"


@dataclass(frozen=True, slots=True)
class Polygon:
    """What a run needs to ask it. `leads`: candles come from it alone."""

    key: Secret
    base_url: str
    leads: bool

    @property
    def venue(self) -> str:
        return f"polygon@{urlsplit(self.base_url).netloc}"

    def aggregates(self, config: Config, clock: Clock, directory: Path) -> PolygonAggregates:
        silences = Silences(directory)

        def keep(until_ms: int) -> None:
            silences.keep(self.venue, until_ms)

        pace = RequestPace(clock, _wall_ms, silences.until_ms(self.venue), keep)
        minutes = TIMEFRAME_MINUTES[config.timeframe]
        pair = config.exchange.trading_pair
        return PolygonAggregates(pair, minutes, self.key, pace, base_url=self.base_url)


def polygon_for(
    config: Config,
    exchange: ExchangeAddress | None,
    env_path: Path,
    secrets: Secrets,
    ask: Callable[[str], str | None] | None = None,
) -> Polygon | str | None:
    """None where the configuration does not ask for it; a sentence where it does and cannot have it."""
    source = config.data_feed.data_source
    if source == "exchange":
        return None
    base_url = os.environ.get(URL, "").strip()
    if base_url and not _is_address(base_url):
        return f"{URL} is no address like http://127.0.0.1:8090 or https://..."
    if exchange is not None and not base_url:
        if source == "both":
            LOG.info("a simulated exchange: Polygon, which shows the real market, is left out")
            return None
        return (
            "data_feed.data_source is polygon, and --exchange-url names a simulated market, which Polygon "
            'does not know: write "exchange" for a rehearsal'
        )
    try:
        found = read_credentials((KEY,), default_sources(env_path, os.environ)).get(KEY)
    except CredentialsRefused as refused:
        return str(refused)
    if found is None:
        typed = ask(KEY) if ask is not None else None
        if not typed:
            return (
                f"{KEY} missing, and needed for data_feed.data_source {source}: run `python -m agent.cli "
                f"credentials set`, or write {KEY}=... into {env_path} (then: chmod 600 "
                f"{env_path.name})"
            )
        found = Secret(typed)
    secrets.add(found.reveal())
    return Polygon(found, base_url or BASE_URL, source == "polygon")


def _is_address(text: str) -> bool:
    """Unencrypted only where nobody can listen: the key goes along."""
    parts = urlsplit(text)
    here = parts.hostname in ("127.0.0.1", "::1", "localhost")
    return bool(parts.netloc) and (parts.scheme == "https" or (parts.scheme == "http" and here))


def second_opinion(
    polygon: PolygonAggregates,
    clock: Clock,
    sink: Callable[[Event], None],
    submit: Callable[[Batch], object],
    documents: Any,
) -> SecondOpinion:
    """One that tells the core, and keeps its count in the ledger."""

    def tell(level: str, text: str) -> None:
        LOG.warning("%s: %s", KIND, text)
        sink(Scrutinized(level, KIND, text))

    def keep(opinion: Opinion) -> None:
        fields = {name: getattr(opinion, name) for name in Opinion.__dataclass_fields__}
        submit(Batch(clock.now_ms(), documents={OPINION_KEY: fields}))

    return SecondOpinion(polygon, clock, tell, keep, _kept(documents.get(OPINION_KEY)))


def stand_in(
    polygon: PolygonAggregates,
    market: MarketData,
    kept: StoredSeries,
    clock: Clock,
    sink: Callable[[Event], None],
    *,
    leads: bool,
    exchange: str,
) -> StandIn:
    """Who lends bars for exits: the exchange where Polygon `leads`, Polygon otherwise."""
    bar_ms = polygon.bar_ms

    async def theirs(first_ms: int, last_ms: int) -> list[Candle]:
        return await market.candles(first_ms, (last_ms - first_ms) // bar_ms + 1)

    async def own(since_ms: int, until_ms: int) -> Sequence[Candle]:
        return list(await asyncio.to_thread(kept.read, since_ms, until_ms))

    if leads:
        return StandIn(Lender(exchange, DataSource.REST, theirs, None), "Polygon", bar_ms, clock, sink)
    lender = Lender("Polygon", DataSource.POLYGON, polygon.bars, own)
    return StandIn(lender, exchange, bar_ms, clock, sink)


def _kept(document: Any) -> Opinion | None:
    try:
        return Opinion(**document)
    except TypeError:
        return None


def hears_decisions(opinion: SecondOpinion) -> Callable[[AgentState, tuple[Command, ...]], None]:
    """An observer of the runtime: every bar that was decided is looked at a second time."""

    def look(state: AgentState, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if isinstance(command, Keep) and isinstance(command.row, DecisionRow):
                opinion.heard(command.row.bar_open_ms, command.row.close)

    return look


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
