"""Secrets that must appear nowhere, and the one place where they are taken out of text.

A secret is registered as soon as it is read. It is recognised in every spelling in which libraries print
it: as it is, inside a URL, inside JSON, inside a Python literal, in base64, and line by line for keys that
have several lines.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from typing import Final

MASK: Final = "***"
#: Shorter texts are words and numbers of everyday messages; no credential is that short.
SHORTEST: Final = 6


class Secrets:
    """A registry that only grows. `redact` may be called from every thread."""

    def __init__(self, *texts: str) -> None:
        self._lock = threading.Lock()
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for text in texts:
            self.add(text)

    def add(self, text: str | None) -> None:
        """Register `text`. None, and what is too short to be a secret, is ignored."""
        if text is None or len(text.strip()) < SHORTEST:
            return
        with self._lock:
            for line in {text, text.strip(), *text.splitlines()}:
                if len(line) >= SHORTEST:
                    self._spellings |= _spellings(line)
            longest_first = sorted(self._spellings, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """`text` with every registered secret replaced by `***`."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(MASK, text)


def _spellings(text: str) -> set[str]:
    raw = text.encode("utf-8", "replace")
    in_url = {urllib.parse.quote(text, safe=safe, errors="replace") for safe in ("", "/", "/:")}
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        text,
        *in_url,
        urllib.parse.quote_plus(text, errors="replace"),
        *encoded,
        *(one.rstrip("=") for one in encoded),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        repr(raw)[2:-1],
    }
