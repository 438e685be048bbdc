"""Everything tradable here: pairs with their tapes and books, by symbol.

Belongs here: joining a source, its tape and its book for every pair. Stays true: a symbol is upper case as
in `ADAUSDT`; statistics are computed from the same minutes that klines are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from agent.localexchange.bars import Bar
from agent.localexchange.book import BookKeeper
from agent.localexchange.intervals import DAY_MS, MINUTE_MS
from agent.localexchange.minutes import MinuteSource
from agent.localexchange.pairs import Pair
from agent.localexchange.tape import Tape
from agent.localexchange.venue.listing import listing_of

#: How long before its start the market was listed: more than any config needs to warm up on 15m or 30m.
HISTORY_MS: Final = 400 * DAY_MS


@dataclass(frozen=True, slots=True)
class DayStatistics:
    """The rolling 24 hours up to now. `bar` spans them, as one kline."""

    bar: Bar
    previous_close: int


class Instrument:
    """One pair, what was traded in it and what is offered."""

    def __init__(self, pair: Pair, source: MinuteSource, seed: int, listed_ms: int) -> None:
        self.pair = pair
        self.tape = Tape(pair, source, seed, listed_ms)
        self.book = BookKeeper(self.tape, seed)
        #: How it is listed now; whoever changes the rules puts another one here.
        self.listing = listing_of(pair)
        self.delisted = False

    def day(self, now_ms: int) -> DayStatistics | None:
        """None before the first trade."""
        from_ms = max(self.tape.listed_ms, (now_ms - DAY_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS)
        bar = self.tape.span(from_ms, now_ms)
        if bar is None:
            return None
        before = self.tape.last_trade(from_ms - 1)
        return DayStatistics(bar, before.price if before else bar.open)


class Market:
    """All instruments of this exchange, the traded pair first."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._by_symbol = {instrument.pair.symbol: instrument for instrument in instruments}
        self.in_maintenance = False

    def __iter__(self) -> Iterator[Instrument]:
        """Also what is delisted."""
        return iter(self._by_symbol.values())

    @property
    def symbols(self) -> list[str]:
        """What is listed."""
        return [symbol for symbol, instrument in self._by_symbol.items() if not instrument.delisted]

    @property
    def main(self) -> Instrument:
        return next(iter(self._by_symbol.values()))

    def find(self, symbol: str) -> Instrument | None:
        """None for what is not listed, or not any more."""
        instrument = self._by_symbol.get(symbol)
        return None if instrument is None or instrument.delisted else instrument
