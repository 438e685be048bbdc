"""What live trading was armed for: `arming.json` in the data directory, ours alone.

It names configuration, program version, pair, when and how, and an override of the phases with its reason.
Written whole (a temporary file, synced, renamed); what cannot be read counts as no record.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

NAME: Final = "arming.json"
_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody went around the phases, and why. `at` as ISO 8601 UTC."""

    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class ArmingRecord:
    config_hash: str
    version: str
    pair: str
    at: str
    how: str
    override: Override | None = None


def read_record(directory: Path) -> ArmingRecord | None:
    try:
        handle = os.open(directory / NAME, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with open(handle, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return _record(document)


def write_record(directory: Path, record: ArmingRecord) -> None:
    """Raises OSError."""
    body = json.dumps(asdict(record), indent=2).encode()
    handle, name = tempfile.mkstemp(dir=directory, prefix=".arming-")
    try:
        with open(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, directory / NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def forget_record(directory: Path) -> bool:
    """Disarm. False when nothing was armed. Raises OSError."""
    path = directory / NAME
    if not path.exists():
        return False
    path.unlink()
    return True


def _record(document: Any) -> ArmingRecord | None:
    if not isinstance(document, dict):
        return None
    try:
        override = document.get("override")
        return ArmingRecord(
            config_hash=_word(document, "config_hash"),
            version=_word(document, "version"),
            pair=_word(document, "pair"),
            at=_word(document, "at"),
            how=_word(document, "how"),
            override=None if override is None else Override(_word(override, "reason"), _word(override, "at")),
        )
    except (AttributeError, TypeError, ValueError):
        return None


def _word(document: Any, name: str) -> str:
    word = document.get(name)
    if not isinstance(word, str) or not word:
        raise ValueError(name)
    return word
