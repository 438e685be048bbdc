"""A process that holds keys leaves no image of its memory on a disk, however it was started."""

from __future__ import annotations

import contextlib


def forbid_core_dumps() -> None:
    """For this process and those it starts. Where the system knows no such limit nothing is done."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
