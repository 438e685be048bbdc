"""The time written on requests: the injected venue clock, corrected by what the exchange says its time is.

The exchange refuses a request from its future (above one second) or from too long ago (above recvWindow).
Stays true: nothing but measured answers moves the correction; an answer that took so long that it says little
is not believed, unless nothing better comes.
"""

from __future__ import annotations

from typing import Final

from agent.core.ports import Clock
from agent.core.value import Value

#: Binance's default, and its advice: the window in which a request must arrive, venue time.
RECV_WINDOW_MS: Final = 5_000
#: Machine time of a round trip that measures well enough on its own.
GOOD_ROUND_TRIP_MS: Final = 400.0


class Measured(Value, frozen=True):
    """One look at the exchange's clock: our venue time in the middle of the round trip, and theirs."""

    ours_ms: float
    theirs_ms: int
    round_trip_ms: float

    @property
    def offset_ms(self) -> int:
        return round(self.ours_ms - self.theirs_ms)


class RequestTime:
    """`offset_ms` is our clock minus the exchange's: positive when ours is ahead."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ms = 0
        self.measured_ms: float | None = None
        """Machine time of the last measurement; None before the first."""

    def stamp_ms(self) -> int:
        """The exchange's time now, as well as we know it."""
        return self._clock.now_ms() - self.offset_ms

    def learn(self, measured: Measured) -> None:
        self.offset_ms = measured.offset_ms
        self.measured_ms = self._clock.machine_ms()
