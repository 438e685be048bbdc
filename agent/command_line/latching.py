"""Setting the halt latch from a command, on a disk that may not answer any more.

Stays true: it is waited for only so long as the caller says; a disk that never answers keeps neither the
caller from going on nor its process from ending. A thread that waits for such a disk cannot be ended by
anything, and with it the process stays; so a process of its own does the writing where that is possible. It
stays until the disk answers, and then the latch falls after all.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.core.state import HaltReason
from agent.store.latch import NAME, Latch
from agent.store.trouble import StoreTrouble

SILENT: Final = "the disk does not answer"
_WRITTEN: Final = b"\0"


class Latching:
    """The latch of `directory` being set. `trouble` says why it is not set yet, or None."""

    def __init__(self, directory: Path) -> None:
        self._latch = Latch(directory / NAME)
        self._told: bytes = b""
        self._pipe: int | None = None
        self._thread: threading.Thread | None = None
        self._child = 0
        if hasattr(os, "fork") and sys.platform != "win32" and threading.active_count() == 1:
            self._fork()
        else:
            self._thread = threading.Thread(target=self._write_here, name="halt latch", daemon=True)
            self._thread.start()

    def wait(self, s: float) -> None:
        """Until it is written or has failed, at most `s` machine seconds."""
        if self._thread is not None:
            self._thread.join(s)
            return
        until = time.monotonic() + s
        while self._pipe is not None:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return
            self._read(self._pipe)

    @property
    def trouble(self) -> str | None:
        if self._told.endswith(_WRITTEN):
            return self._told[:-1].decode() or None
        return SILENT

    # --- in this process, where no other can be made -----------------------------------------------

    def _write_here(self) -> None:
        self._told = _written(self._latch)

    # --- in one of its own ----------------------------------------------------------------------------

    def _fork(self) -> None:
        reading, writing = os.pipe()
        self._child = os.fork()
        if not self._child:
            _become_nobody(lambda: os.write(writing, _written(self._latch)))
        os.close(writing)
        self._pipe = reading

    def _read(self, pipe: int) -> None:
        part = os.read(pipe, 4_096)
        self._told += part
        if not part or self._told.endswith(_WRITTEN):
            self._pipe = None
            os.close(pipe)
            os.waitpid(self._child, 0)


def _written(latch: Latch) -> bytes:
    """Set it; what is wrong, and a mark that this is all. An emergency that is set already keeps its time."""
    found = latch.read()
    try:
        if found is None or found.reason != HaltReason.EMERGENCY.value:
            latch.set(HaltReason.EMERGENCY.value, time.time_ns() // 1_000_000)
    except StoreTrouble as why:
        return str(why).encode() + _WRITTEN
    return _WRITTEN


def _become_nobody(work: Callable[[], object]) -> None:
    """Do `work` and end, holding nothing that anybody waits for: no pipe of the caller, no terminal."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        work()
    finally:
        os._exit(0)
