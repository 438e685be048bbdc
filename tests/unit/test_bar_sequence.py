"""Each closed bar once, in order, without gaps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.events import ClosedBy
from agent.core.market import MINUTE_MS, Candle
from agent.exchange.bar_sequence import BarSequence, Decided, Differed, Missing, Rejected

BAR = MINUTE_MS
START = 28_000_000 * MINUTE_MS
LATER = START + 100_000 * MINUTE_MS
FLAG, REST, BACKFILL = ClosedBy.FLAG, ClosedBy.REST, ClosedBy.BACKFILL


def bar(n: int, close: float = 10.0) -> Candle:
    """The n-th bar after the one that was decided last."""
    return Candle(START + n * BAR, 10.0, max(11.0, close), min(9.0, close), close, 5.0)


def sequence(**limits: int) -> BarSequence:
    return BarSequence(BAR, START, **limits)


def closes_ms(n: int) -> int:
    return START + (n + 1) * BAR


def test_a_bar_that_was_expected_is_decided_at_once() -> None:
    s = sequence()
    assert s.hear(bar(1), FLAG, closes_ms(1)) == [Decided(bar(1), FLAG)]
    assert s.newest_close_ms == closes_ms(1)
    assert s.next_open_ms == START + 2 * BAR


def test_the_same_bar_is_never_decided_again() -> None:
    s = sequence()
    s.hear(bar(1), FLAG, LATER)
    assert s.hear(bar(1), FLAG, LATER) == []
    assert s.hear(bar(1), REST, LATER) == []
    assert s.hear(bar(0), FLAG, LATER) == [], "nor one from before we began"


def test_another_copy_of_a_decided_bar_is_told_once_and_changes_nothing() -> None:
    s = sequence()
    s.hear(bar(1), FLAG, LATER)
    theirs = bar(1, close=10.5)
    assert s.hear(theirs, REST, LATER) == [Differed(bar(1), theirs)]
    assert s.hear(theirs, REST, LATER) == []
    assert s.hear(bar(1), FLAG, LATER) == [], "corrected back: nothing to tell"
    assert s.hear(theirs, REST, LATER) == [Differed(bar(1), theirs)]
    assert s.next_open_ms == START + 2 * BAR


def test_a_copy_that_differs_by_rounding_is_the_same() -> None:
    s = sequence()
    s.hear(bar(1), FLAG, LATER)
    assert s.hear(replace(bar(1), volume=5.0 * (1 + 1e-12)), REST, LATER) == []


def test_later_bars_wait_until_the_gap_is_filled() -> None:
    s = sequence()
    assert s.hear(bar(4), FLAG, closes_ms(4)) == []
    assert s.hear(bar(3), FLAG, closes_ms(4)) == []
    assert s.missing(closes_ms(4), 5_000) == Missing(START + BAR, START + 4 * BAR, 2)
    assert s.hear(bar(2), BACKFILL, closes_ms(4)) == []
    filled = s.hear(bar(1), BACKFILL, closes_ms(4))
    assert filled == [
        Decided(bar(1), BACKFILL),
        Decided(bar(2), BACKFILL),
        Decided(bar(3), FLAG),
        Decided(bar(4), FLAG),
    ]
    assert s.missing(closes_ms(4), 5_000) is None
    assert s.held_bars == 0


def test_rest_is_believed_over_a_held_flag_and_not_the_other_way_round() -> None:
    s = sequence()
    s.hear(bar(2), FLAG, LATER)
    s.hear(bar(2, close=10.5), BACKFILL, LATER)
    s.hear(bar(2), FLAG, LATER)
    assert s.hear(bar(1), BACKFILL, LATER)[1:] == [Decided(bar(2, close=10.5), BACKFILL)]


def test_a_bar_is_missing_only_after_patience() -> None:
    s = sequence()
    assert s.missing(closes_ms(1) + 4_999, 5_000) is None
    assert s.missing(closes_ms(1) + 5_000, 5_000) == Missing(START + BAR, START + BAR, 1)
    assert s.due_at_ms(5_000) == closes_ms(1) + 5_000
    assert s.missing(closes_ms(11) + 5_000, 5_000) == Missing(START + BAR, START + 11 * BAR, 11)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (replace(bar(1), high=8.0), "high is below"),
        (replace(bar(1), low=12.0), "low is above"),
        (replace(bar(1), close=float("nan")), "not finite"),
        (replace(bar(1), high=float("inf")), "not finite"),
        (replace(bar(1), volume=-1.0), "volume is negative"),
        (replace(bar(1), low=-9.0), "not positive"),
        (replace(bar(1), open_ms=START + BAR + 7), "off the grid"),
    ],
)
def test_a_bad_candle_is_dropped_and_blocks_until_replaced(bad: Candle, fault: str) -> None:
    s = sequence()
    (rejected,) = s.hear(bad, FLAG, closes_ms(1))
    assert isinstance(rejected, Rejected)
    assert rejected.blocking
    assert any(fault in text for text in rejected.faults)
    assert s.bad_bars == (START + BAR,)
    assert s.missing(closes_ms(1), 5_000) == Missing(START + BAR, START + BAR, 1), "asked for at once"
    assert s.hear(bar(2), FLAG, closes_ms(2)) == [], "what follows waits"
    assert s.hear(bar(1), REST, closes_ms(2)) == [Decided(bar(1), REST), Decided(bar(2), FLAG)]
    assert s.bad_bars == ()


def test_a_bad_copy_of_a_decided_or_held_bar_blocks_nothing() -> None:
    s = sequence()
    s.hear(bar(1), FLAG, LATER)
    s.hear(bar(3), FLAG, LATER)
    for n in (1, 3):
        (rejected,) = s.hear(replace(bar(n), high=1.0), REST, LATER)
        assert isinstance(rejected, Rejected)
        assert not rejected.blocking
    assert s.bad_bars == ()


def test_a_bar_from_the_future_is_not_believed_and_not_waited_for() -> None:
    s = sequence()
    (rejected,) = s.hear(bar(50), FLAG, closes_ms(1))
    assert isinstance(rejected, Rejected)
    assert not rejected.blocking
    assert s.held_bars == 0
    assert s.missing(closes_ms(1), 5_000) is None


def test_a_clock_some_seconds_behind_still_hears_the_flag() -> None:
    s = sequence()
    assert s.hear(bar(1), FLAG, closes_ms(1) - 5_000) == [Decided(bar(1), FLAG)]


def test_every_decided_bar_is_verified_once() -> None:
    s = sequence()
    s.hear(bar(1), FLAG, LATER)
    s.hear(bar(2), REST, LATER)
    s.hear(bar(3), BACKFILL, LATER)
    assert (s.unverified, s.oldest_unverified_ms()) == (2, START + BAR)
    s.hear(bar(1), FLAG, LATER)
    assert s.unverified == 2, "another frame verifies nothing"
    s.hear(bar(1), REST, LATER)
    assert (s.unverified, s.oldest_unverified_ms()) == (1, START + 2 * BAR)
    assert s.give_up_verifying(START + 2 * BAR) == 1
    assert s.oldest_unverified_ms() is None


def test_a_hole_in_the_exchanges_own_history_is_skipped_on_order() -> None:
    s = sequence()
    s.hear(bar(5), FLAG, LATER)
    assert [s.hole_seen(START + 5 * BAR) for _ in range(3)] == [1, 2, 3]
    assert s.skip_to(START + 5 * BAR) == [Decided(bar(5), FLAG)]
    assert s.missing(closes_ms(5), 0) is None


def test_evidence_for_a_hole_begins_anew_when_it_changes() -> None:
    s = sequence()
    assert s.hole_seen(START + 5 * BAR) == 1
    assert s.hole_seen(START + 4 * BAR) == 1
    assert s.hole_seen(START + 4 * BAR) == 2
    s.hear(bar(1), BACKFILL, LATER)
    assert s.hole_seen(START + 4 * BAR) == 1


def test_memory_is_bounded_and_what_was_dropped_is_missing() -> None:
    s = sequence(remember=10, hold=3)
    for n in range(2, 20):
        s.hear(bar(n), FLAG, LATER)
    assert s.held_bars == 3
    decided = s.hear(bar(1), BACKFILL, LATER)
    assert [d.candle.open_ms for d in decided if isinstance(d, Decided)] == [
        START + n * BAR for n in range(1, 5)
    ]
    assert s.missing(closes_ms(19), 0) == Missing(START + 5 * BAR, START + 19 * BAR, 15)
    for n in range(5, 60):
        s.hear(bar(n), FLAG, LATER)
    assert s.unverified <= 10
    assert s.hear(bar(2, close=10.5), REST, LATER) == [], "too long ago to compare"
