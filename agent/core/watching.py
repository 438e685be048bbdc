"""Watching the levels of open positions, at every believed price and at every closed bar.

A profit level at which a target rests on the exchange is left to that order for a moment; every other level
that is reached means leaving now.
"""

from __future__ import annotations

from agent.core.exits import ExitHit, ExitKind, check_bar, check_price
from agent.core.guarding import target_counts_from_ms, waits_with_target
from agent.core.leaving import begin_exit, want_exit
from agent.core.market import Candle
from agent.core.position import Position, PositionState
from agent.core.resting import rest_reached
from agent.core.turn import Turn
from agent.core.value import replace


def check_prices(turn: Turn) -> None:
    """Every believed price update: is a level reached at the price we could sell at (the best bid)?"""
    bid = turn.state.bid()
    if bid is None:
        return
    for position in turn.state.open_positions():
        if position.state is not PositionState.IN_POSITION or position.entry_bar_open_ms is None:
            continue
        stop_only = turn.at_ms < target_counts_from_ms(position)
        hit = check_price(position.levels, float(bid), position.plan.exits, stop_only=stop_only)
        if hit is None:
            continue
        if hit.kind is not ExitKind.STOP and waits_with_target(turn, position.id):
            # It is being sold there, at that price; selling it here as well would only race with that.
            rest_reached(turn, position.id)
            continue
        want_exit(turn, position.id, hit.reason, level=hit.price)


def check_closed_bar(turn: Turn, candle: Candle) -> None:
    """The bar-form check on every bar since entry: what was touched but not acted on, and the time limit."""
    for position in turn.state.open_positions():
        if position.entry_bar_open_ms is None:
            continue
        held = (candle.open_ms - position.entry_bar_open_ms) // position.plan.bar_ms
        if position.state is not PositionState.IN_POSITION or held <= position.bars_held:
            continue
        position = turn.put_position(replace(position, bars_held=held))
        basis = position.plan.basis
        bar = candle if basis is None else candle.scaled(basis)
        hit = check_bar(position.levels, bar, held, position.plan.exits)
        if hit is None:
            continue
        at_profit = hit.kind in (ExitKind.FIBONACCI, ExitKind.TAKE_PROFIT)
        if at_profit and waits_with_target(turn, position.id):
            turn.put_position(replace(position, seen_at_close=True).noted("seen_at_close"))
            rest_reached(turn, position.id)
            continue
        _leave_on_bar(turn, position, hit, candle)


def check_lent_bar(turn: Turn, candle: Candle, *, here: bool) -> None:
    """The same for a bar of another source, at the prices of where orders go (`here`) or of signals.

    It can make a position leave, and counts for nothing else: the own bar is examined all the same when it
    comes. A target that rests on the exchange is left to it, since it was touched elsewhere.
    """
    for position in turn.state.open_positions():
        if position.entry_bar_open_ms is None or position.state is not PositionState.IN_POSITION:
            continue
        held = (candle.open_ms - position.entry_bar_open_ms) // position.plan.bar_ms
        basis = None if here else position.plan.basis
        bar = candle if basis is None else candle.scaled(basis)
        if held <= position.bars_held:
            continue
        hit = check_bar(position.levels, bar, held, position.plan.exits)
        if hit is None:
            continue
        at_profit = hit.kind in (ExitKind.FIBONACCI, ExitKind.TAKE_PROFIT)
        if at_profit and waits_with_target(turn, position.id):
            continue
        lent = turn.put_position(replace(position, bars_held=held).noted("lent_bar"))
        _leave_on_bar(turn, lent, hit, candle)


def _leave_on_bar(turn: Turn, position: Position, hit: ExitHit, candle: Candle) -> None:
    """A level seen only at the close, an overdue time limit, or the time limit itself, in its time."""
    late = turn.at_ms > candle.open_ms + position.plan.bar_ms + turn.state.setup.late_after_ms
    in_time = hit.kind is ExitKind.TIME and position.bars_held == position.plan.exits.max_hold and not late
    leaving = replace(position, exit_reason=hit.reason, exit_level=hit.price, seen_at_close=not in_time)
    begin_exit(turn, leaving if in_time else leaving.noted("seen_at_close"))
