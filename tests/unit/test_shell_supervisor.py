"""Tasks that must not end: begun again after a pause that grows, never silently dead."""

from __future__ import annotations

import asyncio
import logging

import pytest

from agent.shell.supervisor import PAUSES_S, STEADY_AFTER_S, Supervisor
from tests.shell_ground import settle


class Ward:
    """A supervisor whose pauses end when the test says so, and what it told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        self.at_s = 0.0
        self.go = asyncio.Event()
        self.go.set()
        self.supervisor = Supervisor(self.hear, self.pause, lambda: self.at_s)

    def hear(self, name: str, error: BaseException) -> None:
        self.told.append((name, repr(error)))

    async def pause(self, s: float) -> None:
        self.pauses.append(s)
        await self.go.wait()
        await asyncio.sleep(0)


class Faulty:
    """Work that fails as often as it is told to, then runs for ever."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun = 0
        self.ended = 0

    async def work(self) -> None:
        self.begun += 1
        try:
            if self.begun <= self.failures:
                raise ValueError(f"number {self.begun}")
            await asyncio.Event().wait()
        finally:
            self.ended += 1


async def test_what_fails_is_begun_again_after_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    ward, faulty = Ward(), Faulty(7)
    with caplog.at_level(logging.CRITICAL, "agent"):
        ward.supervisor.keep("feed", faulty.work)
        await settle(200)
    assert faulty.begun == 8
    assert ward.pauses == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    assert ward.told == [("feed", f"ValueError('number {i}')") for i in range(1, 8)]
    assert ward.supervisor.failures == 7
    assert len(caplog.records) == 7
    assert "feed failed and is started again" in caplog.text
    assert "Traceback" in caplog.text
    await ward.supervisor.stop()
    assert faulty.ended == 8


async def test_nothing_is_begun_again_before_its_pause_is_over() -> None:
    ward, faulty = Ward(), Faulty(1)
    ward.go.clear()
    ward.supervisor.keep("feed", faulty.work)
    await settle()
    assert faulty.begun == 1
    assert ward.told == [("feed", "ValueError('number 1')")], "told at once, not after the pause"
    ward.go.set()
    await settle()
    assert faulty.begun == 2
    await ward.supervisor.stop()


async def test_a_task_that_ran_well_for_long_begins_with_the_shortest_pause() -> None:
    ward = Ward()
    runs_s = iter((1.0, 1.0, STEADY_AFTER_S, 1.0))

    async def work() -> None:
        ward.at_s += next(runs_s, 0.0)
        if ward.at_s > 3 * STEADY_AFTER_S:
            await asyncio.Event().wait()
        raise ValueError

    ward.supervisor.keep("feed", work)
    await settle(40)
    assert ward.pauses[:4] == [PAUSES_S[0], PAUSES_S[1], PAUSES_S[0], PAUSES_S[1]]
    await ward.supervisor.stop()


async def test_stop_cancels_and_waits_for_everything() -> None:
    ward = Ward()
    ended: list[str] = []

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            ended.append("slow")

    ward.go.clear()
    faulty = Faulty(1)
    ward.supervisor.keep("slow", slow_to_end)
    ward.supervisor.keep("pausing", faulty.work)
    await settle()
    await ward.supervisor.stop()
    assert ended == ["slow"]
    assert faulty.begun == 1
    assert [name for name, _ in ward.told] == ["pausing"], "being stopped is no failure"
    ward.go.set()
    await settle()
    assert faulty.begun == 1, "nothing is begun after the stop"
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_task_canceled_by_somebody_else_has_failed() -> None:
    ward = Ward()
    begun = 0

    async def cancels_itself() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise asyncio.CancelledError
        await asyncio.Event().wait()

    ward.supervisor.keep("feed", cancels_itself)
    await settle()
    assert begun == 2
    assert ward.told == [("feed", "CancelledError('canceled from inside')")]
    await ward.supervisor.stop()


async def test_work_that_returns_is_done_and_may_be_given_again() -> None:
    ward, done = Ward(), []

    async def once() -> None:
        done.append(1)

    ward.supervisor.keep("warm-up", once)
    await settle()
    ward.supervisor.keep("warm-up", once)
    await settle()
    assert done == [1, 1]
    assert not ward.told
    await ward.supervisor.stop()


async def test_the_same_name_twice_is_our_mistake() -> None:
    ward, faulty = Ward(), Faulty(0)
    ward.supervisor.keep("feed", faulty.work)
    with pytest.raises(AssertionError, match="feed runs already"):
        ward.supervisor.keep("feed", faulty.work)
    await ward.supervisor.stop()


async def test_the_pauses_are_real_by_default() -> None:
    told = asyncio.Event()
    supervisor = Supervisor(lambda name, error: told.set())
    faulty = Faulty(1)
    supervisor.keep("feed", faulty.work)
    await told.wait()
    await settle()
    assert faulty.begun == 1, "a second has not passed"
    await supervisor.stop()
