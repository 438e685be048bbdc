"""Bugs in leaving a position and in protecting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from agent.core import events as e
from agent.core import (
    guarding,
    leaving,
    ordering,
    risk,
    selling,
)
from agent.core.money import ZERO
from agent.core.order import Fact, Purpose
from agent.core.position import Position
from agent.core.turn import Turn
from agent.exchange.signed import binance
from agent.simulation.planted.mutant import Mutant, bug


@bug("an exit is sized from the order, not from what was filled")
def exit_sized_from_the_order(m: Mutant) -> None:
    def sized(turn: Turn, position: Position, instrument: Any, under: Any, *lost: Any) -> None:
        was(turn, replace(position, bought_qty=position.plan.qty), instrument, under, *lost)

    was = m.put(selling, "sell", sized)


@bug("an exit is sized without the fees")
def exit_sized_without_fees(m: Mutant) -> None:
    def sized(turn: Turn, position: Position, instrument: Any, under: Any, *lost: Any) -> None:
        was(turn, replace(position, base_fees=ZERO), instrument, under, *lost)

    was = m.put(selling, "sell", sized)


@bug("what rests is left when the position has ended")
def stop_left_after_the_exit(m: Mutant) -> None:
    m.put(leaving, "_let_go", lambda turn, position, orders: None)

    def sized(turn: Turn, position: Position, instrument: Any, under: Any, *lost: Any) -> None:
        was(turn, position, instrument, None, *lost)

    was = m.put(selling, "sell", sized)
    m.put(risk, "approve_sale", always_ours(m))


@bug("a second exit is sent while the first has not ended")
def exit_while_another_runs(m: Mutant) -> None:
    def left(turn: Turn, position: Position, entry_over: bool) -> None:
        instrument = turn.state.instrument
        orders = turn.state.orders_of(position.id)
        running = any(o.intent.purpose is Purpose.EXIT and not o.is_settled for o in orders)
        if instrument is not None and running and position.held_qty > instrument.min_qty:
            if turn.at_ms >= turn.state.exit_retry_ms.get(position.id, 0):
                selling.retry_later(turn, position.id)
                selling.sell(turn, position, instrument, None)
            return
        was(turn, position, entry_over)

    was = m.put(leaving, "_leave", left)
    m.put(risk, "approve_sale", always_ours(m))


@bug("a cancel is forgotten when the sale that was to take its place is refused")
def cancel_of_a_refused_half_forgotten(m: Mutant) -> None:
    forgotten: set[str] = set()

    async def replaced(self: Any, cancel: Any, approved: Any) -> Any:
        canceled, placed = await was(self, cancel, approved)
        if isinstance(placed, e.OrderRefused) and isinstance(canceled, e.OrderReported):
            forgotten.add(cancel.client_id)
            canceled = e.CancelFailed(cancel.client_id, None, "the other half was refused")
        return canceled, placed

    def told(turn: Turn, event: e.OrderReported) -> None:
        if event.report.client_id not in forgotten or event.report.fact is not Fact.WAS_CANCELED:
            reported(turn, event)

    was = m.put(binance.SignedBinance, "replace", replaced)
    reported = m.put(ordering, "on_report", told)


@bug("no stop is ever placed")
def no_stop(m: Mutant) -> None:
    m.put(guarding, "protect", lambda turn, position, instrument: None)


@bug("a stop that ended is not placed again")
def stop_not_placed_again(m: Mutant) -> None:
    def rest(turn: Turn, position: Position, *others: Any) -> None:
        if not any(o.intent.rests for o in turn.state.orders_of(position.id)):
            was(turn, position, *others)

    was = m.put(guarding, "_rest", rest)


@bug("a stop covers what was ordered, not what is held")
def stop_for_the_order(m: Mutant) -> None:
    def wanted(turn: Turn, position: Position, instrument: Any) -> None:
        was(turn, replace(position, base_fees=ZERO), instrument)

    was = m.put(guarding, "protect", wanted)


@bug("an exit that sold nothing is not tried again")
def exit_not_tried_again(m: Mutant) -> None:
    def left(turn: Turn, position: Position, entry_over: bool) -> None:
        if not any(o.intent.purpose is Purpose.EXIT for o in turn.state.orders_of(position.id)):
            was(turn, position, entry_over)

    was = m.put(leaving, "_leave", left)


def always_ours(m: Mutant) -> Callable[..., Any]:
    real = risk.approve_sale

    def approved(intent: Any, owned: Decimal, already_selling: Decimal) -> Any:
        return real(intent, max(owned, intent.qty), ZERO)

    return approved
