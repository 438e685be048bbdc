"""What is open is followed before history is loaded; signals are judged when it is."""

from __future__ import annotations

from dataclasses import replace

from agent.compose.early_feed import Unjudged, examined_to_ms
from agent.core import events as e
from agent.core.events import BarClosed, ClosedBy, Event, WarmedUp
from agent.core.signal import SignalWindow
from tests.playbook import BAR, EXITS, SELLER, Playbook, falling_history, make_setup, quiet_candle


def in_position(**setup: object) -> Playbook:
    play = Playbook(make_setup(**setup)).ready()
    play.enter()
    return play


def test_a_flat_agent_loads_history_first() -> None:
    play = Playbook().ready()
    assert examined_to_ms(play.state, play.now_ms) is None


def test_the_feed_begins_behind_the_last_bar_that_was_decided() -> None:
    play = in_position()
    play.quiet_bar()
    decided = play.state.durable.decided_open_ms
    assert decided == play.last_bar.open_ms
    assert examined_to_ms(play.state, play.now_ms + 50 * BAR) == decided


def test_without_a_last_decision_it_begins_behind_the_last_bar_the_position_saw() -> None:
    play = in_position()
    play.quiet_bar()
    play.quiet_bar()
    state = play.state.but(durable=replace(play.state.durable, decided_open_ms=None))
    assert examined_to_ms(state, play.now_ms + 50 * BAR) == play.last_bar.open_ms


def test_an_entry_of_this_very_bar_sees_the_bar_close() -> None:
    play = in_position()
    state = play.state.but(durable=replace(play.state.durable, decided_open_ms=None))
    first = examined_to_ms(state, play.now_ms)
    assert first is not None
    assert first < play.now_ms // BAR * BAR


def test_missed_bars_make_a_position_leave_before_any_history_is_known() -> None:
    play = in_position()
    play.at(play.now_ms + 3 * BAR)
    play.restart()
    play.learn(e.InstrumentSeen(play.instrument))
    (position,) = play.state.open_positions()
    target = position.levels.target
    assert target is not None
    touching = quiet_candle(quiet_candle(play.last_bar), high=target * 1.001)
    play.learn(BarClosed(quiet_candle(play.last_bar), ClosedBy.BACKFILL))
    play.learn(BarClosed(touching, ClosedBy.BACKFILL))
    assert play.state.window is None
    (position,) = play.state.open_positions()
    assert position.exit_reason == "FIB_61.8"
    assert position.seen_at_close


def test_bars_behind_the_window_follow_it_and_no_others() -> None:
    history = falling_history()
    window = SignalWindow.warm(SELLER, EXITS, history)
    told: list[Event] = []
    unjudged, bars = Unjudged(), []
    candle = history[-2]
    for _ in range(4):
        bars.append(BarClosed(candle, ClosedBy.BACKFILL))
        unjudged.note(bars[-1])
        candle = quiet_candle(candle)
    warmed = WarmedUp(window, history[-1].open_ms, history[-1].close)
    unjudged.hand_over(warmed, told.append)
    assert told == [replace(warmed, followed_to_ms=bars[-1].candle.open_ms), *bars[2:]]
    unjudged.note(bars[0])
    again: list[Event] = []
    unjudged.hand_over(warmed, again.append)
    assert again == [warmed], "nothing is kept any more"
