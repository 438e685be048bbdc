"""The bar form's bookkeeping: which bars are looked at, which signals count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.exits import ExitParams
from agent.core.fibonacci import ladder_between
from agent.core.market import Candle
from agent.core.series import CandleSeries
from agent.core.signal import Features
from agent.replay.bar_form import ReplayTrade, bar_form_trades

EXITS = ExitParams(True, True, False, False, 96, 5, 1.0, 0.5, 2.0, 96, 5.0, 5.0, "target")
TIMED = replace(EXITS, use_fib_exits=False, use_stop_loss=False, use_time_exit=True, max_hold=1)
QUIET = (100.0, 101.0, 99.5, 100.0)
MINUTE = 60_000


def history(*rows: tuple[float, float, float, float]) -> CandleSeries:
    return CandleSeries.of([Candle(i * MINUTE, *row, 1.0) for i, row in enumerate(rows)])


def signal(i: int, *, high: float | None = 110.0) -> Features:
    """A signal on bar `i` with low 99 and average range 2: stop 98, target at `high`."""
    return Features(
        open_ms=i * MINUTE,
        low=99.0,
        close=100.0,
        ema_f=1.0,
        ema_s=2.0,
        atr=2.0,
        vol_z=3.0,
        tr_z=3.0,
        cloc=0.9,
        downtrend=True,
        exhaustion=True,
        borderline=False,
        swing_high=high,
        ladder=ladder_between(99.0, high),
    )


def trades(candles: CandleSeries, exits: ExitParams, *signals: Features) -> list[ReplayTrade]:
    return list(bar_form_trades(candles, {f.open_ms // MINUTE: f for f in signals}, exits))


def test_entry_at_the_next_open_and_its_bar_is_not_examined() -> None:
    wild = (100.0, 200.0, 1.0, 100.0)
    assert trades(history(QUIET, wild, QUIET, QUIET), EXITS, signal(0)) == []
    found = trades(history(QUIET, wild, wild), EXITS, signal(0))
    assert [(t.entry_ms, t.exit_ms, t.reason, t.bars_held) for t in found] == [(0, 2 * MINUTE, "STOP", 1)]


def test_costs_are_taken_on_both_sides_and_r_divides_by_risk() -> None:
    (found,) = trades(history(QUIET, QUIET, (100.0, 111.0, 99.0, 110.0)), EXITS, signal(0))
    assert (found.entry, found.exit) == (100.0, 110.0)
    assert found.pnl == pytest.approx(10 - 210 * 0.001)
    assert pytest.approx(found.pnl / 2.0) == found.R


def test_max_hold_of_one_leaves_at_the_close_of_the_second_bar() -> None:
    (found,) = trades(history(QUIET, QUIET, (100.0, 101.0, 99.5, 100.5), QUIET), TIMED, signal(0))
    assert (found.exit_ms, found.exit, found.reason, found.bars_held) == (2 * MINUTE, 100.5, "TIME", 1)


def test_a_signal_on_the_entry_bar_or_while_held_is_ignored_on_the_exit_bar_taken() -> None:
    candles = history(*[QUIET] * 12)
    timed = replace(TIMED, max_hold=2)
    found = trades(candles, timed, *(signal(i) for i in range(10)))
    assert [(t.entry_ms // MINUTE, t.exit_ms // MINUTE) for t in found] == [(0, 3), (3, 6), (6, 9)]


def test_a_signal_on_the_last_bar_opens_nothing() -> None:
    candles = history(*[QUIET] * 5)
    assert trades(candles, TIMED, signal(4)) == []
    assert trades(candles, TIMED, signal(3)) == [], "entered on the last bar: still open at the end"
    assert len(trades(candles, TIMED, signal(2))) == 1


def test_a_position_open_at_the_end_is_no_trade_and_blocks_later_signals() -> None:
    candles = history(*[QUIET] * 6, (100.0, 111.0, 99.5, 100.0))
    assert trades(candles, replace(EXITS, fib_target_level=1.0), signal(0, high=200.0), signal(3)) == []


def test_without_ladder_and_other_exits_it_is_held_to_the_end() -> None:
    held = replace(EXITS, use_stop_loss=False)
    candles = history(QUIET, QUIET, (100.0, 500.0, 1.0, 100.0), QUIET)
    assert trades(candles, held, signal(0, high=None)) == []
    assert len(trades(candles, held, signal(0))) == 1


def test_a_gapped_stop_fills_where_the_release_filled_it() -> None:
    gap = history(QUIET, QUIET, (95.0, 96.0, 94.0, 95.0))
    (now,) = trades(gap, EXITS, signal(0))
    (then,) = trades(gap, replace(EXITS, policy="first_level"), signal(0))
    assert (now.reason, now.exit) == ("STOP_GAP", 98.0)
    assert (then.reason, then.exit) == ("stop_gap", 95.0)


def test_no_candles_no_trades() -> None:
    assert trades(history(), EXITS) == []
