"""The two clocks: venue time, which decides, and machine time, which waits.

`SystemClock` takes venue time from this machine. `ExchangeClock` takes it from the exchange by sampling,
so that an exchange whose time runs 60 times faster is traded at that speed; between samples it goes on
at the measured rate. Venue time never steps back: a clock that is ahead of what it should say goes on at
half the speed until it is right again, so that no deadline waits for ever. Machine time is monotonic.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from agent.core.ports import MarketDataError

Sleep = Callable[[float], Awaitable[None]]
"""Waits for that many machine seconds."""

#: A sleeper looks again at least this often, because the venue's speed may change under it.
LONGEST_NAP_S: Final = 0.25
SAMPLE_EVERY_S: Final = 1.0
#: And while the venue has gone at the speed of real time for so long: nobody moves its time.
SETTLED_EVERY_S: Final = 5.0
SETTLED_AFTER_S: Final = 20.0
#: One round trip is enough when it took no longer than this, or than this many of the quickest of late.
QUICK_S: Final = 0.005
USUAL: Final = 2.0
#: Pause before the next sample while the speed is known from a short time or not at all.
SAMPLE_SOON_S: Final = 0.2
#: A sample that disagrees with the running estimate by more than this much machine time is a jump.
JUMP_S: Final = 0.25
#: The speed is measured over at most this much machine time, so that a drift is noticed.
LONGEST_BASELINE_S: Final = 30.0
#: Speeds nearer to 1 than this are 1: the venue does not run faster, the sampling is uneven.
NEAR_REAL_TIME: Final = 0.02
#: Two measurements over a short time agree when they differ by no more than this share.
SAME_SPEED: Final = 0.25
#: After a jump, this many measurements at most until one is believed whatever the others said.
MOST_DOUBTS: Final = 4
#: How fast a clock that is ahead goes on, as a share of its speed.
SLEWING: Final = 0.5


class _Forward:
    """Turns an estimate that may step back into a time that does not."""

    def __init__(self) -> None:
        self._shown_ms = 0.0
        self._at_s: float | None = None

    def shown_ms(self, estimate_ms: float, at_s: float, speed: float) -> int:
        """The time to show at machine time `at_s`, when it should be `estimate_ms` and runs at `speed`."""
        passed_s = 0.0 if self._at_s is None else at_s - self._at_s
        least_ms = self._shown_ms + passed_s * 1000 * speed * SLEWING
        self._shown_ms, self._at_s = max(estimate_ms, least_ms), at_s
        return int(self._shown_ms)


class SystemClock:
    """Venue time is this machine's UTC time."""

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._forward = _Forward()

    def now_ms(self) -> int:
        return self._forward.shown_ms(self._wall_ns() / 1e6, self._monotonic_s(), 1.0)

    def machine_ms(self) -> float:
        return self._monotonic_s() * 1000

    async def sleep_until(self, venue_ms: int) -> None:
        while (left := venue_ms - self.now_ms()) > 0:
            await self._sleep(min(left / 1000, LONGEST_NAP_S * 4))

    async def sleep_machine(self, ms: float) -> None:
        await self._sleep(ms / 1000)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Machine and venue time of one moment, and the round trip that says how certainly."""

    at_s: float
    venue_ms: float
    round_trip_s: float

    def speed_since(self, earlier: _Sample) -> float:
        """Venue seconds per machine second between two samples; the venue never runs backwards."""
        return max(0.0, (self.venue_ms - earlier.venue_ms) / 1000 / (self.at_s - earlier.at_s))


class ExchangeClock:
    """Venue time sampled from the exchange. `start` must have returned before anything reads it.

    A sample far from the estimate means that time was moved or that the speed was changed. Until two
    measurements agree the lower speed counts: being behind is mended by the next sample, being ahead
    is not. `server_time_ms` raises MarketDataError when it cannot be read.
    """

    def __init__(
        self,
        server_time_ms: Callable[[], Awaitable[int]],
        monotonic_s: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._server_time_ms = server_time_ms
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._samples: deque[_Sample] = deque()
        self._speed = 1.0
        self._candidate = 1.0
        self._doubts = 0
        self._forward = _Forward()

    @property
    def speed(self) -> float:
        """Venue seconds per machine second."""
        return self._speed

    async def start(self) -> None:
        """Take the first samples: where the venue is and how fast it goes. Raises MarketDataError."""
        first = await self._sample()
        await self._sleep(SAMPLE_SOON_S)
        second = await self._sample()
        self._samples = deque((first, second))
        self._speed = _settled(second.speed_since(first))

    async def run(self, silenced: Callable[[], bool] = lambda: False) -> None:
        """Sample again and again, until canceled. A sample that fails leaves the estimate running.

        `silenced`: whether the exchange wants no request of any kind; none is made then.
        """
        while True:
            await self._sleep(self._pause_s())
            if silenced():
                continue
            try:
                sample = await self._sample()
            except MarketDataError:
                continue
            self._take(sample)

    def now_ms(self) -> int:
        at_s = self._monotonic_s()
        return self._forward.shown_ms(self._expected_ms(at_s), at_s, self._speed)

    def machine_ms(self) -> float:
        return self._monotonic_s() * 1000

    async def sleep_until(self, venue_ms: int) -> None:
        while (left := venue_ms - self.now_ms()) > 0:
            wanted = left / 1000 / self._speed if self._speed > 0 else LONGEST_NAP_S
            await self._sleep(min(wanted, LONGEST_NAP_S))

    async def sleep_machine(self, ms: float) -> None:
        await self._sleep(ms / 1000)

    def _pause_s(self) -> float:
        """Until the next sample. A speed measured over a short time holds for about as long."""
        if self._speed == 1.0 and not self._doubts and self._baseline_s() >= SETTLED_AFTER_S:
            return SETTLED_EVERY_S
        return min(max(self._baseline_s(), SAMPLE_SOON_S), SAMPLE_EVERY_S)

    async def _sample(self) -> _Sample:
        """One round trip as quick as usual, or else the best of three."""
        tries = [await self._ask()]
        usual_s = min((known.round_trip_s for known in self._samples), default=0.0) * USUAL
        if tries[0].round_trip_s > max(usual_s, QUICK_S):
            tries += [await self._ask() for _ in range(2)]
        return min(tries, key=lambda sample: sample.round_trip_s)

    async def _ask(self) -> _Sample:
        before = self._monotonic_s()
        venue_ms = await self._server_time_ms()
        after = self._monotonic_s()
        return _Sample((before + after) / 2, float(venue_ms), after - before)

    def _baseline_s(self) -> float:
        return self._samples[-1].at_s - self._samples[0].at_s

    def _expected_ms(self, at_s: float) -> float:
        assert self._samples, "start the clock before reading it"
        latest = self._samples[-1]
        return latest.venue_ms + (at_s - latest.at_s) * 1000 * self._speed

    def _take(self, sample: _Sample) -> None:
        apart_s = abs(sample.venue_ms - self._expected_ms(sample.at_s)) / 1000 / max(self._speed, 1.0)
        # Half the round trip, and a little for the drift since the last sample.
        uncertain_s = sample.round_trip_s / 2 * 1.1
        measured = sample.speed_since(self._samples[-1])
        if uncertain_s > JUMP_S / 2 and apart_s <= uncertain_s:
            # An answer this slow says nothing against the estimate, and nothing more precise.
            return
        if self._doubts:
            self._relearn(measured)
        elif apart_s > JUMP_S:
            self._doubt(measured, MOST_DOUBTS)
        else:
            self._samples.append(sample)
            while len(self._samples) > 2 and self._baseline_s() > LONGEST_BASELINE_S:
                self._samples.popleft()
            self._speed = _settled(sample.speed_since(self._samples[0]))
            return
        # What lies before a jump says nothing about the speed after it.
        self._samples = deque((sample,))

    def _relearn(self, measured: float) -> None:
        known = next((s for s in (self._speed, self._candidate) if _agree(measured, s)), None)
        if known is None and self._doubts > 1:
            self._doubt(measured, self._doubts - 1)
            return
        self._doubts = 0
        self._speed = _settled(measured)

    def _doubt(self, measured: float, doubts: int) -> None:
        self._doubts = doubts
        self._candidate = measured
        self._speed = min(self._speed, measured)


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_SPEED * max(one, other)


def _settled(speed: float) -> float:
    """A measured speed, with the noise around real time taken out."""
    return 1.0 if abs(speed - 1) < NEAR_REAL_TIME else speed
