"""Which prices are believed: jumps, crossed quotes, connections that are not trusted."""

from __future__ import annotations

import pytest

from agent.core import events as e
from agent.core.commands import ReadQuote
from agent.core.events import ClosedBy
from agent.core.gate import entries_blocked_by
from agent.core.market import DataSource
from tests.playbook import MINUTE, Playbook, PositionState, make_setup

REST = DataSource.REST


@pytest.fixture
def play() -> Playbook:
    """In position, the last trade at 0.498; the stop lies 3.7 % below, the target 1 % above."""
    play = Playbook(make_setup(protective_stop=False)).ready()
    play.enter("0.4981")
    play.quiet_bar()
    return play


def state(play: Playbook) -> PositionState:
    return play.position().state


@pytest.mark.parametrize("bid", [0.40, 0.25, 0.53, 5.0])
def test_a_jump_triggers_nothing_until_rest_agrees(play: Playbook, bid: float) -> None:
    play.quote(bid)
    assert state(play) is PositionState.IN_POSITION
    assert len(play.asked(ReadQuote)) == 1
    play.quote(bid, source=REST)
    assert state(play) is PositionState.EXITING
    assert play.position().exit_reason == ("STOP" if bid < 0.49 else "FIB_61.8")


def test_a_jump_that_rest_denies_was_nothing(play: Playbook) -> None:
    play.quote(0.25)
    play.quote(0.498, source=REST)
    assert state(play) is PositionState.IN_POSITION
    assert play.state.prices.suspect is None
    play.quote(0.4979)
    assert state(play) is PositionState.IN_POSITION
    assert entries_blocked_by(play.state) == ()


def test_a_small_fall_through_the_stop_acts_at_once(play: Playbook) -> None:
    play.quote(0.4790)
    assert state(play) is PositionState.EXITING


def test_a_suspect_price_is_asked_about_once_a_second(play: Playbook) -> None:
    asked = 0
    for _ in range(40):
        play.quote(0.25)
        asked += len(play.asked(ReadQuote))
        play.at(play.now_ms + 100)
    assert asked == 4
    assert state(play) is PositionState.IN_POSITION


def test_many_small_steps_without_a_trade_are_a_jump_all_the_same(play: Playbook) -> None:
    """A book that is pulled away step by step: the last trade is the measure, not the last bid."""
    for bid in (0.495, 0.490, 0.485, 0.480, 0.475):
        play.quote(bid)
    # 0.475 lies 4.6 % below the last trade and is believed: the stop acts.
    assert state(play) is PositionState.EXITING


def test_steps_down_beyond_five_percent_of_the_last_trade_wait_for_rest() -> None:
    play = Playbook(make_setup(protective_stop=False)).ready()
    play.quote(0.498)
    for bid in (0.49, 0.48, 0.474, 0.47, 0.45, 0.43):
        play.quote(bid)
    assert play.state.prices.suspect is not None
    trusted = play.state.prices.trusted
    assert trusted is not None
    assert float(trusted.bid) > 0.46
    play.quote(0.43, source=REST)
    play.quote(0.429)
    assert play.state.prices.suspect is None, "near what REST has just confirmed"


def test_what_rest_confirmed_is_no_measure_for_ever(play: Playbook) -> None:
    play.learn(e.CloseRequested("x", None))
    play.quote(0.46)
    play.quote(0.46, source=REST)
    play.quote(0.461)
    assert play.state.prices.suspect is None
    play.at(play.now_ms + 31_000)
    play.quote(0.461)
    assert play.state.prices.suspect is not None


def test_a_jump_in_rest_itself_needs_a_second_reading(play: Playbook) -> None:
    """While the socket is down REST is the only source, and a REST answer can be wrong as well."""
    play.quote(0.25, source=REST)
    assert state(play) is PositionState.IN_POSITION
    assert len(play.asked(ReadQuote)) == 1
    play.quote(0.498, source=REST)
    assert state(play) is PositionState.IN_POSITION
    play.quote(0.25, source=REST)
    assert state(play) is PositionState.IN_POSITION, "the doubt was cleared in between"
    play.quote(0.251, source=REST)
    assert state(play) is PositionState.EXITING


def test_two_jumps_to_different_sides_do_not_agree(play: Playbook) -> None:
    play.quote(0.25)
    play.quote(0.75, source=REST)
    assert state(play) is PositionState.IN_POSITION
    play.quote(0.25, source=REST)
    assert state(play) is PositionState.IN_POSITION


@pytest.mark.parametrize("source", [DataSource.WEBSOCKET, REST])
def test_a_crossed_quote_triggers_nothing(play: Playbook, source: DataSource) -> None:
    play.quote(0.4790, ask=0.4780, source=source)
    assert state(play) is PositionState.IN_POSITION
    assert len(play.asked(ReadQuote)) == 1
    play.quote(0.4790, source=REST)
    assert state(play) is PositionState.EXITING


def test_quotes_of_an_untrusted_connection_trigger_nothing(play: Playbook) -> None:
    play.quote(0.4790, trusted=False)
    assert state(play) is PositionState.IN_POSITION
    assert "quotes are not trusted at the moment" in entries_blocked_by(play.state)
    play.quote(0.4790, source=REST)
    assert state(play) is PositionState.EXITING
    assert "quotes are not trusted at the moment" not in entries_blocked_by(play.state)


def test_old_bars_of_a_back_fill_are_not_the_last_trade(play: Playbook) -> None:
    play.traded(0.4700)
    play.at(play.now_ms + MINUTE)
    play.quiet_bar(0.60, by=ClosedBy.BACKFILL)
    assert play.state.last_price == 0.4700


def test_before_anything_was_traded_the_first_trusted_quote_counts() -> None:
    play = Playbook()
    play.quote(0.5)
    assert play.state.prices.trusted is not None
    play.quote(0.4)
    assert play.state.prices.suspect is not None
