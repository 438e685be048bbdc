"""The mark of this installation in every client order id, so that its orders are known again.

Made once and kept in a file: losing the database does not lose it. It goes with the ledger all the same:
where rows came from another machine, their mark is taken over, because orders of that machine which no row
knows (a stop that was placed while the database was away) must be known for what they are.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from agent.store.data_dir import DataDir
from agent.store.reading import Reader
from agent.store.trouble import StoreTrouble

NAME: Final = "install-tag"
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TAG: Final = re.compile("s[0-9a-z]{4}")


def install_tag(directory: Path) -> str:
    """Five letters or digits: the file's, else the ledger's, else new ones."""
    try:
        tag = (directory / NAME).read_text(encoding="ascii").strip()
        if len(tag) == 5 and tag.isalnum():
            return tag
    except FileNotFoundError:
        pass
    tag = _of_ledger(directory) or "s" + "".join(secrets.choice(_DIGITS) for _ in range(4))
    _write(directory, tag)
    return tag


def take_over_tag(directory: Path) -> None:
    """The rows of the ledger are another machine's: so are its orders."""
    tag = _of_ledger(directory)
    if tag is not None:
        _write(directory, tag)


def _of_ledger(directory: Path) -> str | None:
    """The mark of the newest order. None without a ledger that can be read."""
    try:
        reader = Reader.open(DataDir(directory).trades_db)
    except StoreTrouble:
        return None
    try:
        found = _TAG.match(reader.newest_client_id() or "")
    except StoreTrouble:
        return None
    finally:
        reader.close()
    return None if found is None else found[0]


def _write(directory: Path, tag: str) -> None:
    path = directory / NAME
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(tag + "\n")
        file.flush()
        os.fsync(file.fileno())
