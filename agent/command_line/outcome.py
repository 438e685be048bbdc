"""How a command ends: the exit codes other programs rely on, and the one exception that carries them."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from enum import IntEnum
from typing import NoReturn


class ExitCode(IntEnum):
    DONE = 0
    REFUSED = 1
    """Refused or invalid."""
    UNREADABLE = 2
    """Input that is missing or cannot be read."""
    NO_ENGINE = 3
    LOCKED = 4
    """Another instance holds the lock."""
    UNREACHABLE = 5
    """The exchange cannot be reached."""
    NOT_FLAT = 6
    """Halted but not yet flat."""


class Ended(Exception):  # noqa: N818 - an ending, not always a failure
    """A command ends here. `text` says why, in a sentence, `fix` what the user can do about it."""

    def __init__(self, code: ExitCode, text: str, fix: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix


def leave(code: int) -> NoReturn:
    """End this process with `code`, whatever still runs beside the main thread.

    The interpreter's own end stops daemon threads wherever they are. One that is just then inside a library
    of C++ aborts the process, and its exit code is lost.
    """
    if not any(thread.daemon for thread in threading.enumerate()):
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
