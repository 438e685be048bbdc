"""A checked configuration, in words for the first run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checked:
    """`text` holds every error and warning with key, value, reason and fix."""

    path: Path
    valid: bool
    verdict: str
    text: str


def checked(path: Path, errors: int, warnings: int, text: str) -> Checked:
    name = path.name
    if errors:
        plural = "s" if errors > 1 else ""
        return Checked(path, False, f"✖ {name} cannot be used: {errors} error{plural}.", text)
    review = f", {warnings} warning{'s' if warnings > 1 else ''} to review" if warnings else ""
    return Checked(path, True, f"✓ {name} is valid{review}.", text)
