"""Clocks for tests: one that moves only when told, and one that shares a local exchange's."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol

_sleep = asyncio.sleep


async def settle(rounds: int = 30) -> None:
    """Let everything that can run run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class ManualClock:
    """Venue and machine time, moved by `advance` and `jump`; sleepers wake in order of deadline."""

    def __init__(self, start_ms: int = 1_700_000_000_000 // 60_000 * 60_000, speed: float = 1.0) -> None:
        self._venue_ms = float(start_ms)
        self._machine_ms = 1_000.0
        self.speed = speed
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return int(self._venue_ms + 1e-6)

    def machine_ms(self) -> float:
        return self._machine_ms

    async def sleep_until(self, venue_ms: int) -> None:
        while self.now_ms() < venue_ms:
            await self._sleep(self._machine_ms + (venue_ms - self._venue_ms) / self.speed)

    async def sleep_machine(self, ms: float) -> None:
        await self._sleep(self._machine_ms + ms)

    async def advance(self, machine_ms: float) -> None:
        """Let this much machine time pass, waking whoever becomes due."""
        end_ms = self._machine_ms + machine_ms
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_ms:
            due_ms, _, future = heapq.heappop(self._sleepers)
            self._pass(due_ms - self._machine_ms)
            if not future.done():
                future.set_result(None)
                await settle()
        self._pass(end_ms - self._machine_ms)
        await settle()

    def jump(self, venue_ms: int) -> None:
        """Set venue time forward (or back) without machine time passing."""
        self._venue_ms += venue_ms

    def _pass(self, machine_ms: float) -> None:
        if machine_ms > 0:
            self._machine_ms += machine_ms
            self._venue_ms += machine_ms * self.speed

    async def _sleep(self, machine_ms: float) -> None:
        if machine_ms <= self._machine_ms:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (machine_ms, next(self._numbers), future))
        await future


class _VenueTime(Protocol):
    @property
    def speed(self) -> float: ...

    def now_ms(self) -> int: ...


class VenueTime:
    """A local exchange's own clock, when the exchange runs in this process, or one wrong by `ahead_ms`."""

    def __init__(self, venue: _VenueTime, ahead_ms: int = 0) -> None:
        self._venue = venue
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return self._venue.now_ms() + self._ahead_ms

    def machine_ms(self) -> float:
        return time.monotonic() * 1_000

    async def sleep_until(self, venue_ms: int) -> None:
        while (left_ms := venue_ms - self.now_ms()) > 0:
            await _sleep(min(left_ms / 1_000 / self._venue.speed, 0.25))

    async def sleep_machine(self, ms: float) -> None:
        await asyncio.sleep(ms / 1_000)
