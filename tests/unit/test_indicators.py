"""Features over a history, at the edges that recorded cases do not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agent.core.indicators import LEVEL_COLUMNS, features, with_ladders
from agent.core.market import Candle
from agent.core.parameters import ExitParams, SellerParams
from agent.core.series import CandleSeries, true_ranges

PARAMS = SellerParams(ema_fast=2, ema_slow=4, z_window=3, atr_window=2, vol_z=0.5, tr_z=0.5, cloc_min=0.5)


def bars(*rows: tuple[float, float, float, float]) -> CandleSeries:
    """(high, low, close, volume) a minute apart."""
    return CandleSeries.of([Candle(i * 60_000, c, h, lo, c, v) for i, (h, lo, c, v) in enumerate(rows)])


def test_the_first_true_range_is_high_minus_low_and_later_ones_see_the_gap() -> None:
    series = bars((11, 9, 10, 1), (15, 14, 15, 1), (12, 11, 12, 1))
    assert true_ranges(series.high, series.low, series.close, None).tolist() == [2, 5, 4]
    assert true_ranges(series.high, series.low, series.close, 20.0).tolist() == [11, 5, 4]


def test_averages_start_at_the_first_close_and_windows_when_full() -> None:
    table = features(bars((11, 9, 10, 1), (12, 10, 11, 2), (13, 11, 12, 4), (14, 10, 13, 3)), PARAMS)
    assert table["ema_f"].tolist() == pytest.approx(
        [10, 10.666666666666666, 11.555555555555555, 12.518518518]
    )
    assert np.isnan(table["atr"]).tolist() == [True, False, False, False]
    assert np.isnan(table["vol_z"]).tolist() == [True, True, False, False]
    assert np.isnan(table["tr_z"]).tolist() == [True, True, True, False]
    assert table["vol_z"].iloc[2] == pytest.approx((4 - 7 / 3) / math.sqrt(14 / 9))


def test_tr_z_is_the_z_score_of_the_average_times_its_window() -> None:
    series = bars((11, 9, 10, 1), (13, 10, 11, 2), (14, 11, 12, 4), (18, 10, 13, 3), (20, 11, 12, 2))
    table = features(series, PARAMS)
    sums = (table["atr"] * 2).to_numpy()[2:]
    assert table["tr_z"].iloc[4] == pytest.approx((sums[-1] - sums.mean()) / sums.std())


def test_a_bar_without_range_has_no_close_location_and_is_no_signal() -> None:
    table = features(bars((10, 10, 10, 1), (11, 9, 10.5, 1)), PARAMS)
    assert math.isnan(table["cloc"].iloc[0])
    assert table["cloc"].iloc[1] == 0.75
    assert not table["exhaustion"].any()


def test_equal_volumes_have_no_z_score() -> None:
    table = features(bars(*[(11.0, 9.0, 10.0, 0.1)] * 6), PARAMS)
    assert table["vol_z"].isna().all()
    assert table["tr_z"].isna().all()
    zero = features(bars(*[(11.0, 9.0, 10.0, 0.0)] * 6), PARAMS)
    assert zero["vol_z"].isna().all()


def test_a_window_of_one_bar_never_has_a_deviation() -> None:
    params = SellerParams(1, 1, 1, 1, 0.0, 0.0, 0.0)
    table = features(bars((11, 9, 10, 1), (12, 9, 11, 5), (13, 9, 12, 9)), params)
    assert table["atr"].tolist() == [2, 3, 4]
    assert table["ema_s"].tolist() == [10, 11, 12]
    assert table["vol_z"].isna().all()
    assert not table["downtrend"].any(), "equal averages are no downtrend"


def test_every_threshold_is_strict() -> None:
    # A falling market whose last bar has the highest volume and range of its window and closes at its middle.
    rows = [(20.0 - i, 19.0 - i, 19.5 - i, 1.0 + i % 2) for i in range(8)]
    series = bars(*rows, (12.0, 6.0, 9.0, 5.0))
    last = features(series, PARAMS).iloc[-1]
    assert last["downtrend"]
    assert last["cloc"] == 0.5
    reached = {"vol_z": float(last["vol_z"]), "tr_z": float(last["tr_z"]), "cloc_min": 0.5}
    below = {key: value - 1e-9 for key, value in reached.items()}
    for key in (*reached, None):
        thresholds = below if key is None else {**below, key: reached[key]}
        params = SellerParams(2, 4, 3, 2, **thresholds)
        assert features(series, params)["exhaustion"].iloc[-1] == (key is None), key


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_history_is_no_error(count: int) -> None:
    series = bars((11, 9, 10, 1)).part(0, count)
    exits = ExitParams(True, False, False, False, 4, 1, 0.618, 0.7, 2.0, 96, 5.0, 5.0, "target")
    table = with_ladders(features(series, PARAMS), series, exits)
    assert len(table) == count
    assert not table["exhaustion"].any()
    assert table[list(LEVEL_COLUMNS)].isna().all().all()
