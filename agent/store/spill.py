"""What could not be written to the ledger, in a preallocated file that the next start imports.

For the emergency stop alone: it must sell although the disk is full, and the ledger must learn what it did.
Stays true: the file has its full size from the first start on and is only overwritten in place, so appending
needs no free space; a record counts when its length and checksum are right, so a torn one ends the file; an
import is one transaction with a mark, so a crash in the middle of it repeats or skips it, never doubles it.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any, Final

from agent.store.batch import Batch, Scope
from agent.store.batch_codec import decode_batch, encode_batch
from agent.store.codec import Undecodable, from_text, to_text
from agent.store.trouble import StoreTrouble, file_trouble

NAME: Final = "emergency.journal"
SIZE: Final = 512 * 1024
#: Under this key the ledger remembers which file it has imported.
IMPORTED: Final = "imported_journal"

_FLAGS: Final = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY"))
_LENGTH: Final = 8
_HEAD: Final = 2 * _LENGTH


class SpillFile:
    """The journal of one data directory. `StoreTrouble` where it cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME

    def allocate(self) -> None:
        """Make it with its full size where there is none. Raises StoreTrouble."""
        if self.path.exists() and self.path.stat().st_size >= SIZE:
            return
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            try:
                # Zeros that are written take their place on the disk; a hole would not.
                os.write(descriptor, bytes(SIZE))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise file_trouble(error, self.path, "reserving space for") from None

    def append(self, scope: Scope, *batches: Batch) -> None:
        """All of them or none, durable when it returns. Raises StoreTrouble."""
        body = to_text([list(scope.columns().values()), [encode_batch(batch) for batch in batches]]).encode()
        record = b"%08x%08x" % (len(body), zlib.crc32(body)) + body
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
            try:
                end = _end(_content(descriptor))
                os.lseek(descriptor, end, os.SEEK_SET)
                if os.write(descriptor, record) != len(record):
                    raise StoreTrouble(f"writing {self.path} failed half-way; free some space on the disk")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise file_trouble(error, self.path, "writing") from None

    def read(self, scope: Scope) -> tuple[tuple[Batch, ...], str]:
        """The batches of `scope`, and a mark that tells this content from any other; "" when there are none.

        Raises StoreTrouble.
        """
        content = self._bytes()
        mine, whole = list(scope.columns().values()), content[: _end(content)]
        try:
            records = [from_text(body.decode()) for body in _bodies(content)]
            of_mine: list[Any] = [r[1] for r in records if isinstance(r, list) and r[0] == mine]
            batches = tuple(decode_batch(batch) for record in of_mine for batch in record)
        except (Undecodable, ValueError, KeyError, TypeError) as error:
            raise StoreTrouble(
                f"{self.path} cannot be understood ({error}); install the version that wrote it"
            ) from None
        return batches, f"{len(whole)}:{zlib.crc32(whole):08x}" if batches else ""

    def scopes(self) -> tuple[Scope, ...]:
        """Whose records it holds."""
        records = [from_text(body.decode()) for body in _bodies(self._bytes())]
        return tuple(dict.fromkeys(Scope(*r[0]) for r in records if isinstance(r, list)))  # type: ignore[misc]

    def clear(self) -> None:
        """Forget everything, in place. Raises StoreTrouble."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | _FLAGS)
            try:
                os.write(descriptor, bytes(SIZE))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return
        except OSError as error:
            raise file_trouble(error, self.path, "clearing") from None

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise file_trouble(error, self.path, "reading") from None


def _content(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, os.fstat(descriptor).st_size)


def _bodies(content: bytes) -> list[bytes]:
    """The bodies of every sound record from the beginning on."""
    found: list[bytes] = []
    at = 0
    while True:
        head = content[at : at + _HEAD]
        try:
            length, checksum = int(head[:_LENGTH], 16), int(head[_LENGTH:], 16)
        except ValueError:
            return found
        body = content[at + _HEAD : at + _HEAD + length]
        if len(body) != length or zlib.crc32(body) != checksum:
            return found
        found.append(body)
        at += _HEAD + length


def _end(content: bytes) -> int:
    return sum(_HEAD + len(body) for body in _bodies(content))
