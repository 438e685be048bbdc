"""How loud the core speaks: what wakes somebody at night, and what is told once."""

from __future__ import annotations

import pytest

from agent.core.commands import Alert, AlertLevel
from agent.core.events import ExchangeReported, Healed, Impaired, Impairment
from tests.playbook import Playbook

GRAVE = {
    Impairment.EXCHANGE_UNREACHABLE,
    Impairment.LEDGER_DIFFERENCE,
    Impairment.SETUP_REFUSED,
    Impairment.HALT_LATCH,
}


@pytest.mark.parametrize("by", list(Impairment))
def test_unreachable_unexplained_and_refused_are_critical(by):
    play = Playbook().ready()
    play.learn(Impaired(by, "a reason"))
    (alert,) = play.asked(Alert, play.last)
    assert alert.level is (AlertLevel.CRITICAL if by in GRAVE else AlertLevel.ERROR)
    play.learn(Healed(by))
    assert [a.level for a in play.asked(Alert, play.last)] == [AlertLevel.INFO]


def test_what_every_start_goes_through_is_silent_until_it_goes_wrong():
    play = Playbook().ready()
    play.learn(Impaired(Impairment.KEY_RIGHTS, "not known yet", expected=True))
    assert play.asked(Alert, play.last) == []
    play.learn(Impaired(Impairment.KEY_RIGHTS, "the key allows withdrawals"))
    assert [a.text for a in play.asked(Alert, play.last)] == [
        "key rights: the key allows withdrawals; entries are blocked"
    ]


def test_a_slow_exchange_is_told_once_until_it_was_quick():
    play = Playbook().ready()
    told = []
    for latency_ms in (20.0, 1_000.0, 1_001.0, 5_000.0, None, 1_500.0, 30.0, 2_000.0):
        play.learn(ExchangeReported(True, latency_ms, 0, 1))
        told += [(latency_ms, a.level) for a in play.asked(Alert, play.last)]
    assert told == [
        (1_001.0, AlertLevel.WARNING),
        (1_500.0, AlertLevel.WARNING),
        (2_000.0, AlertLevel.WARNING),
    ]
