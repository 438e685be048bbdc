"""Deadlines of the core at an exchange whose time runs faster."""

from __future__ import annotations

import pytest

from agent.compose.hurry import LEAST_MACHINE_MS, unhurried
from tests.playbook import make_setup


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0, 60.0])
def test_strict_trading_keeps_the_deadlines_of_the_configuration(speed):
    setup = make_setup()
    assert unhurried(setup, speed) == setup


@pytest.mark.parametrize("speed", [60.5, 300.0, 2_000.0])
def test_a_faster_exchange_leaves_the_machine_half_a_second(speed):
    hurried = unhurried(make_setup(), speed)
    assert hurried.late_after_ms / speed == pytest.approx(LEAST_MACHINE_MS, abs=1)
    assert hurried.limits.order_timeout_ms / speed == pytest.approx(LEAST_MACHINE_MS, abs=1)


def test_a_configuration_more_patient_than_that_is_obeyed():
    setup = make_setup(late_after_ms=3_600_000)
    assert unhurried(setup, 2_000.0).late_after_ms == 3_600_000
