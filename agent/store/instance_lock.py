"""One engine per data directory: a file lock that names its holder and dies with it.

The operating system holds the lock for as long as the process lives, so it is free at once after a kill.
The file also says which process that is, by id and by the moment it started: an emergency stop may have to
end it, and must not end another process that was given the same id later.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agent.core.instant import iso_utc
from agent.store.trouble import StoreTrouble, file_trouble

_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
#: Far behind the text: Windows forbids others to read what is locked.
_LOCKED_BYTE: Final = 1 << 30
#: The text is overwritten in place, so that a lock that was taken once can be taken on a full disk.
_SIZE: Final = 256
_TRIES: Final = 25
_PAUSE_S: Final = 0.01
_SIGKILL: Final = 9


@dataclass(frozen=True, slots=True)
class Holder:
    """Who took the lock, when (wall time), and a mark that no later process with this id can have.

    `birth` is empty where the system does not tell when a process started. `errand` is what it holds the lock
    for, empty for an engine.
    """

    pid: int
    taken_ms: int
    birth: str
    errand: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether exactly this process still exists."""
        return bool(self.birth) and process_birth(self.pid) == self.birth

    @property
    def is_doomed(self) -> bool:
        """Whether it was ended and is only kept from going, by a disk that does not answer.

        It keeps its locks, and never again runs a line of its own: every thread that is left has its SIGKILL
        before it, and finds it before anything else when the disk answers.
        """
        return bool(self.birth) and _started(self.pid)[1] == self.birth and _ends_all(self.pid)


class LockHeld(StoreTrouble):
    """Another process works in this data directory. `holder` is None when it did not say who it is."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = "another process"
        if holder is not None:
            who = f"process {holder.pid} (since {iso_utc(holder.taken_ms)})"
        super().__init__(
            f"{who} already runs with the data directory {path.parent}; end it first (Ctrl-C or SIGTERM, a "
            "service: systemctl stop), or give this one a --data-dir of its own"
        )
        self.holder = holder


class InstanceLock:
    """Take it with `InstanceLock.take`; it is held until `release` or the end of the process."""

    def __init__(self, path: Path, descriptor: int, *, named: bool = True) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self._named = named

    @classmethod
    def take(cls, path: Path, *, at_ms: int, errand: str = "", named: bool = True) -> Self:
        """`at_ms` is wall time, for people. Raises LockHeld, or StoreTrouble when the file cannot be used.

        Not `named`: the lock is held without saying by whom, and the file is only read. That works on a disk
        that takes nothing, where even opening a file to write it may never return.
        """
        descriptor = _opened(path) if named else _opened_to_read(path)
        try:
            if not _lock_patiently(descriptor):
                raise LockHeld(path, _named_in(descriptor))
            if not named:
                return cls(path, descriptor, named=False)
            me = os.getpid()
            text = json.dumps({"pid": me, "taken_ms": at_ms, "birth": process_birth(me), "errand": errand})
            _overwrite(descriptor, text)
            os.fsync(descriptor)
        except LockHeld:
            os.close(descriptor)
            raise
        except OSError as error:
            os.close(descriptor)
            raise file_trouble(error, path, "writing the lock file") from None
        return cls(path, descriptor)

    @classmethod
    def queue(cls, path: Path) -> Self:
        """Be the next to hold the lock, without a name, whenever who holds it now is gone. Returns at once.

        Raises StoreTrouble.
        """
        descriptor = _opened_to_read(path)
        waiting = threading.Thread(target=_wait_for, args=(os.dup(descriptor),), daemon=True)
        waiting.start()
        return cls(path, descriptor, named=False)

    def release(self) -> None:
        """Free the lock. The file stays: removing it would let two processes hold two locks."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                if self._named:
                    _overwrite(descriptor, "")
            finally:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does. Raises StoreTrouble when that cannot be found out.

    A holder that does not say its name is reported with pid 0.
    """
    if not path.exists():
        return None
    descriptor = _opened_to_read(path)
    try:
        named = _named_in(descriptor)
        # Asking the lock itself takes it for a moment, so that is left for when the name proves nothing.
        if named is not None and named.is_alive:
            return named
        return None if _try_lock(descriptor) else named or Holder(0, 0, "")
    finally:
        os.close(descriptor)


def process_birth(pid: int) -> str:
    """When process `pid` started, as the system counts it: clock ticks since boot. Empty if unknown.

    Which boot is not part of it: a service that sees nothing of /proc but processes could not tell. A lock is
    not held across a boot, so nobody is mistaken for its holder.
    """
    state, started = _started(pid)
    return "" if state in ("Z", "X") else started


def _started(pid: int) -> tuple[str, str]:
    """State and start of a process' first thread; empty where there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    # The second field is the program's name in parentheses and may itself hold both and spaces.
    fields = status.rpartition(")")[2].split()
    return fields[0], fields[19]


def _ends_all(pid: int) -> bool:
    """Whether threads of a process are left, and all that are have their end pending."""
    try:
        threads = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/status")]
    except OSError:
        # One was gone between the list and its file; asked again, there is a whole answer.
        return False
    told = [dict(line.partition(":")[::2] for line in status.splitlines()) for status in threads]
    left = [one for one in told if one.get("State", "").split()[:1] not in (["Z"], ["X"])]
    return bool(left) and all(_is_ending(one) for one in left)


def _is_ending(told: dict[str, str]) -> bool:
    pending = int(told.get("SigPnd", "0"), 16) | int(told.get("ShdPnd", "0"), 16)
    return bool(pending >> (_SIGKILL - 1) & 1)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
    except OSError as error:
        raise file_trouble(error, path, "opening the lock file") from None


def _opened_to_read(path: Path) -> int:
    """A lock needs no right to write, and asking for it may never return on a frozen disk."""
    if sys.platform == "win32":
        return _opened(path)
    try:
        return os.open(path, os.O_RDONLY | _FLAGS)
    except OSError as error:
        raise file_trouble(error, path, "opening the lock file") from None


def _overwrite(descriptor: int, text: str) -> None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode().ljust(_SIZE))
    os.ftruncate(descriptor, _SIZE)


def _named_in(descriptor: int) -> Holder | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(descriptor, 4096))
        errand = str(found.get("errand", ""))
        return Holder(int(found["pid"]), int(found["taken_ms"]), str(found["birth"]), errand)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _lock_patiently(descriptor: int) -> bool:
    """Try for a quarter of a second unless a living holder is named.

    Somebody may just be asking who holds the lock, or have taken it without having written a name yet.
    """
    for _ in range(_TRIES):
        if _try_lock(descriptor):
            return True
        named = _named_in(descriptor)
        if named is not None and named.is_alive:
            return False
        time.sleep(_PAUSE_S)
    return False


def _wait_for(descriptor: int) -> None:
    """Until the lock is free, and then it is ours: a lock belongs to the opened file, not to its number."""
    if sys.platform == "win32":
        return
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether the lock is now ours. Raises OSError where files cannot be locked."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
