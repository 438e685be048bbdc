"""What a check of the configuration says: findings, their report, and the refusal that carries it.

A finding names the key, the value, the reason and the fix, in a trader's words. What stays true: no finding
holds a secret. Values enter through `shown`, names through `shown_name`; both withhold whatever looks like a
credential, because people paste keys into the wrong place, and both make control characters visible, because
a hostile file must not write to the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from agent.config.model import Config

JsonValue: TypeAlias = "Mapping[str, JsonValue] | list[JsonValue] | str | int | Decimal | bool | None"
"""What `agent.config.strict_json` reads: numbers without fraction are int, all others Decimal."""

Shown: TypeAlias = str | int | float | bool | None

DOCUMENT: Final = "(document)"
"""The key of a finding that concerns the file as a whole."""

UNREADABLE_EXIT: Final = 2
REFUSED_EXIT: Final = 1

_MAX_SHOWN: Final = 60
_RUN_IN_VALUE: Final = re.compile(r"[A-Za-z0-9+/=_\-]{16,}")
_RUN_IN_NAME: Final = re.compile(r"[A-Za-z0-9+/=\-]{24,}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning. `key` is dotted (`exchange.trading_pair`), `line` counts from 1 when known.

    `value` is what the file holds there; None when it is a secret, absent, or null itself.
    """

    key: str
    value: Shown
    reason: str
    fix: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a check found. `config` is present exactly when there are no errors.

    `is_json` is False when the content is missing, unreadable, not UTF-8 or not JSON.
    """

    path: Path
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    config: Config | None
    is_json: bool = True

    def __post_init__(self) -> None:
        assert (self.config is None) == bool(self.errors), "a config exists exactly when nothing is wrong"

    @property
    def valid(self) -> bool:
        return not self.errors

    @property
    def exit_code(self) -> int:
        """0 valid, 2 missing or unreadable or not JSON, 1 everything else."""
        if self.valid:
            return 0
        return REFUSED_EXIT if self.is_json else UNREADABLE_EXIT

    def with_warnings(self, more: Iterable[Finding]) -> Report:
        return replace(self, warnings=(*self.warnings, *more))


class ConfigRefused(Exception):  # noqa: N818 - a refusal, not a failure
    """The configuration cannot be used. `report` says why; `exit_code` is 1 or 2 as for `validate-config`."""

    def __init__(self, report: Report) -> None:
        assert not report.valid
        self.report = report
        self.exit_code = report.exit_code
        lines = [f"{finding.key}: {finding.reason}; {finding.fix}" for finding in report.errors]
        super().__init__(f"{visible(report.path.name)} is refused:\n" + "\n".join(lines))


def looks_like_secret(text: str) -> bool:
    """True for text that could be a key, a token, or an address with a password in it."""
    if "-----BEGIN" in text or re.search(r"://[^/\s]*@", text):
        return True
    return any(_is_dense(run) for run in _RUN_IN_VALUE.findall(text))


def _is_dense(run: str) -> bool:
    """A long run that mixes digits and letters, or both cases: no word of this format does."""
    has_letter = any(c.isalpha() for c in run)
    mixes_cases = run != run.lower() and run != run.upper()
    return len(run) >= 32 or (has_letter and any(c.isdigit() for c in run)) or mixes_cases


def shown(value: JsonValue) -> Shown:
    """The part of a value from the file that may be repeated to the user."""
    match value:
        case None | bool() | int():
            return value
        case Decimal():
            return shown_number(value)
        case str():
            return None if looks_like_secret(value) else visible(value)
        case list():
            return "[...]"
        case _:
            return "{...}"


def shown_number(value: Decimal) -> Shown:
    """The number as a float when that loses nothing, else its digits as text."""
    nearest = float(str(value))
    return nearest if Decimal(repr(nearest)) == value else str(value)


def shown_name(name: str) -> str:
    """A key's name as it may be repeated to the user."""
    if any(_is_dense(run) for run in _RUN_IN_NAME.findall(name)):
        return f"(a name of {len(name)} characters, not shown)"
    return visible(name) or '""'


def visible(text: str) -> str:
    """The text on one line, shortened, with everything a terminal might act upon escaped."""
    cut = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def dotted(path: Iterable[str | int]) -> str:
    """`("agent", "telegram", 0)` -> `agent.telegram[0]`; the empty path is the document."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{shown_name(step)}" if text else shown_name(step)
    return text or DOCUMENT
