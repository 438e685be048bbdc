"""The local exchange's clock and its request limits."""

from __future__ import annotations

import pytest

from agent.localexchange.clock import VenueClock
from agent.localexchange.limits import WEIGHT_PER_MINUTE, RequestLimits


class Machine:
    """Machine time that stands still until told otherwise."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_venue_time_is_machine_time_times_speed() -> None:
    machine = Machine()
    clock = VenueClock(1_000_000, 60, machine)
    assert clock.now_ms() == 1_000_000
    machine.s += 2
    assert clock.now_ms() == 1_120_000
    clock.set_speed(2_000)
    assert clock.now_ms() == 1_120_000, "a change of speed is no jump"
    machine.s += 1
    assert clock.now_ms() == 3_120_000


def test_a_paused_clock_stands_still_but_can_be_advanced() -> None:
    machine = Machine()
    clock = VenueClock(0, 10, machine, paused=True)
    machine.s += 5
    assert clock.now_ms() == 0
    clock.advance(700)
    clock.set_speed(100)
    machine.s += 5
    assert (clock.now_ms(), clock.paused, clock.speed) == (700, True, 100)
    clock.pause(False)
    machine.s += 1
    assert clock.now_ms() == 100_700
    clock.pause(True)
    machine.s += 1
    assert clock.now_ms() == 100_700


def test_the_clock_refuses_what_time_cannot_do() -> None:
    clock = VenueClock(0, 1, Machine())
    for speed in (0.0, 0.5, 2_001.0, float("nan")):
        with pytest.raises(ValueError, match="speed"):
            clock.set_speed(speed)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_weight_is_counted_per_venue_minute() -> None:
    limits = RequestLimits()
    assert limits.admit(WEIGHT_PER_MINUTE, 59_000) is None
    assert limits.used(59_999) == WEIGHT_PER_MINUTE
    assert limits.used(60_000) == 0
    assert limits.admit(1, 60_000) is None


def test_who_goes_on_after_a_429_is_banned_longer_each_time() -> None:
    limits = RequestLimits()
    waits = []
    now_ms = 0
    for _ in range(3):
        limits.admit(WEIGHT_PER_MINUTE + 1, now_ms)
        refusals = [limits.admit(1, now_ms) for _ in range(6)]
        assert [r.status for r in refusals if r] == [429] * 4 + [418] * 2
        waits.append(refusals[-1].retry_after_s if refusals[-1] else 0)
        now_ms += waits[-1] * 1_000 + 60_000
        assert limits.admit(1, now_ms) is None
    assert waits == [120, 240, 480]


def test_holds_and_bans_end_and_can_be_pardoned() -> None:
    limits = RequestLimits()
    limits.hold(2_500, 0)
    refused = limits.admit(1, 0)
    assert refused is not None
    assert (refused.status, refused.retry_after_s) == (429, 3)
    assert limits.admit(1, 2_500) is None
    limits.ban(10_000, 3_000)
    refused = limits.admit(1, 4_000)
    assert refused is not None
    assert (refused.status, refused.retry_after_s) == (418, 9)
    limits.pardon()
    assert limits.admit(1, 4_001) is None
