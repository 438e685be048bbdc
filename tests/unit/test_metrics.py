"""Trade metrics by the backtester's definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.metrics import TradeMetrics, trade_metrics


def test_no_trades_are_all_zero() -> None:
    assert trade_metrics([], []) == TradeMetrics(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_one_trade_has_no_sharpe() -> None:
    assert trade_metrics([-2.0], [-0.5]) == TradeMetrics(1, 0.0, -0.5, -2.0, 0.0, 0.0)


def test_by_hand() -> None:
    found = trade_metrics([3.0, -1.0, -4.0, 2.0], [1.5, -0.5, -2.0, 1.0])
    assert (found.n, found.win_rate, found.avg_R, found.total_pnl) == (4, 0.5, 0.0, 0.0)
    assert found.max_dd == -5.0
    assert found.sharpe == 0.0
    assert trade_metrics([1.0, 3.0], [1.0, 3.0]).sharpe == pytest.approx(2 / 2**0.5)


def test_a_trade_of_exactly_nothing_is_no_win() -> None:
    assert trade_metrics([0.0, 1.0], [0.0, 1.0]).win_rate == 0.5


def test_drawdown_counts_from_the_first_trade() -> None:
    assert trade_metrics([-10.0, 1.0], [-1.0, 0.1]).max_dd == 0.0
    assert trade_metrics([-10.0, -1.0, 20.0], [-1.0, -0.1, 2.0]).max_dd == -1.0


def test_equal_results_have_no_deviation_and_no_sharpe() -> None:
    assert trade_metrics([1.0, 1.0, 1.0], [0.5, 0.5, 0.5]).sharpe == 0.0


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_drawdown_equals_its_definition(pnl: list[float]) -> None:
    found = trade_metrics(pnl, pnl)
    total, peak, lowest = 0.0, float("-inf"), 0.0
    for profit in pnl:
        total += profit
        peak = max(peak, total)
        lowest = min(lowest, total - peak)
    assert found.max_dd == pytest.approx(lowest, abs=1e-9)
    assert found.max_dd <= 0 <= found.win_rate <= 1
