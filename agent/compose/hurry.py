"""What the core's deadlines become when venue time runs faster than life.

The core counts lateness and the age of orders in venue time. At 600 times the speed, thirty venue seconds are
50 ms: less than a frame, a request and a commit take on a busy machine, so every signal would be late and
every answer overdue. As the feed's waits do, each of these deadlines therefore has a least machine time. On a
real exchange, and up to 60 times the speed with the default configuration, nothing changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.core.state import Setup

#: Machine time that a signal or an answer has in any case.
LEAST_MACHINE_MS: Final = 500


def unhurried(setup: Setup, speed: float) -> Setup:
    """`setup` for a venue whose time runs `speed` times as fast as this machine's."""
    if speed <= 1:
        return setup
    least_ms = round(LEAST_MACHINE_MS * speed)
    limits = replace(setup.limits, order_timeout_ms=max(setup.limits.order_timeout_ms, least_ms))
    return replace(setup, limits=limits, late_after_ms=max(setup.late_after_ms, least_ms))
