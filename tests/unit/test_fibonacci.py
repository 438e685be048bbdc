"""The swing search and the ladder, against the specification's own words and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.fibonacci import RATIOS, ladder_between, swing_high


def search(highs: list[float], lookback: int, lookahead: int) -> float | None:
    """The swing high of a signal on the bar after `highs`."""
    return swing_high(np.array(highs, dtype=np.float64), len(highs), lookback, lookahead)


def by_the_book(highs: list[float], lookback: int, lookahead: int) -> float | None:
    """Candidate by candidate, as the specification puts it; the signal bar is i = len(highs)."""
    i = len(highs)
    if i < lookback + lookahead or lookback <= lookahead:
        return None
    candidates = [
        highs[j]
        for j in range(i - lookback + lookahead, i - lookahead)
        if all(highs[k] <= highs[j] for k in range(j - lookahead, j + lookahead + 1))
    ]
    return max(candidates) if candidates else max(highs[i - lookback : i - lookahead])


@given(
    st.lists(st.integers(1, 6).map(float), max_size=40),
    st.integers(1, 16),
    st.integers(0, 7),
)
def test_the_search_equals_the_specification(highs: list[float], lookback: int, lookahead: int) -> None:
    assert search(highs, lookback, lookahead) == by_the_book(highs, lookback, lookahead)


def test_a_peak_counts_only_with_lookahead_bars_on_both_sides() -> None:
    assert search([1, 1, 5, 1, 1, 1, 1], 5, 2) == 5
    assert search([1, 1, 1, 1, 1, 5, 1], 5, 2) == 1, "the peak is too near the signal bar"
    assert search([1, 9, 5, 1, 1, 1, 1], 5, 2) == 5, "the bar before the window is not read"


def test_equal_highs_do_not_disqualify_each_other() -> None:
    assert search([1, 1, 5, 5, 4, 4, 4], 5, 2) == 5


def test_the_highest_candidate_wins_not_the_latest() -> None:
    assert search([1, 1, 7, 1, 1, 4, 1, 1, 1], 8, 1) == 7


def test_lookahead_0_makes_every_bar_a_candidate() -> None:
    assert search([2, 3, 4], 3, 0) == 4
    assert search([9, 2, 3], 2, 0) == 3


def test_without_candidate_the_highest_of_the_window_without_its_end() -> None:
    rising = [float(x) for x in range(1, 13)]
    assert search(rising, 8, 4) == 8.0
    assert by_the_book(rising, 8, 4) == 8.0


def test_too_few_bars_or_a_lookahead_that_eats_the_window_find_nothing() -> None:
    assert search([5, 4, 3, 2], 4, 1) is None
    assert search([6, 5, 4, 3, 2], 4, 1) == 5
    assert search([5.0] * 20, 4, 4) is None
    assert search([5.0] * 20, 4, 5) is None
    assert search([], 1, 0) is None


def test_levels_rise_from_low_to_high() -> None:
    ladder = ladder_between(1.0, 2.0)
    assert ladder is not None
    assert [ratio for ratio, _ in ladder.levels] == list(RATIOS)
    assert [price for _, price in ladder.levels] == pytest.approx([1.382, 1.5, 1.618, 1.786, 2.0])
    assert ladder.price(0.618) == ladder.levels[2][1]


@pytest.mark.parametrize("high", [None, 0.9, 1.0])
def test_no_ladder_without_a_high_above_the_low(high: float | None) -> None:
    assert ladder_between(1.0, high) is None


def test_asking_for_a_level_that_is_none_is_our_mistake() -> None:
    ladder = ladder_between(1.0, 2.0)
    assert ladder is not None
    with pytest.raises(AssertionError, match=r"0\.7"):
        ladder.price(0.7)
