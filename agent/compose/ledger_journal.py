"""The runtime's steps written by the ledger's writer, and what a restart gets back of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final

from agent.core.boot import boot
from agent.core.commands import AlertLevel
from agent.core.order import Order, OrderStatus, Purpose
from agent.core.position import Position
from agent.core.records import DecisionRow, EventRow, Row
from agent.core.snapshot import snapshot
from agent.core.state import AgentState, Durable, Halt, Setup
from agent.shell.journal import Changes
from agent.shell.runtime import JournalError
from agent.store.batch import AcceptedConfig, Batch, Stored
from agent.store.codec import Json, decode, encode
from agent.store.trouble import StoreTrouble
from agent.store.writer import LedgerBroken, Writer

DURABLE_KEY = "agent"
STATUS_KEY = "status"
#: The stored status is refreshed at least this often, so that `status` without an engine is not old news.
STATUS_EVERY_MS = 60_000
#: How long an entry waits for the server that its intent is kept on too.
ENTRY_PATIENCE_S: Final = 0.8


class LedgerJournal:
    """`Journal` of the runtime over the ledger's writer.

    Where the ledger is kept on a server too, `arrived` says when all of it is there. An entry waits for that;
    nothing else does, because leaving a position must not depend on a network.
    """

    def __init__(
        self, writer: Writer, version: str, arrived: Callable[[], Future[None]] | None = None
    ) -> None:
        self._writer = writer
        self._arrived = arrived
        self._version = version
        self._status_at_ms = 0
        self._phase: str | None = None

    def write(self, changes: Changes, state: AgentState) -> Awaitable[None]:
        documents: dict[str, Json] = {}
        if changes.durable is not None:
            documents[DURABLE_KEY] = encode(changes.durable)
        if changes.positions or state.phase.value != self._phase or self._status_is_old(changes.at_ms):
            self._phase, self._status_at_ms = state.phase.value, changes.at_ms
            documents[STATUS_KEY] = self.stored_status(state)
        batch = Batch(
            at_ms=changes.at_ms,
            rows=changes.rows,
            orders=changes.orders,
            positions=changes.positions,
            documents=documents,
            fee_values={(o.intent.client_id, t): v for o in changes.orders for t, v in o.fee_values.items()},
        )
        return self._durable(batch, also_there=any(_is_new_entry(order) for order in changes.orders))

    def note_start(self, state: AgentState) -> None:
        """Begin a life of the engine in the events: what was before it was another one's, or nobody's."""
        setup = state.setup
        text = f"started: version {self._version}, config {setup.config_hash[:12]}, {setup.mode}"
        # A disk that refuses this must not keep the engine from managing what is open.
        self._writer.submit(Batch(state.now_ms, rows=(_engine_event(state.now_ms, text),)))

    def write_last_status(self, state: AgentState) -> Awaitable[None]:
        """What `status` shows when no engine runs, and the end of this life in the events."""
        documents = {STATUS_KEY: self.stored_status(state)}
        stopped = _engine_event(state.now_ms, "stopped")
        return self._durable(Batch(state.now_ms, rows=(stopped,), documents=documents))

    def add(self, row: Row) -> Awaitable[None]:
        """One row more, of something that no step of the core told."""
        return self._durable(Batch(row_moment(row), rows=(row,)))

    def accept_config(self, config_hash: str, text: str, at_ms: int) -> Awaitable[None]:
        return self._durable(Batch(at_ms, config=AcceptedConfig(config_hash, text, at_ms)))

    def stored_status(self, state: AgentState) -> Json:
        return {**snapshot(state, self._version), "running": False}

    def _status_is_old(self, at_ms: int) -> bool:
        return at_ms >= self._status_at_ms + STATUS_EVERY_MS

    def _durable(self, batch: Batch, *, also_there: bool = False) -> Awaitable[None]:
        # Submitted now, in the order of the steps; only the waiting happens later.
        written = _told_on_loop(self._writer.submit(batch))
        return written if self._arrived is None or not also_there else self._there_too(written, self._arrived)

    async def _there_too(self, written: Awaitable[None], arrived: Callable[[], Future[None]]) -> None:
        await written
        try:
            there = asyncio.wrap_future(arrived())
            there.add_done_callback(_seen)
            await asyncio.wait_for(asyncio.shield(there), ENTRY_PATIENCE_S)
        except TimeoutError:
            raise JournalError(
                f"the database server has not taken the intent within {ENTRY_PATIENCE_S} s"
            ) from None
        except (StoreTrouble, LedgerBroken) as error:
            raise JournalError(str(error)) from None


def _told_on_loop(written: Future[None]) -> asyncio.Future[None]:
    """What becomes of a batch, for who waits on the loop: done, or a JournalError."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[None] = loop.create_future()

    def settle(written: Future[None]) -> None:
        if told.cancelled():
            return
        error = written.exception()
        if error is None:
            told.set_result(None)
        elif isinstance(error, StoreTrouble | LedgerBroken):
            told.set_exception(JournalError(str(error)))
        else:
            told.set_exception(error)

    # Neither holds `written` itself, which keeps its callbacks: it would be a circle for every batch.
    def tell(written: Future[None]) -> None:
        # The writer's thread may outlive the loop.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, written)

    written.add_done_callback(tell)
    return told


def _seen(done: asyncio.Future[None]) -> None:
    """Nobody may wait for it any more when it fails."""
    if not done.cancelled():
        done.exception()


def _is_new_entry(order: Order) -> bool:
    return order.intent.purpose is Purpose.ENTRY and order.status is OrderStatus.PENDING_NEW


def _engine_event(at_ms: int, text: str) -> EventRow:
    return EventRow(at_ms, AlertLevel.INFO.value, "engine", text)


def row_moment(row: Row) -> int:
    return row.decided_ms if isinstance(row, DecisionRow) else row.at_ms


def state_from(setup: Setup, stored: Stored, at_ms: int, latched: Halt | None) -> AgentState:
    """The first state of a run from what the ledger holds."""
    body = stored.documents.get(DURABLE_KEY)
    durable = None if body is None else decode(Durable, body)
    positions: tuple[Position, ...] = stored.positions
    return boot(setup, durable, positions, stored.orders, at_ms, latched)
