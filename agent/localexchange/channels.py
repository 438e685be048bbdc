"""What each kind of stream sends, and when.

Belongs here: from a stream and a span of venue time to frames. Stays true: a channel is asked once per tick
and answers with one ordinary frame at most, whatever the speed; closed bars come on top of that and none
is ever left out. Frames are made once and shared by all connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from agent.localexchange import intervals, wire
from agent.localexchange.book import Top
from agent.localexchange.market import Instrument
from agent.localexchange.stream_names import (
    DayStream,
    DepthStream,
    KlineStream,
    Stream,
    TopStream,
    TradeStream,
)

#: Closed bars made in one go, when much time has passed at once.
_MOST_CLOSED_BARS = 400


class Frame:
    """One payload of one stream, written once in each of the two forms."""

    __slots__ = ("_combined", "name", "raw")

    def __init__(self, name: str, raw: bytes) -> None:
        self.name = name
        self.raw = raw
        self._combined: bytes | None = None

    @property
    def combined(self) -> bytes:
        if self._combined is None:
            self._combined = b'{"stream":' + orjson.dumps(self.name) + b',"data":' + self.raw + b"}"
        return self._combined


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A closed bar's event and when it became known."""

    known_ms: int
    event: wire.Json


class Channel:
    """A stream somebody listens to. `due_ms` is when its next ordinary frame may be sent."""

    def __init__(self, stream: Stream, now_ms: int) -> None:
        self.stream = stream
        self.due_ms = now_ms

    def horizon_ms(self, from_ms: int) -> int | None:
        """How far one tick may go without making too many closed bars; None: any distance."""
        return None

    def closed_bars(self, from_ms: int, to_ms: int) -> Iterator[ClosedBar]:
        """Bars that closed in (from_ms, to_ms], in order."""
        return iter(())

    def event(self, now_ms: int) -> Any | None:
        """The ordinary frame as of now; None when there is nothing new."""
        raise NotImplementedError

    def close(self) -> None:
        """Nobody listens any more."""


class KlineChannel(Channel):
    def __init__(self, stream: KlineStream, now_ms: int) -> None:
        super().__init__(stream, now_ms)
        self._instrument, self._interval = stream.instrument, stream.interval

    def horizon_ms(self, from_ms: int) -> int | None:
        open_ms = intervals.open_of(self._interval, from_ms)
        return intervals.shifted(self._interval, open_ms, _MOST_CLOSED_BARS)

    def closed_bars(self, from_ms: int, to_ms: int) -> Iterator[ClosedBar]:
        first = intervals.open_of(self._interval, from_ms)
        last = intervals.open_of(self._interval, to_ms)
        if first >= last:
            return
        for bar in self._instrument.tape.bars(self._interval, first, last - 1, to_ms):
            known_ms = bar.close_ms + 1
            yield ClosedBar(known_ms, wire.kline_event(self._instrument.pair, self._interval, bar, known_ms))

    def event(self, now_ms: int) -> Any | None:
        open_ms = intervals.open_of(self._interval, now_ms)
        bar = self._instrument.tape.bar_at(self._interval, open_ms, now_ms)
        return None if bar is None else wire.kline_event(self._instrument.pair, self._interval, bar, now_ms)


class TradeChannel(Channel):
    """The newest trade; above 20 trades a machine second the ones between are left out."""

    def __init__(self, stream: TradeStream, now_ms: int) -> None:
        super().__init__(stream, now_ms)
        self._instrument = stream.instrument
        self._write = wire.agg_trade_event if stream.aggregate else wire.trade_event
        newest = self._instrument.tape.last_trade(now_ms)
        self._told_id = newest.id if newest else -1

    def event(self, now_ms: int) -> Any | None:
        newest = self._instrument.tape.last_trade(now_ms)
        if newest is None or newest.id <= self._told_id:
            return None
        self._told_id = newest.id
        return self._write(self._instrument.pair, newest, now_ms)


class DayChannel(Channel):
    def __init__(self, stream: DayStream, now_ms: int) -> None:
        super().__init__(stream, now_ms)
        self._day = stream

    def event(self, now_ms: int) -> Any | None:
        rows = [row for i in self._day.instruments if (row := self._row(i, now_ms)) is not None]
        if not rows:
            return None
        return rows if self._day.as_list else rows[0]

    def _row(self, instrument: Instrument, now_ms: int) -> wire.Json | None:
        day = instrument.day(now_ms)
        if day is None:
            return None
        if self._day.mini:
            return wire.mini_ticker_event(instrument.pair, day, now_ms)
        instrument.book.advance(now_ms)
        top, last = instrument.book.top(), instrument.tape.last_trade(now_ms)
        assert top is not None, "a pair with trades has a book"
        assert last is not None, "a pair with a day has a last trade"
        return wire.ticker_event(instrument.pair, day, top, last.amount, now_ms)


class TopChannel(Channel):
    """Best bid and ask whenever one of their four numbers changed; once at the start."""

    def __init__(self, stream: TopStream, now_ms: int) -> None:
        super().__init__(stream, now_ms)
        self._instrument = stream.instrument
        self._told: Top | None = None

    def event(self, now_ms: int) -> Any | None:
        book = self._instrument.book
        book.advance(now_ms)
        top, told = book.top(), self._told
        if top is None or (told is not None and _same_top(top, told)):
            return None
        self._told = top
        return wire.book_ticker_event(self._instrument.pair, top)


def _same_top(a: Top, b: Top) -> bool:
    return (a.bid, a.bid_size, a.ask, a.ask_size) == (b.bid, b.bid_size, b.ask, b.ask_size)


class DepthChannel(Channel):
    def __init__(self, stream: DepthStream, now_ms: int) -> None:
        super().__init__(stream, now_ms)
        self._instrument, self._depth = stream.instrument, stream.depth
        self._follower = None if stream.depth else stream.instrument.book.follow(now_ms)

    def event(self, now_ms: int) -> Any | None:
        book, pair = self._instrument.book, self._instrument.pair
        book.advance(now_ms)
        if self._depth is not None:
            return wire.depth(pair, book.update_id, book.bids, book.asks, self._depth) if book.bids else None
        assert self._follower is not None
        changes = self._follower.take(book)
        return None if changes is None else wire.depth_event(pair, changes, now_ms)

    def close(self) -> None:
        if self._follower is not None:
            self._instrument.book.unfollow(self._follower)


def channel_for(stream: Stream, now_ms: int) -> Channel:
    match stream:
        case KlineStream():
            return KlineChannel(stream, now_ms)
        case TradeStream():
            return TradeChannel(stream, now_ms)
        case DayStream():
            return DayChannel(stream, now_ms)
        case TopStream():
            return TopChannel(stream, now_ms)
        case DepthStream():
            return DepthChannel(stream, now_ms)
