"""The replay, from a config.json and a candle file to files on disk, leaves what the backtester left."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from golden_cases import CASES, GoldenCase, golden

from agent.config.check import check_config
from agent.core.exits import Policy
from agent.core.series import CandleSeries
from agent.replay.bar_form import Progress
from agent.replay.command import LiveReplayed, replay_command
from agent.replay.files import TRADE_COLUMNS
from agent.replay.setup import ReplaySetup, setup_of

#: Hot loops over and over: tracing their lines would take as long as the test and tell nothing new.
pytestmark = pytest.mark.no_cover

RUNS: list[tuple[str, Policy]] = [
    *((name, "target") for name in CASES),
    ("default", "first_level"),
    ("minutes_30m", "first_level"),
    ("ada15m_2023_loose", "first_level"),
]


def setup_from_export(case: GoldenCase) -> ReplaySetup:
    params = json.loads((case.folder / "params.json").read_text())
    export = {key: params[key] for key in ("timeframe", "seller_params", "backtest_params")}
    report = check_config(json.dumps(export))
    assert report.config is not None, report.errors
    return setup_of(report.config)


def candles_of(case: GoldenCase, folder: Path) -> Path:
    """The case's candle file, cut to the rows the backtester was given."""
    lines = gzip.decompress(case.candles_path.read_bytes()).splitlines(keepends=True)
    path = folder / case.candles_path.name
    path.write_bytes(gzip.compress(b"".join(lines[: len(case.candles) + 1]), 1))
    return path


def no_engine(
    setup: ReplaySetup, candles: CandleSeries, path: CandleSeries | None, progress: Progress
) -> LiveReplayed:
    raise AssertionError("the bar form runs no engine")


@pytest.mark.parametrize(("name", "policy"), RUNS)
def test_export_and_candles_give_the_backtesters_files(
    name: str, policy: Policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = golden(name)
    setup = setup_from_export(case)
    assert (setup.seller, setup.exits) == (case.seller, case.exits())
    candles, out = candles_of(case, tmp_path), tmp_path / "out"
    assert replay_command(candles, setup, out, live_runner=no_engine, policy=policy) == 0
    assert "agrees" in capsys.readouterr().err
    assert (out / "features.csv").read_bytes() == gzip.decompress(
        (case.folder / "features.csv.gz").read_bytes()
    )
    trades = (case.folder / f"trades_{policy}.csv").read_text()
    # Where the backtester had no trade it wrote no header either; ours is always there.
    assert (out / "trades.csv").read_text() == (trades if trades.strip() else ",".join(TRADE_COLUMNS) + "\n")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == pytest.approx(case.metrics(policy), rel=1e-12, abs=1e-15)
    assert list(metrics) == list(case.metrics(policy))


def test_exported_metrics_come_along_under_either_name() -> None:
    report = check_config(json.dumps({"backtest_metrics": {"n": 3, "max_drawdown": -0.5, "other": 1}}))
    assert report.config is not None
    assert setup_of(report.config).backtest_metrics == {"n": 3, "max_drawdown": -0.5}
    assert setup_of(check_config("{}").config).backtest_metrics is None  # type: ignore[arg-type]
