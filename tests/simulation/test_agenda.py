"""The world's time: what a process that slept or hung finds when it goes on."""

from __future__ import annotations

import pytest

from agent.simulation.agenda import SECOND, Agenda, VirtualLoop

HOUR: int = 3_600 * SECOND


def _frozen_for(asked_us: int, *, clock_runs: bool) -> tuple[list[float], float, float]:
    """When a timer of a minute fires by the world, and the machine's time before and after a freeze."""
    agenda = Agenda(0)
    loop = agenda.loop = VirtualLoop(agenda)
    fired: list[float] = []
    loop.call_later(60, lambda: fired.append(agenda.now_us / SECOND))
    before_s = loop.time()
    loop.freeze(clock_runs=clock_runs)
    agenda.plan(asked_us, loop.thaw)
    agenda.run_until(agenda.now_us + asked_us - 1)
    assert not fired
    agenda.run_until(agenda.now_us + 1)
    after_s = loop.time()
    agenda.run_until(agenda.now_us + HOUR)
    return fired, before_s, after_s


def test_a_machine_that_slept_waits_for_the_rest_of_its_timers() -> None:
    fired, before_s, after_s = _frozen_for(HOUR, clock_runs=False)
    assert after_s == before_s
    assert fired == [pytest.approx(3_660)]


def test_a_process_that_hung_finds_its_timers_over() -> None:
    fired, before_s, after_s = _frozen_for(HOUR, clock_runs=True)
    assert after_s == before_s + 3_600
    assert fired == [pytest.approx(3_600)]
