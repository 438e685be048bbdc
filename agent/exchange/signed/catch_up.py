"""Catching up by REST: nothing is trusted after a gap before the account was read.

Belongs here: when the account must be read without the core asking for it, and USER_STREAM, which blocks
entries meanwhile. Stays true: USER_STREAM is over only when a reading that began after the last gap succeeded
while the stream was subscribed; readings that fail are repeated for ever (after 1, 2, 4, 8, 16, 16, ...
seconds); while there is no stream the account is read every few seconds instead; readings that balances alone
ask for are kept apart, so that many small fills do not eat the request limit. All pauses are machine time,
trades are asked for by venue time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from agent.core.events import AccountSeen, AccountUnreadable, Impairment
from agent.core.ports import Clock, Sink
from agent.exchange.ailments import Ailments
from agent.exchange.waiting import BackOff, first_of

#: Trades are read from this long before the last good reading, venue time.
OVERLAP_MS: Final = 300_000
#: Balances move with every fill of an order; when they rest for this long one reading tells all.
_SETTLE_MS: Final = 500.0
_REFRESH_EVERY_MS: Final = 10_000.0
#: Without a stream, fills become known by reading.
_POLL_EVERY_MS: Final = 4_000.0

ReadAccount = Callable[[int], Awaitable[AccountSeen | AccountUnreadable]]


class CatchUp:
    """`gap` when something may be missing, `refresh` when balances moved; `run` reads and tells.

    `streams` false: there is no stream to wait for, polling is all there is.
    """

    def __init__(
        self,
        read: ReadAccount,
        clock: Clock,
        tell: Sink,
        ailments: Ailments,
        *,
        streams: bool = True,
        refresh_every_ms: float = _REFRESH_EVERY_MS,
        poll_every_ms: float = _POLL_EVERY_MS,
    ) -> None:
        self._read = read
        self._clock = clock
        self._tell = tell
        self._ailments = ailments
        self._streams = streams
        self._refresh_every_ms = refresh_every_ms
        self._poll_every_ms = poll_every_ms
        self._gaps = 0
        self._subscribed = False
        self._unsubscribed_ms = clock.machine_ms()
        self._demanded = False
        self._moved_ms: float | None = None
        """When balances moved that were not read since."""
        self._stirred = asyncio.Event()
        """Something is due now that was not, or sooner than it was."""
        self._read_last_ms = float("-inf")
        self._since_ms = clock.now_ms() - OVERLAP_MS

    @property
    def is_subscribed(self) -> bool:
        return self._subscribed

    def gap(self, why: str, *, expected: bool = False) -> None:
        """Events may have been missed. `expected`: by the first subscription, which follows nothing."""
        self._gaps += 1
        self._ailments.found(Impairment.USER_STREAM, why, expected=expected)
        if self._subscribed or not self._streams:
            self.demand()

    def begin(self, why: str) -> None:
        """Nothing was heard or read yet, as at every start; if it stays so, `down` says why."""
        self._gaps += 1
        self._ailments.found(Impairment.USER_STREAM, why, expected=True)
        if not self._streams:
            self.demand()

    def down(self, why: str) -> None:
        """No events arrive any more."""
        if self._subscribed:
            self._subscribed = False
            self._unsubscribed_ms = self._clock.machine_ms()
            self._stirred.set()
        self._demanded = False
        self.gap(why)

    def subscribed(self) -> None:
        """Events arrive again: what came before must be read."""
        self._subscribed = True
        self.demand()

    def demand(self) -> None:
        """Read soon, without doubt about the stream."""
        self._demanded = True
        self._stirred.set()

    def refresh(self) -> None:
        """Balances moved."""
        if self._moved_ms is None:
            self._moved_ms = self._clock.machine_ms()
            self._stirred.set()

    async def run(self) -> None:
        """Read whenever it is needed, until canceled."""
        back_off = BackOff()
        while True:
            await self._due()
            self._demanded, self._moved_ms = False, None
            gaps, began_ms = self._gaps, self._clock.now_ms()
            seen = await self._read(self._since_ms)
            self._read_last_ms = self._clock.machine_ms()
            if isinstance(seen, AccountUnreadable):
                await self._clock.sleep_machine(back_off.next_ms())
                self._demanded = True
                continue
            back_off.reset()
            self._since_ms = began_ms - OVERLAP_MS
            self._tell(seen)
            if gaps == self._gaps and (self._subscribed or not self._streams):
                self._ailments.gone(Impairment.USER_STREAM)

    async def _due(self) -> None:
        """Return when a reading was demanded, when moved balances came to rest, or there is no stream."""
        since_ms = self._clock.machine_ms()
        while not self._demanded:
            self._stirred.clear()
            due_ms = self._due_ms(since_ms)
            if due_ms is None:
                await self._stirred.wait()
                continue
            left_ms = max(0.0, due_ms - self._clock.machine_ms())
            if await first_of(self._stirred.wait(), self._clock.sleep_machine(left_ms)) == 1:
                return

    def _due_ms(self, since_ms: float) -> float | None:
        """When to read although nobody demands it, in machine time; waited for since `since_ms`."""
        due_ms = None
        if self._moved_ms is not None:
            # Not sooner than they were read a moment ago.
            due_ms = max(self._moved_ms + _SETTLE_MS, self._read_last_ms + self._refresh_every_ms)
        if not self._subscribed:
            # As if the stream had been looked at that often all the time: soon after it was lost.
            looks = max(1, math.ceil((self._unsubscribed_ms - since_ms) / self._poll_every_ms))
            poll_ms = since_ms + looks * self._poll_every_ms
            due_ms = poll_ms if due_ms is None else min(due_ms, poll_ms)
        return due_ms
