"""Lines of the log: read from the file's text, matched against level and search."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ui.present import numbers

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_RANK: Final = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}
_LINE: Final = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\] \[([A-Z]+)\] (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` None: the line does not say. `text` may have more than one line."""

    at: datetime | None
    level: str
    text: str

    @property
    def is_error(self) -> bool:
        return _RANK.get(self.level, 1) >= 3

    def head(self, local: bool) -> str:
        moment = (
            "" if self.at is None else self.at.astimezone(numbers.zone(local)).strftime("%m-%d %H:%M:%S ")
        )
        return f"{moment}{self.level:<8} "


def matches(line: LogLine, least: str, search: str) -> bool:
    """Every word of `search` must be in the line, in any case."""
    if _RANK.get(line.level, 1) < _RANK[least]:
        return False
    text = f"{line.level} {line.text}".lower()
    return all(word in text for word in search.lower().split())


def parse(text: str) -> list[LogLine]:
    """Lines as the agent writes them; what follows on indented lines belongs to the line before."""
    found: list[LogLine] = []
    for raw in text.splitlines():
        match = _LINE.fullmatch(raw)
        if match is not None:
            at = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            found.append(LogLine(at, match[2], match[3]))
        elif found and raw.startswith("    "):
            last = found[-1]
            found[-1] = LogLine(last.at, last.level, f"{last.text}\n{raw}")
        elif raw.strip():
            found.append(_other(raw))
    return found


def _other(raw: str) -> LogLine:
    """A line for machines (`--log-json`), or one that is none of ours."""
    if raw.startswith("{"):
        import json

        try:
            fields = json.loads(raw)
            at = datetime.fromisoformat(str(fields["ts"]))
            return LogLine(at, str(fields["level"]), str(fields["message"]))
        except (ValueError, KeyError, TypeError):
            pass
    return LogLine(None, "INFO", raw)


def errors_in(lines: Iterable[LogLine]) -> int:
    return sum(line.is_error for line in lines)
