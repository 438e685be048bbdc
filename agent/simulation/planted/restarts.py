"""Bugs in reconciling and in what a restart remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.core import (
    boot,
    reconcile,
)
from agent.core import events as e
from agent.core.order import Order, OrderStatus
from agent.core.turn import Turn
from agent.exchange.signed.catch_up import CatchUp
from agent.simulation.planted.mutant import Mutant, bug


@bug("own trades are not taken in when the account is read")
def reconciling_without_fills(m: Mutant) -> None:
    def seen(turn: Turn, event: e.AccountSeen) -> None:
        was(turn, replace(event, fills=()))

    was = m.put(reconcile, "on_account", seen)


@bug("orders that vanished from the exchange are not looked up")
def vanished_not_looked_up(m: Mutant) -> None:
    m.put(reconcile, "_look_up_vanished", lambda turn, event, asked_ms: None)


@bug("after a restart an order without an answer counts as never placed")
def unanswered_is_never_placed(m: Mutant) -> None:
    def reopened(order: Order, at_ms: int) -> Any:
        after = was(order, at_ms)
        if after.status is OrderStatus.UNKNOWN:
            return replace(after, status=OrderStatus.NOT_PLACED, next_lookup_ms=None, unknown_since_ms=None)
        return after

    was = m.put(boot, "_reopened", reopened)


@bug("positions on their way are forgotten over a restart")
def entering_forgotten(m: Mutant) -> None:
    def booted(setup: Any, durable: Any, positions: Any, orders: Any, at_ms: int, latched: Any) -> Any:
        kept = [p for p in positions if p.state.value != "ENTERING"]
        return was(setup, durable, kept, orders, at_ms, latched)

    was = m.put(boot, "boot", booted)


@bug("the halt is forgotten over a restart")
def halt_forgotten(m: Mutant) -> None:
    def booted(setup: Any, durable: Any, positions: Any, orders: Any, at_ms: int, latched: Any) -> Any:
        cleared = durable if durable is None or durable.halt is None else replace(durable, halt=None)
        return was(setup, cleared, positions, orders, at_ms, None)

    was = m.put(boot, "boot", booted)


@bug("the day's counters are reset by a restart")
def counters_reset(m: Mutant) -> None:
    def booted(setup: Any, durable: Any, *others: Any) -> Any:
        return was(setup, durable if durable is None else replace(durable, day=None), *others)

    was = m.put(boot, "boot", booted)


@bug("bars that were decided are decided again after a restart")
def bars_decided_again(m: Mutant) -> None:
    def booted(setup: Any, durable: Any, *others: Any) -> Any:
        if durable is not None and durable.decided_open_ms is not None:
            durable = replace(durable, decided_open_ms=durable.decided_open_ms - 2 * setup.bar_ms)
        return was(setup, durable, *others)

    was = m.put(boot, "boot", booted)


@bug("position numbers begin anew after a restart")
def numbers_begin_anew(m: Mutant) -> None:
    def booted(setup: Any, durable: Any, *others: Any) -> Any:
        return was(setup, durable if durable is None else replace(durable, next_position_id=1), *others)

    was = m.put(boot, "boot", booted)


@bug("after the stream was subscribed again nothing is read")
def no_catch_up(m: Mutant) -> None:
    def subscribed(self: Any) -> None:
        self._subscribed = True
        self._ailments.gone(e.Impairment.USER_STREAM)

    m.put(CatchUp, "subscribed", subscribed)
    m.put(reconcile, "account_due_ms", lambda state: 0 if state.account_seen_ms is None else 1 << 60)


@bug("readings of the account prove no absence of what look-ups do not tell of")
def look_ups_alone(m: Mutant) -> None:
    m.put(reconcile, "note_absent", lambda turn, event, agrees, overlap_ms: None)


@bug("the account is read once and never again")
def reconciled_once(m: Mutant) -> None:
    m.put(reconcile, "account_due_ms", lambda state: 0 if state.account_seen_ms is None else 1 << 60)
