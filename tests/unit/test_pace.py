"""How fast venue time runs, and whether it jumped."""

from __future__ import annotations

import pytest

from agent.exchange.pace import Pace
from tests.clocks import ManualClock


async def looked(pace: Pace, clock: ManualClock, times: int) -> list[int | None]:
    found = []
    for _ in range(times):
        await clock.advance(500)
        found.append(pace.look())
    return found


async def test_on_a_real_exchange_patience_is_venue_time() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    assert await looked(pace, clock, 4) == [None] * 4
    assert pace.rate == 1.0
    assert pace.patience_ms(5_000, 250) == 5_000
    assert pace.machine_patience_ms(6_000, 2_000) == 6_000


@pytest.mark.parametrize(
    ("speed", "patience_ms", "machine_ms"), [(60.0, 15_000, 2_000), (2_000.0, 500_000, 2_000)]
)
async def test_in_a_rehearsal_patience_leaves_machine_time(
    speed: float, patience_ms: int, machine_ms: float
) -> None:
    clock = ManualClock(speed=speed)
    pace = Pace(clock)
    await looked(pace, clock, 2)
    assert pace.rate == pytest.approx(speed)
    assert pace.patience_ms(5_000, 250) == pytest.approx(patience_ms)
    assert pace.machine_patience_ms(6_000, 2_000) == machine_ms


async def test_a_suspended_machine_is_a_jump_told_once() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    await looked(pace, clock, 2)
    clock.jump(8 * 3_600_000)
    assert await looked(pace, clock, 3) == [8 * 3_600_000, None, None]
    assert pace.rate == 1.0


async def test_a_clock_set_back_is_a_jump_too() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    await looked(pace, clock, 2)
    clock.jump(-3_600_000)
    assert (await looked(pace, clock, 1))[0] == -3_600_000


async def test_less_than_five_seconds_is_no_jump() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    await looked(pace, clock, 2)
    clock.jump(4_900)
    assert await looked(pace, clock, 2) == [None, None]


async def test_another_speed_is_learned_and_told_as_one_jump() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    await looked(pace, clock, 2)
    clock.speed = 60.0
    found = await looked(pace, clock, 5)
    assert sum(1 for jump in found if jump) == 1
    assert pace.rate == pytest.approx(60.0)


async def test_a_reading_too_soon_measures_nothing() -> None:
    clock = ManualClock()
    pace = Pace(clock)
    await clock.advance(5)
    clock.jump(60_000)
    assert pace.look() is None
    await clock.advance(500)
    pace.look()
    assert pace.rate > 1.0
