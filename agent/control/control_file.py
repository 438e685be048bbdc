"""`control.json`: where the running engine listens, and the token that opens the door.

One small file in the data directory, readable by its owner only. The engine replaces it as a whole at start
and removes it at a clean exit; after a crash it stays behind and names a process that is gone. Both sides
refuse to follow a symbolic link, and a reader refuses a file that others could read or that is not ours,
because whoever can write it can steer the command line to another server.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

NAME: Final = "control.json"
_MAX_BYTES: Final = 4096
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
#: Without it, opening a pipe that someone put in the file's place would wait for ever.
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class ControlFile:
    """`pid` and `started_ms` (machine wall time, UTC) identify the engine's process."""

    port: int
    token: str
    pid: int
    started_ms: int
    protocol: int


class ControlFileRefused(Exception):  # noqa: N818 - a refusal, not a failure
    """The file exists and cannot be trusted or understood; the text says why and what to do."""


def new_token() -> str:
    """256 bits, safe in a header."""
    return secrets.token_urlsafe(32)


def write_control_file(data_dir: Path, content: ControlFile) -> None:
    """Replace the file atomically and durably, mode 0600. Raises OSError if the directory is not writable."""
    target = data_dir / NAME
    temporary = data_dir / f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(asdict(content)).encode())
            file.flush()
            os.fsync(file.fileno())
        # Replacing swaps the name itself, so a link planted at the target is dropped, not followed.
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(data_dir)


def read_control_file(data_dir: Path) -> ControlFile | None:
    """The file's content, or None when there is none. Raises ControlFileRefused."""
    path = data_dir / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | _NOFOLLOW | _CLOEXEC | _NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as why:
        raise ControlFileRefused(
            f"{path} cannot be read ({why.strerror}); it must be a plain file of your own"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        _refuse_strangers(path, os.fstat(file.fileno()))
        raw = file.read(_MAX_BYTES + 1)
    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError
        fields = json.loads(raw)
        content = ControlFile(**{key: fields[key] for key in ControlFile.__slots__})
        numbers = (content.port, content.pid, content.started_ms, content.protocol)
        if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers):
            raise ValueError
        if not isinstance(content.token, str) or not 1 <= content.port <= 65535:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ControlFileRefused(
            f"{path} is not what an engine writes; stop the engine, delete the file and start again"
        ) from None
    return content


def remove_control_file(data_dir: Path, token: str) -> None:
    """Remove the file if it is still the one with `token`: a newer engine's file is left alone."""
    try:
        content = read_control_file(data_dir)
    except ControlFileRefused:
        return
    if content is not None and secrets.compare_digest(content.token, token):
        (data_dir / NAME).unlink(missing_ok=True)


def process_is_gone(pid: int) -> bool:
    """True when certainly no process has this id. Elsewhere than on POSIX nothing can be said: False."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _refuse_strangers(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ControlFileRefused(f"{path} is not a plain file; delete it and start the engine again")
    if os.name != "posix":
        return
    if found.st_uid != os.geteuid():
        raise ControlFileRefused(
            f"{path} belongs to another user (id {found.st_uid}); run this as the user who runs the engine"
        )
    if found.st_mode & 0o077:
        raise ControlFileRefused(
            f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}); "
            "stop the engine, delete the file and start again"
        )


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
