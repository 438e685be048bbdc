"""Who may command, and what they said. PURE: facts of one update in, a command or the reason against it out.

The law: only the configured chat **and** user; nothing forwarded, edited, posted in a channel, sent through
another bot or on behalf of a chat; nothing that was seen before; nothing older than 60 seconds, except what
makes the agent safer (/pause, /stop, /emergency), which counts for 10 minutes. The order of the questions is
part of the law: a stranger learns nothing, not even that a command was too old.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FRESH_S: Final = 60.0
FRESH_WHEN_SAFER_S: Final = 600.0


class Word(StrEnum):
    STATUS = "status"
    POSITIONS = "positions"
    BALANCE = "balance"
    TRADES = "trades"
    WHY = "why"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    EMERGENCY = "emergency"
    HELP = "help"


SAFER: Final = frozenset({Word.PAUSE, Word.STOP, Word.EMERGENCY})


class Why(StrEnum):
    """Why an update is not acted on."""

    SEEN = "seen before"
    NOT_A_MESSAGE = "neither a message nor a button"
    STRANGER = "not the configured chat and user"
    IMPERSONAL = "sent by a bot, a channel or a chat"
    FORWARDED = "forwarded"
    EDITED = "edited"
    OLD = "too old"
    FROM_THE_FUTURE = "dated after now: the clocks disagree"
    NO_COMMAND = "no command of this agent"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who is listened to. Without `user_id` nobody is."""

    chat_id: int
    user_id: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What one update says of itself. `sent_s`: Unix time; `pressed`: the data of a button."""

    update_id: int
    is_message: bool
    chat_id: int | None
    user_id: int | None
    text: str | None = None
    pressed: str | None = None
    press_id: str | None = None
    sent_s: float | None = None
    is_edited: bool = False
    is_forwarded: bool = False
    is_impersonal: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A command of the owner's. `argument` is the rest of the line."""

    word: Word
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button under a message of ours. Whether it still counts, `confirmations` knows."""

    data: str
    press_id: str


@dataclass(frozen=True, slots=True)
class Ignored:
    why: Why


Heard = Said | Pressed | Ignored


def judge(facts: Facts, owner: Owner, bot_name: str, last_update_id: int, now_s: float) -> Heard:
    """`now_s`: this machine's Unix time. `bot_name` without @."""
    if facts.update_id <= last_update_id:
        return Ignored(Why.SEEN)
    if owner.user_id is None or facts.chat_id != owner.chat_id or facts.user_id != owner.user_id:
        return Ignored(Why.STRANGER)
    if facts.is_impersonal:
        return Ignored(Why.IMPERSONAL)
    if facts.is_edited:
        return Ignored(Why.EDITED)
    if facts.is_forwarded:
        return Ignored(Why.FORWARDED)
    if facts.pressed is not None and facts.press_id is not None:
        return Pressed(facts.pressed, facts.press_id)
    if not facts.is_message or facts.sent_s is None:
        return Ignored(Why.NOT_A_MESSAGE)
    said = read_command(facts.text or "", bot_name)
    if said is None:
        return Ignored(Why.NO_COMMAND)
    limit_s = FRESH_WHEN_SAFER_S if said.word in SAFER else FRESH_S
    age_s = now_s - facts.sent_s
    if age_s > limit_s:
        return Ignored(Why.OLD)
    if age_s < -limit_s:
        return Ignored(Why.FROM_THE_FUTURE)
    return said


def read_command(text: str, bot_name: str) -> Said | None:
    """`/trades 5`, `/Pause@our_bot`; None for anything else, also for another bot's command."""
    first, _, rest = text.strip().partition(" ")
    if not first.startswith("/"):
        return None
    name, _, addressed = first[1:].partition("@")
    if addressed and addressed.lower() != bot_name.lower():
        return None
    try:
        return Said(Word(name.lower()), rest.strip())
    except ValueError:
        return None
