"""Bugs in what is written, and when it counts as written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.compose import ledger_journal
from agent.core.order import Order
from agent.shell import journal
from agent.simulation.planted.mutant import Mutant, bug
from agent.store import writer, writing


@bug("a change counts as stored as soon as it is queued")
def acknowledged_too_early(m: Mutant) -> None:
    def durable(self: Any, batch: Any, **told: Any) -> Any:
        self._writer.submit(batch).add_done_callback(lambda done: done.exception())

        async def done() -> None:
            return None

        return done()

    m.put(ledger_journal.LedgerJournal, "_durable", durable)


@bug("a commit that failed counts as done")
def failed_commit_is_done(m: Mutant) -> None:
    def fail(self: Any, error: Any) -> None:
        with self._changed:
            waiting = list(self._queue)
            self._queue.clear()
        for one in waiting:
            if not one.future.done():
                one.future.set_result(None)

    m.put(writer.Writer, "_fail", fail)


@bug("later fills of an order are not written")
def later_fills_not_written(m: Mutant) -> None:
    def write(connection: Any, scope: Any, columns: Any, order: Order, batch: Any, known: Any) -> Any:
        kept = known if known is None else replace(known, fills=len(order.fills))
        return was(connection, scope, columns, order, batch, kept)

    was = m.put(writing, "_write_order", write)


@bug("positions are written only when they open and close")
def positions_not_written(m: Mutant) -> None:
    def changed(before: Any, after: Any, commands: Any) -> Any:
        found = was(before, after, commands)
        kept = tuple(p for p in found.positions if p.id not in before.positions or p.closed_ms is not None)
        return replace(found, positions=kept)

    was = m.put(journal, "changes", changed)


@bug("cash and counters are not written with the fills that change them")
def account_not_written(m: Mutant) -> None:
    def changed(before: Any, after: Any, commands: Any) -> Any:
        found = was(before, after, commands)
        return replace(found, durable=None) if found.positions else found

    was = m.put(journal, "changes", changed)
