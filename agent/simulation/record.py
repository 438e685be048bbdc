"""The record of a long range in a file: what was lived so far, so that it can be gone on with.

Stays true: the file is replaced in one piece, so it is never half of one; it says of which worlds it is, and
those of another range or by other code are never added to it. Worlds are added in the order of their seeds.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from agent.simulation.source import digest
from agent.simulation.totals import Totals


class RecordError(Exception):
    """The file is of no use here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Range:
    """Which worlds: the seeds from `first` to before `end`, and how each is lived, by which code."""

    first: int
    end: int
    days: float
    rules: str
    thorough: bool
    code: str = field(default_factory=digest)


@dataclass(slots=True)
class Record:
    of: Range
    totals: Totals
    path: Path | None = None
    violations: list[str] = field(default_factory=list)
    """What was violated, each with its seed."""

    @property
    def next_seed(self) -> int:
        return self.of.first + self.totals.worlds

    def keep(self) -> None:
        """Write it, if it has a place."""
        if self.path is None:
            return
        totals = {**asdict(self.totals), "without": sorted(self.totals.without)}
        body = {
            "of": asdict(self.of),
            "violations": self.violations,
            "told": self.totals.lines(),
            "totals": totals,
        }
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(body, indent=1) + "\n")
        os.replace(beside, self.path)


def opened(of: Range, path: Path | None, without: frozenset[str]) -> Record:
    """The record of these worlds, with what the file at `path` has of them. Raises RecordError."""
    if path is None or not path.exists():
        return Record(of, Totals(without), path)
    try:
        body: dict[str, Any] = json.loads(path.read_text())
        known = Range(**body["of"])
        names = {f.name for f in fields(Totals)}
        totals = Totals(**{**{k: v for k, v in body["totals"].items() if k in names}, "without": without})
        violations = [str(line) for line in body["violations"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{path} is no record of a range ({error!r}); name another file") from None
    if known != of:
        raise RecordError(
            f"{path} is the record of other worlds, or of other code ({known}); "
            "name another file, or remove it to begin anew"
        )
    return Record(of, totals, path, violations)
