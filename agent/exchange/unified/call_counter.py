"""The account's call counter, kept by us: an exchange that counts calls refuses the one too many.

Belongs here: how much is counted now, and who has to wait. Stays true: what may wait (readings of the
account) leaves a reserve for what an order needs (its look-up, its trades); what a sale waits for goes before
both, and the look between a cancel and its sale first of all; orders themselves are counted elsewhere and
never wait here. Nobody tells how high the counter is, and others may use the account, so a refusal counts as
a full one. Venue time: by that it falls.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from agent.core.ports import Clock
from agent.exchange.waiting import first_of

#: Machine time: a clock that is set back meanwhile keeps nobody waiting for as long as it was.
_LOOK_AGAIN_MS: Final = 1_000.0


class Need(IntEnum):
    """What a call is for. Larger goes first."""

    SPARE = 0
    """It may wait for others, and leaves them the reserve."""
    USUAL = 1
    SALE = 2
    """What an exit left, or how a canceled order ended: the next sale is made of it."""
    NEXT_SALE = 3
    """The look between a cancel and the sale that takes its place."""


@dataclass(frozen=True, slots=True)
class CallLimit:
    """`most` calls, of which `per_s` are forgotten each second; `reserve` of them wait for orders' needs."""

    most: float
    per_s: float
    reserve: float


class CallCounter:
    """`limit` None: this exchange counts no calls."""

    def __init__(self, clock: Clock, limit: CallLimit | None) -> None:
        self._clock = clock
        self._limit = limit
        self._level = 0.0
        self._at_ms = clock.now_ms()
        self._waiting: Counter[Need] = Counter()

    def counts(self, calls: int) -> bool:
        """Whether so many ever have to wait."""
        return self._limit is not None and calls > 0

    async def admit(self, calls: int, need: Need = Need.USUAL) -> None:
        """Return when so many may be made; they count from now on."""
        limit = self._limit
        if limit is None or not calls:
            return
        room = limit.most - (limit.reserve if need is Need.SPARE else 0.0)
        assert calls <= room, f"{calls} calls would never be made"
        self._waiting[need] += 1
        try:
            while (over := self._over(calls - room, need)) > 0:
                wait_ms = math.ceil(over / limit.per_s * 1_000)
                until = self._clock.sleep_until(self._clock.now_ms() + wait_ms)
                await first_of(until, self._clock.sleep_machine(_LOOK_AGAIN_MS))
        finally:
            self._waiting[need] -= 1
        self._level += calls

    def _over(self, beyond: float, need: Need) -> float:
        """How many must be forgotten before; one more for each that goes first."""
        over = self._now() + beyond
        before = sum(count for other, count in self._waiting.items() if other > need)
        return max(over, 0.0) + before if before else over

    def refused(self) -> None:
        """The exchange counted more than we did."""
        if self._limit is not None:
            self._now()
            self._level = self._limit.most

    def _now(self) -> float:
        assert self._limit is not None
        now_ms = self._clock.now_ms()
        passed_s = max(0, now_ms - self._at_ms) / 1_000
        self._at_ms = now_ms
        self._level = max(0.0, self._level - passed_s * self._limit.per_s)
        return self._level
