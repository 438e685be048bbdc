"""Waiting for one of two things, and the steps between attempts."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from agent.exchange.waiting import BackOff, first_of


def test_steps_double_to_sixteen_seconds_and_stay_there() -> None:
    back_off = BackOff()
    assert [back_off.next_ms() for _ in range(5)] == [1_000, 2_000, 4_000, 8_000, 16_000]
    assert not back_off.exhausted, "the attempt after the last step has not failed yet"
    assert back_off.next_ms() == 16_000
    assert back_off.exhausted
    back_off.reset()
    assert (back_off.next_ms(), back_off.failures, back_off.exhausted) == (1_000, 1, False)


async def test_the_first_wins_and_the_others_are_canceled() -> None:
    ended = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("canceled")

    async def soon() -> None:
        await asyncio.sleep(0)

    assert await first_of(never(), soon()) == 1
    assert ended == ["canceled"]


async def test_an_error_of_the_first_is_raised() -> None:
    async def fails() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await first_of(fails(), asyncio.Event().wait())


async def test_canceling_the_waiter_cancels_what_it_waits_for() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiter = asyncio.create_task(first_of(never(), never()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert ended.is_set()


async def test_the_error_of_one_that_ends_together_with_the_first_is_nobodys() -> None:
    async def returns() -> None:
        return None

    async def fails() -> None:
        raise OSError("no")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    assert await first_of(returns(), fails()) == 0
    gc.collect()
    assert not told
