"""The log of one engine, told by two mouths: its file, and the engine itself while the window is attached.

Law: a line is shown once, whichever told it first, and lines of a batch keep their order. Both tell the same
text, so that a line of one cancels an equal line of the other; what is remembered for that is bounded.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

REMEMBERED: Final = 4_000


class _Unmatched:
    """Lines that one told and the other has not told yet; the oldest are forgotten."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._order: deque[str] = deque()

    def add(self, line: str) -> None:
        self._count[line] += 1
        self._order.append(line)
        while len(self._order) > REMEMBERED:
            self.take(self._order.popleft())

    def take(self, line: str) -> bool:
        """Whether it was there; once only."""
        count = self._count.get(line, 0)
        if count > 1:
            self._count[line] = count - 1
        elif count:
            del self._count[line]
        return count > 0


class LogTail:
    def __init__(self) -> None:
        self._from_file = _Unmatched()
        self._from_engine = _Unmatched()

    def read(self, lines: Iterable[str]) -> list[str]:
        """Of lines read from the file, those not shown yet."""
        return _fresh(lines, self._from_engine, self._from_file)

    def told(self, lines: Iterable[str]) -> list[str]:
        """Of lines the engine told, those not shown yet."""
        return _fresh(lines, self._from_file, self._from_engine)


def _fresh(lines: Iterable[str], others: _Unmatched, ours: _Unmatched) -> list[str]:
    fresh = []
    for line in lines:
        if not others.take(line):
            ours.add(line)
            fresh.append(line)
    return fresh
