"""The loop around the core: queue, step, commit, dispatch, publish.

One task steps; nothing else touches the state. Order commands wait for the transaction of the step that
asked for them; everything else leaves at once. When the store cannot write, or has not written within a
second, an entry is not sent, but a sale is: protecting what is held does not wait for a disk. Nothing that
goes wrong around a step keeps its orders from leaving, and after every step the rest of the program gets its
turn.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from agent.core.commands import (
    Alert,
    AlertLevel,
    Answer,
    ClearLatch,
    Command,
    OrderCommand,
    PlaceOrder,
    SetLatch,
)
from agent.core.engine import step, wake_at_ms
from agent.core.events import EmergencyRequested, Event, Healed, Impaired, Impairment, Operator, Stamped, Woke
from agent.core.order import Intent, Purpose
from agent.core.ports import Clock
from agent.core.snapshot import state_line
from agent.core.state import AgentState
from agent.shell.dispatch import Dispatcher
from agent.shell.inbox import Entry, Inbox
from agent.shell.journal import Changes, changes, stores_the_same

LOG: Final = logging.getLogger("agent")
LEVELS: Final = {
    AlertLevel.INFO: logging.INFO,
    AlertLevel.WARNING: logging.WARNING,
    AlertLevel.ERROR: logging.ERROR,
    AlertLevel.CRITICAL: logging.CRITICAL,
}
#: Machine time a commit may take before the disk counts as failing; less while it does already.
COMMIT_PATIENCE_MS: Final = 1_000.0
FAILING_PATIENCE_MS: Final = 100.0
ENDED: Final = Answer(False, "the engine has stopped")
BROKEN: Final = Answer(False, "the request failed inside the agent; its log says why")
NOT_UNDERSTOOD: Final = Answer(False, "the request was not understood")


class JournalError(Exception):
    """A step could not be made durable; the message says why. It is kept and tried again by the store."""


class Journal(Protocol):
    """Where steps become durable, in order."""

    def write(self, changes: Changes, state: AgentState) -> Awaitable[None]:
        """Durable when awaited. Raises JournalError when it cannot be written now."""
        ...


class LatchPort(Protocol):
    def set(self, reason: str, at_ms: int) -> None: ...

    def clear(self) -> None: ...

    def is_set(self) -> bool: ...


Observer = Callable[[AgentState, tuple[Command, ...]], None]


class Runtime:
    """Steps events from the inbox until stopped. Build it, connect a dispatcher, then `run`."""

    def __init__(
        self, state: AgentState, clock: Clock, journal: Journal, latch: LatchPort, entropy: random.Random
    ) -> None:
        self.state = state
        self.inbox = Inbox()
        self._clock = clock
        self._journal = journal
        self._latch = latch
        self._entropy = entropy
        self._observers: list[Observer] = []
        self._dispatcher: Dispatcher | None = None
        self._seq = 0
        self._wake_ms = 0
        self._woken_ms = 0
        self._wake_changed = asyncio.Event()
        self._asleep_until_ms = 0
        self._sleeper: asyncio.Task[None] | None = None
        self._store_failing = False
        self._ended = False
        self._writes: list[_Write] = []
        self._waiting_for_disk: asyncio.Task[None] | None = None
        self._disk_looked_at_ms = 0.0

    # --- connecting ------------------------------------------------------------------------------

    def connect(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def observe(self, observer: Observer) -> None:
        """Call `observer` after every step with the new state and the step's commands. It must not block."""
        self._observers.append(observer)

    def intent_of(self, client_id: str) -> Intent:
        return self.state.orders[client_id].intent

    # --- from outside ------------------------------------------------------------------------------

    def sink(self, event: Event) -> None:
        self.inbox.put(event)

    async def ask(self, event: Operator) -> Answer:
        """Step an operator's request and return the core's answer."""
        if self._ended:
            return ENDED
        return await self.inbox.put_asked(event)

    async def emergency(self, by: str) -> Answer:
        """Latch first, on this very call; then let the core do its part before anything else."""
        try:
            self._latch.set("emergency", self._clock.now_ms())
        finally:
            # A latch that cannot be written is no reason to keep what is held.
            answered = None if self._ended else self.inbox.put_first(EmergencyRequested(by))
        return ENDED if answered is None else await answered

    # --- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Step until canceled. A step that fails ends the loop with its error; run again, it goes on."""
        self._ended = False
        loop = asyncio.get_running_loop()
        parts = (loop.create_task(self._step_all()), loop.create_task(self._wake()))
        try:
            ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in ended:
                part.result()
        except asyncio.CancelledError:
            self._ended = True
            self.inbox.answer_all(ENDED)
            raise
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def settle_writes(self, within_s: float | None = None) -> None:
        """Wait until every step so far is durable or has failed, or `within_s` is over."""
        if self._writes:
            await asyncio.wait([write.durable for write in self._writes], timeout=within_s)

    async def _step_all(self) -> None:
        while True:
            self._answer(await self.inbox.next())
            if self.inbox.is_waiting:
                # Without this a full inbox would keep commits, requests and operators waiting.
                await asyncio.sleep(0)

    def _answer(self, entry: Entry) -> None:
        answer = BROKEN
        try:
            answer = self._step(entry.event) or NOT_UNDERSTOOD
        finally:
            if entry.answered is not None and not entry.answered.done():
                entry.answered.set_result(answer)

    def _step(self, event: Event) -> Answer | None:
        before = self.state
        self._seq += 1
        stamped = Stamped(self._seq, self._clock.now_ms(), self._entropy.getrandbits(64), event)
        after, commands = step(before, stamped)
        self.state = after
        wake = wake_at_ms(after)
        if wake != self._wake_ms:
            self._wake_ms = wake
            self._wake_changed.set()
            if self._sleeper is not None and wake < self._asleep_until_ms:
                # Who sleeps for too short a time only looks at the time again.
                self._sleeper.cancel()
        try:
            self._apply_latch(commands)
        finally:
            self._commit_and_send(before, after, commands)
        self._tell(before, after, commands)
        for command in commands:
            if isinstance(command, Answer):
                return command
        return None

    def _apply_latch(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if isinstance(command, SetLatch):
                self._latch.set(command.reason, command.at_ms)
            elif isinstance(command, ClearLatch):
                self._latch.clear()

    def _commit_and_send(self, before: AgentState, after: AgentState, commands: tuple[Command, ...]) -> None:
        assert self._dispatcher is not None, "connect a dispatcher before running"
        if not commands and stores_the_same(before, after):
            return
        written = changes(before, after, commands)
        orders: list[OrderCommand] = []
        for command in commands:
            if isinstance(command, OrderCommand):
                orders.append(command)
            else:
                self._dispatcher.send(command)
        if written.is_empty and not orders:
            return
        try:
            durable = self._journal.write(written, after)
        except Exception as error:
            self._not_durable(orders, repr(error))
            raise
        self._after_commit(durable, orders)

    def _after_commit(self, durable: Awaitable[None], orders: list[OrderCommand]) -> None:
        """Let `orders` leave once `durable` is."""
        patience_ms = FAILING_PATIENCE_MS if self._store_failing else COMMIT_PATIENCE_MS
        write = _Write(asyncio.ensure_future(durable), orders, self._clock.machine_ms() + patience_ms)
        self._writes.append(write)
        write.durable.add_done_callback(lambda _: self._committed(write))
        if self._waiting_for_disk is None or write.patience_ends_ms < self._disk_looked_at_ms:
            self._wait_for_disk(patience_ms)

    def _committed(self, write: _Write) -> None:
        self._writes.remove(write)
        if write.durable.cancelled():
            return
        error = write.durable.exception()
        if error is not None:
            known = isinstance(error, JournalError)
            self._not_durable(write.take_orders(), str(error) if known else repr(error))
            if not known:
                # Our own mistake, which the loop hears of; what is held is protected all the same.
                context = {"message": "a commit failed", "exception": error, "future": write.durable}
                write.durable.get_loop().call_exception_handler(context)
            return
        if self._store_failing:
            self._store_failing = False
            self.sink(Healed(Impairment.STORE_FAILING))
        assert self._dispatcher is not None
        for command in write.take_orders():
            self._dispatcher.send(command)

    def _wait_for_disk(self, for_ms: float) -> None:
        """Look again after `for_ms` whether something is still unwritten then."""
        if self._waiting_for_disk is not None:
            self._waiting_for_disk.cancel()
        self._disk_looked_at_ms = self._clock.machine_ms() + for_ms
        self._waiting_for_disk = asyncio.get_running_loop().create_task(self._look_at_disk(for_ms))

    async def _look_at_disk(self, for_ms: float) -> None:
        await self._clock.sleep_machine(for_ms)
        self._waiting_for_disk = None
        now_ms = self._clock.machine_ms()
        waiting = [write for write in self._writes if not write.durable.done()]
        for write in waiting:
            if write.patience_ends_ms <= now_ms and not write.is_late:
                # The rows are still on their way, in order; only leaving cannot wait for them.
                write.is_late = True
                self._not_durable(write.take_orders(), "the disk does not answer")
        later_ms = [write.patience_ends_ms for write in waiting if not write.is_late]
        if later_ms:
            self._wait_for_disk(max(1.0, min(later_ms) - now_ms))

    def _not_durable(self, orders: list[OrderCommand], why: str) -> None:
        if not self._store_failing:
            self._store_failing = True
            self.sink(Impaired(Impairment.STORE_FAILING, why))
        for command in orders:
            self._send_without_row(command, why)

    def _send_without_row(self, command: OrderCommand, why: str) -> None:
        """An entry without a durable intent is never sent; leaving must not wait for a disk."""
        assert self._dispatcher is not None
        if isinstance(command, PlaceOrder) and command.approved.intent.purpose is Purpose.ENTRY:
            self._dispatcher.block(command, f"the intent could not be stored: {why}")
        else:
            self._dispatcher.send(command)

    def _tell(self, before: AgentState, after: AgentState, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if isinstance(command, Alert):
                LOG.log(LEVELS[command.level], "%s: %s", command.kind, command.text)
        if after.phase is not before.phase:
            LOG.info("%s", state_line(after))
        for observer in self._observers:
            try:
                observer(after, commands)
            except Exception as error:  # noqa: BLE001 - not swallowed: the loop's exception handler has it
                context = {"message": "an observer of the engine failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    async def _wake(self) -> None:
        """Put a Woke event when the core wanted to be woken; once per deadline."""
        loop = asyncio.get_running_loop()
        # Whatever was put before the loop broke may have broken it: it is put again.
        self._woken_ms = 0
        while True:
            sleeper = self._sleeper = loop.create_task(self._wake_in_time())
            try:
                await asyncio.wait((sleeper,))
            finally:
                self._sleeper = None
                sleeper.cancel()
            if not sleeper.cancelled():
                sleeper.result()

    async def _wake_in_time(self) -> None:
        """Sleep from one deadline to the next. Whoever has an earlier one cancels this; it begins anew."""
        while True:
            self._wake_changed.clear()
            target = self._wake_ms
            if target == self._woken_ms:
                await self._wake_changed.wait()
            elif self._clock.now_ms() < target:
                self._asleep_until_ms = target
                await self._clock.sleep_until(target)
                self._asleep_until_ms = 0
            elif target:
                self._woken_ms = target
                self.sink(Woke())


@dataclass(slots=True)
class _Write:
    """A step on its way to the disk, and the orders that wait for it."""

    durable: asyncio.Future[None]
    orders: list[OrderCommand]
    patience_ends_ms: float
    is_late: bool = False

    def take_orders(self) -> list[OrderCommand]:
        """Whoever takes them decides about them; nobody else will."""
        orders, self.orders = self.orders, []
        return orders
