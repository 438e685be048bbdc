"""Candles out of answers: pages, built bars, and answers that are none."""

from __future__ import annotations

import pytest

from agent.core.market import MINUTE_MS
from agent.core.ports import MarketDataError
from agent.exchange.candle_rows import candles_in, read_candles
from agent.exchange.timeframes import BINANCE_INTERVALS, bar_source

PART = 5 * MINUTE_MS
T0 = 1_000 * 2 * PART
TEN = bar_source("10m", BINANCE_INTERVALS)
FIVE = bar_source("5m", BINANCE_INTERVALS)


def row(n: int) -> list[object]:
    return [T0 + n * PART, "10.0", "12.0", "9.0", f"{10 + n / 100:.2f}", "2.0", 0, "0"]


class Market:
    """An exchange's history of 5-minute candles, told in pages of at most `page`."""

    def __init__(self, parts: list[int], page: int = 1_000) -> None:
        self.parts = parts
        self.page = page
        self.asked: list[tuple[int, int]] = []

    async def fetch(self, since_ms: int, limit: int) -> object:
        self.asked.append(((since_ms - T0) // PART, limit))
        return [row(n) for n in self.parts if T0 + n * PART >= since_ms][: min(limit, self.page)]


async def test_rows_come_as_they_are() -> None:
    market = Market(list(range(5)))
    candles = await read_candles(market.fetch, FIVE, T0 + PART, 3, short_page_ends=True)
    assert [c.open_ms for c in candles] == [T0 + n * PART for n in (1, 2, 3)]
    assert candles[0].close == 10.01


async def test_built_bars_ask_for_their_parts() -> None:
    market = Market(list(range(5)))
    candles = await read_candles(market.fetch, TEN, T0, 10, short_page_ends=True)
    assert market.asked == [(0, 20)]
    assert [(c.open_ms, c.close, c.volume) for c in candles] == [
        (T0, 10.01, 4.0),
        (T0 + 2 * PART, 10.03, 4.0),
        (T0 + 4 * PART, 10.04, 2.0),
    ]


async def test_a_built_bar_begins_on_its_own_grid() -> None:
    market = Market(list(range(6)))
    candles = await read_candles(market.fetch, TEN, T0 + PART, 10, short_page_ends=True)
    assert [c.open_ms for c in candles] == [T0 + 2 * PART, T0 + 4 * PART]


async def test_a_bar_cut_by_the_end_of_a_page_is_completed() -> None:
    market = Market(list(range(40)), page=7)
    candles = await read_candles(market.fetch, TEN, T0, 20, short_page_ends=False)
    assert [c.volume for c in candles] == [4.0] * 20
    assert len(market.asked) == 6


async def test_a_bar_reached_only_by_count_is_left_out() -> None:
    market = Market([0, 2, 3, 4, 5, 6, 7])
    candles = await read_candles(market.fetch, TEN, T0, 2, short_page_ends=True)
    assert [(c.open_ms, c.volume) for c in candles] == [(T0, 2.0), (T0 + 2 * PART, 4.0)]
    assert len(await read_candles(market.fetch, TEN, T0, 1, short_page_ends=True)) == 1


async def test_history_that_ends_ends_the_reading() -> None:
    market = Market([0, 1, 2], page=2)
    candles = await read_candles(market.fetch, TEN, T0, 50, short_page_ends=False)
    assert len(candles) == 2
    assert market.asked[-1] == (3, 97)
    assert await read_candles(Market([]).fetch, TEN, T0, 5, short_page_ends=True) == []


@pytest.mark.parametrize(
    "answer",
    [
        "<html><body>502 Bad Gateway</body></html>",
        {"code": -1000, "msg": "no"},
        None,
        [7],
        [[1, "2"]],
        [["soon", "1", "1", "1", "1", "1"]],
        [[1, "1", "1", "1", None, "1"]],
        [[1, "1", "1", "1", "cheap", "1"]],
        [[float("inf"), "1", "1", "1", "1", "1"]],
    ],
)
def test_what_is_no_list_of_candles_is_an_error_in_words(answer: object) -> None:
    with pytest.raises(MarketDataError, match=r"^candles: "):
        candles_in(answer)


def test_numbers_that_cannot_be_believed_are_left_for_the_judge() -> None:
    (candle,) = candles_in([["1700000000000", "NaN", "1e999", "-1", "1", "1"]])
    assert candle.open_ms == 1_700_000_000_000
    assert candle.faults(MINUTE_MS) == ("a number is not finite",)
