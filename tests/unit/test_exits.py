"""Levels fixed at entry, and who wins on a bar or at a price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.exits import (
    ExitHit,
    ExitKind,
    ExitParams,
    Levels,
    Policy,
    check_bar,
    check_price,
    entered_at,
    first_exit_level,
    has_room,
    levels_for,
)
from agent.core.fibonacci import ladder_between
from agent.core.market import Candle
from agent.core.signal import Features

ALL = ExitParams(
    use_fib_exits=True,
    use_stop_loss=True,
    use_time_exit=True,
    use_traditional_tp=True,
    fib_swing_lookback=96,
    fib_swing_lookahead=5,
    fib_target_level=0.618,
    atr_stop_mult=0.5,
    reward_r=2.0,
    max_hold=3,
    fee_bp=5.0,
    slippage_bp=5.0,
    policy="target",
)
OLD = replace(ALL, policy="first_level")

SIGNAL = Features(
    open_ms=0,
    low=100.0,
    close=101.0,
    ema_f=1.0,
    ema_s=2.0,
    atr=4.0,
    vol_z=3.0,
    tr_z=3.0,
    cloc=0.9,
    downtrend=True,
    exhaustion=True,
    borderline=False,
    swing_high=110.0,
    ladder=ladder_between(100.0, 110.0),
)


def bar(open_: float, high: float, low: float, close: float) -> Candle:
    return Candle(0, open_, high, low, close, 1.0)


def levels(params: ExitParams = ALL, entry: float = 102.0) -> Levels:
    return levels_for(SIGNAL, entry, params)


def test_stop_target_take_profit_and_risk_at_entry() -> None:
    found = levels()
    assert (found.stop, found.risk, found.take_profit) == (98.0, 4.0, 110.0)
    assert (found.target, found.target_ratio) == (pytest.approx(106.18), 0.618)
    first = levels(OLD)
    assert (first.target, first.target_ratio) == (pytest.approx(103.82), 0.382)
    assert first.ladder == SIGNAL.ladder


def test_the_stop_is_computed_but_not_enforced_without_stop_loss() -> None:
    found = levels(replace(ALL, use_stop_loss=False))
    assert (found.stop, found.stop_enforced) == (98.0, False)
    assert found.risk == pytest.approx(1.02), "one percent of the entry"
    assert found.take_profit == pytest.approx(104.04)
    assert check_bar(found, bar(90, 91, 80, 90), 1, ALL) is None


@pytest.mark.parametrize(("params", "risk"), [(ALL, 0.97), (OLD, 1e-8)])
def test_an_entry_below_the_stop_has_its_releases_own_risk(params: ExitParams, risk: float) -> None:
    found = levels(params, entry=97.0)
    assert found.risk == pytest.approx(risk, rel=1e-12)
    assert found.stop_enforced


def test_first_level_without_stop_loss_risks_one_percent() -> None:
    assert levels(replace(OLD, use_stop_loss=False)).risk == pytest.approx(1.02)


def test_a_real_entry_moves_risk_and_take_profit_only() -> None:
    moved = entered_at(levels(), 103.0, ALL)
    assert moved == levels(entry=103.0)
    assert (moved.stop, moved.target) == (levels().stop, levels().target)
    assert (moved.risk, moved.take_profit) == (5.0, 113.0)


def test_without_ladder_or_fibonacci_exits_there_is_no_target() -> None:
    bare = levels_for(replace(SIGNAL, ladder=None, swing_high=99.0), 102.0, ALL)
    assert (bare.target, bare.target_ratio, bare.ladder) == (None, None, None)
    off = levels(replace(ALL, use_fib_exits=False))
    assert (off.target, off.target_ratio) == (None, None)
    assert off.ladder is not None, "still there to be drawn"


def test_no_exit_enabled_never_leaves() -> None:
    params = replace(
        ALL, use_fib_exits=False, use_stop_loss=False, use_time_exit=False, use_traditional_tp=False
    )
    found = levels(params)
    assert check_bar(found, bar(100, 999, 1, 100), 999, params) is None
    assert check_price(found, 1.0, params, stop_only=False) is None
    assert check_price(found, 999.0, params, stop_only=False) is None
    assert first_exit_level(found) is None
    assert has_room(found, params)


# Each bar reaches what its name says and everything after it in the order of priority.
GAP = bar(97.0, 120.0, 90.0, 119.0)
STOP = bar(102.0, 120.0, 98.0, 119.0)
FIB = bar(102.0, 120.0, 98.1, 119.0)
TAKE = bar(102.0, 103.0, 98.1, 103.0)
NOTHING = bar(102.0, 103.0, 98.1, 102.5)


@pytest.mark.parametrize(
    ("candle", "target", "first_level"),
    [
        (GAP, ("STOP_GAP", 98.0), ("stop_gap", 97.0)),
        (STOP, ("STOP", 98.0), ("stop", 98.0)),
        (FIB, ("FIB_61.8", 106.18), ("fib_38.2", 103.82)),
    ],
)
def test_stop_before_fibonacci_before_the_rest(
    candle: Candle, target: tuple[str, float], first_level: tuple[str, float]
) -> None:
    for params, (reason, price) in ((ALL, target), (OLD, first_level)):
        hit = check_bar(levels(params), candle, 3, params)
        assert hit is not None
        assert (hit.reason, hit.price) == (reason, pytest.approx(price))


@pytest.mark.parametrize(("params", "reason"), [(ALL, "TP_2.0R"), (OLD, "tp")])
def test_take_profit_before_time(params: ExitParams, reason: str) -> None:
    found = replace(levels(params), take_profit=103.0, target=None, target_ratio=None)
    assert check_bar(found, TAKE, 3, params) == ExitHit(reason, 103.0, ExitKind.TAKE_PROFIT)


@pytest.mark.parametrize(("params", "reason"), [(ALL, "TIME"), (OLD, "time")])
def test_time_leaves_at_the_close_when_the_bars_are_held(params: ExitParams, reason: str) -> None:
    assert check_bar(levels(params), NOTHING, 2, params) is None
    for held in (3, 4):
        assert check_bar(levels(params), NOTHING, held, params) == ExitHit(reason, 102.5, ExitKind.TIME)
    assert check_bar(levels(params), NOTHING, 9, replace(params, use_time_exit=False)) is None


def test_max_hold_of_one_bar_leaves_on_the_first_examined_bar() -> None:
    params = replace(ALL, max_hold=1)
    assert check_bar(levels(params), NOTHING, 0, params) is None
    assert check_bar(levels(params), NOTHING, 1, params) == ExitHit("TIME", 102.5, ExitKind.TIME)


def test_levels_are_reached_by_touching_them() -> None:
    found = levels()
    assert found.target is not None
    assert check_bar(found, bar(102, 102, 98.0, 102), 1, ALL) == ExitHit("STOP", 98.0, ExitKind.STOP)
    assert check_bar(found, bar(98.0, 102, 98.0, 102), 1, ALL) == ExitHit("STOP_GAP", 98.0, ExitKind.STOP)
    assert check_bar(found, bar(102, found.target, 101, 102), 1, ALL) == ExitHit(
        "FIB_61.8", found.target, ExitKind.FIBONACCI
    )
    assert check_bar(found, bar(102, found.target - 1e-9, 98.000001, 102), 1, ALL) is None


def test_a_target_gapped_over_is_filled_at_the_target() -> None:
    hit = check_bar(levels(), bar(108.0, 109.0, 107.0, 108.0), 1, ALL)
    assert hit is not None
    assert hit.price == pytest.approx(106.18)


def test_stop_only_looks_at_nothing_else() -> None:
    assert check_bar(levels(), FIB, 9, ALL, stop_only=True) is None
    assert check_bar(levels(), STOP, 0, ALL, stop_only=True) == ExitHit("STOP", 98.0, ExitKind.STOP)
    assert check_price(levels(), 120.0, ALL, stop_only=True) is None
    assert check_price(levels(), 98.0, ALL, stop_only=True) == ExitHit("STOP", 98.0, ExitKind.STOP)


@pytest.mark.parametrize(
    ("policy", "bid", "reason", "kind"),
    [
        ("target", 97.0, "STOP", ExitKind.STOP),
        ("target", 98.0, "STOP", ExitKind.STOP),
        ("target", 98.01, None, None),
        ("target", 106.17, None, None),
        ("target", 106.19, "FIB_61.8", ExitKind.FIBONACCI),
        ("first_level", 97.0, "stop", ExitKind.STOP),
        ("first_level", 103.81, None, None),
        ("first_level", 103.83, "fib_38.2", ExitKind.FIBONACCI),
        ("first_level", 109.0, "fib_38.2", ExitKind.FIBONACCI),
    ],
)
def test_a_live_price_is_asked_at_what_we_could_sell(
    policy: Policy, bid: float, reason: str | None, kind: ExitKind | None
) -> None:
    params = replace(ALL, policy=policy)
    hit = check_price(levels(params), bid, params, stop_only=False)
    assert (hit and hit.reason, hit and hit.kind) == (reason, kind)


def test_a_live_price_takes_profit_below_the_target() -> None:
    params = replace(ALL, reward_r=1.0)
    found = levels(params)
    assert found.take_profit == 106.0
    assert check_price(found, 106.0, params, stop_only=False) == ExitHit(
        "TP_1.0R", 106.0, ExitKind.TAKE_PROFIT
    )
    assert check_price(found, 106.5, params, stop_only=False).reason == "FIB_61.8"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("ratio", "reason"),
    [(0.382, "FIB_38.2"), (0.5, "FIB_50.0"), (0.618, "FIB_61.8"), (0.786, "FIB_78.6"), (1.0, "FIB_100.0")],
)
def test_reasons_name_the_level(ratio: float, reason: str) -> None:
    params = replace(ALL, fib_target_level=ratio)
    hit = check_bar(levels(params), bar(102, 111, 101, 102), 1, params)
    assert hit is not None
    assert hit.reason == reason
    assert hit.price == pytest.approx(100 + 10 * ratio)


def test_the_first_exit_level_is_the_lowest_profit() -> None:
    assert first_exit_level(levels()) == pytest.approx(106.18)
    assert first_exit_level(levels(replace(ALL, reward_r=0.5))) == 104.0
    assert first_exit_level(levels(OLD)) == pytest.approx(103.82)


def test_room_pays_for_both_sides() -> None:
    target = levels().target
    assert target is not None
    cost = 0.001
    break_even = target * (1 - cost) / (1 + cost)
    assert has_room(levels(entry=break_even - 1e-6), replace(ALL, use_traditional_tp=False))
    assert not has_room(levels(replace(ALL, use_traditional_tp=False), break_even + 1e-6), ALL)
    assert not has_room(levels(OLD, 105.0), OLD), "a target below the entry is a sure loser"


def test_levels_need_a_defined_average_true_range() -> None:
    with pytest.raises(AssertionError, match="average true range"):
        levels_for(replace(SIGNAL, atr=None), 102.0, ALL)
