"""The mark of this installation in every client order id, so that its orders are known again."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

NAME: Final = "install-tag"
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def install_tag(directory: Path) -> str:
    """Five letters or digits, made once and kept in a file: losing the database does not lose them."""
    path = directory / NAME
    try:
        tag = path.read_text(encoding="ascii").strip()
        if len(tag) == 5 and tag.isalnum():
            return tag
    except FileNotFoundError:
        pass
    tag = "s" + "".join(secrets.choice(_DIGITS) for _ in range(4))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(tag + "\n")
        file.flush()
        os.fsync(file.fileno())
    return tag
