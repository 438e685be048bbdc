"""When the core wants to be woken: never more often than it has something to do."""

from __future__ import annotations

from agent.core import events as e
from agent.core.engine import wake_at_ms
from agent.core.market import DAY_MS
from agent.core.order import Purpose
from tests.playbook import MINUTE, Playbook, make_setup


def wakes(play: Playbook, ms: int) -> int:
    """How often the core is woken within `ms` while nobody says anything."""
    end, count = play.now_ms + ms, 0
    while (wake := wake_at_ms(play.state)) <= end:
        assert wake > play.state.now_ms, "a deadline lies ahead"
        play.at(max(wake, play.now_ms))
        play.learn(e.Woke())
        count += 1
        assert count < 1_000, "woken without end"
    return count


def test_an_exchange_that_never_answered_does_not_make_the_core_spin() -> None:
    assert wakes(Playbook(), 60 * MINUTE) <= 61


def test_an_account_that_never_answered_does_not_make_the_core_spin() -> None:
    play = Playbook()
    play.learn(e.InstrumentSeen(play.instrument))
    assert wakes(play, 60 * MINUTE) <= 2 * 61


def test_a_restart_in_position_without_a_price_does_not_make_the_core_spin() -> None:
    play = Playbook().ready()
    play.enter()
    play.restart()
    assert wakes(play, 60 * MINUTE) <= 10 * 61


def test_a_quiet_agent_wakes_once_a_minute_to_look_at_its_account() -> None:
    play = Playbook().ready()
    asked = 0
    for _ in range(60):
        play.later(MINUTE)
        asked += 1
        play.account_agrees()
    assert asked == 60
    assert wake_at_ms(play.state) <= play.now_ms + MINUTE


def test_midnight_is_a_deadline() -> None:
    play = Playbook().ready()
    midnight = (play.now_ms // DAY_MS + 1) * DAY_MS
    play.at(midnight - 10)
    play.account_agrees()
    play.learn(e.Woke())
    assert wake_at_ms(play.state) <= midnight


def test_an_order_without_an_answer_is_a_deadline() -> None:
    play = Playbook(make_setup()).ready()
    play.signal()
    play.book()
    entry = play.entry()
    assert entry.purpose is Purpose.ENTRY
    assert wake_at_ms(play.state) <= entry.created_ms + play.setup.limits.order_timeout_ms
