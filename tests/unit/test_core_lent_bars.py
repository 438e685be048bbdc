"""Bars of another source: they make a position leave, and do nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core import events as e
from agent.core.market import Candle
from tests.playbook import BAR, EXITS, Playbook, PositionState, make_setup, quiet_candle
from tests.unit.test_core_basis import entered, on_testnet


def holding(**exits: object) -> Playbook:
    """In position for a bar, nothing resting; target 0.5027, stop 0.4796; three bars at most."""
    changed = replace(EXITS, **{"use_fib_exits": False, "max_hold": 3, **exits})  # type: ignore[arg-type]
    play = Playbook(make_setup(exits=changed, protective_stop=False)).ready()
    play.enter("0.4981")
    play.quiet_bar()
    return play


def lend(play: Playbook, *candles: Candle, here: bool = False) -> None:
    """Half a minute after the close of the last one, all of them."""
    play.at(candles[-1].open_ms + BAR + 30_000)
    for candle in candles:
        play.learn(e.BarLent(candle, here))


def following(play: Playbook, count: int, **shape: float) -> list[Candle]:
    bars = [play.last_bar]
    for _ in range(count):
        bars.append(quiet_candle(bars[-1], **shape))
    return bars[1:]


def test_the_time_limit_holds_though_no_own_bar_comes() -> None:
    play = holding()
    lend(play, *following(play, 3))
    position = play.position()
    assert (position.state, position.exit_reason, position.bars_held) == (PositionState.EXITING, "TIME", 3)
    assert "lent_bar" in position.notes
    play.fills(play.sale())
    assert play.position().state is PositionState.CLOSED


def test_a_touched_stop_sells() -> None:
    play = holding()
    (bar,) = following(play, 1, low=0.4700)
    lend(play, bar)
    assert (play.position().exit_reason, play.position().bars_held) == ("STOP", 1)


def test_nothing_is_decided_counted_or_remembered_and_the_own_bar_is_judged_when_it_comes() -> None:
    play = holding(use_fib_exits=True)
    decisions, before = len(play.decisions()), play.state
    own = following(play, 1, high=0.5100)
    lend(play, replace(own[0], high=own[0].close))
    after = play.state
    assert len(play.decisions()) == decisions
    assert (after.window, after.last_bar, after.last_price) == (
        before.window,
        before.last_bar,
        before.last_price,
    )
    assert after.durable == before.durable
    assert after.positions == before.positions
    play.bar(own[0], by=e.ClosedBy.BACKFILL)
    assert play.position().exit_reason == "FIB_61.8"
    assert "lent_bar" not in play.position().notes


def test_the_entry_bar_and_what_was_examined_are_left_alone() -> None:
    play = holding()
    lend(play, replace(play.last_bar, low=0.1))
    assert play.position().state is PositionState.IN_POSITION


@pytest.mark.parametrize("here", [True, False])
def test_prices_are_those_of_where_orders_go_or_of_the_signals_market(here: bool) -> None:
    play = on_testnet()
    entered(play)
    play.works(play.stop())
    play.quiet_bar()
    basis = play.position().plan.basis
    assert basis is not None
    (bar,) = following(play, 1)
    lend(play, bar.scaled(basis) if here else bar, here=here)
    assert play.position().state is PositionState.IN_POSITION, "an ordinary bar at its own prices"
    lend(play, bar, here=True)
    assert play.position().exit_reason in ("STOP", "STOP_GAP"), "half the price, were it from here"
