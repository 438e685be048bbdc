"""The fire drill in words: whether it may be played here, what it does, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from ui.picture import Picture
from ui.present.doctor import Entry, Findings
from ui.present.questions import Choice, Question
from ui.present.tone import Tone

KEY = "drill"
_SAYS = (
    "Kills an agent, cuts its connection, loses answers and fills its disk, and looks whether it recovers.",
    "It plays in a scratch directory with an engine and an exchange of its own, and takes about two minutes.",
    "The running agent, its data and your exchange are not touched. The machine is busy meanwhile.",
)


def refusal(picture: Picture | None, demo: bool) -> str:
    """Why no drill may be played beside this agent; empty when it may."""
    if demo or (picture is not None and picture.status.mode == "paper"):
        return ""
    if picture is None:
        return "A fire drill needs to know what runs here: attach to an engine in paper mode first."
    mode = picture.status.mode
    return f"A fire drill is played in paper mode or on the demo market only; this agent is {mode}."


def question() -> Question:
    choices = (Choice("play", "Play the drill", "primary"),)
    return Question(KEY, "Play a fire drill?", _SAYS, choices, "Cancel")


def progress(lines: Sequence[str], seconds: int, exit_code: int | None) -> Findings:
    """`exit_code` None while it is played."""
    entries = tuple(_entry(line) for line in lines)
    if exit_code is None:
        return Findings(f"The drill is being played, {seconds} s so far…", Tone.BUSY, entries)
    if exit_code == 0:
        return Findings("The drill passed.", Tone.GOOD, entries)
    return Findings(
        f"The drill did NOT pass (exit code {exit_code}). Read below before you trade.", Tone.BAD, entries
    )


def _entry(line: str) -> Entry:
    text = line.strip()
    word, _, rest = text.partition(" ")
    match word:
        case "passed":
            return Entry("✓ passed", Tone.GOOD, rest)
        case "FAILED":
            return Entry("✖ FAILED", Tone.BAD, rest)
        case _:
            return Entry("", Tone.PLAIN, text)
