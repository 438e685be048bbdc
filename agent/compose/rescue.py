"""An emergency stop beside a data directory whose disk takes nothing any more.

Belongs here: the copy of what is stored, on another file system, and the sentence about it. Stays true: the
directory itself is only read, because a write to a frozen disk never ends and neither does who waits for it;
the caller holds the directory's lock, so that what is copied stands still; there is one copy of what is
stored, and who comes later goes on in it, so that nobody sells again what was sold. When something else is
stored, it is copied anew: what was bought since then must be sold too.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.store.data_dir import DataDir
from agent.store.importing import import_spilled
from agent.store.prepare import prepare
from agent.store.spill import NAME as JOURNAL
from agent.store.trouble import StoreTrouble, file_trouble

#: Rebuilt from the exchange, or from the file beside it.
_LEFT_BEHIND: Final = ("candles.db", "candles.db-wal", "candles.db-shm", "trades.db-shm", "agent.lock")
#: Written last, and says of what: a copy without it was not finished, one of something else is too old.
_WHOLE: Final = "whole"


def copy_of(directory: DataDir) -> DataDir:
    """Everything that selling needs to know, as far as the last emergency stop got. Raises StoreTrouble."""
    folder = _folder_elsewhere(directory.path)
    copy, state = DataDir(folder), _state_of(directory)
    try:
        if (folder / _WHOLE).exists():
            if (folder / _WHOLE).read_text(encoding="ascii") == state:
                return copy
            os.rename(folder, f"{folder}-before-{time.time_ns()}")
            folder.mkdir(mode=0o700)
        for file in directory.path.iterdir():
            # Keys are read where they lie, and nowhere else.
            taken = file.name not in _LEFT_BEHIND and not file.name.startswith(".")
            if taken and file.is_file() and not file.is_symlink():
                shutil.copyfile(file, folder / file.name)
                (folder / file.name).chmod(0o600)
        if copy.trades_db.exists():
            prepare(copy.trades_db)
            # What an earlier stop wrote is known here from now on, and stays to be read in there.
            import_spilled(folder, copy.trades_db, keep=True)
        (folder / _WHOLE).write_text(state, encoding="ascii")
    except OSError as error:
        raise file_trouble(error, directory.path, "copying") from None
    return copy


def lock_elsewhere(directory: DataDir) -> DataDir:
    """Where emergency stops keep out of each other's way while the directory's own lock cannot be had.

    Raises StoreTrouble.
    """
    return DataDir(_folder_elsewhere(directory.path, "-lock"))


def _state_of(directory: DataDir) -> str:
    """Tells what is stored now from anything stored before or later."""
    told = []
    for file in (directory.trades_db, Path(f"{directory.trades_db}-wal")):
        found = file.stat() if file.exists() else None
        told.append("" if found is None else f"{found.st_size} {found.st_mtime_ns}")
    return "\n".join(told)


def told(copy: DataDir, directory: DataDir) -> str:
    """What a person does with it afterwards."""
    return (
        f"the disk of {directory.path} takes nothing: what was done is written in {copy.path}. When the disk "
        f"is back, and before the engine starts, copy {copy.path / JOURNAL} over {directory.path / JOURNAL}: "
        f"the next start reads it in; then remove {copy.path}"
    )


def _folder_elsewhere(path: Path, kind: str = "") -> Path:
    """The folder of `path`'s copy, or another `kind`, on another file system. Raises StoreTrouble."""
    path = path.resolve()
    device = path.stat().st_dev
    mark = hashlib.sha256(f"{os.getuid() if hasattr(os, 'getuid') else 0} {path}".encode()).hexdigest()[:16]
    for place in _places():
        with contextlib.suppress(OSError):
            folder = place / f"emergency-stop-{mark}{kind}"
            if place.stat().st_dev != device and _is_ours(folder):
                return folder
    raise StoreTrouble(
        f"{path} cannot be written, and neither /dev/shm nor {tempfile.gettempdir()} is a place on another "
        "file system to work in; close what is open at the exchange"
    )


def _is_ours(folder: Path) -> bool:
    """Made by us, now or before, and open to nobody else: others may write into these places too."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & 0o077


def _places() -> Iterator[Path]:
    """The same for everybody, whoever calls: a window, a service or a shell."""
    yield Path("/dev/shm")
    yield Path(tempfile.gettempdir())
