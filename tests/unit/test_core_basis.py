"""Signals of one market traded on another: levels scaled by the two prices at entry, and said so."""

from __future__ import annotations

import pytest

from agent.core import events as e
from agent.core.market import DataSource
from agent.core.snapshot import snapshot
from tests.playbook import BAR, Playbook, PositionState, make_setup, quiet_candle, signal_candle

#: The market traded on costs twice as much as the one the signals come from.
RATIO = 2.0


def on_testnet() -> Playbook:
    play = Playbook(make_setup(mode="testnet", scales_levels=True))
    play.learn(e.InstrumentSeen(play.instrument))
    play.account(USDT="10000")
    play.warm_up()
    play.learn(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
    play.quote(play.history[-1].close * RATIO)
    play.learn(e.StartRequested("test"))
    return play


def walk(play: Playbook, end: float) -> None:
    """Quotes alone, in small steps: the trades that are seen are of the other market."""
    trusted = play.state.prices.trusted
    assert trusted is not None
    start = float(trusted.bid)
    for n in range(1, 11):
        play.quote(start + (end - start) * n / 10)


def entered(play: Playbook) -> float:
    """A signal of the one market, bought on the other; returns the signal's close."""
    candle = signal_candle(play.last_bar)
    play.at(candle.open_ms + BAR)
    walk(play, candle.close * RATIO)
    play.bar(candle)
    play.book(candle.close * RATIO)
    play.fills(play.entry())
    return candle.close


def test_levels_are_scaled_by_execution_mid_over_signal_close() -> None:
    plain = Playbook().ready()
    plain.signal()
    plain.book()
    same = plain.position().plan.levels
    play = on_testnet()
    close = entered(play)
    position = play.position()
    basis = position.plan.basis
    assert basis is not None
    assert basis == pytest.approx(RATIO, rel=1e-3)
    assert position.levels.stop == pytest.approx(same.stop * basis)
    assert position.levels.target == pytest.approx((same.target or 0) * basis)
    assert position.levels.ladder is not None
    assert same.ladder is not None
    assert position.levels.ladder.swing_high == pytest.approx(same.ladder.swing_high * basis)
    assert position.levels.entry_price == pytest.approx(close * RATIO, rel=1e-3)
    assert position.levels.risk == pytest.approx(position.levels.entry_price - position.levels.stop)


def test_such_a_trade_is_marked_as_not_comparable() -> None:
    play = on_testnet()
    entered(play)
    assert "not_comparable" in play.position().notes
    [shown] = snapshot(play.state, "1")["positions"]
    assert shown["basis"] == play.position().plan.basis
    assert "not_comparable" in shown["notes"]


def test_a_price_twice_as_high_is_no_jump_there() -> None:
    play = on_testnet()
    trusted = play.state.prices.trusted
    assert trusted is not None
    assert float(trusted.bid) == pytest.approx(play.history[-1].close * RATIO, rel=1e-3)
    play.quote(float(trusted.bid) * 1.2)
    assert play.state.prices.trusted == trusted, "but a jump of that market's own is one"


def test_exits_follow_the_market_that_is_traded_on() -> None:
    play = on_testnet()
    entered(play)
    play.works(play.stop())
    walk(play, play.position().levels.stop - 0.001)
    assert play.position().exit_reason == "STOP"


def test_closed_bars_of_the_signals_market_are_judged_on_the_scaled_levels() -> None:
    play = on_testnet()
    entered(play)
    play.works(play.stop())
    play.quiet_bar()
    assert play.position().state is PositionState.IN_POSITION, "an ordinary bar of the cheaper market"
    basis, target = play.position().plan.basis, play.position().levels.target
    assert basis is not None
    assert target is not None
    play.bar(quiet_candle(play.last_bar, high=target / basis + 0.001))
    assert play.position().exit_reason == "FIB_61.8"


def test_where_both_are_one_market_nothing_is_scaled_or_marked() -> None:
    play = Playbook().ready()
    play.enter()
    assert play.position().plan.basis is None
    assert "not_comparable" not in play.position().notes
