"""An entry waits for the database server, and nothing else does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import Future
from typing import Any

import pytest

from agent.compose import ledger_journal
from agent.compose.ledger_journal import LedgerJournal
from agent.core.boot import boot
from agent.core.order import Fact, Order, Side
from agent.shell.journal import Changes
from agent.shell.runtime import JournalError
from agent.store.batch import Batch
from agent.store.trouble import StoreTrouble
from tests.playbook import make_setup
from tests.store_ground import T0, order


class Disk:
    """Writes at once."""

    def submit(self, batch: Batch) -> Future[None]:
        return _done()


def _done() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


def _away() -> Future[None]:
    future: Future[None] = Future()
    future.set_exception(StoreTrouble("the server cannot be reached"))
    return future


async def write(one: Order, arrived: Any) -> None:
    writer: Any = Disk()
    journal = LedgerJournal(writer, "1", arrived)
    state = boot(make_setup(), None, (), (), T0, None)
    await journal.write(Changes(T0, (), (one,), (), None), state)


async def test_an_entry_leaves_once_the_server_has_its_intent() -> None:
    await write(order(), _done)


async def test_an_entry_does_not_leave_while_the_server_is_away() -> None:
    with pytest.raises(JournalError, match="cannot be reached"):
        await write(order(), _away)


async def test_an_entry_does_not_wait_long_for_a_server_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger_journal, "ENTRY_PATIENCE_S", 0.01)
    silence: Future[None] = Future()
    with pytest.raises(JournalError, match="has not taken the intent"):
        await write(order(), lambda: silence)
    silence.set_exception(StoreTrouble("later"))


@pytest.mark.parametrize(
    "one", [order("sell1", side=Side.SELL), order().with_fact(Fact.WORKING)], ids=["exit", "a later word"]
)
async def test_what_protects_or_is_already_sent_waits_for_no_server(one: Order) -> None:
    await write(one, _away)
    await write(order(), None)


async def test_a_batch_that_is_written_is_let_go_of_at_once() -> None:
    """What only a collection of garbage frees is paid for with a pause of the engine, batch by batch."""
    batch: Future[None] = Future()
    seen = weakref.ref(batch)
    told = ledger_journal._told_on_loop(batch)
    gc.disable()
    try:
        batch.set_result(None)
        del batch
        await told
        await asyncio.sleep(0)
        assert seen() is None
    finally:
        gc.enable()
