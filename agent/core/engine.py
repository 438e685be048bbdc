"""step(state, event) -> (state, commands): the whole agent as one synchronous function.

No clock, no network, no database, no chance: time and randomness arrive with the event, everything
wanted from outside leaves as a command. Paper, testnet, live, replay and simulation run this same
function with other parts around it.
"""

from __future__ import annotations

from typing import Final, assert_never

from agent.core import events as e
from agent.core.booking import balance_row
from agent.core.commands import AlertLevel, Command
from agent.core.daily import roll_day
from agent.core.deciding import on_bar_closed, on_bar_differed
from agent.core.entering import expire_signals, on_book, on_book_unreadable
from agent.core.fees import on_fee_price
from agent.core.impairing import heal, impair
from agent.core.instant import iso_utc
from agent.core.leaving import drive
from agent.core.market import DAY_MS
from agent.core.operating import on_operator
from agent.core.ordering import (
    on_cancel_failed,
    on_fills,
    on_found_nothing,
    on_lookup_failed,
    on_placing_blocked,
    on_refused,
    on_report,
    on_unknown,
    order_deadlines,
    order_wake_ms,
)
from agent.core.phase import Phase, PhaseEvent
from agent.core.position import PositionEvent, PositionState, move
from agent.core.quoting import on_quote
from agent.core.reconcile import account_due_ms, ask_account, on_account, on_account_unreadable
from agent.core.records import EventRow
from agent.core.state import AgentState
from agent.core.turn import Turn
from agent.core.watching import check_lent_bar

BALANCE_ROW_EVERY_MS: Final = 60_000
#: Machine time of a request beyond which somebody is told.
SLOW_MS: Final = 1_000.0
#: Closed positions and settled orders stay known this long, for late fills.
REMEMBER_MS: Final = DAY_MS


def step(state: AgentState, stamped: e.Stamped) -> tuple[AgentState, tuple[Command, ...]]:
    """The next state, and what the agent wants done, in order."""
    # Venue time is re-sampled from the exchange and may seem to step back; the agent's never does.
    at_ms = max(stamped.at_ms, state.now_ms)
    turn = Turn(state.having({"now_ms": at_ms}), at_ms, stamped.entropy)
    roll_day(turn)
    _learn(turn, stamped.event)
    _deadlines(turn)
    _become_ready(turn)
    return turn.state, tuple(turn.commands)


def _on_exchange(turn: Turn, event: e.ExchangeReported) -> None:
    """A slow exchange is told once, until it was quick again."""
    before = turn.state.exchange
    turn.change(exchange=event)
    if _is_slow(event) and not (before is not None and _is_slow(before)):
        assert event.latency_ms is not None
        turn.alert(
            AlertLevel.WARNING, "latency", f"the exchange answers after {event.latency_ms / 1_000:.1f} s"
        )


def _is_slow(seen: e.ExchangeReported) -> bool:
    return seen.latency_ms is not None and seen.latency_ms > SLOW_MS


def _learn(turn: Turn, event: e.Event) -> None:
    # A kind is found by trying one after the other: the frequent ones come first.
    match event:
        case e.Woke():
            pass
        case e.QuoteSeen():
            on_quote(turn, event)
        case e.BarUpdated(candle=candle):
            turn.change(live_bar=candle, last_price=candle.close)
        case e.BarClosed():
            on_bar_closed(turn, event)
        case e.LookupFailed():
            on_lookup_failed(turn, event)
        case e.AccountSeen():
            on_account(turn, event)
        case e.ExchangeReported():
            _on_exchange(turn, event)
        case e.OrderReported():
            on_report(turn, event)
        case e.BarDiffered():
            on_bar_differed(turn, event)
        case e.BarLent(candle=candle, here=here):
            check_lent_bar(turn, candle, here=here)
        case e.BookSeen():
            on_book(turn, event)
        case e.BookUnreadable():
            on_book_unreadable(turn, event)
        case e.WarmupAdvanced(bars=bars, needed=needed):
            turn.change(warmup=(bars, needed))
        case e.WarmedUp():
            _on_warmed_up(turn, event)
        case e.Impaired():
            impair(turn, event.by, event.detail, permanent=event.permanent, expected=event.expected)
        case e.Healed(by=by):
            if heal(turn, by) and by is e.Impairment.EXCHANGE_UNREACHABLE:
                ask_account(turn)
        case e.FeedReported():
            _on_feed(turn, event)
        case e.Scrutinized(level=level, kind=kind, text=text):
            turn.alert(AlertLevel(level), kind, text)
        case e.InstrumentSeen(instrument=instrument):
            turn.change(instrument=instrument)
            for position in turn.state.open_positions():
                drive(turn, position.id)
        case e.OrderRefused():
            on_refused(turn, event)
        case e.OutcomeUnknown():
            on_unknown(turn, event)
        case e.PlacingBlocked():
            on_placing_blocked(turn, event)
        case e.CancelFailed():
            on_cancel_failed(turn, event)
        case e.LookupFoundNothing():
            on_found_nothing(turn, event)
        case e.FillsSeen():
            on_fills(turn, event)
        case e.AccountUnreadable():
            on_account_unreadable(turn, event)
        case e.FeePriceSeen():
            on_fee_price(turn, event)
        case (
            e.StartRequested()
            | e.PauseRequested()
            | e.ResumeRequested()
            | e.StopRequested()
            | e.EmergencyRequested()
            | e.ClearHaltRequested()
            | e.CloseRequested()
        ):
            on_operator(turn, event)
        case _:
            assert_never(event)


# --- readiness and health --------------------------------------------------------------------------


