"""Reading a small regular file without being held up or led astray.

A pipe could block for ever, a device never end, a link point elsewhere: the file is opened without blocking,
judged on its open descriptor, and read up to a limit.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


class NotPlain(Exception):  # noqa: N818 - a refusal, not a failure
    """There is something at the path, but no regular file."""


def read_plain_file(path: Path, most_bytes: int, *, follow_links: bool) -> tuple[bytes, os.stat_result]:
    """The file's bytes, at most `most_bytes` + 1 so that the caller sees an excess, and what it is.

    Raises FileNotFoundError and other OSErrors from opening it (ELOOP for a link that must not be followed),
    NotPlain for folders, pipes, devices and impossible names.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError:
        raise NotPlain("the name holds a character that no file name can have") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotPlain("is a folder" if stat.S_ISDIR(found.st_mode) else "is not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most_bytes + 1), found
    finally:
        os.close(descriptor)


def failure_text(failure: OSError) -> str:
    """The operating system's words for a failure, without the path."""
    return os.strerror(failure.errno).lower() if failure.errno else type(failure).__name__
