"""The exchange's request limit, kept by us: who may ask next, and when nobody may.

Belongs here: the weight used in the running minute, the order of those who wait, and the time until which the
exchange told everybody to be silent. Stays true: a cancel or an exit goes before an entry, that before
reconciliation and prices, that before watching, that before loading history; history leaves room for all
others, and ordinary requests leave a reserve that only cancels and exits may use; before a Retry-After
deadline nothing is sent at all, not even those. The deadline is venue time and is told to `on_blocked`, so
that it survives a restart.

Minutes are venue minutes, because that is how the exchange counts. What it reports as used counts more than
what we counted: other programs may share the address.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from agent.core.market import MINUTE_MS
from agent.core.ports import Clock
from agent.exchange.order_count import OrderCount
from agent.exchange.waiting import first_of

_log: Final = logging.getLogger(__name__)

#: Share of the limit that ordinary requests may use. What lies above is the reserve for cancels and exits.
ORDINARY_SHARE: Final = 0.40
#: A start may load 100 pages of history; prices and orders of an open position keep their room meanwhile.
HISTORY_SHARE: Final = 0.25
#: Not to be able to close a position is worse than a full minute, so these may go nearly to the limit.
URGENT_SHARE: Final = 0.95
#: On exchanges that space requests: how many turns an ordinary one waits for those before it.
_PATIENT_SPACINGS: Final = 3
#: Binance's limit per address; exchangeInfo tells the current one.
BINANCE_LIMIT: Final = 6_000

#: When the exchange says "too many" without saying for how long.
_SILENCE_S: Final = {429: 60, 418: 120}
#: Our clock and the exchange's need not agree to the second, and a request too early lengthens a ban.
_MARGIN_MS: Final = 1_000

#: How the log says that the answer was read and the gate is shut.
ASKED_FOR_SILENCE: Final = "the exchange asks for silence"

_TOO_MANY_ORDERS: Final = re.compile(r'"code"\s*:\s*-1015\b')
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")


class Urgency(IntEnum):
    """What a request is for. Smaller goes first."""

    LEAVE = 0
    ENTER = 1
    RECONCILE = 2
    WATCH = 3
    HISTORY = 4


def _share(urgency: Urgency) -> float:
    if urgency is Urgency.LEAVE:
        return URGENT_SHARE
    return HISTORY_SHARE if urgency is Urgency.HISTORY else ORDINARY_SHARE


#: Asked for at each request; by urgency, whose numbers begin at 0.
_SHARES: Final = tuple(_share(urgency) for urgency in sorted(Urgency))


@dataclass(order=True, slots=True)
class _Waiting:
    urgency: Urgency
    number: int
    weight: int = field(compare=False)
    since_ms: int = field(compare=False)
    turn: asyncio.Event = field(compare=False, default_factory=asyncio.Event)


class WeightGate:
    """Every request passes `admit` before it is sent and `answered` when its answer is there.

    `spacing_ms` (venue time) keeps ordinary requests apart on exchanges that count no weights. There a price
    asked for again and again could keep closed bars waiting for ever, so who has waited for so many turns as
    `_PATIENT_SPACINGS` goes before all that are ordinary.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit_per_minute: int = BINANCE_LIMIT,
        spacing_ms: float = 0.0,
        blocked_until_ms: int = 0,
        on_blocked: Callable[[int], None] | None = None,
    ) -> None:
        assert limit_per_minute > 0
        self.orders = OrderCount()
        """How many orders were placed; every answer passes here and tells it."""
        self._clock = clock
        self._limit = limit_per_minute
        self._spacing_ms = spacing_ms
        self._blocked_until_ms = blocked_until_ms
        self._on_blocked = on_blocked
        self._minute = 0
        self._used = 0
        self._last_ordinary_ms = -1
        self._numbers = itertools.count()
        self._queue: list[_Waiting] = []

    @property
    def used_weight(self) -> int:
        """Weight used in the running venue minute."""
        return self._used if self._clock.now_ms() // MINUTE_MS == self._minute else 0

    @property
    def limit_per_minute(self) -> int:
        return self._limit

    @property
    def blocked_until_ms(self) -> int:
        """Venue time before which nothing may be sent; in the past when anything may."""
        return self._blocked_until_ms

    @property
    def is_blocked(self) -> bool:
        return self._clock.now_ms() < self._blocked_until_ms

    def set_limit(self, limit_per_minute: int) -> None:
        """The exchange stated another limit."""
        assert limit_per_minute > 0
        self._limit = limit_per_minute

    def admits_now(self, urgency: Urgency, weight: int) -> bool:
        """Whether this request may be sent at once; if so, its weight counts from now on."""
        assert 0 <= weight <= self._limit * _SHARES[urgency], f"weight {weight} would never be sent"
        now_ms = self._clock.now_ms()
        if self._queue or self._wait_until_ms(urgency, weight, now_ms) is not None:
            return False
        if self._gap_ms(urgency, now_ms):
            return False
        self._count(urgency, weight, now_ms)
        return True

    async def admit(self, urgency: Urgency, weight: int) -> None:
        """Return when this request may be sent. Its weight counts from now on."""
        if self.admits_now(urgency, weight):
            return
        me = _Waiting(urgency, next(self._numbers), weight, self._clock.now_ms())
        bisect.insort(self._queue, me)
        try:
            while not self._may_go(me):
                await self._wait(me)
            self._count(urgency, weight, self._clock.now_ms())
        finally:
            self._queue.remove(me)
            self._let_forward()
            if self._queue:
                self._queue[0].turn.set()

    def answered(self, status: int, headers: Mapping[str, str], body: str = "") -> None:
        """Learn from an answer: the weight it reports, and whether it asks for silence."""
        lower = {name.lower(): value for name, value in headers.items()}
        now_ms = self._clock.now_ms()
        used = _int(lower.get("x-mbx-used-weight-1m") or lower.get("x-mbx-used-weight"))
        if used is not None:
            self._turn(now_ms)
            self._used = max(self._used, used)
        self.orders.answered(lower, now_ms)
        if status in _SILENCE_S:
            seconds = _int(lower.get("retry-after"))
            if seconds is None and _TOO_MANY_ORDERS.search(body):
                # Only orders are too many: cancels and questions may go on, and so may the next exit's try.
                self.orders.refused(now_ms)
                return
            if seconds is None:
                seconds = _SILENCE_S[status]
            until_ms = now_ms + seconds * 1_000 + _MARGIN_MS
            stated = _BANNED_UNTIL.search(body)
            if stated:
                until_ms = max(until_ms, int(stated.group(1)) + _MARGIN_MS)
            self._block(until_ms)

    def _block(self, until_ms: int) -> None:
        if until_ms <= self._blocked_until_ms:
            return
        if not self.is_blocked:
            silent_s = (until_ms - self._clock.now_ms()) / 1_000
            _log.warning("%s: no request of any kind for %.0f s", ASKED_FOR_SILENCE, silent_s)
        self._blocked_until_ms = until_ms
        if self._on_blocked is not None:
            self._on_blocked(until_ms)

    def _may_go(self, me: _Waiting) -> bool:
        now_ms = self._clock.now_ms()
        return (
            self._queue[0] is me
            and self._wait_until_ms(me.urgency, me.weight, now_ms) is None
            and not self._gap_ms(me.urgency, now_ms)
        )

    async def _wait(self, me: _Waiting) -> None:
        me.turn.clear()
        if self._queue[0] is not me:
            await me.turn.wait()
            return
        now_ms = self._clock.now_ms()
        until_ms = self._wait_until_ms(me.urgency, me.weight, now_ms)
        if until_ms is not None:
            sleep = self._clock.sleep_until(until_ms)
        else:
            gap_ms = self._gap_ms(me.urgency, now_ms)
            sleep = self._clock.sleep_until(now_ms + gap_ms)
            if gap_ms:
                # It is no longer in machine time, where a clock that is set back does not count.
                await first_of(me.turn.wait(), sleep, self._clock.sleep_machine(gap_ms))
                return
        await first_of(me.turn.wait(), sleep)

    def _wait_until_ms(self, urgency: Urgency, weight: int, now_ms: int) -> int | None:
        """Venue time at which there may be room for this request; None when there is now."""
        if now_ms < self._blocked_until_ms:
            return self._blocked_until_ms
        self._turn(now_ms)
        if self._used + weight <= self._limit * _SHARES[urgency]:
            return None
        return (self._minute + 1) * MINUTE_MS

    def _gap_ms(self, urgency: Urgency, now_ms: int) -> int:
        """Venue time that an ordinary request must still keep from the one before."""
        if urgency is Urgency.LEAVE or not self._spacing_ms or self._last_ordinary_ms < 0:
            return 0
        # A clock that was set back must not make anybody wait for longer than once.
        self._last_ordinary_ms = min(self._last_ordinary_ms, now_ms)
        return max(0, math.ceil(self._spacing_ms - (now_ms - self._last_ordinary_ms)))

    def _let_forward(self) -> None:
        """Let who has waited long enough go before ordinary requests that came later."""
        if not self._spacing_ms:
            return
        waited_ms = self._clock.now_ms() - _PATIENT_SPACINGS * self._spacing_ms
        for waiting in [w for w in self._queue if w.urgency > Urgency.ENTER and w.since_ms <= waited_ms]:
            self._queue.remove(waiting)
            waiting.urgency = Urgency.ENTER
            bisect.insort(self._queue, waiting)

    def _count(self, urgency: Urgency, weight: int, now_ms: int) -> None:
        self._turn(now_ms)
        self._used += weight
        if urgency is not Urgency.LEAVE:
            self._last_ordinary_ms = now_ms

    def _turn(self, now_ms: int) -> None:
        minute = now_ms // MINUTE_MS
        if minute != self._minute:
            self._minute, self._used = minute, 0


def _int(text: str | None) -> int | None:
    try:
        return None if text is None else max(0, int(text))
    except ValueError:
        return None
