"""The UTC day: where it started, and the loss that ends trading.

The day's starting equity is marked at the first trusted price at or after 00:00 of venue time, from
candles if the agent was down then. When the loss since then reaches the limit, everything is closed and the
latch falls; the liquidation waits for a trusted price and never gives up.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from agent.core.account import DayBook, day_of
from agent.core.commands import AlertLevel, SetLatch
from agent.core.entering import refuse_all_signals
from agent.core.leaving import leave_without_waiting, want_exit_all
from agent.core.market import DAY_MS, Candle
from agent.core.money import ZERO, percent_of
from agent.core.order import Fill, Side
from agent.core.phase import PhaseEvent
from agent.core.state import Halt, HaltReason
from agent.core.turn import Turn
from agent.core.value import replace
from agent.core.worth import balance, day_pnl, equity

#: A mark this long after the price it should have been made of is as good.
MARKED_IN_TIME_MS: Final = 60_000


def roll_day(turn: Turn) -> None:
    """Begin a new day when venue time has reached it, and mark its starting equity once that is known."""
    today = day_of(turn.at_ms)
    day = turn.state.durable.day
    if day is None or today > day.day:
        day = DayBook(today)
        turn.change_durable(day=day)
    if day.start_equity is not None:
        return
    quote = turn.state.prices.trusted
    if turn.state.open_positions() and (quote is None or quote.at_ms < day.day * DAY_MS):
        return
    start = equity(turn.state)
    if start is not None:
        turn.change_durable(day=replace(day, start_equity=start, marked_ms=turn.at_ms))


def mark_from_bar(turn: Turn, candle: Candle) -> None:
    """The day's start as it would have been marked had the agent been there: by the day's first bar.

    A position held through midnight while the agent was down would otherwise begin its day at the price of
    the restart. What was traded since then is taken back out of today's balance.
    """
    day, own = turn.state.durable.day, balance(turn.state)
    if day is None or own is None or day_of(candle.open_ms) != day.day:
        return
    if day.marked_ms is not None and day.marked_ms <= candle.open_ms + MARKED_IN_TIME_MS:
        return
    held, received = ZERO, ZERO
    for position in turn.state.positions.values():
        if position.closed_ms is None or position.closed_ms >= candle.open_ms:
            fills = [f for o in turn.state.orders_of(position.id) for f in o.fills]
            then = sum((_base_change(turn, f) for f in fills if f.at_ms < candle.open_ms), ZERO)
            held += then if position.plan.basis is None else then * Decimal(repr(position.plan.basis))
            received += sum((_cash_change(turn, f) for f in fills if f.at_ms >= candle.open_ms), ZERO)
    opened_at = Decimal(repr(candle.open))
    start = own - day.flows - received + held * opened_at
    turn.change_durable(day=replace(day, start_equity=start, marked_ms=candle.open_ms))


def _base_change(turn: Turn, fill: Fill) -> Decimal:
    fee = fill.fee if fill.fee_currency == turn.state.setup.base else ZERO
    return (fill.qty if fill.side is Side.BUY else -fill.qty) - fee


def _cash_change(turn: Turn, fill: Fill) -> Decimal:
    fee = fill.fee if fill.fee_currency == turn.state.setup.quote else ZERO
    value = fill.qty * fill.price
    return (value if fill.side is Side.SELL else -value) - fee


def check_daily_loss(turn: Turn) -> None:
    """Close everything and halt when today's loss has reached the limit."""
    day, pnl = turn.state.durable.day, day_pnl(turn.state)
    if day is None or day.start_equity is None or pnl is None or day.loss_limit_hit:
        return
    limit = percent_of(day.start_equity, turn.state.setup.limits.max_daily_loss_percent)
    if pnl > -limit or (turn.state.open_positions() and not turn.state.prices.connection_ok):
        return
    quote = turn.state.setup.quote
    turn.change_durable(day=replace(day, loss_limit_hit=True))
    text = f"daily loss {pnl:+.2f} {quote} reached the limit of -{limit:.2f} {quote}: closing everything"
    halt(turn, HaltReason.DAILY_LOSS, "risk", text)


def halt(turn: Turn, reason: HaltReason, by: str, text: str) -> None:
    """Let the latch fall: no entry any more, leave everything, say so. Falls once; an emergency overrides."""
    known = turn.state.durable.halt
    if known is None or (known.reason is not reason and reason is HaltReason.EMERGENCY):
        turn.change_durable(halt=Halt(reason, turn.at_ms, by))
        turn.ask(SetLatch(reason.value, turn.at_ms))
    turn.phase_event(PhaseEvent.HALT)
    turn.alert(AlertLevel.CRITICAL, reason.value, text)
    refuse_all_signals(turn, "halted")
    want_exit_all(turn, reason.name)
    if reason is HaltReason.EMERGENCY:
        leave_without_waiting(turn)
