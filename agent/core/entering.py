"""From a signal to an entry order: the plan, the wait for the book, the risk check, the intent.

A signal is decided once. Between the signal and the answer of the book nothing is stored and nothing
is sent, so a crash there costs the signal and nothing else. Entries are never retried.
"""

from __future__ import annotations

from decimal import Decimal

from agent.core.commands import AlertLevel, PlaceOrder, ReadBook
from agent.core.events import BookSeen, BookUnreadable
from agent.core.exits import first_exit_level, has_room, levels_for
from agent.core.gate import entries_blocked_by
from agent.core.instant import iso_utc
from agent.core.market import walk
from agent.core.money import Qty, plain
from agent.core.order import Order, OrderStatus
from agent.core.position import Plan, Position, PositionEvent, PositionState
from agent.core.records import DecisionRow, Outcome, VerdictRow
from agent.core.risk import Refused, Wish, assess_entry
from agent.core.signal import Features
from agent.core.state import PendingSignal
from agent.core.turn import Turn
from agent.core.value import replace


def keep_decision(
    turn: Turn,
    features: Features,
    closed_by: str,
    outcome: Outcome,
    reason: str,
    position_id: int | None = None,
) -> None:
    """Write the one row of this bar; from now on the bar is decided."""
    decided = turn.state.durable.decided_open_ms
    if decided is None or features.open_ms > decided:
        turn.change_durable(decided_open_ms=features.open_ms)
    row = DecisionRow(
        bar_open_ms=features.open_ms,
        decided_ms=turn.at_ms,
        close=features.close,
        ema_f=features.ema_f,
        ema_s=features.ema_s,
        atr=features.atr,
        vol_z=features.vol_z,
        tr_z=features.tr_z,
        cloc=features.cloc,
        downtrend=features.downtrend,
        exhaustion=features.exhaustion,
        borderline=features.borderline,
        outcome=outcome,
        reason=reason,
        closed_by=closed_by,
        position_id=position_id,
    )
    turn.keep(row)


def open_signal(turn: Turn, features: Features, closed_by: str) -> None:
    """Take up a signal: fix its levels and ask for the book, or wait for a position that is leaving."""
    state = turn.state
    instrument = state.instrument
    assert instrument is not None, "a signal is taken up only when nothing blocks entries"
    # Taken for good when the bar's decision is written: until then nothing is worth a commit of its own.
    position_id = max((state.durable.next_position_id, *(taken + 1 for taken in state.pending)))
    entry = float(state.prices.trusted.ask) if state.prices.trusted else features.close
    setup = state.setup
    basis = _basis(turn, features, state.prices.trusted.mid if state.prices.trusted else None)
    levels = levels_for(features, entry, setup.exits, basis)
    plan = Plan(
        signal_open_ms=features.open_ms,
        signal_close=features.close,
        bar_ms=setup.bar_ms,
        exits=setup.exits,
        levels=levels,
        expected_entry=instrument.price(entry, "nearest"),
        qty=Qty(instrument.step),
        entry_bar_exits=setup.entry_bar_exits,
        config_hash=setup.config_hash,
        mode=setup.mode,
        venue=setup.venue,
        basis=basis,
    )
    position = Position(position_id, PositionState.MONITORING, plan, levels).moved(PositionEvent.SIGNAL_SEEN)
    turn.put_position(position.moved(PositionEvent.RISK_ASKED))
    leaving = _room_taken(turn) > setup.limits.max_open_positions
    pending = PendingSignal(features, closed_by, turn.at_ms, 0 if leaving else turn.at_ms)
    turn.change(pending={**turn.state.pending, position_id: pending})
    if not leaving:
        turn.ask(ReadBook(position_id))


def _basis(turn: Turn, features: Features, mid: Decimal | None) -> float | None:
    """What the market traded on costs by the signal's market, where they are two; None where they are one."""
    if not turn.state.setup.scales_levels:
        return None
    return 1.0 if mid is None else float(mid) / features.close


def _room_taken(turn: Turn) -> int:
    return len(turn.state.open_positions()) + len(turn.state.in_flight())


def release_waiting(turn: Turn) -> None:
    """A position became flat: a signal that waited for it may now ask for the book."""
    for position_id, pending in turn.state.pending.items():
        if pending.asked_ms == 0 and _room_taken(turn) <= turn.state.setup.limits.max_open_positions:
            asked = replace(pending, asked_ms=turn.at_ms)
            turn.change(pending={**turn.state.pending, position_id: asked})
            turn.ask(ReadBook(position_id))
            return


