"""Listens to Telegram for ever: asks for updates, lets the gate judge them, hands commands to the desk.

Stays true: the last update acted on is kept across restarts, so that nothing is obeyed twice; within one
answer of the server emergencies come first; a stranger is never answered, the owner hears of strangers once
an hour at most. Two programs on one token cannot both hear every command: then this one only sends, says so,
and looks every ten minutes whether the other is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from agent.alerts.desk import Desk
from agent.alerts.gate import Facts, Ignored, Owner, Pressed, Said, Why, Word, judge
from agent.alerts.message import Message
from agent.alerts.telegram_link import InConflict, Unreachable, Updates
from agent.core.commands import AlertLevel
from agent.core.ports import Clock

LOG: Final = logging.getLogger("agent.alerts")
#: Machine time.
_PAUSES_MS: Final = (1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 60_000.0)
_CONFLICT_LOOK_MS: Final = 600_000.0
_CONFLICT_PAUSE_MS: Final = 5_000.0
#: The previous run's question may still be open when a new one begins.
_CONFLICTS_BELIEVED: Final = 3
_REJECTED_PAUSE_MS: Final = 600_000.0
_STRANGERS_EVERY_MS: Final = 3_600_000.0
#: After a week without updates Telegram numbers them anew, perhaps lower.
_FORGET_AFTER_MS: Final = 6 * 86_400_000


class Hearing(StrEnum):
    """Whether commands are heard."""

    NOT_YET = "not connected yet"
    YES = "commands and alerts"
    UNREACHABLE = "cannot be reached"
    CONFLICT = "alerts only: another program reads this bot's commands"
    WEBHOOK = "alerts only: a webhook takes this bot's commands"
    REJECTED = "off: the token is not accepted"


@dataclass(frozen=True, slots=True)
class Seen:
    """The last update acted on, and when (Unix time in milliseconds)."""

    update_id: int
    at_ms: int


class Line(Protocol):
    async def name(self) -> str | Unreachable: ...

    async def updates(self, after: int) -> Updates | InConflict | Unreachable: ...


class LineWatch(Protocol):
    """Who has to know whether commands are heard."""

    def deaf(self, why: str, for_ms: float, rejected: bool) -> None:
        """Once more the line did not answer, for `for_ms` now; `rejected`: the token is not accepted."""
        ...

    def hears(self) -> None: ...

    def put_by_mail(self, message: Message) -> None: ...


class Listener:
    """`keep` makes a `Seen` durable, false when it cannot. `now_s` is this machine's Unix time."""

    def __init__(
        self,
        line: Line,
        desk: Desk,
        owner: Owner,
        seen: Seen,
        keep: Callable[[Seen], Awaitable[bool]],
        put: Callable[[Message], None],
        clock: Clock,
        now_s: Callable[[], float],
    ) -> None:
        self._line = line
        self._desk = desk
        self._owner = owner
        self._seen = seen
        self._keep = keep
        self._put = put
        self._clock = clock
        self._now_s = now_s
        self._failures = 0
        self._conflicts = 0
        self._strangers = 0
        self._strangers_told_ms: float | None = None
        self.hearing = Hearing.NOT_YET
        self._unreachable_since_ms: float | None = None
        self.watch: LineWatch | None = None

    async def run(self) -> None:
        name = await self._name()
        while True:
            got = await self._line.updates(self._after())
            match got:
                case Updates(facts=facts):
                    self._well()
                    await self._take(facts, name)
                case InConflict(webhook=webhook):
                    await self._in_conflict(webhook)
                case Unreachable():
                    await self._unreachable(got)

    async def _name(self) -> str:
        while isinstance(name := await self._line.name(), Unreachable):
            await self._unreachable(name)
        return name

    # --- what came ---------------------------------------------------------------------------------

    async def _take(self, facts: tuple[Facts, ...], name: str) -> None:
        last, now_s = self._seen.update_id if self._after() else 0, self._now_s()
        heard: list[tuple[Facts, Said | Pressed]] = []
        for one in facts:
            verdict = judge(one, self._owner, name, last, now_s)
            if isinstance(verdict, Ignored):
                self._ignore(one, verdict.why)
            else:
                heard.append((one, verdict))
            last = max(last, one.update_id)
        # One answer of the server is at most a hundred updates; an emergency does not wait for the others.
        heard.sort(key=lambda pair: not _is_emergency(pair[1]))
        for one, command in heard:
            LOG.info("Telegram: %s", command.word if isinstance(command, Said) else "a button")
            await self._desk.obey(command, self._remember(one, command))
        if facts:
            self._seen = Seen(max(one.update_id for one in facts), int(now_s * 1_000))
            await self._keep(self._seen)

    def _remember(self, facts: Facts, command: Said | Pressed) -> Callable[[], Awaitable[bool]]:
        """An emergency that overtook others does not mark them as done; obeyed twice it does no harm."""

        async def remember() -> bool:
            if _is_emergency(command):
                return True
            return await self._keep(Seen(facts.update_id, int(self._now_s() * 1_000)))

        return remember

    def _after(self) -> int:
        if self._now_s() * 1_000 - self._seen.at_ms > _FORGET_AFTER_MS:
            return 0
        return self._seen.update_id

    def _ignore(self, facts: Facts, why: Why) -> None:
        if why is not Why.STRANGER:
            LOG.info("Telegram: an update is ignored: %s", why.value)
            return
        self._strangers += 1
        now_ms = self._clock.machine_ms()
        told_ms = self._strangers_told_ms
        if told_ms is not None and now_ms - told_ms < _STRANGERS_EVERY_MS:
            return
        who = f"chat {facts.chat_id}, user {facts.user_id}"
        text = f"{self._strangers} message(s) to this bot by somebody else were ignored (last: {who})"
        self._strangers, self._strangers_told_ms = 0, now_ms
        self._tell(text)

    # --- what went wrong ---------------------------------------------------------------------------

    def _well(self) -> None:
        before, self.hearing = self.hearing, Hearing.YES
        self._failures = self._conflicts = 0
        self._unreachable_since_ms = None
        if self.watch is not None:
            self.watch.hears()
        if before in (Hearing.CONFLICT, Hearing.WEBHOOK):
            self._tell("commands are heard again", by_mail=True)
        elif before in (Hearing.UNREACHABLE, Hearing.REJECTED):
            LOG.info("Telegram: commands are heard again")

    async def _in_conflict(self, webhook: bool) -> None:
        self._conflicts += 1
        if not webhook and self._conflicts < _CONFLICTS_BELIEVED:
            await self._clock.sleep_machine(_CONFLICT_PAUSE_MS)
            return
        found = Hearing.WEBHOOK if webhook else Hearing.CONFLICT
        if self.hearing is not found:
            self.hearing = found
            fix = "remove the webhook (deleteWebhook)" if webhook else "give each agent a bot of its own"
            text = f"{found.value}. Commands, also /emergency, do not reach this agent: {fix}"
            # Whoever else has the token may be a thief: that is told by both ways.
            self._tell(text, by_mail=True)
        await self._clock.sleep_machine(_CONFLICT_LOOK_MS)

    async def _unreachable(self, found: Unreachable) -> None:
        state = Hearing.REJECTED if found.rejected else Hearing.UNREACHABLE
        if self.hearing is not state:
            self.hearing = state
            LOG.warning("Telegram: commands are not heard: %s", found.why)
        now_ms = self._clock.machine_ms()
        if self._unreachable_since_ms is None:
            self._unreachable_since_ms = now_ms
        if self.watch is not None:
            self.watch.deaf(found.why, now_ms - self._unreachable_since_ms, found.rejected)
        pause_ms = _PAUSES_MS[min(self._failures, len(_PAUSES_MS) - 1)]
        self._failures += 1
        if found.rejected:
            pause_ms = _REJECTED_PAUSE_MS
        await self._clock.sleep_machine(max(pause_ms, found.wait_s * 1_000))

    def _tell(self, text: str, *, by_mail: bool = False) -> None:
        LOG.warning("Telegram: %s", text)
        message = Message(f"Telegram: {text}", self._clock.now_ms(), AlertLevel.WARNING)
        self._put(message)
        if by_mail and self.watch is not None:
            self.watch.put_by_mail(message)


def _is_emergency(command: Said | Pressed) -> bool:
    return isinstance(command, Said) and command.word is Word.EMERGENCY
