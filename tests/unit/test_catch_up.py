"""When the account is read: on demand, once moved balances rest, and again and again without a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.core.events import AccountSeen, AccountUnreadable, Event, Healed, Impaired, Impairment
from agent.exchange.ailments import Ailments
from agent.exchange.signed.catch_up import CatchUp
from tests.clocks import ManualClock, settle

SEEN = AccountSeen({}, (), (), 0)


class Ground:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.told: list[Event] = []
        self.began_ms: list[int] = []
        self.fails = False
        self.answers = asyncio.Event()
        self.answers.set()
        self._start_ms = self.clock.machine_ms()
        self.catch_up = CatchUp(self.read, self.clock, self.told.append, Ailments(self.told.append))

    async def read(self, since_ms: int) -> AccountSeen | AccountUnreadable:
        self.began_ms.append(round(self.clock.machine_ms() - self._start_ms))
        await self.answers.wait()
        return AccountUnreadable("no") if self.fails else SEEN


@asynccontextmanager
async def running() -> AsyncIterator[Ground]:
    ground = Ground()
    task = asyncio.create_task(ground.catch_up.run())
    await settle()
    try:
        yield ground
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_with_a_stream_it_is_read_once_and_nobody_waits_for_a_time() -> None:
    async with running() as ground:
        ground.catch_up.gap("not subscribed yet")
        ground.catch_up.subscribed()
        await ground.clock.advance(60_000)
        assert ground.began_ms == [0]
        assert isinstance(ground.told[-1], Healed)
        ground.catch_up.demand()
        await settle()
        assert ground.began_ms == [0, 60_000]


async def test_without_a_stream_it_is_read_every_few_seconds_however_often_dialing_fails() -> None:
    async with running() as ground:
        ground.catch_up.subscribed()
        await ground.clock.advance(11_000)
        ground.began_ms.clear()
        for _ in range(9):
            ground.catch_up.down("cannot be reached")
            await ground.clock.advance(1_000)
        assert ground.began_ms == [12_000, 16_000, 20_000]
        assert [e.by for e in ground.told if isinstance(e, Impaired)] == [Impairment.USER_STREAM]
        assert not any(isinstance(e, Healed) for e in ground.told), "polling is no stream"


async def test_a_stream_that_is_back_is_not_polled_beside() -> None:
    async with running() as ground:
        await ground.clock.advance(2_000)
        ground.catch_up.subscribed()
        await ground.clock.advance(60_000)
        assert ground.began_ms == [2_000]


async def test_moved_balances_are_read_when_they_rest_and_not_again_a_moment_later() -> None:
    async with running() as ground:
        ground.catch_up.subscribed()
        await ground.clock.advance(20_000)
        for _ in range(4):
            ground.catch_up.refresh()
            await ground.clock.advance(100)
        await ground.clock.advance(1_600)
        assert ground.began_ms == [0, 20_500], "one reading tells all"
        ground.catch_up.refresh()
        await ground.clock.advance(20_000)
        assert ground.began_ms == [0, 20_500, 30_500]


async def test_what_moves_while_it_is_read_is_read_again() -> None:
    async with running() as ground:
        ground.answers.clear()
        ground.catch_up.subscribed()
        await settle()
        ground.catch_up.refresh()
        await ground.clock.advance(1_000)
        ground.answers.set()
        await ground.clock.advance(30_000)
        assert ground.began_ms == [0, 11_000]


async def test_a_gap_during_a_reading_is_not_over_before_the_next_one() -> None:
    async with running() as ground:
        ground.answers.clear()
        ground.catch_up.gap("not subscribed yet")
        ground.catch_up.subscribed()
        await settle()
        ground.catch_up.gap("a frame could not be read")
        ground.answers.set()
        await settle()
        assert ground.began_ms == [0, 0]
        assert [isinstance(event, Healed) for event in ground.told] == [False, False, False, True]


async def test_a_reading_that_fails_is_repeated_after_growing_pauses() -> None:
    async with running() as ground:
        ground.fails = True
        ground.catch_up.subscribed()
        await ground.clock.advance(8_000)
        assert ground.began_ms == [0, 1_000, 3_000, 7_000]
        ground.fails = False
        await ground.clock.advance(60_000)
        assert ground.began_ms == [0, 1_000, 3_000, 7_000, 15_000]
