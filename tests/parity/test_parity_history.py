"""The whole-history computation and the bar form equal the backtester on every recorded case."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict

import numpy as np
import pytest
from golden_cases import CASES, POLICIES, SYNTHETIC, golden

from agent.core.exits import Policy
from agent.core.indicators import LEVEL_COLUMNS, features, with_ladders
from agent.replay.agreement import worst_relative
from agent.replay.bar_form import ReplayTrade, run_bar_form
from agent.replay.files import write_features, write_metrics, write_trades

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover

LADDER = ("fib_swing_high", *LEVEL_COLUMNS)


@pytest.mark.parametrize("name", CASES)
def test_features_and_ladders_equal_the_backtester(name: str) -> None:
    case = golden(name)
    table = with_ladders(features(case.candles, case.seller), case.candles, case.exits())
    for column in ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc", *LADDER):
        ours, theirs = table[column].to_numpy(dtype=np.float64), case.column(column)
        assert worst_relative(ours, theirs) <= 1e-9, column
    assert case.candles.open_ms[table["exhaustion"].to_numpy()].tolist() == case.signal_ms()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", CASES)
def test_trades_and_metrics_equal_the_backtester(name: str, policy: Policy) -> None:
    case = golden(name)
    replayed = run_bar_form(case.candles, case.seller, case.exits(policy))
    assert_same_trades(replayed.trades, case.trades(policy))
    assert asdict(replayed.metrics) == pytest.approx(case.metrics(policy), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_files_are_the_backtesters_to_the_byte(
    name: str, policy: Policy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case, out = golden(name), tmp_path_factory.mktemp("replay")
    replayed = run_bar_form(case.candles, case.seller, case.exits(policy))
    write_features(out / "features.csv", replayed.features)
    write_trades(out / "trades.csv", replayed.trades)
    write_metrics(out / "metrics.json", replayed.metrics)
    assert (out / "features.csv").read_bytes() == gzip.decompress(
        (case.folder / "features.csv.gz").read_bytes()
    )
    assert (out / "trades.csv").read_bytes() == (case.folder / f"trades_{policy}.csv").read_bytes()
    # The last digit of a sum over all trades depends on its order; the layout does not.
    written = (out / "metrics.json").read_text()
    assert json.loads(written) == pytest.approx(case.metrics(policy), rel=1e-12, abs=1e-15)
    assert written == json.dumps(json.loads(written), indent=1)


def test_the_recorded_cases_reach_every_exit() -> None:
    reasons = {t.reason for name in SYNTHETIC for policy in POLICIES for t in golden(name).trades(policy)}
    assert reasons == {
        *("STOP", "STOP_GAP", "FIB_61.8", "FIB_78.6", "TP_1.5R", "TP_3.0R", "TIME"),
        *("stop", "stop_gap", "fib_38.2", "tp", "time"),
    }


def assert_same_trades(ours: tuple[ReplayTrade, ...], theirs: list[ReplayTrade]) -> None:
    def exact(trade: ReplayTrade) -> tuple[object, ...]:
        return trade.entry_ms, trade.exit_ms, trade.reason, trade.bars_held

    assert [exact(t) for t in ours] == [exact(t) for t in theirs]
    for column in ("entry", "exit", "pnl", "R"):
        a = np.array([getattr(t, column) for t in ours], dtype=np.float64)
        b = np.array([getattr(t, column) for t in theirs], dtype=np.float64)
        assert worst_relative(a, b) <= 1e-9, column
