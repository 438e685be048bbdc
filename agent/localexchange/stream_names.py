"""Names of market streams: what `adausdt@kline_15m` asks for.

Belongs here: parsing a name into a type, and nothing of what is sent. Stays true: a name that does not
parse, or whose symbol is not listed, is no stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from agent.localexchange import intervals
from agent.localexchange.market import Instrument, Market


@dataclass(frozen=True, slots=True)
class KlineStream:
    name: str
    instrument: Instrument
    interval: str

    @property
    def every_ms(self) -> int:
        return 1_000 if self.interval == "1s" else 2_000


@dataclass(frozen=True, slots=True)
class TradeStream:
    """Every trade, also as aggregate: here one second holds one trade."""

    name: str
    instrument: Instrument
    aggregate: bool
    every_ms: int = 0


@dataclass(frozen=True, slots=True)
class DayStream:
    """Statistics of 24 hours for some instruments; `as_list` sends them in one frame."""

    name: str
    instruments: tuple[Instrument, ...]
    mini: bool
    as_list: bool
    every_ms: int = 1_000


@dataclass(frozen=True, slots=True)
class TopStream:
    name: str
    instrument: Instrument
    every_ms: int = 0


@dataclass(frozen=True, slots=True)
class DepthStream:
    """Changes of the book, or the best `depth` levels of it."""

    name: str
    instrument: Instrument
    depth: int | None
    every_ms: int


Stream: TypeAlias = KlineStream | TradeStream | DayStream | TopStream | DepthStream

_DEPTH: Final = re.compile(r"depth(5|10|20)?(@100ms|@1000ms)?")


def parse(name: str, market: Market) -> Stream | None:
    """The stream called `name`, or None when there is none."""
    if name in ("!miniTicker@arr", "!ticker@arr"):
        return DayStream(name, tuple(market), name == "!miniTicker@arr", True)
    symbol, at, kind = name.partition("@")
    instrument = market.find(symbol.upper())
    if not at or instrument is None or symbol != symbol.lower():
        return None
    if kind.startswith("kline_"):
        interval = kind.removeprefix("kline_")
        return KlineStream(name, instrument, interval) if interval in intervals.NAMES else None
    if kind in ("trade", "aggTrade"):
        return TradeStream(name, instrument, kind == "aggTrade")
    if kind in ("miniTicker", "ticker"):
        return DayStream(name, (instrument,), kind == "miniTicker", False)
    if kind == "bookTicker":
        return TopStream(name, instrument)
    depth = _DEPTH.fullmatch(kind)
    if depth is None:
        return None
    every_ms = 100 if depth[2] == "@100ms" else 1_000
    return DepthStream(name, instrument, int(depth[1]) if depth[1] else None, every_ms)
