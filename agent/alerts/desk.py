"""Where an accepted command is carried out and answered, in the engine's own words.

Stays true: an answer waits in the outbox like everything else, so a dead Telegram never holds a command up.
What makes the agent safer acts first and is remembered afterwards: if the process dies between the two, it
acts twice, which does no harm. What makes it trade is remembered first: it is done once or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from agent.alerts import wording
from agent.alerts.confirmations import Confirmations, Confirmed, Effect, NotConfirmed
from agent.alerts.gate import Pressed, Said, Word
from agent.alerts.message import Button, Message
from agent.alerts.wording import Explained, TradeLine
from agent.core.commands import Answer
from agent.core.events import Operator, PauseRequested, ResumeRequested, StopRequested
from agent.core.ports import Clock

BY: Final = "Telegram"
#: Machine time: an engine or disk that does not answer is said not to have answered.
_PATIENCE_S: Final = 5.0
_MOST_TRADES: Final = 30


class Operated(Protocol):
    """The engine's loop, as much of it as a command needs."""

    async def ask(self, event: Operator) -> Answer: ...

    async def emergency(self, by: str) -> Answer: ...


class Records(Protocol):
    """The ledger, read beside the loop. Raises OSError, in words, when it cannot be read."""

    async def trades(self, limit: int) -> Sequence[TradeLine]: ...

    async def explained(self, now_ms: int) -> Explained: ...


class Desk:
    def __init__(
        self,
        operated: Operated,
        snapshot: Callable[[], Mapping[str, Any]],
        records: Records,
        confirmations: Confirmations,
        clock: Clock,
        put: Callable[[Message], None],
        acknowledge: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._operated = operated
        self._snapshot = snapshot
        self._records = records
        self._confirmations = confirmations
        self._clock = clock
        self._put = put
        self._acknowledge = acknowledge

    async def obey(self, heard: Said | Pressed, remember: Callable[[], Awaitable[bool]]) -> None:
        """Carry it out. `remember` makes durable that this update was acted on; false when it cannot."""
        if isinstance(heard, Pressed):
            await self._pressed(heard, remember)
            return
        match heard.word:
            case Word.EMERGENCY:
                self._say(await self._answered(self._operated.emergency(BY)))
            case Word.PAUSE:
                self._say(await self._answered(self._operated.ask(PauseRequested(BY))))
            case Word.STOP:
                await self._stop()
            case Word.RESUME:
                self._offer_resume()
            case _:
                self._say(await self._shown(heard))
        await remember()

    async def _stop(self) -> None:
        text = await self._answered(self._operated.ask(StopRequested(BY, flatten=False)))
        held = self._snapshot()["positions"]
        if not held:
            self._say(text)
            return
        label = f"Sell {len(held)} position{'' if len(held) == 1 else 's'} now, at market"
        button = Button(label, self._confirmations.ask(Effect.SELL_NOW, self._clock.machine_ms()))
        self._say(f"{text}\n{wording.positions(self._snapshot())}", button)

    def _offer_resume(self) -> None:
        seen = self._snapshot()
        button = Button("Allow entries", self._confirmations.ask(Effect.RESUME, self._clock.machine_ms()))
        self._say(f"Allow entries again? Now {wording.headline(seen)}.\n{wording.balance(seen)}", button)

    async def _pressed(self, pressed: Pressed, remember: Callable[[], Awaitable[bool]]) -> None:
        found = self._confirmations.pressed(pressed.data, self._clock.machine_ms())
        remembered = await remember()
        if isinstance(found, NotConfirmed):
            text = found.why
        elif not remembered and found.effect is Effect.RESUME:
            text = "Not done: the database cannot be written, and so the agent does not begin to trade."
        else:
            text = await self._answered(self._operated.ask(_event(found)))
        self._say(text)
        await self._acknowledge(pressed.press_id, text)

    async def _answered(self, asked: Awaitable[Answer]) -> str:
        """The engine's answer; the request goes on even when nobody waits for it any more."""
        task = asyncio.ensure_future(asked)
        done, _ = await asyncio.wait((task,), timeout=_PATIENCE_S)
        if not done:
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            return "The engine was told but has not confirmed it yet; look at /status."
        answer = task.result()
        return answer.text[:1].upper() + answer.text[1:] if answer.ok else f"Not done: {answer.text}"

    async def _shown(self, said: Said) -> str:
        seen = self._snapshot()
        try:
            match said.word:
                case Word.STATUS:
                    return wording.status(seen)
                case Word.POSITIONS:
                    return wording.positions(seen)
                case Word.BALANCE:
                    return wording.balance(seen)
                case Word.TRADES:
                    count = int(said.argument) if said.argument.isdecimal() and len(said.argument) < 4 else 5
                    rows = await self._records.trades(max(1, min(count, _MOST_TRADES)))
                    return wording.trades(rows, seen["currency"])
                case Word.WHY:
                    told = await self._records.explained(self._clock.now_ms())
                    return wording.why(told, seen["entries_blocked_by"])
                case _:
                    return wording.HELP
        except OSError as trouble:
            return f"The ledger cannot be read: {trouble}"

    def _say(self, text: str, *buttons: Button) -> None:
        self._put(Message(text, urgent=True, buttons=buttons, is_answer=True))


def _event(confirmed: Confirmed) -> Operator:
    if confirmed.effect is Effect.RESUME:
        return ResumeRequested(BY)
    return StopRequested(BY, flatten=True)
