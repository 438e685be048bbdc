"""What the doctor found: a light, a sentence with numbers, and the fix. PURE; the window shows the same.

Green: as it should be. Yellow: works, and somebody should know. Red: it will not work, or not safely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Light(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


_ORDER: Final = tuple(Light)


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is empty only where there is nothing to mend."""

    name: str
    light: Light
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    findings: tuple[Finding, ...]

    @property
    def light(self) -> Light:
        """The worst of all."""
        return max((f.light for f in self.findings), key=_ORDER.index, default=Light.GREEN)

    @property
    def exit_code(self) -> int:
        return 1 if self.light is Light.RED else 0

    def document(self) -> dict[str, Any]:
        rows = [{"name": f.name, "light": f.light.value, "text": f.text, "fix": f.fix} for f in self.findings]
        return {"light": self.light.value, "findings": rows}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Diagnosis:
        """From the document of `doctor --json`. Raises KeyError, TypeError or ValueError."""
        rows: Iterable[Mapping[str, str]] = document["findings"]
        return cls(tuple(Finding(r["name"], Light(r["light"]), r["text"], r["fix"]) for r in rows))


def green(name: str, text: str) -> Finding:
    return Finding(name, Light.GREEN, text)


def yellow(name: str, text: str, fix: str) -> Finding:
    return Finding(name, Light.YELLOW, text, fix)


def red(name: str, text: str, fix: str) -> Finding:
    return Finding(name, Light.RED, text, fix)
