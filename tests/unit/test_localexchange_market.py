"""The made-up market: deterministic, consistent, and worth trading with the default parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agent.localexchange.exhaustion import Gauge, Series, Thresholds
from agent.localexchange.market_synthetic import SyntheticSource
from agent.localexchange.minutes import BLOCK_MINUTES, Minutes, joined
from agent.localexchange.opening import lively_start_ms, quarter_hours
from agent.localexchange.pairs import pair_named
from agent.localexchange.path import seconds_of

ADA, BNB = pair_named("ADA/USDT"), pair_named("BNB/USDT")
SOME_BLOCK = 5_050


def same(a: Minutes, b: Minutes) -> bool:
    return a.first == b.first and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("open", "high", "low", "close", "volume", "traded")
    )


def test_a_block_depends_on_seed_pair_and_number_alone() -> None:
    one, other = SyntheticSource(ADA, 7), SyntheticSource(ADA, 7)
    for index in (SOME_BLOCK, SOME_BLOCK - 3, SOME_BLOCK + 40):
        one.block(index)
    assert same(one.block(SOME_BLOCK + 1), other.block(SOME_BLOCK + 1))
    assert not same(one.block(SOME_BLOCK), SyntheticSource(ADA, 8).block(SOME_BLOCK))
    assert not np.array_equal(one.block(SOME_BLOCK).volume, SyntheticSource(BNB, 7).block(SOME_BLOCK).volume)


@pytest.mark.parametrize("pair", [ADA, BNB])
def test_candles_are_sound_and_blocks_join(pair: object) -> None:
    assert pair in (ADA, BNB)
    source = SyntheticSource(ADA if pair is ADA else BNB, 3)
    m = joined([source.block(SOME_BLOCK + n) for n in range(5)])
    assert (m.high >= np.maximum(m.open, m.close)).all()
    assert (m.low <= np.minimum(m.open, m.close)).all()
    assert (m.low > 0).all()
    assert (m.volume > 0).all()
    assert np.array_equal(m.open[1:], m.close[:-1]), "a minute opens where the last one closed"


def test_prices_are_those_of_the_pair() -> None:
    source = SyntheticSource(ADA, 11)
    closes = np.concatenate([source.block(n).close for n in range(SOME_BLOCK, SOME_BLOCK + 90)])
    assert 0.25 < closes.min() * 0.0001 < closes.max() * 0.0001 < 1.1
    returns = np.diff(np.log(closes[14::15]))
    assert 0.002 < returns.std() < 0.009, "a quarter of an hour moves by some tenths of a percent"
    assert pd.Series(returns).kurt() > 1, "with fat tails"


def test_volatility_is_stochastic_and_volume_follows_the_range() -> None:
    source = SyntheticSource(ADA, 5)
    bars = quarter_hours(joined([source.block(SOME_BLOCK + n) for n in range(15)]))
    spread = pd.Series((bars.high - bars.low) / bars.close)
    assert spread.autocorr(8) > 0.2, "calm and storm last for hours"
    assert spread.rank().corr(pd.Series(bars.volume).rank()) > 0.4


def test_the_path_through_a_minute_touches_everything_the_candle_says() -> None:
    block = SyntheticSource(ADA, 7).block(SOME_BLOCK)
    path = seconds_of(block, 7)
    assert np.array_equal(path.price[:, 0], block.open)
    assert np.array_equal(path.price[:, -1], block.close)
    assert np.array_equal(path.price.max(axis=1), block.high)
    assert np.array_equal(path.price.min(axis=1), block.low)
    assert np.array_equal(path.amount.sum(axis=1), block.volume)
    assert (path.amount >= 0).all()
    up = block.close > block.open
    wide = (block.high > np.maximum(block.open, block.close)) & (
        block.low < np.minimum(block.open, block.close)
    )
    low_first = path.price.argmin(axis=1) < path.price.argmax(axis=1)
    assert (low_first[wide] == up[wide])[block.close[wide] != block.open[wide]].all()
    one = seconds_of(block.cut(100, 101), 7)
    assert np.array_equal(one.price[0], path.price[100]), "a minute's path is its own"
    assert np.array_equal(one.amount[0], path.amount[100])
    assert np.array_equal(one.taker_buys[0], path.taker_buys[100])


def frame(seed: int, blocks: int) -> pd.DataFrame:
    """Fifteen-minute candles with the features of SPEC 3, computed by pandas."""
    source = SyntheticSource(ADA, seed)
    bars = quarter_hours(joined([source.block(SOME_BLOCK + n) for n in range(blocks)]))
    d = pd.DataFrame({n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")})
    before = d.close.shift().fillna(d.open.iloc[0])
    true_range = np.maximum(d.high, before) - np.minimum(d.low, before)
    d["atr"] = true_range.rolling(96).mean()
    for name, column in (("vol_z", d.volume), ("tr_z", d.atr * 96)):
        rolling = column.rolling(672)
        d[name] = (column - rolling.mean()) / rolling.std(ddof=0)
    d["cloc"] = (d.close - d.low) / (d.high - d.low)
    d["fast"] = d.close.ewm(span=96, adjust=False).mean()
    d["slow"] = d.close.ewm(span=672, adjust=False).mean()
    d["signal"] = (d.fast < d.slow) & (d.vol_z > 2.0) & (d.tr_z > 1.2) & (d.cloc > 0.6)
    return d


def outcomes(d: pd.DataFrame) -> list[bool]:
    """Whether the default target is reached before a stop at 0.7 ATR under the low, of every signal."""
    found = []
    for i in np.flatnonzero(d.signal):
        low, high = d.low[i], d.high[i - 96 : i - 5].max()
        target, stop = low + 0.618 * (high - low), low - 0.7 * d.atr[i]
        for j in range(i + 2, len(d)):
            if d.low[j] <= stop or d.high[j] >= target:
                found.append(bool(d.low[j] > stop))
                break
    return found


@pytest.mark.parametrize("seed", [1, 2, 3, 7, 42])
def test_default_parameters_find_several_signals_a_month(seed: int) -> None:
    d = frame(seed, blocks=38)
    months = (len(d) - 768) / 96 / 30
    assert 3 <= d.signal.sum() / months <= 20
    won = outcomes(d)
    assert 0.2 < np.mean(won) < 0.85, "there are winners and losers"


def test_the_gauge_agrees_with_pandas() -> None:
    d = frame(7, blocks=25)
    for i in (1_000, 1_501, len(d) - 1):
        series = Series(*(d[n].to_numpy() for n in ("open", "high", "low", "close", "volume")))
        for split in (1, 5):
            gauge = Gauge(series.cut(0, i + 1 - split), Thresholds())
            reading = gauge.after(series.cut(i + 1 - split, i + 1))
            row = d.iloc[i]
            assert reading.vol_z == pytest.approx(row.vol_z, rel=1e-9)
            assert reading.tr_z == pytest.approx(row.tr_z, rel=1e-6)
            assert reading.cloc == pytest.approx(row.cloc)
            assert reading.ema_fast == pytest.approx(row.fast)
            assert reading.ema_slow == pytest.approx(row.slow)
            assert reading.fulfils(Thresholds()) == row.signal


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_default_opening_is_half_an_hour_before_a_signal(seed: int) -> None:
    source = SyntheticSource(ADA, seed)
    from_ms = (SOME_BLOCK * BLOCK_MINUTES) * 60_000
    start_ms = lively_start_ms(source, from_ms)
    assert start_ms > from_ms
    assert start_ms == lively_start_ms(SyntheticSource(ADA, seed), from_ms)
    block, minute = divmod(start_ms // 60_000, BLOCK_MINUTES)
    bars = quarter_hours(joined([source.block(n) for n in range(block - 20, block + 3)]))
    signal = (20 * BLOCK_MINUTES + minute) // 15 + 1
    gauge = Gauge(bars.cut(0, signal), Thresholds())
    assert gauge.after(bars.cut(signal, signal + 1)).fulfils(Thresholds())
