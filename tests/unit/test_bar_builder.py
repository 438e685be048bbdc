"""Larger bars from smaller ones."""

from __future__ import annotations

import pytest

from agent.core.market import MINUTE_MS, Candle
from agent.exchange.bar_builder import BarBuilder, Built, fold
from agent.exchange.timeframes import BINANCE_INTERVALS, bar_source

PART, BAR = 5 * MINUTE_MS, 10 * MINUTE_MS
T0 = 1_000 * BAR


def part(n: int, close: float, high: float = 20.0, low: float = 1.0, volume: float = 1.0) -> Candle:
    return Candle(T0 + n * PART, 10.0 + n, high, low, close, volume)


def test_a_bar_takes_first_open_last_close_extremes_and_the_sum() -> None:
    rows = [part(0, 11.0, high=12.0, low=9.0, volume=2.0), part(1, 10.5, high=13.0, low=10.0, volume=3.0)]
    assert fold(rows, BAR) == [Candle(T0, 10.0, 13.0, 9.0, 10.5, 5.0)]


def test_history_takes_what_exists_of_a_bar() -> None:
    assert [c.open_ms for c in fold([part(0, 11.0), part(3, 12.0), part(4, 12.0)], BAR)] == [
        T0,
        T0 + BAR,
        T0 + 2 * BAR,
    ]


def test_a_live_bar_closes_with_its_last_part() -> None:
    builder = BarBuilder(PART, BAR)
    assert builder.hear(part(0, 11.0), closed=False) == Built(Candle(T0, 10.0, 20.0, 1.0, 11.0, 1.0), False)
    first = builder.hear(part(0, 12.0), closed=True)
    assert first is not None
    assert not first.closed, "half of it is still to come"
    going = builder.hear(part(1, 13.0), closed=False)
    assert going is not None
    assert (going.closed, going.candle.close, going.candle.volume) == (False, 13.0, 2.0)
    done = builder.hear(part(1, 14.0, volume=4.0), closed=True)
    assert done == Built(Candle(T0, 10.0, 20.0, 1.0, 14.0, 5.0), True)


def test_a_bar_that_misses_a_part_is_not_built_and_the_next_one_is() -> None:
    builder = BarBuilder(PART, BAR)
    assert builder.hear(part(1, 11.0), closed=True) is None, "joined in the middle"
    assert builder.hear(part(3, 11.0), closed=True) is None, "the first part was lost"
    assert builder.hear(part(4, 11.0), closed=True) is not None
    assert builder.hear(part(4, 11.0), closed=True) is None, "a second copy of a part"
    done = builder.hear(part(5, 11.0), closed=True)
    assert done is not None
    assert done.closed


def test_a_part_of_an_older_bar_changes_nothing() -> None:
    builder = BarBuilder(PART, BAR)
    builder.hear(part(2, 11.0), closed=True)
    assert builder.hear(part(1, 99.0), closed=True) is None
    done = builder.hear(part(3, 12.0), closed=True)
    assert done is not None
    assert done.candle.close == 12.0


@pytest.mark.parametrize(
    ("timeframe", "offered", "interval", "parts"),
    [
        ("15m", BINANCE_INTERVALS, "15m", 1),
        ("60m", BINANCE_INTERVALS, "1h", 1),
        ("10m", BINANCE_INTERVALS, "5m", 2),
        ("10m", {"1m", "1h"}, "1m", 10),
        ("3m", {"1m", "5m"}, "1m", 3),
        ("60m", {"30m", "15m"}, "30m", 2),
    ],
)
def test_the_largest_divisor_is_chosen(timeframe: str, offered: set[str], interval: str, parts: int) -> None:
    source = bar_source(timeframe, offered)
    assert (source.interval, source.parts) == (interval, parts)
    assert source.is_built == (parts > 1)


def test_a_timeframe_that_cannot_be_built_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no bars that 10m could be built from"):
        bar_source("10m", {"15m", "1h", "4h"})
