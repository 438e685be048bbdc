"""The engine's queue: everything that was learned and not yet stepped.

Quotes and the bar in progress coalesce, latest wins: an old price is worth nothing once there is a newer
one, and neither is a bar in progress once it has closed. Nothing else is ever dropped. An emergency goes
to the front.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from agent.core.commands import Answer
from agent.core.events import BarClosed, BarUpdated, Event, QuoteSeen
from agent.core.market import DataSource
from agent.core.value import Value

#: More waiting events than this means that the engine does not run; a bound, not a buffer size.
LIMIT: Final = 100_000


class Entry(Value, frozen=True):
    """One event; `answered` is completed by the step, when somebody waits for it."""

    event: Event
    answered: asyncio.Future[Answer] | None = None


class Inbox:
    """One reader, any number of writers, all on the engine's loop."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._quote: QuoteSeen | None = None
        self._bar: BarUpdated | None = None
        self._arrival: asyncio.Future[None] | None = None
        """What the reader waits for while there is nothing."""
        self.most_waiting = 0
        self.coalesced = 0

    def put(self, event: Event) -> None:
        if isinstance(event, BarUpdated):
            self.coalesced += self._bar is not None
            self._bar = event
        elif isinstance(event, QuoteSeen) and event.quote.source is DataSource.WEBSOCKET:
            self.coalesced += self._quote is not None
            self._quote = event
        else:
            if isinstance(event, BarClosed) and self._is_over(event):
                self._bar = None
            self._entries.append(Entry(event))
            waiting = len(self._entries)
            if waiting > self.most_waiting:
                self.most_waiting = waiting
            assert waiting <= LIMIT, "the engine has stopped taking events"
        self._tell_reader()

    def put_first(self, event: Event) -> asyncio.Future[Answer]:
        """Queue an event before all others; the future completes when it was stepped."""
        return self._put_asked(event, first=True)

    def put_asked(self, event: Event) -> asyncio.Future[Answer]:
        """Queue an event whose answer somebody waits for."""
        return self._put_asked(event, first=False)

    def answer_all(self, answer: Answer) -> None:
        """Give everybody who still waits the same answer; what they asked is not stepped any more."""
        for entry in self._entries:
            if entry.answered is not None and not entry.answered.done():
                entry.answered.set_result(answer)
        self._entries = deque(entry for entry in self._entries if entry.answered is None)

    def _is_over(self, closed: BarClosed) -> bool:
        return self._bar is not None and self._bar.candle.open_ms <= closed.candle.open_ms

    def _put_asked(self, event: Event, *, first: bool) -> asyncio.Future[Answer]:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        entry = Entry(event, answered)
        if first:
            self._entries.appendleft(entry)
        else:
            self._entries.append(entry)
        self._tell_reader()
        return answered

    def _tell_reader(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to step now."""
        return bool(self._entries) or self._bar is not None or self._quote is not None

    async def next(self) -> Entry:
        """The oldest event, then the newest bar in progress and the newest quote."""
        while True:
            if self._entries:
                return self._entries.popleft()
            if self._bar is not None:
                event, self._bar = self._bar, None
                return Entry(event)
            if self._quote is not None:
                quote, self._quote = self._quote, None
                return Entry(quote)
            assert self._arrival is None, "one reader"
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
