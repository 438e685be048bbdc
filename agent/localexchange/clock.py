"""The exchange's clock: venue time, which may run faster than the machine's.

Belongs here: the relation between machine time and venue time, and nothing that happens in either.
Stays true: venue time never goes back; it is an integer of milliseconds UTC; while paused it stands
still, also when the speed is changed. `advance` jumps forward at once; whoever emits what happened in
between (closed bars) reads the clock before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MIN_SPEED: Final = 1.0
MAX_SPEED: Final = 2_000.0


class VenueClock:
    """Venue milliseconds = anchor + machine seconds since the anchor * speed."""

    def __init__(
        self,
        start_ms: int,
        speed: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        paused: bool = False,
    ) -> None:
        self._monotonic = monotonic
        self._anchor_ms = float(start_ms)
        self._anchor_s = monotonic()
        self._speed = checked_speed(speed)
        self._paused = paused

    @property
    def speed(self) -> float:
        """Venue seconds per machine second while the clock runs."""
        return self._speed

    @property
    def paused(self) -> bool:
        return self._paused

    def now_ms(self) -> int:
        return int(self._exact_ms())

    def set_speed(self, speed: float) -> None:
        """Raises ValueError outside MIN_SPEED..MAX_SPEED."""
        speed = checked_speed(speed)
        self._anchor()
        self._speed = speed

    def pause(self, paused: bool) -> None:
        self._anchor()
        self._paused = paused

    def advance(self, venue_ms: int) -> None:
        """Raises ValueError for a negative jump."""
        if venue_ms < 0:
            raise ValueError("venue time does not go back: advance_ms must not be negative")
        self._anchor()
        self._anchor_ms += venue_ms

    def _exact_ms(self) -> float:
        if self._paused:
            return self._anchor_ms
        return self._anchor_ms + (self._monotonic() - self._anchor_s) * 1_000 * self._speed

    def _anchor(self) -> None:
        self._anchor_ms = self._exact_ms()
        self._anchor_s = self._monotonic()


def checked_speed(speed: float) -> float:
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise ValueError(f"speed must be between {MIN_SPEED:g} and {MAX_SPEED:g}, not {speed:g}")
    return float(speed)
