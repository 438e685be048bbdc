"""How fast venue time runs against machine time, and whether it jumped.

Belongs here: one ratio, measured, and the waits derived from it. On a real exchange the ratio is 1 and
nothing here matters. In a rehearsal at 60 or 2,000 times the speed a deadline of five venue seconds is over
before a request can come back, so every patience has two figures: venue time, and the least machine time that
a loop, a socket and a request need. The larger one holds; at speed 1 that is always the venue time.

A jump is venue time that went further than machine time explains: the machine slept, or somebody set the
clock. Connections from before it are not to be believed.
"""

from __future__ import annotations

from typing import Final

from agent.core.ports import Clock

#: Wall against monotonic time: above this the machine was suspended.
JUMP_MS: Final = 5_000
#: A sped-up clock is sampled over a network: what it may be wrong by without having jumped.
_SAMPLING_MACHINE_MS: Final = 500
_SHORTEST_SAMPLE_MS: Final = 100


class Pace:
    """Take a reading with `look` about every second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rate = 1.0
        self._measured = False
        self._off = False
        self._venue_ms = clock.now_ms()
        self._machine_ms = clock.machine_ms()

    @property
    def rate(self) -> float:
        """Venue milliseconds per machine millisecond, never below 1."""
        return max(1.0, self._rate)

    def patience_ms(self, venue_ms: float, least_machine_ms: float) -> int:
        """A wait in venue time that leaves at least so much machine time."""
        return round(max(venue_ms, least_machine_ms * self.rate))

    def machine_patience_ms(self, venue_ms: float, least_machine_ms: float) -> float:
        """The same wait in machine time."""
        return max(venue_ms / self.rate, least_machine_ms)

    def look(self) -> int | None:
        """Read both clocks. Returns by how many ms venue time jumped since the last reading, or None."""
        venue_ms, machine_ms = self._clock.now_ms(), self._clock.machine_ms()
        passed_ms = machine_ms - self._machine_ms
        if passed_ms < _SHORTEST_SAMPLE_MS:
            return None
        went_ms = venue_ms - self._venue_ms
        self._venue_ms, self._machine_ms = venue_ms, machine_ms
        if not self._measured:
            self._rate, self._measured = went_ms / passed_ms, True
            return None
        jump_ms = went_ms - self._rate * passed_ms
        if abs(jump_ms) <= max(JUMP_MS, self.rate * _SAMPLING_MACHINE_MS):
            self._rate, self._off = went_ms / passed_ms, False
            return None
        if self._off:
            # Twice in a row: it did not jump, it runs at another speed now.
            self._rate, self._off = went_ms / passed_ms, False
            return None
        self._off = True
        return round(jump_ms)
