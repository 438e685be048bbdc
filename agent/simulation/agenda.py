"""Virtual time: one agenda for the whole world, and event loops that live on it and can be lost.

Belongs here: what happens next, and when. Stays true: time goes on only when nothing is left to do at this
moment; what is due at the same moment happens in the order in which it was planned; nothing here reads a
clock. A loop that was lost runs nothing more: its tasks stay where they are, without `finally` or `except`,
as those of a process that was killed. A loop that is frozen goes on later, and its own clock did not run
meanwhile, as that of a machine that slept.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import Any, Final

MS: Final = 1_000
SECOND: Final = 1_000_000


class StandstillError(Exception):
    """Nothing is planned and nobody is ready: the world waits for something that will never happen."""


class Agenda:
    """Time in microseconds UTC of the venue, and everything planned."""

    def __init__(self, start_ms: int) -> None:
        self.now_us = start_ms * MS
        self.loop: VirtualLoop | None = None
        """The loop of the process that lives now."""
        self.outside = VirtualLoop(self)
        """Whose name the world's own acts are done in."""
        self.after_moment: Callable[[], None] | None = None
        """Called after every moment of the living loop: where it may die."""
        self._heap: list[tuple[int, int, VirtualLoop, Any]] = []
        self._numbers = itertools.count()

    @property
    def now_ms(self) -> int:
        return self.now_us // MS

    def plan(self, in_us: int, act: Callable[[], None]) -> None:
        """Let the world do something after a while."""
        self.plan_at(self.now_us + max(0, in_us), act)

    def plan_at(self, at_us: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(at_us, self.now_us), next(self._numbers), self.outside, act))

    def push(self, at_us: int, loop: VirtualLoop, handle: asyncio.Handle) -> None:
        heapq.heappush(self._heap, (max(at_us, self.now_us), next(self._numbers), loop, handle))

    def run_until(self, end_us: int, until: Callable[[], bool] | None = None) -> bool:
        """Let everything happen up to `end_us`, or until `until` is true; returns whether it became true."""
        heap = self._heap
        previous = events._get_running_loop()
        try:
            while True:
                loop = self.loop
                if loop is not None and loop.ready and not loop.frozen:
                    events._set_running_loop(loop)
                    loop.run_one()
                    if self.after_moment is not None and self.loop is loop:
                        self.after_moment()
                    continue
                if until is not None and until():
                    return True
                if not heap or heap[0][0] > end_us:
                    self.now_us = max(self.now_us, end_us)
                    return False
                at_us, number, owner, what = heapq.heappop(heap)
                if owner is self.outside:
                    self.now_us = max(self.now_us, at_us)
                    events._set_running_loop(owner)
                    what() if not isinstance(what, asyncio.Handle) else _run(what)
                    owner.drain()
                elif owner.lost or what._cancelled:
                    continue
                elif owner.frozen:
                    # Its clock stands still: what it waited for comes as much later.
                    heapq.heappush(heap, (at_us + owner.frozen_for_us, number, owner, what))
                else:
                    self.now_us = max(self.now_us, at_us)
                    owner.ready.append(what)
        finally:
            events._set_running_loop(previous)


#: Only what the engine uses of a loop is there; what it does not use raises NotImplementedError.
_AnyLoop: Any = asyncio.AbstractEventLoop


class VirtualLoop(_AnyLoop):  # type: ignore[misc]
    """An event loop whose timers lie on the agenda. Work for threads is done at once, in the next moment."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.ready: deque[asyncio.Handle] = deque()
        self.lost = False
        self.frozen = False
        self.frozen_for_us = 0
        self.moments = 0
        self.errors: list[dict[str, Any]] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self._slept_us = 0

    # --- life -----------------------------------------------------------------------------------------

    def run_one(self) -> None:
        handle = self.ready.popleft()
        if not handle._cancelled:
            self.moments += 1
            handle._run()

    def drain(self) -> None:
        while self.ready:
            self.run_one()

    def lose(self) -> None:
        """The process died at this very moment."""
        self.lost = True
        self.ready.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def freeze(self, for_us: int) -> None:
        self.frozen, self.frozen_for_us = True, for_us

    def thaw(self) -> None:
        self._slept_us += self.frozen_for_us
        self.frozen, self.frozen_for_us = False, 0

    # --- what asyncio asks of a loop --------------------------------------------------------------------

    def time(self) -> float:
        return (self.agenda.now_us - self._slept_us) / SECOND

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._timer(round(delay * SECOND), callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._timer(round((when - self.time()) * SECOND), callback, args, context)

    def _timer(
        self, in_us: int, callback: Callable[..., Any], args: Any, context: contextvars.Context | None
    ) -> asyncio.TimerHandle:
        at_us = self.agenda.now_us + max(0, in_us)
        handle = asyncio.TimerHandle(at_us / SECOND, callback, args, self, context)
        self.agenda.push(at_us, self, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - it is the waiter's
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        self.call_soon(work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.lost

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        return None


def _run(handle: asyncio.Handle) -> None:
    if not handle._cancelled:
        handle._run()
