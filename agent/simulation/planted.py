"""Bugs planted on purpose: does the simulation find them?

Belongs here: mutations of the order path, the ledger, reconciliation, stops, latch and counters, each one
in memory with a sentence, and the search for the first seed that finds it. Stays true: nothing on disk is
changed; when a bug is lifted, everything is as it was.

    python -m agent.simulation.planted [NAME ...] [--seeds 200]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from types import ModuleType
from typing import Any, Final

from agent.compose import latch_file, ledger_journal, silences
from agent.core import (
    boot,
    deciding,
    engine,
    entering,
    gate,
    guarding,
    leaving,
    ordering,
    reconcile,
    risk,
    selling,
)
from agent.core import events as e
from agent.core.account import Account
from agent.core.money import ZERO
from agent.core.order import TERMINAL, Fact, Order, OrderStatus, Purpose, next_status
from agent.core.position import Position
from agent.core.records import Outcome
from agent.core.turn import Turn
from agent.exchange.signed import binance, classify
from agent.exchange.signed.catch_up import CatchUp
from agent.exchange.weight_gate import WeightGate
from agent.shell import journal, runtime
from agent.simulation.world import World
from agent.store import writer, writing

SEEDS: Final = 200
#: What breaks a part when a planted bug was not kept up with the code: that proves nothing.
MISFITS: Final = (
    "TypeError",
    "AttributeError",
    "NameError",
    "positional argument",
    "unexpected keyword",
    "has no attribute",
)


class Mutant:
    """What a planted bug does to modules and classes, and how it is undone."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, other: Any) -> Any:
        """Put `other` where `owner` has `name`, and wherever a module took it by name. Returns what was."""
        was = owner.__dict__[name]
        self._set(owner, name, other)
        if isinstance(owner, ModuleType) and callable(was):
            for module in [m for n, m in sys.modules.items() if n.startswith("agent.")]:
                for key, value in list(vars(module).items()):
                    if value is was:
                        self._set(module, key, other)
        return was.__func__ if isinstance(was, staticmethod) else was

    def _set(self, owner: Any, name: str, other: Any) -> None:
        self._undo.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, other)

    def lift(self) -> None:
        for owner, name, was in reversed(self._undo):
            setattr(owner, name, was)
        self._undo.clear()


@dataclass(frozen=True, slots=True)
class Bug:
    name: str
    what: str
    plant: Callable[[Mutant], None]


BUGS: dict[str, Bug] = {}


def bug(what: str) -> Callable[[Callable[[Mutant], None]], Callable[[Mutant], None]]:
    def named(plant: Callable[[Mutant], None]) -> Callable[[Mutant], None]:
        name = plant.__name__
        BUGS[name] = Bug(name, what, plant)
        return plant

    return named


@contextmanager
def planted(name: str) -> Iterator[Bug]:
    mutant = Mutant()
    try:
        BUGS[name].plant(mutant)
        yield BUGS[name]
    finally:
        mutant.lift()


def seeds_to_find(name: str, most: int = SEEDS, first: int = 0) -> tuple[int, str] | None:
    """How many seeds it takes until a planted bug is found, and by which law; None when none finds it."""
    with planted(name):
        for tried in range(most):
            found = World(first + tried).run().violation
            if found is not None:
                misfit = next((word for word in MISFITS if word in str(found)), None)
                assert misfit is None, f"{name} does not fit the code any more: {found}"
                return tried + 1, str(found)
    return None


# --- the order path ----------------------------------------------------------------------------------


@bug("orders leave while their row is still being written")
def row_after_the_order(m: Mutant) -> None:
    async def after(self: Any, durable: Any, orders: Any) -> None:
        for command in orders:
            self._dispatcher.send(command)
        await was(self, durable, [])

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
    m.put(type_of_state(), "unknown_orders", lambda self: ())


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


# --- fills and money ---------------------------------------------------------------------------------


@bug("fills are not de-duplicated")
def fill_counted_twice(m: Mutant) -> None:
    def with_fill(self: Order, fill: Any) -> Any:
        fills = (*self.fills, fill)
        filled = sum((f.qty for f in fills), ZERO)
        fact = Fact.FULLY_FILLED if filled >= self.intent.qty else Fact.PART_FILLED
        status = next_status(self.status, fact)
        return replace(self, fills=fills, status=status, reported_qty=max(self.reported_qty, filled))

    m.put(Order, "with_fill", with_fill)


@bug("a fee taken in the base coin is ignored")
def base_fee_ignored(m: Mutant) -> None:
    def with_fill(self: Position, fill: Any, *, base: str, fee_in_quote: Any) -> Any:
        return was(self, fill, base="none", fee_in_quote=fee_in_quote)

    was = m.put(Position, "with_fill", with_fill)


@bug("fees taken in quote currency are not taken from the cash")
def quote_fee_ignored(m: Mutant) -> None:
    def after(self: Account, fill: Any, quote: str) -> Any:
        return was(self, replace(fill, fee=ZERO), quote)

    was = m.put(Account, "after_fill", after)


@bug("fees in a third currency are taken from the cash")
def third_fee_from_cash(m: Mutant) -> None:
    def after(self: Account, fill: Any, quote: str) -> Any:
        third = fill.fee_currency not in (quote, "ADA")
        return was(self, replace(fill, fee_currency=quote) if third else fill, quote)

    was = m.put(Account, "after_fill", after)


@bug("what an expired order filled is forgotten")
def expired_fills_forgotten(m: Mutant) -> None:
    def report(turn: Turn, event: Any) -> None:
        told = event.report
        if told.fact is Fact.HAS_EXPIRED:
            event = e.OrderReported(replace(told, fills=(), executed_qty=ZERO))
        was(turn, event)

    was = m.put(ordering, "on_report", report)


