"""Questions that wait for a button: each has an exact effect, 60 seconds, and one use. No input or output.

A button's data carries the run's own random mark and a code that is used once, so that a button of an
earlier run, of an earlier question, or pressed twice does nothing. Only the newest question of a kind
counts. Times are machine time in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

VALID_MS: Final = 60_000.0


class Effect(StrEnum):
    RESUME = "resume"
    SELL_NOW = "sell"


@dataclass(frozen=True, slots=True)
class Confirmed:
    effect: Effect


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """What the person who pressed is told."""

    why: str


class Confirmations:
    """`code` makes a new unguessable text of at most 16 characters; `boot` is this run's mark."""

    def __init__(self, boot: str, code: Callable[[], str]) -> None:
        assert ":" not in boot, "the parts of a button's data are separated by colons"
        self._boot = boot
        self._code = code
        self._open: dict[Effect, tuple[str, float]] = {}

    def ask(self, effect: Effect, now_ms: float) -> str:
        """The data of a button that means `effect` for the next minute."""
        code = self._code()
        self._open[effect] = (code, now_ms + VALID_MS)
        return f"{self._boot}:{effect.value}:{code}"

    def pressed(self, data: str, now_ms: float) -> Confirmed | NotConfirmed:
        boot, _, rest = data.partition(":")
        name, _, code = rest.partition(":")
        if boot != self._boot:
            return NotConfirmed("This button is from before the agent was restarted. Send the command again.")
        try:
            effect = Effect(name)
        except ValueError:
            return NotConfirmed("This button is not known.")
        asked = self._open.get(effect)
        if asked is None or asked[0] != code:
            return NotConfirmed("This button was used already or replaced by a newer one.")
        del self._open[effect]
        if now_ms > asked[1]:
            return NotConfirmed("Too late: a button counts for 60 seconds. Send the command again.")
        return Confirmed(effect)
