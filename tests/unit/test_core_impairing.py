"""What blocks entries: told when it begins and when it is over, and not at all where it is expected."""

from __future__ import annotations

from agent.core import events as e
from agent.core.events import Impairment
from agent.core.gate import entries_blocked_by
from agent.core.phase import Phase
from agent.exchange.ailments import Ailments
from tests.playbook import Playbook, make_setup

STREAM = Impairment.USER_STREAM


def test_what_every_start_goes_through_blocks_entries_in_silence() -> None:
    play = Playbook().ready()
    play.learn(e.Impaired(STREAM, "not subscribed yet", expected=True))
    assert any("not subscribed yet" in reason for reason in entries_blocked_by(play.state))
    play.learn(e.Healed(STREAM))
    assert entries_blocked_by(play.state) == ()
    assert not any("user stream" in line for line in play.alerts())


def test_what_was_expected_and_then_goes_wrong_is_told() -> None:
    play = Playbook().ready()
    play.learn(e.Impaired(STREAM, "not subscribed yet", expected=True))
    play.learn(e.Impaired(STREAM, "cannot connect"))
    play.learn(e.Healed(STREAM))
    told = [line for line in play.alerts() if "user stream" in line]
    assert [line.split()[0] for line in told] == ["ERROR", "INFO"]


def test_what_is_expected_pauses_nobody_who_wants_to_resume_himself() -> None:
    play = Playbook(make_setup(auto_resume=False)).ready()
    play.learn(e.Impaired(STREAM, "not subscribed yet", expected=True))
    assert play.state.phase is Phase.RUNNING
    play.learn(e.Impaired(STREAM, "cannot connect"))
    assert play.state.phase is Phase.PAUSED


def test_a_source_tells_an_expected_ailment_again_only_when_it_is_none_any_more() -> None:
    told: list[e.Event] = []
    ailments = Ailments(told.append)
    ailments.found(STREAM, "not subscribed yet", expected=True)
    ailments.found(STREAM, "subscribed, being read", expected=True)
    ailments.found(STREAM, "cannot connect")
    ailments.found(STREAM, "still cannot")
    ailments.gone(STREAM)
    assert told == [
        e.Impaired(STREAM, "not subscribed yet", expected=True),
        e.Impaired(STREAM, "cannot connect"),
        e.Healed(STREAM),
    ]
