"""A configuration under examination: its sound part as a model, and what is known about the rest.

Checks that look at several keys, and the review, read this. They ask `sound` first: where a key was refused,
the model holds its default, and a judgement on that would not be about the user's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.config.findings import Finding, JsonValue, shown
from agent.config.model import FORMAT_VERSION, ConfigFile

Tree = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Draft:
    """`failed` holds the dotted keys that were refused or unreadable; `lines` the line of every key."""

    file: ConfigFile
    tree: Tree
    failed: frozenset[str]
    lines: Mapping[tuple[str | int, ...], int]

    def sound(self, *keys: str) -> bool:
        """Whether the model's values of these dotted keys are what the user wrote (or left out)."""
        return not any(key == bad or key.startswith(f"{bad}.") for key in keys for bad in self.failed)

    def states(self, key: str) -> bool:
        """Whether the file itself sets this dotted key."""
        return tuple(key.split(".")) in self.lines

    def finding(self, key: str, reason: str, fix: str) -> Finding:
        """A finding about a dotted key, with the value that is in force: the file's, or the default."""
        steps = tuple(key.split("."))
        if self.states(key):
            value = shown(at(self.tree, steps))
        else:
            default: object = self.file
            for step in steps:
                default = getattr(default, step)
            value = default if isinstance(default, int | float) or default is None else str(default)
        return Finding(key, value, reason, fix, self.lines.get(steps))

    @property
    def version(self) -> tuple[int, ...]:
        return _numbers(self.file.version)

    @property
    def is_newer_minor(self) -> bool:
        """Same major version as this program's format, later minor."""
        ours = _numbers(FORMAT_VERSION)
        return self.sound("version") and self.version[0] == ours[0] and self.version[:2] > ours[:2]


def at(tree: Tree, steps: tuple[str | int, ...]) -> JsonValue:
    """The value in the file at a path of member names; None where there is none."""
    value: JsonValue = tree
    for step in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(str(step))
    return value


def _numbers(version: str) -> tuple[int, ...]:
    """`2.1` -> (2, 1, 0): a version as comparable numbers."""
    return tuple(int(part) for part in [*version.split("."), "0", "0"][:3])
