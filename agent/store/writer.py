"""The one thread that writes the ledger, in the order in which batches were submitted.

What queued while the disk was busy is committed together. A batch is never skipped and never overtaken: when
a commit fails because the disk is full, locked or broken, its futures learn it, the batches stay at the head
of the queue, and they are tried again whenever something new is submitted and after a pause, until they are
on disk. A batch that contradicts the ledger is our own mistake: it and everything after it is refused, since
a later batch is only true after the earlier one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from agent.store.batch import Batch
from agent.store.ledger import CommitFailed

#: Nothing to write for so long: time to fold the log back, which no order should have to wait for.
_TIDY_AFTER_S: Final = 0.5
#: Batches in one transaction at most, so that one commit stays short after a long failure.
_GROUP: Final = 64


class Commits(Protocol):
    """What the writer needs of a ledger."""

    def commit(self, *batches: Batch) -> None: ...


class LedgerBroken(Exception):  # noqa: N818 - a state, not a fault of this call
    """An earlier batch contradicted the ledger. Nothing more is written until a restart."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Called from the writer's thread. `failed` once when commits begin to fail, with the sentence;
    `recovered` once when everything that waited is on disk again; `broken` when a batch was a mistake."""

    failed: Callable[[str], None] = lambda reason: None
    recovered: Callable[[], None] = lambda: None
    broken: Callable[[Exception], None] = lambda error: None


class _Written(Future[None]):
    """A batch that was submitted is written, whoever stops waiting for it."""

    def cancel(self) -> bool:
        return False


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    future: _Written = field(default_factory=_Written)


class Writer:
    """Starts its thread at once. `retry_after_s` is machine time between two tries without new work.

    `tidy` is called from the writer's thread when something was written and then nothing for a while.
    """

    def __init__(
        self,
        ledger: Commits,
        watch: Watch,
        *,
        retry_after_s: float = 1.0,
        tidy: Callable[[], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._watch = watch
        self._retry_after_s = retry_after_s
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._submitted = 0
        self._tried = 0
        self._closing = False
        self._failing = False
        self._tidy = tidy
        self._is_untidy = False
        self._broken: Exception | None = None
        self._thread: threading.Thread | None = None
        self._begin()

    def _begin(self) -> None:
        """Where batches are written: on a thread of their own, so that no disk keeps the loop waiting."""
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch) -> Future[None]:
        """Queue `batch`. The future is done when it is on disk, and fails with CommitFailed at its first
        failed try (the batch is kept and tried again) or LedgerBroken (it is lost). It cannot be canceled;
        await it with `asyncio.wrap_future`."""
        waiting = _Waiting(batch)
        with self._changed:
            assert not self._closing, "the writer was closed"
            if self._broken is None:
                self._queue.append(waiting)
                self._submitted += 1
                self._changed.notify()
                return waiting.future
        waiting.future.set_exception(LedgerBroken(str(self._broken)))
        return waiting.future

    @property
    def backlog(self) -> int:
        """Batches that are not on disk yet."""
        with self._changed:
            return len(self._queue)

    @property
    def is_failing(self) -> bool:
        return self._failing

    def close(self, timeout_s: float = 5.0) -> int:
        """Write what is left, end the thread, and return how many batches could not be written."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self.backlog

    def _run(self) -> None:
        while True:
            self._tidy_when_idle()
            with self._changed:
                if self._failing:
                    # New work ends the pause early: it may be the order that must not wait.
                    self._changed.wait_for(self._has_new_work, self._retry_after_s)
                self._changed.wait_for(lambda: self._closing or bool(self._queue))
            if not self._write_next() and self._closing:
                return

    def _tidy_when_idle(self) -> None:
        if self._tidy is None or not self._is_untidy or self._failing:
            return
        with self._changed:
            if self._changed.wait_for(lambda: self._closing or bool(self._queue), _TIDY_AFTER_S):
                return
        self._is_untidy = False
        self._tidy()

    def _write_next(self) -> bool:
        """Try to write what is at the head of the queue. False when it failed or when nothing waits."""
        with self._changed:
            self._tried = self._submitted
            group = list(islice(self._queue, _GROUP))
        return bool(group) and self._write(group)

    def _has_new_work(self) -> bool:
        return self._closing or self._submitted > self._tried

    def _write(self, group: list[_Waiting]) -> bool:
        try:
            self._ledger.commit(*(waiting.batch for waiting in group))
        except CommitFailed as error:
            self._fail(error)
            return False
        except Exception as error:  # noqa: BLE001 - a mistake of ours, whichever: the thread must not die unseen
            if len(group) > 1:
                # Find the culprit: what was submitted before it is still good.
                return self._write(group[:1]) and self._write(group[1:])
            self._break(error)
            return False
        self._is_untidy = True
        with self._changed:
            for _ in group:
                self._queue.popleft()
            caught_up = not self._queue
        for waiting in group:
            if not waiting.future.done():
                waiting.future.set_result(None)
        if self._failing and caught_up:
            self._failing = False
            self._watch.recovered()
        return True

    def _fail(self, error: CommitFailed) -> None:
        began, self._failing = not self._failing, True
        # Nobody in the queue is on disk, so everybody is told, not only who was tried.
        self._refuse_all(CommitFailed(str(error)), self._snapshot())
        if began:
            self._watch.failed(str(error))

    def _break(self, error: Exception) -> None:
        with self._changed:
            self._broken = error
            lost = list(self._queue)
            self._queue.clear()
        self._refuse_all(LedgerBroken(str(error)), lost)
        self._watch.broken(error)

    def _snapshot(self) -> list[_Waiting]:
        with self._changed:
            return list(self._queue)

    @staticmethod
    def _refuse_all(error: Exception, waiting: list[_Waiting]) -> None:
        for one in waiting:
            if not one.future.done():
                one.future.set_exception(error)
