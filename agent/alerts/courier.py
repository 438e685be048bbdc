"""Carries what waits in one outbox to where it belongs, one post at a time, for ever.

Stays true: nobody ever waits for the courier. A post that hangs is given up after `PATIENCE_MS` and tried
again later; while it hangs, new messages wait in the bounded outbox and become a digest. What a server will
never take is given to whoever stands in (`relief`), and said in the log, once for each reason. Times are
machine time in milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from agent.alerts.message import Message, Post
from agent.alerts.outbox import Outbox
from agent.core.ports import Clock

LOG: Final = logging.getLogger("agent.alerts")
PATIENCE_MS: Final = 30_000.0
_PAUSES_MS: Final = (1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 60_000.0)
#: Between two tries with a token or password that is not accepted: a server may lock out who insists.
_REJECTED_PAUSE_MS: Final = 600_000.0


@dataclass(frozen=True, slots=True)
class Sent:
    pass


@dataclass(frozen=True, slots=True)
class Silenced:
    """The server wants nothing for a while: flood control."""

    for_ms: float


@dataclass(frozen=True, slots=True)
class NotSent:
    """`for_good`: the same will never be taken. `rejected`: nothing will, before a person does something."""

    why: str
    for_good: bool = False
    rejected: bool = False


Delivery = Sent | Silenced | NotSent


class Relief(Protocol):
    """Who stands in while a courier cannot deliver."""

    def failing(self, why: str, for_ms: float, rejected: bool) -> None:
        """Once more nothing was delivered, for `for_ms` now."""
        ...

    def refused(self, messages: tuple[Message, ...], why: str) -> None:
        """These the server will never take; the courier has let go of them."""
        ...

    def delivered(self) -> None: ...


class Courier:
    """`send` must not raise for what a network or server does."""

    def __init__(
        self, name: str, outbox: Outbox, send: Callable[[Post], Awaitable[Delivery]], clock: Clock
    ) -> None:
        self.name = name
        self._outbox = outbox
        self._send = send
        self._clock = clock
        self._filled = asyncio.Event()
        self._said: set[str] = set()
        self._failing = 0
        self._failing_since_ms = 0.0
        self.relief: Relief | None = None
        self._under_way: tuple[asyncio.Future[Delivery], tuple[Message, ...]] | None = None
        self.sent = 0

    @property
    def waiting(self) -> int:
        return len(self._outbox)

    @property
    def is_failing(self) -> bool:
        return self._failing > 0

    def put(self, message: Message) -> None:
        """From the loop's thread."""
        self._outbox.put(message)
        self._filled.set()

    async def run(self) -> None:
        while True:
            wait_ms = self._outbox.wait_ms(self._clock.machine_ms())
            if wait_ms is None:
                self._filled.clear()
                await self._filled.wait()
            elif wait_ms > 0:
                await self._clock.sleep_machine(wait_ms)
            else:
                await self._carry_one()

    async def drain(self) -> None:
        """The last words before the end: what is under way, then what waits, until something fails."""
        if self._under_way is not None:
            await self._finish()
        while (wait_ms := self._outbox.wait_ms(self._clock.machine_ms())) is not None and not self._failing:
            if wait_ms > 0:
                await self._clock.sleep_machine(wait_ms)
            else:
                await self._carry_one()

    def withdraw(self) -> tuple[Message, ...]:
        """Alerts that still wait here, to go another way; answers to commands stay."""
        return self._outbox.withdraw()

    def give_up(self) -> None:
        """Nothing is sent any more."""
        if self._under_way is not None:
            self._under_way[0].cancel()

    async def _carry_one(self) -> None:
        post, messages = self._outbox.take(self._clock.machine_ms())
        self._under_way = (asyncio.ensure_future(self._send(post)), messages)
        await self._finish()

    async def _finish(self) -> None:
        """Await what is under way. Canceled meanwhile, it goes on: sent twice is worse than sent late."""
        assert self._under_way is not None
        sending, messages = self._under_way
        patience = asyncio.ensure_future(self._clock.sleep_machine(PATIENCE_MS))
        try:
            await asyncio.wait((sending, patience), return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
        self._under_way = None
        if sending.done():
            self._conclude(sending.result(), messages)
        else:
            sending.cancel()
            self._conclude(NotSent(f"no answer within {PATIENCE_MS / 1_000:g} s"), messages)

    def _conclude(self, delivery: Delivery, messages: tuple[Message, ...]) -> None:
        match delivery:
            case Sent():
                if self._failing:
                    LOG.info("%s works again", self.name)
                self._failing, self.sent = 0, self.sent + 1
                if self.relief is not None:
                    self.relief.delivered()
            case Silenced(for_ms=for_ms):
                self._outbox.give_back(messages)
                self._outbox.be_silent(self._clock.machine_ms() + for_ms)
                LOG.warning("%s: too many messages, silent for %.0f s", self.name, for_ms / 1_000)
            case NotSent(why=why, for_good=True):
                self._complain(why)
                if self.relief is not None:
                    self.relief.refused(messages, why)
            case NotSent():
                self._outbox.give_back(messages)
                self._failed(delivery)

    def _failed(self, delivery: NotSent) -> None:
        now_ms = self._clock.machine_ms()
        if not self._failing:
            self._failing_since_ms = now_ms
            LOG.warning("%s does not work: %s; tried again until it does", self.name, delivery.why)
        pause_ms = _PAUSES_MS[min(self._failing, len(_PAUSES_MS) - 1)]
        self._failing += 1
        self._outbox.be_silent(now_ms + (_REJECTED_PAUSE_MS if delivery.rejected else pause_ms))
        if self.relief is not None:
            self.relief.failing(delivery.why, now_ms - self._failing_since_ms, delivery.rejected)

    def _complain(self, why: str) -> None:
        if why not in self._said and len(self._said) < 20:
            self._said.add(why)
            LOG.error("%s refuses a message: %s", self.name, why)
