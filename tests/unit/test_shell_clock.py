"""Both clocks against a machine and a venue that the test moves: nothing here waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from agent.core.ports import MarketDataError
from agent.shell.clock import ExchangeClock, SystemClock

NOON_MS = 1_700_049_600_000
HOUR_MS = 3_600_000
UPTIME_S = 30_000_000.0


class Machine:
    """Monotonic and wall time that pass while somebody sleeps."""

    def __init__(self) -> None:
        # A machine that has been up for a year: its own time must not be taken for the venue's.
        self.at_s = UPTIME_S
        self.wall_ms = float(NOON_MS)
        self.naps: list[float] = []
        self.whenever: list[tuple[float, Callable[[], None]]] = []

    def monotonic_s(self) -> float:
        return self.at_s

    def wall_ns(self) -> int:
        return int(self.wall_ms * 1e6)

    def at(self, s_from_now: float, act: Callable[[], None]) -> None:
        """Let something happen while others sleep."""
        self.whenever.append((self.at_s + s_from_now, act))
        self.whenever.sort(key=lambda due: due[0])

    async def sleep(self, s: float) -> None:
        self.naps.append(s)
        self.advance(s)
        await asyncio.sleep(0)

    def advance(self, s: float) -> None:
        end = self.at_s + s
        while self.whenever and self.whenever[0][0] <= end:
            due, act = self.whenever.pop(0)
            self._to(max(due, self.at_s))
            act()
        self._to(end)

    def _to(self, at_s: float) -> None:
        self.wall_ms += (at_s - self.at_s) * 1000
        self.at_s = at_s


class Venue:
    """An exchange whose time runs at `speed`; an answer takes up to `jitter_s` each way."""

    def __init__(self, machine: Machine, speed: float, jitter_s: float = 0.0, seed: int = 1) -> None:
        self.machine = machine
        self.speed = speed
        self.jitter_s = jitter_s
        self.chance = random.Random(seed)
        self.lag_s = 0.0
        self.failing = False
        self.asked = 0
        self._base_s = machine.at_s
        self._base_ms = float(NOON_MS)

    def true_ms(self) -> float:
        return self._base_ms + (self.machine.at_s - self._base_s) * 1000 * self.speed

    def change(self, *, speed: float | None = None, by_ms: float = 0.0) -> None:
        self._base_ms, self._base_s = self.true_ms() + by_ms, self.machine.at_s
        if speed is not None:
            self.speed = speed

    async def time_ms(self) -> int:
        self.asked += 1
        self.machine.advance(self.lag_s)
        self.machine.advance(self.chance.uniform(0, self.jitter_s))
        if self.failing:
            raise MarketDataError("no answer")
        now = int(self.true_ms())
        self.machine.advance(self.chance.uniform(0, self.jitter_s))
        return now


def clock_on(venue: Venue) -> ExchangeClock:
    machine = venue.machine
    return ExchangeClock(venue.time_ms, machine.monotonic_s, machine.sleep)


async def run_for(
    clock: ExchangeClock, machine: Machine, s: float, look: Callable[[], None] | None = None
) -> None:
    """Let the clock sample until `s` machine seconds have passed, looking at it again and again."""
    sampling = asyncio.ensure_future(clock.run())
    end = machine.at_s + s
    try:
        while machine.at_s < end:
            assert not sampling.done(), sampling.exception()
            if look is not None:
                look()
            await asyncio.sleep(0)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


class Watched:
    """Looks at a clock: how far from the truth, and whether it ever goes back."""

    def __init__(self, clock: ExchangeClock, venue: Venue) -> None:
        self.clock = clock
        self.venue = venue
        self.last_ms = 0
        self.ahead_ms: list[float] = []

    def look(self) -> None:
        # Between two samples as well, where the estimate runs on its own.
        now = self.clock.now_ms()
        assert now >= self.last_ms, f"went back by {self.last_ms - now} ms"
        self.last_ms = now
        self.ahead_ms.append(now - self.venue.true_ms())

    @property
    def worst_ms(self) -> float:
        return max(abs(ms) for ms in self.ahead_ms)


# --- the exchange's time -------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.1, 1.0, 60.0, 2000.0])
async def test_venue_time_follows_the_venue_at_any_speed(speed: float) -> None:
    venue = Venue(Machine(), speed, jitter_s=0.0005)
    clock = clock_on(venue)
    await clock.start()
    watched = Watched(clock, venue)
    await run_for(clock, venue.machine, 120, watched.look)
    assert clock.speed == pytest.approx(speed, rel=0.001)
    # Half a round trip at each end of the measurement, in the venue's milliseconds, and its own rounding.
    assert watched.worst_ms <= 3 * 0.5 * max(speed, 1) + 2


async def test_a_venue_at_real_time_has_exactly_speed_one() -> None:
    venue = Venue(Machine(), 1.0, jitter_s=0.01)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 60)
    assert clock.speed == 1.0


async def test_between_samples_time_goes_on_at_the_measured_speed() -> None:
    venue = Venue(Machine(), 60.0)
    clock = clock_on(venue)
    await clock.start()
    for _ in range(50):
        venue.machine.advance(0.013)
        assert clock.now_ms() == pytest.approx(venue.true_ms(), abs=20)


@pytest.mark.parametrize("new_speed", [0.0, 1.0, 300.0, 2000.0])
async def test_a_changed_speed_is_noticed(new_speed: float) -> None:
    venue = Venue(Machine(), 60.0, jitter_s=0.001)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 10)
    venue.machine.at(0.4, lambda: venue.change(speed=new_speed))
    watched = Watched(clock, venue)
    await run_for(clock, venue.machine, 3, watched.look)
    assert clock.speed == pytest.approx(new_speed, rel=0.02, abs=0.01)
    # At worst it ran on at the old speed until the next sample, and a little longer at a lower one.
    assert max(watched.ahead_ms) <= 1.4 * 1000 * 60
    if new_speed:
        await run_for(clock, venue.machine, 60 * 1.5 * 2)
        settled = Watched(clock, venue)
        await run_for(clock, venue.machine, 30, settled.look)
        assert settled.worst_ms <= 5 * max(new_speed, 1)


async def test_a_paused_venue_stands_and_goes_on() -> None:
    venue = Venue(Machine(), 60.0)
    clock = clock_on(venue)
    await clock.start()
    venue.change(speed=0.0)
    await run_for(clock, venue.machine, 5)
    stands = clock.now_ms()
    await run_for(clock, venue.machine, 30)
    assert clock.now_ms() == stands
    venue.change(speed=60.0)
    await run_for(clock, venue.machine, 10)
    watched = Watched(clock, venue)
    await run_for(clock, venue.machine, 10, watched.look)
    assert watched.worst_ms <= 100


@pytest.mark.parametrize("speed", [1.0, 60.0])
async def test_a_jump_of_the_venue_is_followed_without_learning_a_wild_speed(speed: float) -> None:
    venue = Venue(Machine(), speed, jitter_s=0.001)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 10)
    venue.machine.at(0.5, lambda: venue.change(by_ms=6 * HOUR_MS))
    watched = Watched(clock, venue)
    fastest = 0.0

    def look() -> None:
        nonlocal fastest
        watched.look()
        fastest = max(fastest, clock.speed)

    await run_for(clock, venue.machine, 20, look)
    assert fastest <= speed * 1.1
    assert max(watched.ahead_ms) <= 100 * speed
    assert abs(watched.ahead_ms[-1]) <= 10 * speed


async def test_two_jumps_in_a_row_are_followed() -> None:
    venue = Venue(Machine(), 60.0)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 5)
    for after_s in (0.5, 1.05, 1.2, 1.35):
        venue.machine.at(after_s, lambda: venue.change(by_ms=HOUR_MS))
    watched = Watched(clock, venue)
    await run_for(clock, venue.machine, 20, watched.look)
    assert clock.speed == pytest.approx(60, rel=0.01)
    assert max(watched.ahead_ms) <= 60_000
    assert abs(watched.ahead_ms[-1]) <= 100


async def test_a_clock_that_is_ahead_goes_on_slowly_until_it_is_right() -> None:
    venue = Venue(Machine(), 1.0)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 5, Watched(clock, venue).look)
    # Nothing an honest exchange does; its time is believed all the same.
    venue.change(by_ms=-10_000)
    await run_for(clock, venue.machine, 3)
    ahead = clock.now_ms() - venue.true_ms()
    assert 7_000 <= ahead <= 10_000
    before = clock.now_ms()
    venue.machine.advance(2)
    assert clock.now_ms() - before == pytest.approx(1_000, abs=5), "half the speed, but it never stands"
    await run_for(clock, venue.machine, 30)
    assert clock.now_ms() == pytest.approx(venue.true_ms(), abs=5)


async def test_uneven_answers_never_move_time_back() -> None:
    for seed in range(20):
        venue = Venue(Machine(), 60.0, jitter_s=0.2, seed=seed)
        clock = clock_on(venue)
        await clock.start()
        watched = Watched(clock, venue)
        await run_for(clock, venue.machine, 60, watched.look)
        assert clock.speed == pytest.approx(60, rel=0.1)
        assert watched.worst_ms <= 60 * 500


@pytest.mark.parametrize("lag_s", [0.3, 0.8, 3.0])
async def test_answers_that_are_slow_for_a_while_change_neither_time_nor_speed(lag_s: float) -> None:
    venue = Venue(Machine(), 60.0, jitter_s=0.001)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 20)
    watched = Watched(clock, venue)
    venue.lag_s = lag_s  # all of it on the way there: half of it is the error of a sample
    await run_for(clock, venue.machine, 30, watched.look)
    venue.lag_s = 0.0
    await run_for(clock, venue.machine, 10, watched.look)
    assert clock.speed == pytest.approx(60, rel=0.01)
    assert watched.worst_ms <= 60 * 50


async def test_samples_that_fail_leave_the_estimate_running() -> None:
    venue = Venue(Machine(), 60.0)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 10)
    venue.failing = True
    asked = venue.asked
    watched = Watched(clock, venue)
    await run_for(clock, venue.machine, 300, watched.look)
    assert venue.asked > asked + 100, "it goes on asking"
    assert watched.worst_ms <= 100
    venue.failing = False
    await run_for(clock, venue.machine, 5, watched.look)
    assert watched.worst_ms <= 100


async def test_a_clock_cannot_start_without_the_exchange() -> None:
    venue = Venue(Machine(), 1.0)
    venue.failing = True
    with pytest.raises(MarketDataError):
        await clock_on(venue).start()


async def test_a_mistake_of_ours_while_sampling_is_not_swallowed() -> None:
    machine = Machine()
    answers = [NOON_MS, NOON_MS, NOON_MS, NOON_MS + 200, NOON_MS + 200, NOON_MS + 200]

    async def broken() -> int:
        return answers.pop(0)

    clock = ExchangeClock(broken, machine.monotonic_s, machine.sleep)
    await clock.start()
    with pytest.raises(IndexError):
        await clock.run()


async def test_sleeping_until_a_venue_time_takes_as_long_as_the_venue_does() -> None:
    venue = Venue(Machine(), 60.0)
    clock = clock_on(venue)
    await clock.start()
    before_s, until = venue.machine.at_s, int(venue.true_ms()) + 90_000
    await clock.sleep_until(until)
    assert clock.now_ms() >= until
    assert venue.machine.at_s - before_s == pytest.approx(1.5, abs=0.02)
    await clock.sleep_until(until - 1)
    assert venue.machine.at_s - before_s == pytest.approx(1.5, abs=0.02), "a past time is no wait"


async def test_a_sleeper_notices_that_the_venue_became_faster() -> None:
    venue = Venue(Machine(), 1.0)
    clock = clock_on(venue)
    await clock.start()
    until = int(venue.true_ms()) + HOUR_MS
    venue.machine.at(10, lambda: venue.change(by_ms=HOUR_MS))
    sampling = asyncio.ensure_future(clock.run())
    await clock.sleep_until(until)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    assert venue.machine.at_s < UPTIME_S + 15


async def test_machine_time_ignores_the_venue() -> None:
    venue = Venue(Machine(), 2000.0)
    clock = clock_on(venue)
    before = clock.machine_ms()
    await clock.sleep_machine(250)
    assert clock.machine_ms() - before == pytest.approx(250)


def test_reading_an_exchange_clock_before_its_start_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="start"):
        clock_on(Venue(Machine(), 1.0)).now_ms()


# --- this machine's time -------------------------------------------------------------------------


def system(machine: Machine) -> SystemClock:
    return SystemClock(machine.wall_ns, machine.monotonic_s, machine.sleep)


def test_system_time_is_the_wall_clock() -> None:
    machine = Machine()
    clock = system(machine)
    machine.advance(1.5)
    assert clock.now_ms() == NOON_MS + 1_500


def test_a_suspended_machine_wakes_up_later() -> None:
    machine = Machine()
    clock = system(machine)
    assert clock.now_ms() == NOON_MS
    machine.wall_ms += HOUR_MS  # monotonic time stood still
    assert clock.now_ms() == NOON_MS + HOUR_MS


def test_a_wall_clock_set_back_slows_time_down_until_it_is_right() -> None:
    machine = Machine()
    clock = system(machine)
    assert clock.now_ms() == NOON_MS
    machine.wall_ms -= 60_000
    assert clock.now_ms() == NOON_MS
    machine.advance(10)
    assert clock.now_ms() == NOON_MS + 5_000
    last = clock.now_ms()
    for _ in range(300):
        machine.advance(1)
        assert clock.now_ms() > last
        last = clock.now_ms()
    assert last == int(machine.wall_ms)


async def test_sleeping_until_a_time_ends_early_after_a_suspend() -> None:
    machine = Machine()
    clock = system(machine)
    machine.at(2.5, lambda: setattr(machine, "wall_ms", machine.wall_ms + HOUR_MS))
    await clock.sleep_until(NOON_MS + HOUR_MS)
    assert machine.at_s - UPTIME_S <= 4
    assert max(machine.naps) <= 1


async def test_the_real_clocks_are_the_default() -> None:
    clock = SystemClock()
    assert clock.now_ms() > NOON_MS
    before = clock.machine_ms()
    await clock.sleep_machine(0)
    await clock.sleep_until(clock.now_ms())
    assert clock.machine_ms() >= before


async def test_a_venue_at_real_time_is_asked_seldom_once_it_is_known() -> None:
    venue = Venue(Machine(), 1.0, jitter_s=0.02)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 60)
    asked, watched = venue.asked, Watched(clock, venue)
    await run_for(clock, venue.machine, 300, watched.look)
    assert venue.asked - asked <= 3 * 61, "every five seconds, and again only after a slow answer"
    assert watched.worst_ms <= 40


async def test_a_quick_answer_is_enough() -> None:
    venue = Venue(Machine(), 60.0, jitter_s=0.001)
    clock = clock_on(venue)
    await clock.start()
    await run_for(clock, venue.machine, 10)
    asked = venue.asked
    await run_for(clock, venue.machine, 60)
    assert venue.asked - asked <= 61


async def test_a_silenced_clock_asks_nothing_and_goes_on_as_fast_as_before():
    machine = Machine()
    venue = Venue(machine, 60.0)
    clock = clock_on(venue)
    await clock.start()
    asked, silent = venue.asked, True
    sampling = asyncio.ensure_future(clock.run(lambda: silent))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert machine.at_s > UPTIME_S + 60
    assert venue.asked == asked
    assert abs(clock.now_ms() - venue.true_ms()) < 1_000
    silent = False
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert venue.asked > asked
    sampling.cancel()
