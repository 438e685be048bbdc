"""What the public channels of Kraken's WebSocket v2 tell: ohlc, ticker, book.

Belongs here: one class per channel, from the market at a moment to the data of a frame. Stays true: a channel
tells a snapshot first and then only what differs; prices and amounts are JSON numbers; nothing says that a
candle is over, its successor's first trade is the first anybody hears of that; a book's checksum is Kraken's:
CRC-32 over the ten best asks and bids, price and amount without their points and leading zeros.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from agent.localexchange import intervals
from agent.localexchange.book import Levels
from agent.localexchange.kraken.names import Names, moment, names_of
from agent.localexchange.kraken.public import INTERVALS, average
from agent.localexchange.market import Instrument
from agent.localexchange.pairs import Pair

Data = dict[str, Any]

#: Amounts in the books of a socket.
_BOOK_DECIMALS: Final = 8
_CHECKED_LEVELS: Final = 10


class Channel:
    """One subscription. `changes` is None when there is nothing new."""

    name: str

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.pair: Pair = instrument.pair
        self.names: Names = names_of(instrument.pair)

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.names.symbol

    @property
    def told(self) -> Data:
        """What the answer to the subscription repeats."""
        return {"channel": self.name, "symbol": self.names.symbol, "snapshot": True}

    def snapshot(self, now_ms: int) -> list[Data]:
        raise NotImplementedError

    def changes(self, now_ms: int) -> list[Data] | None:
        raise NotImplementedError

    def number(self, ticks: int) -> float:
        return float(self.names.price(ticks * self.pair.tick))

    def amount(self, steps: int) -> float:
        return float(f"{steps * self.pair.step:.{_BOOK_DECIMALS}f}")


class Ohlc(Channel):
    name = "ohlc"

    def __init__(self, instrument: Instrument, minutes: int) -> None:
        super().__init__(instrument)
        self._minutes = minutes
        self._last: Data | None = None

    @property
    def told(self) -> Data:
        return {**super().told, "interval": self._minutes}

    def snapshot(self, now_ms: int) -> list[Data]:
        return self.changes(now_ms) or []

    def changes(self, now_ms: int) -> list[Data] | None:
        """The bar in progress, and the one before where it went on since it was last told."""
        name = INTERVALS[self._minutes]
        open_ms = intervals.open_of(name, now_ms)
        rows = []
        if self._last is not None and self._last["interval_begin"] != moment(open_ms):
            final = self._row(open_ms - self._minutes * 60_000, now_ms)
            if final is not None and final != self._last:
                rows.append(final)
        row = self._row(open_ms, now_ms)
        if row is not None and row != self._last:
            rows.append(row)
            self._last = row
        return rows or None

    def _row(self, open_ms: int, now_ms: int) -> Data | None:
        bar = self.instrument.tape.bar_at(INTERVALS[self._minutes], open_ms, now_ms)
        if bar is None:
            return None
        return {
            "symbol": self.names.symbol,
            "open": self.number(bar.open),
            "high": self.number(bar.high),
            "low": self.number(bar.low),
            "close": self.number(bar.close),
            "trades": bar.trades,
            "volume": self.amount(bar.volume),
            "vwap": float(self.names.price(average(self.pair, bar))),
            "interval_begin": moment(open_ms),
            "interval": self._minutes,
            "timestamp": moment(open_ms + self._minutes * 60_000),
        }


class Ticker(Channel):
    """`on_top`: told when best bid or ask change; otherwise when something was traded."""

    name = "ticker"

    def __init__(self, instrument: Instrument, *, on_top: bool) -> None:
        super().__init__(instrument)
        self._on_top = on_top
        self._seen: object = None

    def snapshot(self, now_ms: int) -> list[Data]:
        self._seen = None
        return self.changes(now_ms) or []

    def changes(self, now_ms: int) -> list[Data] | None:
        book = self.instrument.book
        book.advance(now_ms)
        top, last = book.top(), self.instrument.tape.last_trade(now_ms)
        if top is None or last is None:
            return None
        seen = (top.bid, top.bid_size, top.ask, top.ask_size) if self._on_top else last.id
        if seen == self._seen:
            return None
        self._seen = seen
        day = self.instrument.day(now_ms)
        assert day is not None, "a pair with a trade has a day"
        bar = day.bar
        change = self.number(bar.close) - self.number(bar.open)
        return [
            {
                "symbol": self.names.symbol,
                "bid": self.number(top.bid),
                "bid_qty": self.amount(top.bid_size),
                "ask": self.number(top.ask),
                "ask_qty": self.amount(top.ask_size),
                "last": self.number(last.price),
                "volume": self.amount(bar.volume),
                "vwap": float(self.names.price(average(self.pair, bar))),
                "low": self.number(bar.low),
                "high": self.number(bar.high),
                "change": round(change, self.names.price_decimals),
                "change_pct": round(100 * change / self.number(bar.open), 2),
            }
        ]


class Book(Channel):
    name = "book"

    def __init__(self, instrument: Instrument, depth: int) -> None:
        super().__init__(instrument)
        self._depth = depth
        self._bids: Levels = {}
        self._asks: Levels = {}

    @property
    def told(self) -> Data:
        return {**super().told, "depth": self._depth}

    def snapshot(self, now_ms: int) -> list[Data]:
        self._bids, self._asks = self._now(now_ms)
        return [self._frame(self._bids, self._asks)]

    def changes(self, now_ms: int) -> list[Data] | None:
        """Levels that changed, and a zero for each that fell out or vanished."""
        bids, asks = self._now(now_ms)
        moved_bids, moved_asks = _moved(self._bids, bids), _moved(self._asks, asks)
        self._bids, self._asks = bids, asks
        if not moved_bids and not moved_asks:
            return None
        return [{**self._frame(moved_bids, moved_asks), "timestamp": moment(now_ms)}]

    def _now(self, now_ms: int) -> tuple[Levels, Levels]:
        book = self.instrument.book
        book.advance(now_ms)
        return dict(list(book.bids.items())[: self._depth]), dict(list(book.asks.items())[: self._depth])

    def _frame(self, bids: Levels, asks: Levels) -> Data:
        return {
            "symbol": self.names.symbol,
            "bids": [{"price": self.number(p), "qty": self.amount(a)} for p, a in bids.items()],
            "asks": [{"price": self.number(p), "qty": self.amount(a)} for p, a in asks.items()],
            "checksum": self._checksum(),
        }

    def _checksum(self) -> int:
        text = ""
        for side in (self._asks, self._bids):
            for ticks, steps in list(side.items())[:_CHECKED_LEVELS]:
                for number in (self.names.price(ticks * self.pair.tick), f"{steps * self.pair.step:.8f}"):
                    text += number.replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())


def _moved(before: Levels, after: Levels) -> Levels:
    return {
        price: after.get(price, 0)
        for price in (*after, *(p for p in before if p not in after))
        if before.get(price) != after.get(price, 0)
    }