@bug("an order counts as settled although fills of it are missing")
def missing_fills_not_read(m: Mutant) -> None:
    m.put(Order, "is_settled", property(lambda self: self.status in TERMINAL))


@bug("fills of orders thought dead are ignored")
def late_fill_ignored(m: Mutant) -> None:
    def book(turn: Turn, order: Order, fill: Any) -> Any:
        dead = order.status in (
            OrderStatus.NOT_PLACED,
            OrderStatus.REJECTED,
            OrderStatus.CANCELED,
            OrderStatus.EXPIRED,
        )
        return order if dead else was(turn, order, fill)

    was = m.put(ordering, "_book", book)


@bug("the price of an order counts, not the prices of its fills")
def price_of_the_order(m: Mutant) -> None:
    def book(turn: Turn, order: Order, fill: Any) -> Any:
        price = order.intent.price or fill.price
        return was(turn, order, replace(fill, price=price))

    was = m.put(ordering, "_book", book)


@bug("deposits and withdrawals are never booked")
def flows_ignored(m: Mutant) -> None:
    m.put(reconcile, "_book_flow", lambda turn, amount: None)


@bug("a difference is booked as a flow at first sight")
def difference_booked_at_once(m: Mutant) -> None:
    def settle(turn: Turn, difference: Any, event: Any) -> None:
        is_hole = difference.denied or difference.orphans or difference.missing_base
        if not is_hole and difference.cash != 0:
            reconcile._book_flow(turn, difference.cash)
            turn.change(reconciled_ms=turn.at_ms, doubted_cash=None)
            return
        was(turn, difference, event)

    was = m.put(reconcile, "_settle_difference", settle)

    def seen(turn: Turn, event: e.AccountSeen) -> None:
        on_account(turn, replace(event, fills=()))

    on_account = m.put(reconcile, "on_account", seen)


# --- exits and stops ---------------------------------------------------------------------------------


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
    m.put(risk, "approve_sale", _always_ours(m))


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
    m.put(risk, "approve_sale", _always_ours(m))


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


# --- reconciliation and restart ----------------------------------------------------------------------


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


@bug("the account is read once and never again")
def reconciled_once(m: Mutant) -> None:
    m.put(reconcile, "account_due_ms", lambda state: 0 if state.account_seen_ms is None else 1 << 60)


# --- the store ---------------------------------------------------------------------------------------


@bug("a change counts as stored as soon as it is queued")
def acknowledged_too_early(m: Mutant) -> None:
    def durable(self: Any, batch: Any) -> Any:
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


# --- limits ------------------------------------------------------------------------------------------


@bug("the most open positions are not counted")
def positions_not_counted(m: Mutant) -> None:
    def sizes(state: Any, *others: Any) -> Any:
        return tuple(c for c in was(state, *others) if c.name != "open positions")

    def judged(turn: Turn, features: Any) -> Any:
        outcome, reason = judge(turn, features)
        return (Outcome.ENTERED, "") if outcome is Outcome.IN_POSITION else (outcome, reason)

    was = m.put(risk, "_size_checks", sizes)
    judge = m.put(deciding, "_judge", judged)
    m.put(entering, "_room_taken", lambda turn: 0)


@bug("a position may be three times as large as allowed")
def cap_ignored(m: Mutant) -> None:
    def size(*asked: Any) -> Any:
        sizes = was(*asked)
        return replace(sizes, by_risk=sizes.by_cap * 3, by_cap=sizes.by_cap * 3)

    was = m.put(risk, "position_size", size)
    m.put(risk, "_size_checks", lambda state, *others: ())


@bug("the wish for silence after a 429 or 418 is ignored")
def ban_ignored(m: Mutant) -> None:
    m.put(WeightGate, "_block", lambda self, until_ms: None)


@bug("a ban is forgotten over a restart")
def ban_forgotten(m: Mutant) -> None:
    m.put(silences.Silences, "keep", lambda self, venue, until_ms: None)


@bug("a signal on stale data is entered")
def late_signal_entered(m: Mutant) -> None:
    m.put(entering, "signal_deadline_ms", lambda turn, pending: pending.decided_ms + 10**12)


def _always_ours(m: Mutant) -> Callable[..., Any]:
    real = risk.approve_sale

    def approved(intent: Any, owned: Decimal, already_selling: Decimal) -> Any:
        return real(intent, max(owned, intent.qty), ZERO)

    return approved


def type_of_state() -> Any:
    from agent.core.state import AgentState

    return AgentState


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agent.simulation.planted", description="Find planted bugs."
    )
    parser.add_argument("names", nargs="*", help="the bugs to look for (all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds to try for each (200)")
    parser.add_argument("--list", action="store_true", help="only tell what there is")
    asked = parser.parse_args(arguments)
    names = asked.names or list(BUGS)
    if strangers := [name for name in names if name not in BUGS]:
        parser.error(f"there is no planted bug {strangers[0]!r}; there are {', '.join(BUGS)}")
    if asked.list:
        for name in names:
            print(f"{name}: {BUGS[name].what}")
        return 0
    missed = 0
    for name in names:
        began_s = time.process_time()
        found = seeds_to_find(name, asked.seeds)
        passed_s = time.process_time() - began_s
        missed += found is None
        told = f"not found in {asked.seeds} seeds" if found is None else f"seed {found[0]}: {found[1][:150]}"
        print(f"{name} ({BUGS[name].what}): {told} ({passed_s:.0f} s)", flush=True)
    print(f"{len(names) - missed} of {len(names)} planted bugs found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
