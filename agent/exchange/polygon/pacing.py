"""How often Polygon may be asked: five requests a minute on its free plan, and silence when it says so.

Machine time spaces the requests; what Polygon asked for (429) is kept over restarts by whoever is told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.core.ports import Clock

REQUESTS: Final = 5
WINDOW_MS: Final = 60_000.0
#: A 429 that does not say for how long.
SILENCE_MS: Final = 60_000


class RequestPace:
    """At most `REQUESTS` in any `WINDOW_MS`, in the order in which they were asked for."""

    def __init__(
        self,
        clock: Clock,
        wall_ms: Callable[[], int],
        blocked_until_ms: int = 0,
        on_blocked: Callable[[int], None] = lambda until_ms: None,
    ) -> None:
        self._clock = clock
        self._wall_ms = wall_ms
        self._blocked_until_ms = blocked_until_ms
        self._on_blocked = on_blocked
        self._sent: deque[float] = deque()
        self._turn = asyncio.Lock()

    async def admit(self) -> None:
        """Wait for a place. Polygon's deadlines are wall time, whatever the venue's clock shows."""
        async with self._turn:
            while (wait_ms := self._wait_ms()) > 0:
                await self._clock.sleep_machine(wait_ms)
            self._sent.append(self._clock.machine_ms())

    def too_many(self, retry_after_s: float | None) -> int:
        """Polygon answered 429: ask nothing for a while. Returns for how many milliseconds."""
        silence_ms = SILENCE_MS if retry_after_s is None else max(1_000, round(retry_after_s * 1_000))
        self._blocked_until_ms = max(self._blocked_until_ms, self._wall_ms() + silence_ms)
        self._on_blocked(self._blocked_until_ms)
        return silence_ms

    def _wait_ms(self) -> float:
        now_ms = self._clock.machine_ms()
        while self._sent and self._sent[0] <= now_ms - WINDOW_MS:
            self._sent.popleft()
        full_ms = self._sent[0] + WINDOW_MS - now_ms if len(self._sent) >= REQUESTS else 0.0
        return max(full_ms, float(self._blocked_until_ms - self._wall_ms()))
