"""The doctor's findings as the window shows them: the worst first, a word for every light, a fix for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.doctor.result import Diagnosis, Light
from ui.present import numbers
from ui.present.tone import Tone

_MARKS: Final = {Light.GREEN: "✓ green", Light.YELLOW: "⚠ yellow", Light.RED: "✖ RED"}
_TONES: Final = {Light.GREEN: Tone.GOOD, Light.YELLOW: Tone.NOTICE, Light.RED: Tone.BAD}
_VERDICTS: Final = {
    Light.GREEN: "Everything is as it should be",
    Light.YELLOW: "It works; there is something to know",
    Light.RED: "Something will not work, or not safely",
}
_ORDER: Final = (Light.RED, Light.YELLOW, Light.GREEN)
_SHOWN_CHARS: Final = 1_500


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a report: `mark` says in letters what `tone` says in colour; `fix` may be empty."""

    mark: str
    tone: Tone
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    verdict: str
    tone: Tone
    entries: tuple[Entry, ...] = ()


def findings(diagnosis: Diagnosis) -> Findings:
    """Red, then yellow, then green; within a light in the order in which it was checked."""
    found = sorted(diagnosis.findings, key=lambda f: _ORDER.index(f.light))
    counts = ", ".join(f"{sum(f.light is light for f in found)} {light.value}" for light in _ORDER)
    return Findings(
        verdict=f"{_VERDICTS[diagnosis.light]}: {counts}.",
        tone=_TONES[diagnosis.light],
        entries=tuple(Entry(_MARKS[f.light], _TONES[f.light], f"{f.name}: {f.text}", f.fix) for f in found),
    )


def told(said: bytes, complaints: bytes, exit_code: int | None) -> Findings:
    """What `doctor --json` answered. `exit_code` None: it was ended, or never began."""
    try:
        return findings(Diagnosis.read(json.loads(said)))
    except (KeyError, TypeError, ValueError):
        why = complaints.decode("utf-8", "replace").strip()[-_SHOWN_CHARS:]
    how = "it was ended" if exit_code is None else f"exit code {exit_code}"
    return failed(f"The check gave no result ({how}).", why or "It said nothing.")


def failed(verdict: str, why: str) -> Findings:
    fix = "run `python -m agent.cli doctor` in a terminal and read what it says"
    return Findings(verdict, Tone.BAD, (Entry("✖ RED", Tone.BAD, why, fix),))


def under_way(seconds: int) -> Findings:
    return Findings(f"Checking everything, {numbers.counted(seconds, 'second')} so far…", Tone.BUSY)


def as_text(shown: Sequence[Entry]) -> str:
    """For the clipboard."""
    return "\n".join(f"{e.mark}  {e.text}" + (f"\n    fix: {e.fix}" if e.fix else "") for e in shown)
