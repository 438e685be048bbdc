"""The halt latch: a file of fixed size that says whether entries are forbidden, whatever else is broken.

It is written once when the data directory is made and from then on overwritten in place and synced, so
setting it needs no free space, no database and no other process. It is read before every entry request.
Whatever cannot be understood (a damaged, missing, replaced or foreign file) counts as halted: only a file
that proves to be clear lets an entry through.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from agent.store.trouble import StoreTrouble, file_trouble

NAME: Final = "halt.latch"
#: One sector of any disk: overwritten whole or not at all.
SIZE: Final = 512

_MAGIC: Final = "HALT-LATCH-1"
_CLEAR: Final = "clear"
_SET: Final = "halted"
_LONGEST_REASON: Final = 300
#: Without O_NONBLOCK, opening a pipe that someone put in the file's place would wait for ever.
_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))


@dataclass(frozen=True, slots=True)
class Halted:
    """Since when (venue time, 0 when unknown) and why no entry may leave."""

    reason: str
    at_ms: int


class Latch:
    """Make one with `Latch.create`. Any number of processes may have one on the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, directory: Path) -> Self:
        """The latch of `directory`, made clear if there is none; one that exists is left as it is.

        Raises StoreTrouble when it cannot be made.
        """
        latch = cls(directory / NAME)
        if not os.path.lexists(latch.path):
            latch._create(_CLEAR_CONTENT)
        return latch

    def read(self) -> Halted | None:
        """None when the latch is certainly clear. Never raises; costs some microseconds."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | _FLAGS)
        except OSError as error:
            return Halted(f"the halt latch {self.path} cannot be read: {error.strerror}", 0)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return Halted(f"the halt latch {self.path} is not a plain file", 0)
            content = os.read(descriptor, SIZE + 1)
        except OSError as error:
            return Halted(f"the halt latch {self.path} cannot be read: {error.strerror}", 0)
        finally:
            os.close(descriptor)
        return self._understood(content)

    def set(self, reason: str, at_ms: int) -> None:
        """Forbid entries. Durable when it returns. Raises StoreTrouble."""
        self._overwrite(_content(_SET, reason, at_ms))

    def clear(self) -> None:
        """Allow entries again: a deliberate act, when flat and reconciled. Raises StoreTrouble."""
        self._overwrite(_CLEAR_CONTENT)

    def _understood(self, content: bytes) -> Halted | None:
        if content == _CLEAR_CONTENT:
            return None
        if len(content) != SIZE:
            return self._damaged()
        text = content.rstrip(b" \n")
        body, _, checksum = text.rpartition(b" ")
        if checksum != b"%08x" % zlib.crc32(body):
            return self._damaged()
        try:
            magic, state, reason, at_ms = json.loads(body)
        except (ValueError, RecursionError):
            return self._damaged()
        if magic != _MAGIC or state not in (_SET, _CLEAR):
            return self._damaged()
        return None if state == _CLEAR else Halted(str(reason), int(at_ms))

    def _damaged(self) -> Halted:
        why = f"the halt latch {self.path} is damaged; make sure that nothing is open, then clear the halt"
        return Halted(why, 0)

    def _overwrite(self, content: bytes) -> None:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | _FLAGS)
        except FileNotFoundError:
            # Somebody removed it. With space on the disk a new one can be made; without, this raises.
            self._create(content)
            return
        except OSError as error:
            raise file_trouble(error, self.path, "writing the halt latch") from None
        try:
            if os.write(descriptor, content) != len(content):
                raise StoreTrouble(f"writing the halt latch {self.path} failed half-way; check the disk")
            os.ftruncate(descriptor, SIZE)
            os.fsync(descriptor)
        except OSError as error:
            raise file_trouble(error, self.path, "writing the halt latch") from None
        finally:
            os.close(descriptor)

    def _create(self, content: bytes) -> None:
        """Make the file appear with its whole content, unless another process was faster."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            partial.unlink(missing_ok=True)
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
            try:
                os.write(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            try:
                # Linking refuses to replace: a latch that another process has just set stays set.
                os.link(partial, self.path)
            except FileExistsError:
                if content != _CLEAR_CONTENT:
                    self._overwrite(content)
            except OSError:  # a file system without links
                os.replace(partial, self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise file_trouble(error, self.path, "creating the halt latch") from None
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def _content(state: str, reason: str, at_ms: int) -> bytes:
    """Exactly SIZE bytes: a JSON list, its checksum, padding. ASCII, so that a person can read it."""
    while True:
        body = json.dumps([_MAGIC, state, reason[:_LONGEST_REASON], at_ms]).encode()
        text = body + b" %08x" % zlib.crc32(body)
        if len(text) < SIZE:
            return text.ljust(SIZE - 1) + b"\n"
        # Escapes made it too long; a shorter reason is better than none.
        reason = reason[: min(len(reason), _LONGEST_REASON) * 2 // 3]


#: What nearly every reading finds.
_CLEAR_CONTENT: Final = _content(_CLEAR, "", 0)


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
