"""What a text means; the theme decides what that looks like."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum


class Tone(StrEnum):
    """GAIN and LOSS are results in money and follow the chosen palette; GOOD and BAD are states."""

    PLAIN = "plain"
    QUIET = "quiet"
    LABEL = "label"
    GAIN = "gain"
    LOSS = "loss"
    GOOD = "good"
    NOTICE = "notice"
    BUSY = "busy"
    BAD = "bad"
    INFO = "info"


def result_tone(amount: Decimal | float | None) -> Tone:
    """A result's tone; nothing is green or red without a sign beside it."""
    if amount is None:
        return Tone.QUIET
    return Tone.GAIN if amount > 0 else Tone.LOSS if amount < 0 else Tone.PLAIN
