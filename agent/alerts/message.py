"""One thing to tell somebody, as every channel carries it. PURE.

Belongs here: levels in order, the line a message makes, the buttons under it. Text is plain: no channel is
given a language in which text from outside could mean something.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.commands import AlertLevel
from agent.core.instant import iso_utc

_ORDER: Final = tuple(AlertLevel)
#: Telegram's own limit is 4096 characters; a little is left for the line that says what is missing.
LONGEST: Final = 3_900


@dataclass(frozen=True, slots=True)
class Button:
    """`data` comes back when it is pressed; at most 64 bytes."""

    label: str
    data: str


@dataclass(frozen=True, slots=True)
class Message:
    """`at_ms`: venue time, None for what needs none in its line. `urgent`: by itself, before what waits.

    `is_answer`: to a command, so of use to nobody who did not give it.
    """

    text: str
    at_ms: int | None = None
    level: AlertLevel = AlertLevel.INFO
    urgent: bool = False
    buttons: tuple[Button, ...] = ()
    is_answer: bool = False

    @property
    def line(self) -> str:
        """The message by itself: `WARNING 14:32:05 risk: entry refused`. An answer is only its text."""
        if self.at_ms is None:
            return shortened(self.text)
        return shortened(f"{self.level.value} {iso_utc(self.at_ms)[11:19]} UTC\n{self.text}")


@dataclass(frozen=True, slots=True)
class Post:
    """What leaves in one piece. `level` is the highest of what it holds, None for an answer."""

    text: str
    level: AlertLevel | None
    buttons: tuple[Button, ...] = ()


def reaches(level: AlertLevel, least: AlertLevel) -> bool:
    return _ORDER.index(level) >= _ORDER.index(least)


def highest(levels: Iterable[AlertLevel]) -> AlertLevel:
    return max(levels, key=_ORDER.index)


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def digest(messages: Sequence[Message], dropped: int) -> Post:
    """Several messages as one, oldest first; what does not fit, and what was dropped, is counted."""
    assert messages, "a digest of something"
    level = highest(m.level for m in messages)
    if len(messages) == 1 and not dropped:
        return Post(messages[0].line, level, messages[0].buttons)
    lines = [f"{len(messages) + dropped} messages, the highest {level.value}:"]
    size, left = len(lines[0]), dropped
    for number, message in enumerate(messages):
        at = f"{iso_utc(message.at_ms)[11:19]} " if message.at_ms is not None else ""
        line = f"{at}{message.level.value} {message.text}"[:600]
        if size + len(line) + 60 > LONGEST:
            left += len(messages) - number
            break
        lines.append(line)
        size += len(line) + 1
    if left:
        lines.append(f"and {left} more: see the log")
    return Post("\n".join(lines), level)
