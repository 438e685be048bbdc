"""The live evaluation, fed bar by bar, equals the backtester on every recorded case."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
from golden_cases import CASES, POLICIES, golden
from test_parity_history import LADDER, assert_same_trades

from agent.core.exits import Policy
from agent.core.fibonacci import RATIOS
from agent.core.metrics import trade_metrics
from agent.core.signal import Features
from agent.replay.agreement import VALUES, agreement, worst_relative
from agent.replay.bar_form import bar_form_trades, live_evaluation, row_features, run_bar_form

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover


@cache
def live_bars(name: str) -> list[Features]:
    case = golden(name)
    return live_evaluation(case.candles, case.seller, case.exits())


@pytest.mark.parametrize("name", CASES)
def test_every_bar_says_what_the_backtester_says(name: str) -> None:
    case, live = golden(name), live_bars(name)
    assert [bar.open_ms for bar in live if bar.exhaustion] == case.signal_ms()
    columns: dict[str, list[float | None]] = {
        value: [getattr(bar, value) for bar in live] for value in VALUES
    }
    columns["fib_swing_high"] = [bar.swing_high for bar in live]
    for column, ratio in zip(LADDER[1:], RATIOS, strict=True):
        columns[column] = [None if bar.ladder is None else bar.ladder.price(ratio) for bar in live]
    for column, values in columns.items():
        ours = np.array([np.nan if value is None else value for value in values])
        assert worst_relative(ours, case.column(column)) <= 1e-9, column


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", CASES)
def test_trading_the_live_signals_gives_the_backtesters_trades(name: str, policy: Policy) -> None:
    case = golden(name)
    signals = {i: bar for i, bar in enumerate(live_bars(name)) if bar.exhaustion}
    trades = bar_form_trades(case.candles, signals, case.exits(policy))
    assert_same_trades(trades, case.trades(policy))
    metrics = trade_metrics([t.pnl for t in trades], [t.R for t in trades])
    assert asdict(metrics) == pytest.approx(case.metrics(policy), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", ["default", "ada15m_2021_default", "ada15m_2021_loose"])
def test_a_row_of_the_history_reads_as_the_live_bar(name: str) -> None:
    case = golden(name)
    table = run_bar_form(case.candles, case.seller, case.exits()).features
    for i, live in enumerate(live_bars(name)):
        if live.exhaustion:
            row = row_features(table, case.candles, case.seller, i)
            for value in VALUES:
                assert getattr(row, value) == pytest.approx(getattr(live, value), rel=1e-9)
            same = {value: getattr(row, value) for value in VALUES}
            assert row == replace(live, **same)


def test_agreement_names_the_bars_that_differ() -> None:
    case, live = golden("loose_tp"), live_bars("loose_tp")
    table = run_bar_form(case.candles, case.seller, case.exits()).features
    assert agreement(table, live).holds
    silenced = table.assign(exhaustion=False)
    found = agreement(silenced, live)
    assert not found.holds
    assert list(found.differing_ms) == case.signal_ms()
    assert agreement(table.assign(atr=table["atr"] * (1 + 1e-8)), live).worst == pytest.approx(1e-8, rel=1e-3)
    assert agreement(table.assign(atr=table["atr"].fillna(1.0)), live).worst == float("inf")
