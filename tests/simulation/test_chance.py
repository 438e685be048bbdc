"""A world's frequent draws are those of the standard library, number for number."""

from __future__ import annotations

from random import Random

import pytest

from agent.simulation.chance import below


@pytest.mark.parametrize("number", [1, 2, 5, 8, 898, 1 << 20])
def test_draws_are_those_of_randrange_and_leave_the_same_behind(number: int) -> None:
    ours, theirs = Random(number), Random(number)
    assert [below(ours, number) for _ in range(200)] == [theirs.randrange(number) for _ in range(200)]
    assert ours.random() == theirs.random()
