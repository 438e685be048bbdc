"""Bugs between the decision to trade and the answer to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.compose import latch_file
from agent.core import (
    absence,
    boot,
    engine,
    gate,
    ordering,
)
from agent.core import events as e
from agent.core.order import Fact
from agent.core.state import AgentState
from agent.core.turn import Turn
from agent.exchange.signed import binance, classify
from agent.shell import runtime
from agent.simulation.planted.mutant import Mutant, bug


@bug("orders leave while their row is still being written")
def row_after_the_order(m: Mutant) -> None:
    def after(self: Any, durable: Any, orders: Any) -> None:
        for command in orders:
            self._dispatcher.send(command)
        was(self, durable, [])

    was = m.put(runtime.Runtime, "_after_commit", after)


@bug("an order without an answer is sent again with the same id")
def blind_resend(m: Mutant) -> None:
    async def place(self: Any, approved: Any) -> Any:
        placed = await was(self, approved)
        return await was(self, approved) if isinstance(placed, e.OutcomeUnknown) else placed

    was = m.put(binance.SignedBinance, "place", place)


@bug("no answer counts as a refusal")
def silence_is_refusal(m: Mutant) -> None:
    def placed(self: Any, intent: Any, outcome: Any) -> Any:
        found = was(self, intent, outcome)
        return (
            e.OrderRefused(found.client_id, 0, found.detail) if isinstance(found, e.OutcomeUnknown) else found
        )

    was = m.put(binance.SignedBinance, "_placed", placed)


@bug("an error of the server counts as a refusal")
def server_error_is_refusal(m: Mutant) -> None:
    def judged(status: int, body: str, *, places: bool) -> Any:
        return classify.Refused(status, "server error") if status >= 500 else was(status, body, places=places)

    was = m.put(classify, "classify", judged)


@bug("an answer that cannot be read counts as a refusal")
def garbage_is_refusal(m: Mutant) -> None:
    def accepted(status: int, body: str, answer: object, code: int | None) -> Any:
        found = was(status, body, answer, code)
        return classify.Refused(-1000, "unreadable") if isinstance(found, classify.Unknown) else found

    was = m.put(classify, "_accepted", accepted)


@bug("-1007 and its like count as refusals")
def unknown_codes_are_refusals(m: Mutant) -> None:
    m.put(classify, "PROVES_NOTHING", frozenset())
    m.put(classify, "_judge", lambda code, message, places: classify.Refused(code, message))

    def judged(status: int, body: str, *, places: bool) -> Any:
        found = was(status, body, places=places)
        answer = classify._json(body)
        code, message = classify._error_of(answer)
        return classify.Refused(code, message) if code is not None and code > -1100 else found

    was = m.put(classify, "classify", judged)


@bug("one not-found is final")
def one_not_found_is_final(m: Mutant) -> None:
    m.put(ordering, "DEFINITE_NOT_FOUNDS", 1)
    m.put(ordering, "PROVEN_ABSENT_AFTER_MS", 0)


@bug("three quick not-founds are final")
def three_quick_not_founds(m: Mutant) -> None:
    m.put(ordering, "PROVEN_ABSENT_AFTER_MS", 0)


@bug("readings of the account prove the absence of a resting order however soon they are made")
def hasty_readings(m: Mutant) -> None:
    m.put(absence, "NOT_EVEN_STALE_MS", 0)
    m.put(absence, "DEFINITE_NOT_FOUNDS", 1)
    m.put(absence, "PROOF_MS", 0)


@bug("a look-up that failed counts as not found")
def failed_look_up_is_not_found(m: Mutant) -> None:
    def failed(turn: Turn, event: e.LookupFailed) -> None:
        ordering.on_found_nothing(turn, e.LookupFoundNothing(event.client_id))

    m.put(ordering, "on_lookup_failed", failed)


@bug("every order of a position gets the same client id")
def client_id_used_twice(m: Mutant) -> None:
    def same(self: Turn) -> str:
        return f"{self.state.setup.tag}same{self.state.durable.next_position_id:06d}"

    m.put(Turn, "new_client_id", same)


@bug("entries may leave although another order's outcome is unknown")
def unknown_does_not_block(m: Mutant) -> None:
    m.put(AgentState, "unknown_orders", lambda self: ())


@bug("entries may leave before the account was reconciled")
def entry_before_reconciling(m: Mutant) -> None:
    def blocked(state: Any) -> tuple[str, ...]:
        known = state if state.reconciled_ms is not None else state.but(reconciled_ms=state.now_ms)
        return tuple(why for why in was(known) if not why.startswith(("user stream", "balance unreadable")))

    was = m.put(gate, "entries_blocked_by", blocked)

    def ready(turn: Turn) -> None:
        if turn.state.reconciled_ms is None and turn.state.instrument is not None:
            state = turn.state
            turn.change(reconciled_ms=turn.at_ms)
            become(turn)
            turn.change(reconciled_ms=state.reconciled_ms)
        else:
            become(turn)

    become = m.put(engine, "_become_ready", ready)


@bug("a cancel that was refused counts as done")
def refused_cancel_is_done(m: Mutant) -> None:
    def failed(turn: Turn, event: e.CancelFailed) -> None:
        order = turn.state.orders.get(event.client_id)
        if order is not None and not order.is_settled:
            after = turn.put_order(order.with_fact(Fact.WAS_CANCELED, "canceled"))
            ordering._after_change(turn, order, after)

    m.put(ordering, "on_cancel_failed", failed)


@bug("a cancel that the exchange refused because the order is gone counts as a cancel")
def gone_is_canceled(m: Mutant) -> None:
    def canceled(self: Any, intent: Any, outcome: Any) -> Any:
        found = was(self, intent, outcome)
        if isinstance(found, e.CancelFailed) and found.code is not None:
            ended = binance._ended_long_ago(intent, self._clock.now_ms())
            return e.OrderReported(replace(ended, fact=Fact.WAS_CANCELED))
        return found

    was = m.put(binance.SignedBinance, "_canceled", canceled)


@bug("the halt latch is not looked at before an entry leaves, and not after a restart")
def latch_not_read(m: Mutant) -> None:
    m.put(latch_file.LatchFile, "is_set", lambda self: False)
    m.put(boot, "latched_halt", lambda reason, at_ms: None)


@bug("an order refused after it was given up is asked about for ever")
def refused_late_asked_for_ever(m: Mutant) -> None:
    def refused(turn: Turn, event: e.OrderRefused) -> None:
        before = turn.state.orders.get(event.client_id)
        was(turn, event)
        after = turn.state.orders.get(event.client_id)
        if before is not None and after is not None and before.next_lookup_ms is not None:
            turn.put_order(replace(after, next_lookup_ms=before.next_lookup_ms))

    was = m.put(ordering, "on_refused", refused)
