"""How a command ends: the exit codes other programs rely on, and the one exception that carries them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    REFUSED = 1
    """Refused or invalid."""
    UNREADABLE = 2
    """Input that is missing or cannot be read."""
    NO_ENGINE = 3
    LOCKED = 4
    """Another instance holds the lock."""
    UNREACHABLE = 5
    """The exchange cannot be reached."""
    NOT_FLAT = 6
    """Halted but not yet flat."""


class Ended(Exception):  # noqa: N818 - an ending, not always a failure
    """A command ends here. `text` says why, in a sentence, `fix` what the user can do about it."""

    def __init__(self, code: ExitCode, text: str, fix: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix
