"""Numbers of signed requests where each must be higher than all before it, whoever sent those.

Belongs here: the next number. Stays true: two requests of one process never carry the same, also within one
millisecond and after the clock was set back. A key that was used with higher ones (by a process whose clock
was ahead, say) is caught up with in steps that grow, because nobody tells how high they are.
"""

from __future__ import annotations

import time
from typing import Final

_FIRST_STEP_MS: Final = 60_000
_GROWTH: Final = 8
#: The exchange keeps them in 64 bits; a year ahead is further than any clock was.
_FURTHEST_MS: Final = 366 * 86_400_000


def wall_ms() -> int:
    """This machine's clock, because other programs take their numbers from that too."""
    return time.time_ns() // 1_000_000


class RisingNumbers:
    """Milliseconds of the wall clock, as long as nobody was ahead of it."""

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._last = 0

    def next(self) -> int:
        self._last = max(self._last + 1, wall_ms() + self._ahead_ms)
        return self._last

    def refused(self, number: int) -> None:
        """`number` was too low. One that was overtaken by a later one of ours says nothing."""
        if number == self._last:
            step_ms = max(_FIRST_STEP_MS, self._ahead_ms * _GROWTH)
            self._ahead_ms = min(step_ms, _FURTHEST_MS)
