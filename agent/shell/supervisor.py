"""Tasks that must never end: watched, restarted, and never silently dead.

A task that ends with an error is a mistake of ours or a fault nobody expected: it is logged with its
traceback, everybody who wants to know is told, and the task begins again after a pause that grows. A task
that is canceled by anybody but `stop` counts as failed. One that returns has done its work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

LOG: Final = logging.getLogger("agent")
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
#: A task that ran this long before it failed begins with the shortest pause again.
STEADY_AFTER_S: Final = 60.0

Told = Callable[[str, BaseException], None]


class Supervisor:
    """Keeps named tasks running until `stop`. `told` hears of every failure, on the loop."""

    def __init__(
        self,
        told: Told,
        pause: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told = told
        self._pause = pause
        self._monotonic_s = monotonic_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures = 0

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work()` again and again under `name`."""
        assert name not in self._tasks or self._tasks[name].done(), f"{name} runs already"
        self._tasks[name] = asyncio.get_running_loop().create_task(self._again(name, work), name=name)

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _again(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        failed = 0
        while True:
            began_s = self._monotonic_s()
            task = asyncio.get_running_loop().create_task(work(), name=name)
            try:
                await asyncio.wait((task,))
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait((task,))
            error = asyncio.CancelledError("canceled from inside") if task.cancelled() else task.exception()
            if error is None:
                return
            if self._monotonic_s() - began_s >= STEADY_AFTER_S:
                failed = 0
            self.failures += 1
            LOG.critical("%s failed and is started again: %r", name, error, exc_info=error)
            self._told(name, error)
            await self._pause(PAUSES_S[min(failed, len(PAUSES_S) - 1)])
            failed += 1
