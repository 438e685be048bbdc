"""The live window: equal to the history however it is fed, immutable, bounded, honest about its seed."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.market import Candle
from agent.core.parameters import ExitParams
from agent.core.series import CandleSeries
from agent.core.signal import BORDERLINE, Features, SellerParams, SignalWindow, warmup_bars_needed
from agent.replay.agreement import agreement
from agent.replay.bar_form import live_evaluation, run_bar_form

PARAMS = SellerParams(ema_fast=3, ema_slow=9, z_window=7, atr_window=4, vol_z=0.8, tr_z=0.3, cloc_min=0.5)
EXITS = ExitParams(True, True, True, False, 8, 2, 0.618, 0.7, 2.0, 20, 5.0, 5.0, "target")
COLUMNS = ("true_ranges", "volumes", "range_sums", "highs")


def market(count: int, seed: int = 1) -> list[Candle]:
    rng = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(rng.normal(-0.0005, 0.01, count))), 4)
    found, before = [], 100.0
    for i, close in enumerate(closes.tolist()):
        reach = rng.exponential(0.5, 2).round(4)
        high, low = max(before, close) + float(reach[0]), min(before, close) - float(reach[1])
        found.append(Candle(i * 60_000, before, high, low, close, round(float(rng.lognormal(5, 1)), 1)))
        before = close
    return found


def pushed(candles: list[Candle], start: SignalWindow) -> tuple[SignalWindow, list[Features]]:
    features = []
    for candle in candles:
        start, seen = start.push(candle)
        features.append(seen)
    return start, features


def assert_equal(a: SignalWindow, b: SignalWindow) -> None:
    assert (a.bars_seen, a.last_open_ms, a.last_close) == (b.bars_seen, b.last_open_ms, b.last_close)
    assert (a.ema_f, a.ema_s) == (b.ema_f, b.ema_s)
    for column in COLUMNS:
        assert getattr(a, column).tolist() == getattr(b, column).tolist(), column


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 60))
def test_warming_in_chunks_equals_pushing_bar_by_bar(cuts: list[int], count: int) -> None:
    candles = market(count)
    window = SignalWindow.empty(PARAMS, EXITS)
    for start, stop in pairwise([0, *sorted(min(cut, count) for cut in cuts), count]):
        window = window.extend(candles[start:stop])
    assert_equal(window, pushed(candles, SignalWindow.empty(PARAMS, EXITS))[0])
    assert_equal(window, SignalWindow.warm(PARAMS, EXITS, CandleSeries.of(candles)))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.builds(
        SellerParams,
        ema_fast=st.integers(1, 12),
        ema_slow=st.integers(1, 40),
        z_window=st.integers(1, 30),
        atr_window=st.integers(1, 20),
        vol_z=st.floats(-1, 1),
        tr_z=st.floats(-1, 1),
        cloc_min=st.floats(0, 0.7),
    ),
)
def test_live_equals_the_whole_history_in_any_market(seed: int, params: SellerParams) -> None:
    candles = CandleSeries.of(market(120, seed))
    history = run_bar_form(candles, params, EXITS)
    live = live_evaluation(candles, params, EXITS)
    found = agreement(history.features, live)
    assert not found.differing_ms or found.borderline
    # The running sums of the history are good to 1e-9 of a value; a z-score near 0 magnifies that.
    assert found.worst <= 1e-6


def test_a_pushed_window_leaves_the_old_one_untouched() -> None:
    candles = market(40)
    old = SignalWindow.warm(PARAMS, EXITS, candles[:39])
    before = {column: getattr(old, column).copy() for column in COLUMNS}
    first, seen = old.push(candles[39])
    crash = replace(candles[39], high=999.0, low=1.0, volume=1e9)
    other, _ = old.push(crash)
    again, same = old.push(candles[39])
    assert seen == same
    assert_equal(first, again)
    assert other.volumes[-1] == 1e9
    for column in COLUMNS:
        assert getattr(old, column).tolist() == before[column].tolist()
        with pytest.raises(ValueError, match="read-only"):
            getattr(old, column)[0] = 0.0


def test_memory_stays_within_its_windows_and_holds_no_history() -> None:
    candles = market(500)
    for window in (
        SignalWindow.warm(PARAMS, EXITS, candles),
        pushed(candles, SignalWindow.empty(PARAMS, EXITS))[0],
    ):
        sizes = [len(getattr(window, column)) for column in COLUMNS]
        assert sizes == [PARAMS.atr_window, PARAMS.z_window, PARAMS.z_window, EXITS.fib_swing_lookback]
        for column in COLUMNS:
            array = getattr(window, column)
            assert array.base is None or array.base.nbytes <= 16 * array.nbytes


def test_values_are_undefined_until_their_windows_are_full() -> None:
    _, features = pushed(market(14), SignalWindow.empty(PARAMS, EXITS))
    assert [f.atr is None for f in features].count(True) == PARAMS.atr_window - 1
    assert [f.vol_z is None for f in features].count(True) == PARAMS.z_window - 1
    assert [f.tr_z is None for f in features].count(True) == PARAMS.z_window + PARAMS.atr_window - 2


def test_a_bar_without_range_and_equal_volumes_are_undefined() -> None:
    flat = [Candle(i, 0.7, 0.7, 0.7, 0.7, 0.1) for i in range(20)]
    _, features = pushed(flat, SignalWindow.empty(PARAMS, EXITS))
    last = features[-1]
    assert (last.cloc, last.vol_z, last.tr_z, last.atr) == (None, None, None, 0.0)
    assert (last.ema_f, last.ema_s) == (0.7, 0.7)
    assert not last.exhaustion
    assert not last.borderline


def test_a_z_score_at_its_threshold_is_borderline() -> None:
    candles = market(40)
    z = pushed(candles, SignalWindow.empty(PARAMS, EXITS))[1][-1].vol_z
    assert z is not None
    for off, expected in ((0.0, True), (0.9 * BORDERLINE, True), (-0.9 * BORDERLINE, True), (1e-5, False)):
        params = replace(PARAMS, vol_z=z + off, tr_z=99.0)
        assert pushed(candles, SignalWindow.empty(params, EXITS))[1][-1].borderline is expected


def test_a_ladder_is_searched_on_signal_bars_only() -> None:
    _, features = pushed(market(400), SignalWindow.empty(PARAMS, EXITS))
    signals = [f for f in features if f.exhaustion]
    assert len(signals) >= 10
    assert all(f.swing_high is None and f.ladder is None for f in features if not f.exhaustion)
    assert all(f.swing_high is not None for f in signals if f.open_ms >= 10 * 60_000)
    for f in signals:
        assert (f.ladder is None) == (f.swing_high is None or f.swing_high <= f.low)


def test_bars_go_forward() -> None:
    candles = market(10)
    window = SignalWindow.warm(PARAMS, EXITS, candles)
    with pytest.raises(AssertionError, match="forward"):
        window.push(candles[-1])
    with pytest.raises(AssertionError, match="forward"):
        window.extend(candles[-2:])
    with pytest.raises(AssertionError, match="forward"):
        SignalWindow.warm(PARAMS, EXITS, candles[::-1])


def test_the_seed_weight_follows_the_slower_average() -> None:
    window = SignalWindow.empty(PARAMS, EXITS)
    assert window.seed_weight == 1.0
    assert not window.entries_allowed
    window = window.extend(market(30))
    assert window.seed_weight == pytest.approx((1 - 2 / 10) ** 30)
    swapped = replace(PARAMS, ema_fast=9, ema_slow=3)
    assert SignalWindow.warm(swapped, EXITS, market(30)).seed_weight == window.seed_weight


def test_the_warm_up_counts_windows_and_the_swing_search() -> None:
    assert warmup_bars_needed(PARAMS) == math.ceil(math.log(1e-9) / math.log(0.8)) + 7 + 4
    assert warmup_bars_needed(PARAMS, EXITS) == warmup_bars_needed(PARAMS)
    far = replace(EXITS, fib_swing_lookback=5000, fib_swing_lookahead=10)
    assert warmup_bars_needed(PARAMS, far) == 5011
    assert warmup_bars_needed(SellerParams(1, 1, 2, 2, 0.0, 0.0, 0.0)) == 5


def test_the_live_path_does_without_pandas() -> None:
    code = "import sys, agent.core.exits, agent.core.signal; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
