"""Text that must not be seen: a credential, or an address that works like one.

What stays true: nothing but `reveal` gives the text back. It does not print, format, compare by time,
pickle, or end up in a message by accident; who needs it asks for it in so many letters.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

HIDDEN = "(hidden)"


class Secret:
    """A non-empty text whose representation never shows it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        assert text, "an empty text is no secret"
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that sends it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret{HIDDEN}"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written down")
