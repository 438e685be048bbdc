"""The halt latch as the loop may use it: written in order, beside the loop, and waited for only briefly.

Stays true: a disk that answers has the latch before `set` returns; one that does not costs the loop
`PATIENCE_S` and no more, because what is held must be sold all the same. What is still to be written counts
as set.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Final

from agent.store.latch import Latch
from agent.store.trouble import StoreTrouble

LOG: Final = logging.getLogger("agent")
#: A sync takes some milliseconds. Machine time.
PATIENCE_S: Final = 0.25


class LatchFile:
    """The latch as the runtime and the dispatcher use it. A disk that fails counts as set."""

    def __init__(self, latch: Latch) -> None:
        self._latch = latch
        self._last: Thread | None = None

    def set(self, reason: str, at_ms: int) -> None:
        def write() -> None:
            try:
                self._latch.set(reason, at_ms)
            except StoreTrouble as trouble:
                LOG.critical("the halt latch could not be written: %s", trouble)

        self._write(write)

    def clear(self) -> None:
        def write() -> None:
            try:
                self._latch.clear()
            except StoreTrouble as trouble:
                LOG.critical("the halt latch could not be cleared, entries stay off: %s", trouble)

        self._write(write)

    def is_set(self) -> bool:
        return self._is_behind() or self._latch.read() is not None

    def reason(self) -> str | None:
        """What the file says, or what is wrong with it; None when it is certainly clear.

        While something is still to be written the file says nothing that its writer does not know.
        """
        halted = None if self._is_behind() else self._latch.read()
        return None if halted is None else halted.reason

    def _is_behind(self) -> bool:
        return self._last is not None and self._last.is_alive()

    def _write(self, write: Callable[[], None]) -> None:
        before, was_behind = self._last, self._is_behind()

        def after_the_last() -> None:
            if before is not None:
                before.join()
            write()

        # A daemon: a disk that never answers must not keep the process from ending.
        self._last = Thread(target=after_the_last, name="halt latch", daemon=True)
        self._last.start()
        if was_behind:
            return
        self._last.join(PATIENCE_S)
        if self._is_behind():
            LOG.critical("the halt latch is not written yet, the disk does not answer; entries stay off")
