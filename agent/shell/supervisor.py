"""Tasks that must never end: watched, restarted, and never silently dead.

A task that ends with an error is a mistake of ours or a fault nobody expected: it is logged with its
traceback, everybody who wants to know is told, and the task begins again after a pause that grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

LOG: Final = logging.getLogger("agent")
PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)

Told = Callable[[str, BaseException], None]


class Supervisor:
    """Keeps named tasks running until `stop`. `told` hears of every failure, on the loop."""

    def __init__(
        self, told: Told, pause: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    ) -> None:
        self._told = told
        self._pause = pause
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures = 0

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work()` again and again under `name`."""
        assert name not in self._tasks, f"{name} runs already"
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
            task = asyncio.get_running_loop().create_task(work(), name=name)
            try:
                await asyncio.wait((task,))
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait((task,))
            error = None if task.cancelled() else task.exception()
            if error is None:
                return
            self.failures += 1
            LOG.critical("%s failed and is started again: %s", name, error, exc_info=error)
            self._told(name, error)
            await self._pause(PAUSES_S[min(failed, len(PAUSES_S) - 1)])
            failed += 1
