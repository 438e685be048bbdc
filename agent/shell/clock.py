"""The two clocks: venue time, which decides, and machine time, which waits.

`SystemClock` takes venue time from this machine. `ExchangeClock` takes it from the exchange by sampling,
so that an exchange whose time runs 60 times faster is traded at that speed; between samples it goes on
at the measured rate. Venue time never steps back. Machine time is monotonic.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from agent.core.ports import MarketDataError

#: A sleeper looks again at least this often, because the venue's speed may change under it.
LONGEST_NAP_S: Final = 0.25
SAMPLE_EVERY_S: Final = 1.0
#: A sample that disagrees with the running estimate by more than this much machine time is a jump.
JUMP_S: Final = 0.25
#: The speed is measured over at most this much machine time, so that a change is noticed.
LONGEST_BASELINE_S: Final = 30.0
#: Speeds nearer to 1 than this are 1: the venue does not run faster, the sampling is uneven.
NEAR_REAL_TIME: Final = 0.02

_sleep = asyncio.sleep


class SystemClock:
    """Venue time is this machine's UTC time."""

    def __init__(self) -> None:
        self._latest_ms = 0

    def now_ms(self) -> int:
        self._latest_ms = max(self._latest_ms, time.time_ns() // 1_000_000)
        return self._latest_ms

    def machine_ms(self) -> float:
        return time.monotonic() * 1000

    async def sleep_until(self, venue_ms: int) -> None:
        while (left := venue_ms - self.now_ms()) > 0:
            await _sleep(min(left / 1000, LONGEST_NAP_S * 4))

    async def sleep_machine(self, ms: float) -> None:
        await _sleep(ms / 1000)


class ExchangeClock:
    """Venue time sampled from the exchange. `start` must have returned before anything reads it."""

    def __init__(self, server_time_ms: Callable[[], Awaitable[int]]) -> None:
        self._server_time_ms = server_time_ms
        self._anchor_s = 0.0
        self._anchor_ms = 0.0
        self._base_s = 0.0
        self._base_ms = 0.0
        self._speed = 1.0
        self._latest_ms = 0
        self._relearning = False

    @property
    def speed(self) -> float:
        """Venue seconds per machine second."""
        return self._speed

    async def start(self) -> None:
        """Take the first samples: where the venue is and how fast it goes. Raises MarketDataError."""
        first_s, first_ms = await self._sample()
        await _sleep(0.2)
        second_s, second_ms = await self._sample()
        self._restart(first_s, first_ms)
        self._speed = _settled((second_ms - first_ms) / 1000 / (second_s - first_s))
        self._anchor_s, self._anchor_ms = second_s, second_ms

    async def run(self) -> None:
        """Sample again and again, until canceled. A sample that fails leaves the estimate running."""
        while True:
            await _sleep(SAMPLE_EVERY_S)
            try:
                at_s, venue_ms = await self._sample()
            except MarketDataError:
                continue
            self._take(at_s, venue_ms)

    def now_ms(self) -> int:
        now = self._anchor_ms + (time.monotonic() - self._anchor_s) * 1000 * self._speed
        self._latest_ms = max(self._latest_ms, int(now))
        return self._latest_ms

    def machine_ms(self) -> float:
        return time.monotonic() * 1000

    async def sleep_until(self, venue_ms: int) -> None:
        while (left := venue_ms - self.now_ms()) > 0:
            wanted = left / 1000 / self._speed if self._speed > 0 else LONGEST_NAP_S
            await _sleep(min(wanted, LONGEST_NAP_S))

    async def sleep_machine(self, ms: float) -> None:
        await _sleep(ms / 1000)

    async def _sample(self) -> tuple[float, float]:
        """Machine seconds and venue milliseconds of the same moment; the best of three round trips."""
        best: tuple[float, float, float] | None = None
        for _ in range(3):
            before = time.monotonic()
            venue_ms = await self._server_time_ms()
            after = time.monotonic()
            if best is None or after - before < best[0]:
                best = (after - before, (before + after) / 2, float(venue_ms))
        assert best is not None
        return best[1], best[2]

    def _take(self, at_s: float, venue_ms: float) -> None:
        expected = self._anchor_ms + (at_s - self._anchor_s) * 1000 * self._speed
        jumped = abs(venue_ms - expected) > JUMP_S * 1000 * max(self._speed, 1.0)
        if jumped and not self._relearning:
            # Time was moved or the speed was changed; the next sample tells which.
            self._restart(at_s, venue_ms)
            self._relearning = True
            return
        self._relearning = False
        if at_s - self._base_s > LONGEST_BASELINE_S:
            self._base_s, self._base_ms = self._anchor_s, self._anchor_ms
        self._speed = _settled((venue_ms - self._base_ms) / 1000 / (at_s - self._base_s))
        self._anchor_s, self._anchor_ms = at_s, venue_ms

    def _restart(self, at_s: float, venue_ms: float) -> None:
        self._anchor_s = self._base_s = at_s
        self._anchor_ms = self._base_ms = venue_ms


def _settled(speed: float) -> float:
    """A measured speed, with the noise around real time taken out."""
    return 1.0 if abs(speed - 1) < NEAR_REAL_TIME else max(speed, 0.0)
