"""Where the `.env` of the last start lies, noted in the data directory: a path, never a value.

An emergency stop that has to do the work itself needs the keys the engine had, from whatever folder it is
called. A note that cannot be written or read costs nothing but that.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

NAME: Final = "env-file"
LOG: Final = logging.getLogger("agent")


def note_env_file(directory: Path, env_path: Path) -> None:
    """Remember the absolute path for `noted_env_file`."""
    text = f"{env_path.absolute()}\n"
    path = directory / NAME
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, ValueError) as error:
        LOG.warning("where the .env lies could not be noted (%s): an emergency stop needs --env-file", error)


def noted_env_file(directory: Path) -> Path | None:
    """The path of the last start, None when none is noted."""
    try:
        text = (directory / NAME).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return Path(text) if text.startswith("/") else None
