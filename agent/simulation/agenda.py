"""Virtual time: one agenda for the whole world, and event loops that live on it and can be lost.

Belongs here: what happens next, and when. Stays true: time goes on only when nothing is left to do at this
moment; what is due at the same moment happens in the order in which it was planned; nothing here reads a
clock. A loop that was lost runs nothing more: its tasks stay where they are, without `finally` or `except`,
as those of a process that was killed. A loop that is frozen goes on later; its own clock did not run
meanwhile if its machine slept, and did if it hung.
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
#: Here every moment counts: names that are looked up for each of them lie close by.
_copy_context: Final = contextvars.copy_context
_push: Final = heapq.heappush
_pop: Final = heapq.heappop
#: Ended tasks are let go of when there are so many more than living ones.
_TIDY_AT: Final = 64


class Moment:
    """What a loop does in one go: a callback in its context. Stands where asyncio expects its own handles."""

    #: Made by `moment`: thousands are made a day, and an `__init__` would be half of what each costs.
    __slots__ = ("_args", "_callback", "_context", "_when", "cancelled_")
    _args: tuple[Any, ...]
    _callback: Callable[..., Any]
    _context: contextvars.Context
    _when: float
    cancelled_: bool

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def when(self) -> float:
        return self._when


def moment(
    callback: Callable[..., Any],
    args: tuple[Any, ...] = (),
    context: contextvars.Context | None = None,
    when: float = 0.0,
) -> Moment:
    made = Moment()
    made._callback = callback
    made._args = args
    made._context = _copy_context() if context is None else context
    made._when = when
    made.cancelled_ = False
    return made


class Agenda:
    """Time in microseconds UTC of the venue, and everything planned."""

    def __init__(self, start_ms: int) -> None:
        self.now_us = start_ms * MS
        self.loop: VirtualLoop | None = None
        """The loop of the process that lives now."""
        self.outside = VirtualLoop(self)
        """Whose name the world's own acts are done in."""
        self.alarmed = False
        """Something happened that the world must look at after this moment."""
        self.dies_in: int | None = None
        """After how many more moments of the living loop `death` is called."""
        self.on_alarm: Callable[[], None] | None = None
        self.on_death: Callable[[], None] | None = None
        self._heap: list[tuple[int, int, VirtualLoop, Any]] = []
        self._numbers = itertools.count()

    @property
    def now_ms(self) -> int:
        return self.now_us // MS

    def plan(self, in_us: int, act: Callable[[], None]) -> None:
        """Let the world do something after a while."""
        self.plan_at(self.now_us + max(0, in_us), act)

    def plan_at(self, at_us: int, act: Callable[[], None]) -> None:
        now_us = self.now_us
        _push(self._heap, (at_us if at_us > now_us else now_us, next(self._numbers), self.outside, act))

    def push(self, at_us: int, loop: VirtualLoop, planned: Moment) -> None:
        now_us = self.now_us
        _push(self._heap, (at_us if at_us > now_us else now_us, next(self._numbers), loop, planned))

    def run_until(self, end_us: int, until: Callable[[], bool] | None = None) -> bool:
        """Let everything happen up to `end_us`, or until `until` is true; returns whether it became true."""
        heap = self._heap
        previous = events._get_running_loop()
        try:
            while True:
                if (loop := self.loop) is not None and loop.ready and not loop.frozen:
                    self._live(loop)
                if until is not None and until():
                    return True
                if not heap or heap[0][0] > end_us:
                    self.now_us = max(self.now_us, end_us)
                    return False
                self._go_on()
        finally:
            events._set_running_loop(previous)

    def _live(self, loop: VirtualLoop) -> None:
        """Let the living loop do what it is ready for: all that one moment of time holds."""
        events._set_running_loop(loop)
        ready = loop.ready
        take = ready.popleft
        while ready and self.loop is loop and not loop.frozen:
            now = take()
            if not now.cancelled_:
                loop.moments += 1
                try:
                    if args := now._args:
                        now._context.run(now._callback, *args)
                    else:
                        now._context.run(now._callback)
                except Exception as error:  # noqa: BLE001 - as asyncio's own handles do: the loop is told
                    loop.call_exception_handler({"message": "a callback broke", "exception": error})
            if self.alarmed:
                self._alarm()
            if self.dies_in is not None and self.loop is loop:
                self.dies_in -= 1
                if self.dies_in < 0:
                    self.dies_in = None
                    assert self.on_death is not None
                    self.on_death()

    def _alarm(self) -> None:
        self.alarmed = False
        assert self.on_alarm is not None
        self.on_alarm()

    def _go_on(self) -> None:
        """Let time go on to what is planned next, and do it."""
        at_us, _, owner, what = _pop(self._heap)
        if owner is self.outside:
            if at_us > self.now_us:
                self.now_us = at_us
            events._set_running_loop(owner)
            what()
            if self.alarmed:
                self._alarm()
        elif owner.lost or what.cancelled_:
            return
        elif owner.frozen:
            owner.held.append((at_us, what))
        else:
            if at_us > self.now_us:
                self.now_us = at_us
            owner.ready.append(what)