def on_book(turn: Turn, event: BookSeen) -> None:
    """The book is here: room, then every limit, then the order."""
    pending = turn.state.pending.get(event.asked_by)
    if pending is None or turn.at_ms >= signal_deadline_ms(turn, pending):
        return
    position = turn.state.positions[event.asked_by]
    blocks = entries_blocked_by(turn.state)
    entry = event.book.asks[0].price if event.book.asks else position.plan.expected_entry
    basis = _basis(turn, pending.features, event.book.mid)
    levels = levels_for(pending.features, float(entry), position.plan.exits, basis)
    if not has_room(levels, position.plan.exits) and not turn.state.setup.enter_without_room:
        cost = position.plan.exits.cost_per_side
        break_even = float(entry) * (1 + cost) / (1 - cost)
        nearest = first_exit_level(levels)
        text = f"first exit {nearest:.8g} is not above entry {float(entry):.8g} plus costs ({break_even:.8g})"
        return refuse_signal(turn, event.asked_by, Outcome.NO_ROOM, text)
    wish = Wish(
        position_id=position.id,
        client_id=turn.new_client_id(),
        stop=levels.stop,
        book=event.book,
        at_ms=turn.at_ms,
        reason=f"seller exhaustion on the bar of {iso_utc(pending.features.open_ms)}",
    )
    verdict = assess_entry(turn.state, wish, blocks)
    if isinstance(verdict, Refused):
        turn.keep(VerdictRow(turn.at_ms, position.id, None, False, verdict.checks))
        refuse_signal(turn, event.asked_by, Outcome.BLOCKED if blocks else Outcome.REFUSED, verdict.reason)
        turn.alert(AlertLevel.WARNING, "risk", f"entry refused: {verdict.reason}")
        return
    intent = verdict.intent
    expected = walk(event.book.asks, intent.qty).average_price
    assert expected is not None, "an approved entry was walked through the book"
    instrument = turn.state.instrument
    assert instrument is not None
    plan = replace(
        position.plan,
        levels=levels,
        qty=intent.qty,
        expected_entry=instrument.price(expected, "nearest"),
        basis=basis,
    )
    if basis is not None:
        position = position.noted("not_comparable")
    _number_taken(turn, position.id)
    turn.put_position(replace(position, plan=plan, levels=levels).moved(PositionEvent.RISK_APPROVED))
    turn.put_order(Order(intent, OrderStatus.PENDING_NEW))
    turn.keep(VerdictRow(turn.at_ms, position.id, intent.client_id, True, verdict.checks))
    keep_decision(turn, pending.features, pending.closed_by, Outcome.ENTERED, intent.reason, position.id)
    turn.ask(PlaceOrder(verdict))
    turn.alert(
        AlertLevel.INFO,
        "signal",
        f"seller exhaustion: buying {plain(intent.qty)} {instrument.base}, order {intent.client_id}",
    )


def on_book_unreadable(turn: Turn, event: BookUnreadable) -> None:
    if event.asked_by in turn.state.pending:
        refuse_signal(
            turn, event.asked_by, Outcome.BLOCKED, f"the order book could not be read: {event.detail}"
        )


def refuse_signal(turn: Turn, position_id: int, outcome: Outcome, reason: str) -> None:
    """End a signal that never became an order, with its reason as the bar's decision."""
    pending = turn.state.pending[position_id]
    turn.state.positions[position_id].moved(PositionEvent.RISK_REFUSED)
    _number_taken(turn, position_id)
    turn.drop_position(position_id)
    keep_decision(turn, pending.features, pending.closed_by, outcome, reason)


def _number_taken(turn: Turn, position_id: int) -> None:
    """A signal is decided: it waits no longer, and its number is never given again."""
    turn.change(pending={k: v for k, v in turn.state.pending.items() if k != position_id})
    turn.change_durable(next_position_id=max(turn.state.durable.next_position_id, position_id + 1))


def refuse_all_signals(turn: Turn, reason: str) -> None:
    for position_id in tuple(turn.state.pending):
        refuse_signal(turn, position_id, Outcome.BLOCKED, reason)


def expire_signals(turn: Turn) -> None:
    """A book that does not come in time is a refusal: a late entry is not the backtest's entry."""
    for position_id, pending in tuple(turn.state.pending.items()):
        if turn.at_ms >= signal_deadline_ms(turn, pending):
            refuse_signal(turn, position_id, Outcome.LATE, "the risk check was not finished in time")


def signal_deadline_ms(turn: Turn, pending: PendingSignal) -> int:
    return pending.decided_ms + turn.state.setup.late_after_ms
