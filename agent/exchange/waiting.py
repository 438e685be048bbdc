"""Waiting for one of two things, and the steps of waiting between attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

#: Machine seconds between attempts after a transient error; the last one repeats for ever.
STEPS_S: Final = (1, 2, 4, 8, 16)


async def first_of(*coroutines: Coroutine[Any, Any, Any]) -> int:
    """Run them together until one ends; cancel the others. Returns which one it was. Errors are raised."""
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for i, task in enumerate(tasks):
            if task.done():
                task.result()
                return i
        raise AssertionError("none of them ended")
    finally:
        left = []
        for task in tasks:
            if not task.done():
                task.cancel()
                left.append(task)
            elif not task.cancelled():
                # Errors of those that ended together with the first are nobody's.
                task.exception()
        if left:
            await asyncio.gather(*left, return_exceptions=True)


class BackOff:
    """1, 2, 4, 8, 16 seconds, then 16 for ever, until `reset`."""

    def __init__(self) -> None:
        self._failures = 0

    @property
    def failures(self) -> int:
        """Attempts that failed in a row."""
        return self._failures

    @property
    def exhausted(self) -> bool:
        """Every step has been waited for and the attempt after it failed too."""
        return self._failures > len(STEPS_S)

    def next_ms(self) -> float:
        """Another attempt failed: machine milliseconds to wait before the next one."""
        self._failures += 1
        return STEPS_S[min(self._failures, len(STEPS_S)) - 1] * 1_000.0

    def reset(self) -> None:
        self._failures = 0
