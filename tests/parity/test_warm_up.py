"""How much history the live evaluation needs: enough gives the whole history's signals, less does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_cases import GoldenCase, golden

from agent.core.series import CandleSeries, Floats
from agent.core.signal import (
    ENTRY_SEED_WEIGHT,
    WARM_SEED_WEIGHT,
    Features,
    SellerParams,
    SignalWindow,
    warmup_bars_needed,
)
from agent.replay.agreement import worst_relative

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover

VALUES = ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc")


def started_at(case: GoldenCase, warm: CandleSeries, start: int) -> list[Features]:
    """Features from bar `start` on, of a window that has seen only `warm` before."""
    window, found = SignalWindow.warm(case.seller, case.exits(), warm), []
    for candle in case.candles.part(start, len(case.candles)):
        window, seen = window.push(candle)
        found.append(seen)
    return found


@pytest.mark.parametrize("fraction", [0.0, 0.15, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", ["loose_stop_time", "ada15m_2021_loose", "ada15m_2023_loose"])
def test_a_start_after_the_warm_up_sees_what_the_whole_history_sees(name: str, fraction: float) -> None:
    case = golden(name)
    needed = warmup_bars_needed(case.seller, case.exits())
    start = needed + int(fraction * (len(case.candles) - needed))
    live = started_at(case, case.candles.part(start - needed, start), start)
    whole = case.features.iloc[start:]
    assert [bar.exhaustion for bar in live] == (whole["exhaustion"] == 1).tolist()
    for value in VALUES:
        said = [getattr(bar, value) for bar in live]
        ours = np.array([np.nan if number is None else number for number in said])
        assert worst_relative(ours, whole[value].to_numpy(dtype=np.float64)) <= 1e-9, value


def test_the_starts_above_do_meet_signals() -> None:
    for name, least in (("loose_stop_time", 100), ("ada15m_2021_loose", 35), ("ada15m_2023_loose", 20)):
        case = golden(name)
        warm_ms = int(case.candles.open_ms[warmup_bars_needed(case.seller)])
        assert sum(open_ms >= warm_ms for open_ms in case.signal_ms()) >= least


def after(case: GoldenCase, bars: int, i: int) -> Features:
    """What a window that has seen the `bars` bars up to and including bar `i` says about it."""
    warm = case.candles.part(i - bars + 1, i)
    window = SignalWindow.warm(case.seller, case.exits(), warm)
    return window.push(case.candles.candle(i))[1]


def averages(case: GoldenCase, column: str, span: int, bars: int) -> Floats:
    """The average at each bar from `bars` - 1 on, had it been seeded `bars` bars earlier.

    Two seeds differ by their distance, and that decays by the average's own factor with every bar.
    """
    seeds = len(case.candles) - bars + 1
    whole, closes = case.column(column), case.candles.close
    carried = (1 - 2 / (span + 1)) ** (bars - 1)
    seeded: Floats = whole[bars - 1 :] + carried * (closes[:seeds] - whole[:seeds])
    return seeded


def may_signal(case: GoldenCase) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Bars that are signals if only the trend is down: nothing else depends on a seed."""
    seller = case.seller
    values = {name: case.column(name) for name in ("vol_z", "tr_z", "cloc")}
    return (
        (values["vol_z"] > seller.vol_z) & (values["tr_z"] > seller.tr_z) & (values["cloc"] > seller.cloc_min)
    )


@pytest.mark.parametrize(
    ("name", "wrong_signals", "wrong_trends"),
    [
        ("loose_stop_time", [374, 382, 3446, 5814, 7773], 146),
        ("minutes_30m", [6900], 318),
        ("ada15m_2021_loose", [4386, 5004], 159),
    ],
)
def test_slow_plus_a_hundred_bars_get_signals_wrong(
    name: str, wrong_signals: list[int], wrong_trends: int
) -> None:
    """The usual rule of thumb, at every bar of the history, against the backtester's answer there.

    A 672-bar average still carries a tenth of its seed after 772 bars; near the crossing the trend differs,
    and a signal appears or is missed. With the warm-up in force every one of those bars is right.
    """
    case = golden(name)
    thumb, enough = case.seller.ema_slow + 100, warmup_bars_needed(case.seller)
    downtrend = case.column("ema_f") < case.column("ema_s")
    fast = averages(case, "ema_f", case.seller.ema_fast, thumb)[1:]
    slow = averages(case, "ema_s", case.seller.ema_slow, thumb)[1:]
    assert np.count_nonzero((fast < slow) != downtrend[thumb:]) == wrong_trends
    signals, differing = case.column("exhaustion") == 1, []
    candidates = [i for i in np.flatnonzero(may_signal(case) | signals).tolist() if i >= thumb]
    assert len(candidates) > len(wrong_signals)
    for i in candidates:
        seen = after(case, thumb, i)
        assert seen.ema_f == pytest.approx(fast[i - thumb], rel=1e-9)
        assert seen.ema_s == pytest.approx(slow[i - thumb], rel=1e-9)
        if seen.exhaustion != signals[i]:
            differing.append(i)
    assert differing == wrong_signals
    for i in (i for i in differing if i >= enough):
        assert after(case, enough, i).exhaustion == (case.column("exhaustion")[i] == 1)


def test_slow_plus_a_hundred_bars_leave_a_tenth_of_the_seed() -> None:
    case = golden("default")
    thumb = case.seller.ema_slow + 100
    window = SignalWindow.warm(case.seller, case.exits(), case.candles.part(0, thumb))
    assert window.seed_weight == pytest.approx(0.1005, abs=5e-4)
    assert not window.entries_allowed
    errors = [
        abs(after(case, thumb, i).ema_s / case.column("ema_s")[i] - 1)
        for i in range(thumb, len(case.candles), 10)
    ]
    assert max(errors) > 0.03


def test_the_warm_up_is_long_enough_and_hardly_longer() -> None:
    for slow, minimum in ((672, 6900), (10_080, 104_000)):
        params = SellerParams(96, slow, slow, 96, 2.0, 1.2, 0.6)
        average_only = warmup_bars_needed(params) - slow - 96
        decay = 1 - 2 / (slow + 1)
        assert decay**average_only < WARM_SEED_WEIGHT <= decay ** (average_only - 1)
        assert minimum < average_only < minimum * 1.02


def test_entries_wait_for_the_bound() -> None:
    case = golden("loose_stop_time")
    window, allowed_at = SignalWindow.empty(case.seller, case.exits()), None
    for candle in case.candles.part(0, 1000):
        window, _ = window.push(candle)
        assert window.entries_allowed == (window.seed_weight <= ENTRY_SEED_WEIGHT)
        if window.entries_allowed and allowed_at is None:
            allowed_at = window.bars_seen
    assert allowed_at == 581  # (1 - 2/169)^581 <= 1e-3 < (1 - 2/169)^580
