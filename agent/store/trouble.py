"""What can be wrong with our files, told to the person who has to put it right.

`StoreTrouble` carries one sentence: what failed, where, why, and what to do. It is the user's or the
machine's fault by definition; a mistake of ours asserts instead. Nothing here decides what happens next.
"""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


class StoreTrouble(Exception):  # noqa: N818 - the word a person would use
    """A file, directory or database cannot be used; the text is for the user."""


def file_trouble(error: OSError, path: Path, doing: str) -> StoreTrouble:
    """`error`, met while `doing` (as in "creating the lock file") something to `path`, as a sentence."""
    return StoreTrouble(f"{doing} {path} failed: {_reason(error, path)}")


def _reason(error: OSError, path: Path) -> str:
    number = error.errno
    if number in _FULL:
        folder = path if path.is_dir() else path.parent
        return f"the disk (or the quota) of {folder} is full; free some space and try again"
    if number == errno.EROFS:
        return "that file system is read-only; remount it writable or choose another --data-dir"
    if number in _FORBIDDEN:
        return (
            "this user may not write there; correct the owner and permissions, or choose another --data-dir"
        )
    if number == errno.ELOOP:
        return "it is a symbolic link, which is not followed; remove the link and put a plain file there"
    if number in (errno.ENOTDIR, errno.EEXIST):
        return "a file is where a directory should be; choose another --data-dir"
    if number == errno.ENOENT:
        return "it does not exist" if path.parent.exists() else f"there is no directory {path.parent}"
    if number == errno.EIO:
        return "the disk reports an I/O error; check the disk before trading on"
    return f"{error.strerror or type(error).__name__} (error {number})"
