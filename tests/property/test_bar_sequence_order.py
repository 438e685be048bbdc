"""Whatever the network does to the frames: each bar once, in order, without gaps."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.core.events import ClosedBy
from agent.core.market import MINUTE_MS, Candle
from agent.exchange.bar_sequence import BarSequence, Decided, Rejected

BAR = 5 * MINUTE_MS
START = 1_000_000 * BAR
BARS = 25


def truth(n: int) -> Candle:
    price = 100.0 + n
    return Candle(START + n * BAR, price, price + 1, price - 1, price + 0.5, 10.0 + n)


SPOILERS = (
    lambda c: replace(c, high=c.low - 1),
    lambda c: replace(c, close=float("nan")),
    lambda c: replace(c, volume=-1.0),
    lambda c: replace(c, open_ms=c.open_ms + 1),
)

frames = st.lists(
    st.one_of(
        st.integers(1, BARS).map(truth),
        st.tuples(st.integers(1, BARS), st.sampled_from(SPOILERS)).map(lambda x: x[1](truth(x[0]))),
    ),
    max_size=60,
)


def fetch(sequence: BarSequence, now_ms: int, page: int) -> list[Decided]:
    """Ask "REST" for what is missing until nothing is."""
    decided: list[Decided] = []
    for _ in range(BARS * 2):
        missing = sequence.missing(now_ms, 0)
        if missing is None:
            return decided
        first = (missing.since_ms - START) // BAR
        for n in range(first, min(first + page, BARS + 1)):
            decided += [
                o for o in sequence.hear(truth(n), ClosedBy.BACKFILL, now_ms) if isinstance(o, Decided)
            ]
    raise AssertionError("the gap does not close")


@given(frames, st.integers(1, 1_000), st.integers(1, 30), st.lists(st.integers(0, 60), max_size=5))
def test_any_loss_order_and_repetition_of_frames_yields_each_bar_once_in_order(
    sent: list[Candle], page: int, hold: int, fetch_after: list[int]
) -> None:
    sequence = BarSequence(BAR, START, hold=hold)
    end_ms = START + (BARS + 1) * BAR
    decided: list[Decided] = []
    for i, candle in enumerate(sent):
        for outcome in sequence.hear(candle, ClosedBy.FLAG, end_ms):
            if isinstance(outcome, Decided):
                decided.append(outcome)
            else:
                assert isinstance(outcome, Rejected), "the copies here are all alike"
        if i in fetch_after:
            decided += fetch(sequence, end_ms, page)
    decided += fetch(sequence, end_ms, page)
    assert [d.candle for d in decided] == [truth(n) for n in range(1, BARS + 1)]
    assert sequence.bad_bars == ()
    assert sequence.held_bars == 0


@given(frames)
def test_the_next_bar_never_goes_back_and_nothing_after_it_was_delivered(sent: list[Candle]) -> None:
    sequence = BarSequence(BAR, START)
    end_ms = START + (BARS + 1) * BAR
    for candle in sent:
        before_ms = sequence.next_open_ms
        outcomes = sequence.hear(candle, ClosedBy.FLAG, end_ms)
        delivered = [o.candle.open_ms for o in outcomes if isinstance(o, Decided)]
        assert delivered == list(range(before_ms, sequence.next_open_ms, BAR))