#: Only what the engine uses of a loop is there; what it does not use raises NotImplementedError.
_AnyLoop: Any = asyncio.AbstractEventLoop


class VirtualLoop(_AnyLoop):  # type: ignore[misc]
    """An event loop whose timers lie on the agenda. Work for threads is done at once, in the next moment."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.ready: deque[Moment] = deque()
        self.lost = False
        self.frozen = False
        self.held: list[tuple[int, Moment]] = []
        """What came up while it was frozen."""
        self.moments = 0
        self.errors: list[dict[str, Any]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        """Those that have not ended, and some that have."""
        self._tidy_at = _TIDY_AT
        self._slept_us = 0
        self._clock_runs = False
        self._frozen_at_us = 0

    # --- life -----------------------------------------------------------------------------------------

    def lose(self) -> None:
        """The process died at this very moment."""
        self.lost = True
        self.ready.clear()
        self.held.clear()
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def freeze(self, *, clock_runs: bool = False) -> None:
        """Nothing happens any more. `clock_runs`: it hangs, but its machine does not sleep."""
        self.frozen, self._clock_runs = True, clock_runs
        self._frozen_at_us = self.agenda.now_us

    def thaw(self) -> None:
        """Go on. Where the clock stood still, what was waited for comes as much later; it never runs back."""
        slept_us = 0 if self._clock_runs else self.agenda.now_us - self._frozen_at_us
        self._slept_us += slept_us
        self.frozen = False
        for at_us, what in self.held:
            self.agenda.push(at_us + slept_us, self, what)
        self.held.clear()

    # --- what asyncio asks of a loop --------------------------------------------------------------------

    def time(self) -> float:
        return (self.agenda.now_us - self._slept_us) / SECOND

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Moment:
        planned = moment(callback, args, context)
        self.ready.append(planned)
        return planned

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Moment:
        planned = moment(callback, args, context)
        self.ready.append(planned)
        return planned

    def call_later(
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Moment:
        return self._timer(round(delay * SECOND), callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Moment:
        return self._timer(round((when - self.time()) * SECOND), callback, args, context)

    def _timer(
        self, in_us: int, callback: Callable[..., Any], args: Any, context: contextvars.Context | None
    ) -> Moment:
        at_us = self.agenda.now_us + (in_us if in_us > 0 else 0)
        planned = moment(callback, args, context, at_us / SECOND)
        self.agenda.push(at_us, self, planned)
        return planned

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self.tasks.append(task)
        if len(self.tasks) > self._tidy_at:
            self.tasks = [task for task in self.tasks if not task.done()]
            self._tidy_at = 2 * len(self.tasks) + _TIDY_AT
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
        self.agenda.alarmed = True

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    #: False, without a frame: every future and every task asks.
    get_debug = bool

    def is_running(self) -> bool:
        return not self.lost

    def is_closed(self) -> bool:
        return False
