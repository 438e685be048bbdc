"""The blocks of SQLite's write-ahead log and of its index (`-shm`), a file that every process maps.

Writing to a mapped page that has no block on the disk is, on a full disk, not an error but the end of the
process (SIGBUS). SQLite takes one block for each of its pages, which is not enough where blocks are smaller
than pages of memory: a small ext4, or a machine with large pages. Hence two rules: an index is begun only
where there is room for it, and the process that writes takes all of its blocks as soon as it is there.

The log itself is made long enough once, when nobody waits: syncing a commit into blocks that are there is
faster than one that makes the file longer, above all at its slowest, because the file system's journal is
left alone. SQLite ends its reading of a log at the first frame that is not of its time, so zeros are nothing.

An orderly end deletes the index, and a disk may be full to the last byte when what is held needs the next
start: a file as large as both databases need is kept beside them, and given up for that start.

Belongs here: looking for room, keeping and taking it. Stays true: no descriptor of the index is closed here,
because that would drop the locks that SQLite holds on it in this process (POSIX). It holds none on the log.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

#: Two of the regions that SQLite maps one by one: a log of 8,000 pages, twice what it is folded back at.
BYTES: Final = 65_536
#: One region and the sectors around it: what a process needs that only reads or begins.
_LEAST: Final = 32_768
#: With so much free nobody has to try.
_PLENTY: Final = 1_048_576
#: How long the log is made: about a hundred commits of the engine.
LOG_BYTES: Final = 1_048_576
#: With less than this free on the disk the log grows as it is written.
_SPARE: Final = 67_108_864
#: Kept for a start on a full disk: two indices, and the first pages of their logs.
RESERVE: Final = "start.reserve"
_RESERVE_BYTES: Final = 4 * BYTES
#: What counts blocks in `stat`.
_SECTOR: Final = 512
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_OWN_DESCRIPTORS: Final = Path("/proc/self/fd")


def index_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-shm")


def log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def has_log(database: Path) -> bool:
    """Whether something was written since the last clean end."""
    log = log_of(database)
    return log.exists() and log.stat().st_size > 0


def has_room(database: Path) -> bool:
    """Whether the index of `database` can be begun, or is there with all its blocks."""
    try:
        # Who comes first begins it anew; then these very blocks are free.
        if index_of(database).stat().st_blocks * _SECTOR >= _LEAST:
            return True
    except (OSError, AttributeError):
        pass
    return _is_free(database.parent, BYTES)


def no_room() -> sqlite3.OperationalError:
    """What SQLite says itself where it notices in time."""
    error = sqlite3.OperationalError("no space for the index of the write-ahead log")
    error.sqlite_errorname = "SQLITE_FULL"
    return error


def _is_free(directory: Path, size: int) -> bool:
    if not hasattr(os, "posix_fallocate"):
        return True
    try:
        disk = os.statvfs(directory)
        if disk.f_bavail * disk.f_frsize >= _PLENTY:
            return True
        with tempfile.TemporaryFile(dir=directory) as trial:
            os.posix_fallocate(trial.fileno(), 0, size)
    except OSError as error:
        # A directory that takes no file at all has another trouble, which SQLite tells better.
        return error.errno not in _FULL
    return True


def keep_reserve(directory: Path) -> None:
    """Take the blocks of the reserve where they are not taken. Without room for it there is none."""
    if not hasattr(os, "posix_fallocate"):
        return
    path = directory / RESERVE
    try:
        if path.is_file() and path.stat().st_size >= _RESERVE_BYTES:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _RESERVE_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def give_up_reserve(database: Path) -> bool:
    """Before `database` is opened, and there is no room for its index: whether there was a reserve to give.

    Without a lock: where an engine works, its index has all its blocks.
    """
    try:
        database.with_name(RESERVE).unlink()
    except OSError:
        return False
    return True


def take_blocks(database: Path) -> None:
    """Take all blocks of the index, which a connection of this process must have open.

    Raises OperationalError when the disk is too full for that. Does nothing on other systems than Linux.
    """
    if not _OWN_DESCRIPTORS.is_dir() or not hasattr(os, "posix_fallocate"):
        return
    if not index_of(database).exists():
        # A database that keeps no log.
        return
    wanted = index_of(database).stat()
    for name in os.listdir(_OWN_DESCRIPTORS):
        try:
            found = os.fstat(int(name))
        except OSError:
            # The one that listed them is closed by now.
            continue
        if os.path.samestat(found, wanted):
            try:
                os.posix_fallocate(int(name), 0, BYTES)
            except OSError as error:
                if error.errno in _FULL:
                    raise no_room() from None
            return


def take_log(database: Path) -> None:
    """Make the log of `database` as long as `LOG_BYTES`, durably, where the disk has plenty of room.

    For the one process that writes, between two of its commits. Raises OSError as the disk does.
    """
    if not hasattr(os, "statvfs"):
        return
    disk = os.statvfs(database.parent)
    if disk.f_bavail * disk.f_frsize < _SPARE:
        return
    descriptor = os.open(log_of(database), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        length = os.fstat(descriptor).st_size
        if length < LOG_BYTES:
            os.pwrite(descriptor, bytes(LOG_BYTES - length), length)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
