"""The pure half of the chart: buckets against plain loops, ranges, marks of the axes, words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ui.chart_scene import BAR_MS, market
from ui.chart import numbers
from ui.chart.candles import CLOSE, EMA_FAST, HIGH, LOW, OPEN, VOLUME, Candle, Candles, bucketed
from ui.chart.ticks import price_ticks, time_ticks, time_words, zone_words
from ui.chart.viewport import PriceRange, TimeRange


def loaded(count: int) -> Candles:
    seen, candles = market(count), Candles(BAR_MS)
    candles.replace(seen.open_ms, list(seen.columns[1:]))
    return candles


@pytest.mark.parametrize("k", [1, 2, 7, 33, 5_000])
def test_a_bucket_is_first_open_highest_lowest_last_close_and_all_volume(k: int) -> None:
    seen = market(1_003)
    got = bucketed(seen.open_ms, np.array(seen.columns[1:]), BAR_MS, k)
    groups: dict[int, list[int]] = {}
    for index, open_ms in enumerate(seen.open_ms.tolist()):
        groups.setdefault(open_ms // (BAR_MS * k), []).append(index)
    assert len(got.x) == len(groups)
    for column, (key, rows) in enumerate(groups.items()):
        assert got.x[column] == key * k + (k - 1) / 2
        assert got.columns[OPEN, column] == seen.open[rows[0]]
        assert got.columns[HIGH, column] == max(seen.high[rows])
        assert got.columns[LOW, column] == min(seen.low[rows])
        assert got.columns[CLOSE, column] == seen.close[rows[-1]]
        assert got.columns[VOLUME, column] == pytest.approx(sum(seen.volume[rows]), rel=1e-12)
        assert got.columns[EMA_FAST, column] == seen.ema_fast[rows[-1]]


@pytest.mark.parametrize("k", [1, 4, 9])
def test_history_and_latest_are_together_all_there_is(k: int) -> None:
    candles = loaded(500)
    whole = bucketed(candles.open_ms, candles.columns, BAR_MS, k)
    past, last = candles.history(k), candles.latest(k)
    assert len(last.x) == 1
    np.testing.assert_array_equal(np.concatenate([past.x, last.x]), whole.x)
    np.testing.assert_array_equal(np.concatenate([past.columns, last.columns], axis=1), whole.columns)


def test_a_gap_in_time_stays_a_gap() -> None:
    seen, candles = market(100), Candles(BAR_MS)
    keep = np.r_[0:40, 60:100]
    candles.replace(seen.open_ms[keep], [column[keep] for column in seen.columns[1:]])
    assert candles.last_x - candles.first_x == 99
    assert len(candles.history(4).x) + 1 < 25


def test_ticks_do_not_touch_history_and_new_bars_do() -> None:
    candles = loaded(300)
    version = candles.version
    last = candles.candle(-1)
    assert not candles.put(Candle(last.open_ms, last.open, 9.0, last.low, 8.0, 1.0))
    assert candles.version == version
    assert candles.latest(1).columns[HIGH, 0] == 9.0
    assert candles.put(Candle(last.open_ms + BAR_MS, 8.0, 8.5, 7.9, 8.1, 3.0))
    assert candles.version > version
    assert candles.history(1).columns[HIGH, -1] == 9.0
    assert len(candles) == 301


def test_thousands_of_new_bars_keep_every_value() -> None:
    seen, candles = market(3_000), Candles(BAR_MS)
    for index in range(3_000):
        candles.put(seen.candle(index))
    np.testing.assert_array_equal(candles.open_ms, seen.open_ms)
    np.testing.assert_array_equal(candles.columns, np.array(seen.columns[1:]))


def test_older_candles_go_before_and_known_ones_are_left_out() -> None:
    seen, candles = market(400), Candles(BAR_MS)
    candles.replace(seen.open_ms[200:], [column[200:] for column in seen.columns[1:]])
    came = candles.prepend(seen.open_ms[:250], [column[:250] for column in seen.columns[1:]])
    assert came == 200
    np.testing.assert_array_equal(candles.columns, np.array(seen.columns[1:]))


def test_unusable_columns_are_refused_with_the_place() -> None:
    seen, candles = market(10), Candles(BAR_MS)
    columns = list(seen.columns[1:])
    with pytest.raises(ValueError, match="row 3"):
        candles.replace(seen.open_ms[[0, 1, 2, 2, 4, 5, 6, 7, 8, 9]], columns)
    with pytest.raises(ValueError, match="shape"):
        candles.replace(seen.open_ms[:9], columns)
    broken = seen.close.copy()
    broken[4] = np.nan
    with pytest.raises(ValueError, match="candle 4"):
        candles.replace(seen.open_ms, [*columns[:3], broken, *columns[4:]])
    assert len(candles) == 0


def test_only_a_following_view_moves_with_new_bars() -> None:
    time = TimeRange()
    time.reset(1_000, 650)
    right = time.right
    time.advance(1)
    assert time.right == right + 1
    time.pan(-5, 0, 1_001)
    assert not time.following
    seen = (time.left, time.right)
    time.advance(1)
    assert (time.left, time.right) == seen
    time.pan(60, 0, 1_002)
    assert time.following


def test_zoom_keeps_the_anchor_and_stays_within_limits() -> None:
    time = TimeRange()
    time.reset(20_000, 650)
    anchor = 19_950.0
    share = (anchor - time.left) / time.bars
    time.zoom(0.5, anchor, 0, 20_000)
    assert (anchor - time.left) / time.bars == pytest.approx(share)
    time.zoom(1e-9, anchor, 0, 20_000)
    assert time.bars == pytest.approx(8)
    time.zoom(1e9, anchor, 0, 20_000)
    assert 20_000 < time.bars < 24_000


def test_price_range_keeps_still_until_the_price_touches_its_edge() -> None:
    price = PriceRange()
    price.fit(100, 110)
    assert (price.low, price.high) == (99, 111)
    assert not price.hold(100, 110.5)
    assert (price.low, price.high) == (99, 111)
    assert price.hold(100, 111)
    assert price.high == pytest.approx(112.1)
    price.fit(5, 5)
    assert price.low < 5 < price.high


@pytest.mark.parametrize(
    ("low", "high", "decimals"),
    [
        (0.4987, 0.5312, 4),
        (0.00001201, 0.00001299, 8),
        (96_000.0, 104_500.0, 2),
        (0.5, 0.5009, 4),
        (1, 900, 2),
    ],
)
def test_price_marks_are_round_and_on_the_tick(low: float, high: float, decimals: int) -> None:
    marks = price_ticks(low, high, 9, decimals)
    assert 2 <= len(marks) <= 10
    assert all(low <= mark <= high * (1 + 1e-12) for mark in marks)
    for mark in marks:
        assert mark == pytest.approx(round(mark, decimals), rel=1e-9)
    steps = np.diff(marks)
    assert steps == pytest.approx(np.full(len(steps), steps[0]), rel=1e-6)


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (1, ["1 Mar 22:00", "22:10", "22:20"]),
        (30, ["2 Mar", "3 Mar", "03:00"]),
        (24 * 20, ["3 Mar", "5 Mar"]),
        (24 * 400, ["Mar", "2027"]),
        (24 * 3_000, ["2027", "2030"]),
    ],
)
def test_time_marks_read_well_at_every_zoom(hours: int, expected: list[str]) -> None:
    start = ms(2026, 3, 1, 22, 0)
    marks = time_ticks(start, start + hours * 3_600_000, 900, 84, UTC)
    words = [mark.text for mark in marks]
    assert 3 <= len(words) <= 11
    assert all(np.diff([mark.ms for mark in marks]) > 0)
    assert set(expected) <= set(words)


def test_marks_are_on_local_midnight_on_both_sides_of_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    marks = time_ticks(ms(2026, 3, 27), ms(2026, 3, 31), 900, 84, berlin)
    midnights = [mark.ms for mark in marks if mark.major]
    assert midnights == [ms(2026, 3, 27, 23), ms(2026, 3, 28, 23), ms(2026, 3, 29, 22), ms(2026, 3, 30, 22)]


ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo")


@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.floats(1.2e12, 1.9e12),
    st.floats(5.3, 12.6),
    st.floats(200, 2_000),
)
def test_time_marks_increase_lie_inside_and_keep_apart(
    zone: str, left: float, power: float, width: float
) -> None:
    span, place = 10**power, ZoneInfo(zone)
    marks = time_ticks(left, left + span, width, 84, place)
    times = [mark.ms for mark in marks]
    assert all(left - 1 <= moment <= left + span + 1 for moment in times)
    assert all((later - earlier) * width / span >= 46 for earlier, later in pairwise(times))
    for mark in marks:
        if ":" in mark.text:
            assert mark.text.endswith(f"{datetime.fromtimestamp(mark.ms / 1000, place):%H:%M}")


@settings(deadline=None)
@given(st.floats(-8, 6), st.floats(-6, 1), st.integers(0, 10), st.integers(1, 15))
def test_price_marks_never_say_the_same_twice(low: float, more: float, decimals: int, most: int) -> None:
    marks = price_ticks(10**low, 10**low * (1 + 10**more), most, decimals)
    words = [numbers.price(mark, decimals) for mark in marks]
    assert len(set(words)) == len(words)


def test_words() -> None:
    assert numbers.price(1234567.5, 2) == "1,234,567.50"
    assert numbers.price(0.00001234, 8) == "0.00001234"
    assert numbers.price(-3.5, 1) == "\u22123.5"
    assert numbers.percent(-0.4512) == "\u22120.45 %"
    assert numbers.percent(-0.0001) == "0.00 %"
    assert numbers.percent(2) == "+2.00 %"
    assert numbers.arrow(0) == numbers.FLAT
    assert [numbers.compact(v) for v in (0, 0.0123, 950, 9_996, 12_345, 4.56e6, 7.891e9)] == [
        "0",
        "0.0123",
        "950",
        "10.0K",
        "12.3K",
        "4.56M",
        "7.89B",
    ]
    assert [numbers.remaining(v) for v in (-5, 1, 7_000, 754_000, 3_723_000)] == [
        "0:00",
        "0:01",
        "0:07",
        "12:34",
        "1:02:03",
    ]
    assert time_words(ms(2025, 1, 15, 14, 30), UTC) == "Wed 15 Jan 2025 14:30 UTC"
    assert time_words(ms(2025, 1, 15, 14, 30), ZoneInfo("Asia/Kathmandu"), brief=True) == "15 Jan 20:15"
    assert zone_words(ms(2025, 7, 1), ZoneInfo("Europe/Berlin")) == "UTC+2"
    assert zone_words(ms(2025, 1, 1), ZoneInfo("America/St_Johns")) == "UTC\u22123:30"


def test_the_same_marks_are_named_by_the_zone_that_is_asked_for() -> None:
    left, right = 1_736_899_200_000.0, 1_736_985_600_000.0
    before = time_ticks(left, right, 900, 84, UTC)
    there = time_ticks(left, right, 900, 84, ZoneInfo("Asia/Kathmandu"))
    assert before[0].text == "15 Jan"
    assert all(datetime.fromtimestamp(t.ms / 1000, ZoneInfo("Asia/Kathmandu")).minute == 0 for t in there)
    assert time_ticks(left, right, 900, 84, UTC) == before
    said = [time_words(left, zone) for zone in (UTC, ZoneInfo("Asia/Kathmandu"), UTC)]
    assert said == [
        "Wed 15 Jan 2025 00:00 UTC",
        "Wed 15 Jan 2025 05:45 UTC+5:45",
        "Wed 15 Jan 2025 00:00 UTC",
    ]


def test_the_highest_price_is_that_of_all_candles_at_any_time() -> None:
    seen, candles = market(50), Candles(BAR_MS)
    candles.replace(seen.open_ms[:1], [column[:1] for column in seen.columns[1:]])
    assert candles.highest == seen.high[0]
    candles.replace(seen.open_ms[20:], [column[20:] for column in seen.columns[1:]])
    assert candles.highest == seen.high[20:].max()
    last = candles.candle(-1)
    candles.put(replace(last, high=9.0))
    assert candles.highest == 9.0
    candles.put(last)
    assert candles.highest == seen.high[20:].max()
    candles.put(replace(last, open_ms=last.open_ms + BAR_MS, high=8.0))
    candles.put(replace(last, open_ms=last.open_ms + 2 * BAR_MS))
    assert candles.highest == 8.0
    candles.put(replace(candles.candle(3), high=10.0))
    assert candles.highest == 10.0
    candles.put(replace(candles.candle(3), high=1.0))
    candles.prepend(seen.open_ms[:20], [np.full(20, 11.0)] * 5 + [None, None])
    assert candles.highest == 11.0