def _on_feed(turn: Turn, event: e.FeedReported) -> None:
    """Each change is written down: from it uptime is counted, in which a stale feed is down."""
    if (event.source, event.fresh) != (turn.state.source, turn.state.fresh):
        words = f"{'fresh' if event.fresh else 'stale'}, from {event.source.value}"
        turn.keep(EventRow(turn.at_ms, AlertLevel.INFO.value, "feed", words))
        turn.change(source=event.source, fresh=event.fresh)


def _on_warmed_up(turn: Turn, event: e.WarmedUp) -> None:
    decided, newest = turn.state.durable.decided_open_ms, turn.state.last_bar
    known_to_ms = event.last_open_ms if event.followed_to_ms is None else event.followed_to_ms
    if newest is not None and newest.open_ms > known_to_ms:
        ends, delivered = iso_utc(known_to_ms), iso_utc(newest.open_ms)
        text = f"history ends with the bar of {ends}, before that of {delivered} which was delivered"
        turn.alert(AlertLevel.ERROR, "warm-up", f"{text}: it is not used")
        return
    turn.change(window=event.window, warmup=(event.window.bars_seen, turn.state.warmup[1]))
    if turn.state.last_price is None:
        turn.change(last_price=event.last_close)
    if decided is None:
        # What closed before the agent first ran was never its to decide.
        turn.change_durable(decided_open_ms=event.last_open_ms)
    text = f"history loaded: {event.window.bars_seen} bars, seed weight {event.window.seed_weight:.1e}"
    turn.alert(AlertLevel.INFO, "warm-up", text)


def _become_ready(turn: Turn) -> None:
    state = turn.state
    watch = state.watch
    if (
        watch is PositionState.INITIALIZING
        and state.instrument is not None
        and state.reconciled_ms is not None
    ):
        watch = move(watch, PositionEvent.EXCHANGE_ANSWERED)
    if watch is PositionState.CONNECTED and state.window is not None:
        watch = move(watch, PositionEvent.WARMED_UP)
    if watch is not state.watch:
        turn.change(watch=watch)
    starting = turn.state.phase is Phase.STARTING
    if starting and watch is PositionState.MONITORING and state.prices.trusted is not None:
        turn.phase_event(PhaseEvent.READY)


# --- time ----------------------------------------------------------------------------------------


def _deadlines(turn: Turn) -> None:
    """Everything whose time has come. Cheap when nothing has."""
    expire_signals(turn)
    order_deadlines(turn)
    _drive_what_is_due(turn)
    if turn.state.instrument is not None and turn.at_ms >= account_due_ms(turn.state):
        ask_account(turn)
    if turn.at_ms >= turn.state.last_balance_row_ms + BALANCE_ROW_EVERY_MS:
        balance_row(turn)
        _forget(turn)


def _drive_what_is_due(turn: Turn) -> None:
    state = turn.state
    waiting = (state.exit_retry_ms, state.protect_retry_ms, state.pair_retry_ms, state.rest_due_ms)
    if not any(waiting):
        return
    due = {k for times in waiting for k, at in times.items() if turn.at_ms >= at}
    if not due:
        return
    turn.change(
        exit_retry_ms={k: v for k, v in state.exit_retry_ms.items() if turn.at_ms < v},
        protect_retry_ms={k: v for k, v in state.protect_retry_ms.items() if turn.at_ms < v},
        pair_retry_ms={k: v for k, v in state.pair_retry_ms.items() if turn.at_ms < v},
    )
    for position_id in sorted(due):
        drive(turn, position_id)
    overdue = {k: v for k, v in turn.state.rest_due_ms.items() if turn.at_ms < v}
    turn.change(rest_due_ms=overdue)


def _forget(turn: Turn) -> None:
    """Let go of positions that closed long ago, with their orders."""
    state = turn.state
    gone = {
        p.id
        for p in state.positions.values()
        if p.state in (PositionState.CLOSED, PositionState.MONITORING)
        and p.closed_ms is not None
        and turn.at_ms > p.closed_ms + REMEMBER_MS
        and all(o.is_settled for o in state.orders_of(p.id))
    }
    settled = {
        k
        for k, o in state.orders.items()
        if o.is_settled
        and (
            o.intent.position_id in gone
            or _ended_without_position(turn, o.intent.position_id, o.intent.created_ms)
        )
    }
    if gone or settled:
        turn.change(
            verified_ms={k: v for k, v in state.verified_ms.items() if k not in settled},
            positions={k: v for k, v in state.positions.items() if k not in gone},
            orders={k: v for k, v in state.orders.items() if k not in settled},
        )


def _ended_without_position(turn: Turn, position_id: int, created_ms: int) -> bool:
    return position_id not in turn.state.positions and turn.at_ms > created_ms + REMEMBER_MS


def wake_at_ms(state: AgentState) -> int:
    """When the core wants to be woken if nothing happens before, venue time."""
    now_ms = state.now_ms
    due_ms = min((now_ms // DAY_MS + 1) * DAY_MS, state.last_balance_row_ms + BALANCE_ROW_EVERY_MS)
    if state.instrument is not None:
        due_ms = min(due_ms, account_due_ms(state))
    moving = state.moving_orders()
    if moving:
        timeout = state.setup.limits.order_timeout_ms
        for order in moving:
            order_ms = order_wake_ms(order, timeout)
            if order_ms is not None and order_ms < due_ms:
                due_ms = order_ms
    if state.pending:
        late_ms = state.setup.late_after_ms
        due_ms = min(due_ms, *[p.decided_ms + late_ms for p in state.pending.values()])
    for times in (state.exit_retry_ms, state.protect_retry_ms, state.pair_retry_ms, state.rest_due_ms):
        if times:
            due_ms = min(due_ms, *times.values())
    return max(due_ms, now_ms + 1)
