"""Bars and trades of the local exchange's market, and what an operator does to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from agent.localexchange import intervals
from agent.localexchange.bars import Bar
from agent.localexchange.book import BookKeeper
from agent.localexchange.exhaustion import Thresholds
from agent.localexchange.interventions import NothingTradesError, spread_over
from agent.localexchange.market_synthetic import SyntheticSource
from agent.localexchange.pairs import eight_decimals, pair_named
from agent.localexchange.shaping import Wish, force_signal
from agent.localexchange.tape import Tape

MINUTE_MS, DAY_MS = 60_000, 86_400_000
NOW_MS = int(datetime(2025, 6, 18, 10, 7, 30, tzinfo=UTC).timestamp()) * 1_000
ADA = pair_named("ADA/USDT")


def tape(seed: int = 7, days: int = 120) -> Tape:
    return Tape(ADA, SyntheticSource(ADA, seed), seed, (NOW_MS - days * DAY_MS) // DAY_MS * DAY_MS)


def added_up(parts: list[Bar], like: Bar) -> Bar:
    return replace(
        like,
        open=parts[0].open,
        high=max(p.high for p in parts),
        low=min(p.low for p in parts),
        close=parts[-1].close,
        volume=sum(p.volume for p in parts),
        quote=sum(p.quote for p in parts),
        trades=sum(p.trades for p in parts),
        taker_buy=sum(p.taker_buy for p in parts),
        taker_buy_quote=sum(p.taker_buy_quote for p in parts),
        first_trade=parts[0].first_trade,
        last_trade=parts[-1].last_trade,
    )


@pytest.mark.parametrize("interval", intervals.NAMES)
def test_intervals_partition_time(interval: str) -> None:
    for at_ms in (NOW_MS, 0, 1_709_164_799_999, 1_709_251_200_000):
        open_ms = intervals.open_of(interval, at_ms)
        next_ms = intervals.next_open(interval, open_ms)
        assert open_ms <= at_ms < next_ms
        assert intervals.open_of(interval, next_ms - 1) == open_ms
        assert intervals.open_of(interval, next_ms) == next_ms
        assert intervals.shifted(interval, next_ms, -1) == max(open_ms, 0) or interval == "1w"
    grid = intervals.opens(interval, NOW_MS, NOW_MS + 1)
    assert grid.tolist() == [intervals.open_of(interval, NOW_MS)]


def test_weeks_open_on_mondays_and_months_on_the_first() -> None:
    week = datetime.fromtimestamp(intervals.open_of("1w", NOW_MS) / 1_000, UTC)
    month = datetime.fromtimestamp(intervals.open_of("1M", NOW_MS) / 1_000, UTC)
    assert (week.isoweekday(), week.hour) == (1, 0)
    assert (month.day, month.hour) == (1, 0)
    assert intervals.shifted("1M", intervals.open_of("1M", NOW_MS), -18) == int(
        datetime(2023, 12, 1, tzinfo=UTC).timestamp() * 1_000
    )


@pytest.mark.parametrize("interval", [n for n in intervals.NAMES if n not in ("1s", "1m")])
def test_every_interval_is_exactly_its_minutes(interval: str) -> None:
    market = tape()
    for bar in market.klines(interval, None, None, 3, NOW_MS):
        minutes = market.bars("1m", bar.open_ms, bar.close_ms, NOW_MS)
        assert bar == added_up(minutes, bar)
        assert bar.closed == (bar.close_ms < NOW_MS)


def test_minutes_are_exactly_their_seconds() -> None:
    market = tape()
    for bar in market.klines("1m", None, None, 3, NOW_MS):
        seconds = market.bars("1s", bar.open_ms, bar.close_ms, NOW_MS)
        assert bar == added_up(seconds, bar)


def test_what_is_told_does_not_depend_on_when_or_how_it_was_asked() -> None:
    early, late = tape(), tape()
    then = [early.klines("15m", None, None, 5, NOW_MS + n * 7_000) for n in range(200)]
    later = NOW_MS + 200 * 7_000
    late.klines("1d", None, None, 30, later)
    closed = [bar for bar in late.klines("15m", None, None, 20, later) if bar.closed]
    told = {bar.open_ms: bar for bars in then for bar in bars if bar.closed}
    assert {bar.open_ms: bar for bar in closed if bar.open_ms in told} == told
    other_start = Tape(ADA, SyntheticSource(ADA, 7), 7, NOW_MS - 10 * DAY_MS)
    assert other_start.klines("15m", None, None, 20, later) == late.klines("15m", None, None, 20, later)


def test_nothing_of_the_future_is_told() -> None:
    market = tape()
    for now_ms in range(NOW_MS, NOW_MS + 120_000, 1_700):
        trade = market.last_trade(now_ms)
        assert trade is not None
        assert now_ms - 1_000 < trade.at_ms <= now_ms
        (bar,) = market.klines("1m", None, None, 1, now_ms)
        assert bar.close == trade.price
        assert market.klines("1m", now_ms + 1, None, 10, now_ms) == []


def test_a_bar_only_grows() -> None:
    market = tape()
    open_ms = intervals.open_of("15m", NOW_MS)
    last: Bar | None = None
    for now_ms in range(open_ms, open_ms + 900_000, 9_000):
        bar = market.bar_at("15m", open_ms, now_ms)
        assert bar is not None
        assert not bar.closed
        if last is not None:
            assert bar.high >= last.high
            assert bar.low <= last.low
            assert bar.volume >= last.volume
            assert bar.open == last.open
        last = bar
    whole = market.bar_at("15m", open_ms, open_ms + 900_000)
    assert whole is not None
    assert whole.closed


def test_quotes_move_through_the_extremes_of_every_minute() -> None:
    market = tape()
    book = BookKeeper(market, 7)
    for minute in range(NOW_MS // MINUTE_MS, NOW_MS // MINUTE_MS + 60):
        bids = []
        for second in range(60):
            book.advance(minute * MINUTE_MS + second * 1_000)
            top = book.top()
            assert top is not None
            assert top.bid < top.ask <= top.bid + 2
            bids.append(top.bid)
        (bar,) = market.bars("1m", minute * MINUTE_MS, minute * MINUTE_MS, (minute + 1) * MINUTE_MS)
        assert (max(bids), min(bids)) == (bar.high, bar.low)


def test_the_book_is_a_function_of_time_and_finite() -> None:
    one, other = BookKeeper(tape(), 7), BookKeeper(tape(), 7)
    for at_ms in range(NOW_MS, NOW_MS + 60_000, 370):
        one.advance(at_ms)
    other.advance(NOW_MS + 60_000 - 60_000 % 370)
    one.advance(NOW_MS + 60_000)
    other.advance(NOW_MS + 60_000)
    assert (one.bids, one.asks, one.update_id) == (other.bids, other.asks, other.update_id)
    assert len(one.bids) == len(one.asks) == 100
    assert list(one.bids) == sorted(one.bids, reverse=True)
    assert list(one.asks) == sorted(one.asks)
    depth = sum(size for size in one.asks.values()) * 0.1
    assert 50_000 < depth < 50_000_000, "of ADA: more than a small account, less than the world"


def test_changes_of_the_book_lead_from_state_to_state() -> None:
    book = BookKeeper(tape(), 7)
    follower = book.follow(NOW_MS)
    bids, asks, last = dict(book.bids), dict(book.asks), book.update_id
    for at_ms in range(NOW_MS, NOW_MS + 90_000, 1_300):
        book.advance(at_ms - 650)
        book.advance(at_ms)
        changes = follower.take(book)
        if changes is None:
            continue
        assert changes.first_id == last + 1
        last = changes.last_id
        bids.update(changes.bids)
        asks.update(changes.asks)
        assert {p: s for p, s in bids.items() if s} == book.bids
        assert {p: s for p, s in asks.items() if s} == book.asks
    assert follower.take(book) is None


def test_moving_the_price_changes_the_future_alone() -> None:
    market, untouched = tape(), tape()
    past = market.klines("1m", None, None, 200, NOW_MS)
    market.move_to(9_000, NOW_MS)
    assert market.klines("1m", None, None, 200, NOW_MS) == past
    trade = market.last_trade(NOW_MS + 1_000)
    assert trade is not None
    assert trade.price == 9_000
    later = NOW_MS + 5 * DAY_MS
    moved = market.klines("1m", NOW_MS + MINUTE_MS, None, 1_000, later)
    true = untouched.klines("1m", NOW_MS + MINUTE_MS, None, 1_000, later)
    ratio = np.array([b.close for b in moved]) / np.array([b.close for b in true])
    assert ratio.std() < 0.001 * ratio.mean(), "the market goes on with its own moves from the new level"
    assert [b.volume for b in moved] == [b.volume for b in true]
    (day,) = market.klines("1d", NOW_MS - DAY_MS + 1, None, 1, later)
    minutes = market.bars("1m", day.open_ms, day.close_ms, later)
    assert day == added_up(minutes, day)


@pytest.mark.parametrize("second", [0, 1, 30, 58, 59])
def test_a_price_moved_in_any_second_leaves_a_candle_that_can_be_believed(second: int) -> None:
    market = tape()
    minute_ms = NOW_MS // MINUTE_MS * MINUTE_MS
    market.move_to(9_000, minute_ms + second * 1_000 + 500)
    market.move_to(7_000, minute_ms + second * 1_000 + 700)
    minute, after = market.klines("1m", minute_ms, None, 2, minute_ms + 2 * MINUTE_MS)
    for bar in (minute, after):
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert 6_900 < after.close < 7_100


def test_a_second_move_replaces_what_was_planned() -> None:
    market = tape()
    force_signal(market, Wish("15m", Thresholds(), Decimal("0.7"), 8), NOW_MS)
    market.move_to(8_000, NOW_MS + 2 * MINUTE_MS)
    bars = market.klines("1m", NOW_MS + 3 * MINUTE_MS, None, 30, NOW_MS + 40 * MINUTE_MS)
    assert all(7_700 < bar.close < 8_300 for bar in bars)


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("offset_minutes", [0, 13, 5_000])
@pytest.mark.parametrize("interval", ["1m", "15m"])
def test_forcing_a_signal_makes_one(seed: int, offset_minutes: int, interval: str) -> None:
    market = tape(seed)
    now_ms = NOW_MS + offset_minutes * MINUTE_MS
    past = market.klines(interval, None, None, 50, now_ms)
    forced = force_signal(market, Wish(interval, Thresholds(), None, 8), now_ms)
    assert market.klines(interval, None, None, 50, now_ms) == past
    assert forced.close_ms > now_ms
    rows = market.closed_columns(interval, forced.close_ms + 1, 8_000)[:, 1:].astype(float)
    assert rows.shape == (8_000, 5)
    opened, high, low, close, volume = rows.T
    fast = slow = close[0]
    for c in close:
        fast, slow = fast + (c - fast) * 2 / 97, slow + (c - slow) * 2 / 673
    before = np.concatenate(([opened[0]], close[:-1]))
    ranges = np.maximum(high, before) - np.minimum(low, before)
    atr = np.convolve(ranges, np.full(96, 1 / 96), "valid")
    assert fast < slow
    assert (volume[-1] - volume[-672:].mean()) / volume[-672:].std() > 2.0
    assert (atr[-1] - atr[-672:].mean()) / atr[-672:].std() > 1.2
    assert (close[-1] - low[-1]) / (high[-1] - low[-1]) > 0.6


def test_spread_bars_add_up_again() -> None:
    rng = np.random.default_rng(1)
    edges = np.sort(rng.integers(100, 200, (50, 4)), axis=1)
    low, high = edges[:, 0], edges[:, 3]
    opened, closed = np.where(rng.random((2, 50)) < 0.5, edges[:, 1], edges[:, 2])
    volume = rng.integers(0, 1_000, 50)
    for minutes in (1, 3, 5, 15, 30, 60):
        spread = spread_over(0, minutes, opened, high, low, closed, volume)
        shape = (50, minutes)
        assert np.array_equal(spread.open.reshape(shape)[:, 0], opened)
        assert np.array_equal(spread.high.reshape(shape).max(axis=1), high)
        assert np.array_equal(spread.low.reshape(shape).min(axis=1), low)
        assert np.array_equal(spread.close.reshape(shape)[:, -1], closed)
        assert np.array_equal(spread.volume.reshape(shape).sum(axis=1), volume)
        inside = spread.open.reshape(shape)[:, 1:]
        assert np.array_equal(inside, spread.close.reshape(shape)[:, :-1])


def test_text_of_numbers() -> None:
    assert ADA.price_text(5_213) == "0.52130000"
    assert ADA.amount_text(12_345) == "1234.50000000"
    assert ADA.quote_text(3) == "0.00003000"
    assert eight_decimals(-150_000_000) == "-1.50000000"
    assert ADA.ticks(Decimal("0.52134")) == 5_213


def test_before_the_listing_there_is_nothing() -> None:
    market = tape(days=10)
    assert market.klines("1m", market.listed_ms - DAY_MS, None, 5, NOW_MS)[0].open_ms == market.listed_ms
    assert market.last_trade(market.listed_ms - 1) is None
    with pytest.raises(NothingTradesError):
        market.move_to(5_000, market.listed_ms - 1)
