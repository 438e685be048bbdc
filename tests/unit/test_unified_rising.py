"""Numbers of requests that must rise: never the same twice, never behind, and caught up with when refused."""

from __future__ import annotations

import pytest

from agent.exchange.unified import rising
from agent.exchange.unified.rising import RisingNumbers

HOUR_MS = 3_600_000


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    now = [1_750_000_000_000]
    monkeypatch.setattr(rising, "wall_ms", lambda: now[0])
    return now


def test_two_of_one_millisecond_differ_and_a_clock_set_back_repeats_none(wall: list[int]) -> None:
    numbers = RisingNumbers()
    first = numbers.next()
    assert first == wall[0]
    assert numbers.next() == first + 1
    wall[0] -= HOUR_MS
    assert numbers.next() == first + 2
    wall[0] += 2 * HOUR_MS
    assert numbers.next() == wall[0]


@pytest.mark.parametrize("ahead_ms", [1, 59_000, HOUR_MS, 30 * 24 * HOUR_MS])
def test_a_key_that_was_used_with_higher_ones_is_caught_up_with_in_few_steps(
    wall: list[int], ahead_ms: int
) -> None:
    highest, numbers = wall[0] + ahead_ms, RisingNumbers()
    tried = [numbers.next()]
    while tried[-1] <= highest and len(tried) < 9:
        numbers.refused(tried[-1])
        tried.append(numbers.next())
    assert tried[-1] > highest
    assert len(tried) <= 8


def test_one_that_was_overtaken_on_its_way_changes_nothing(wall: list[int]) -> None:
    numbers = RisingNumbers()
    early, late = numbers.next(), numbers.next()
    numbers.refused(early)
    wall[0] += 1_000
    assert numbers.next() == wall[0]
    assert late == early + 1
