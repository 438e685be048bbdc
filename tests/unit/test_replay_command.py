"""The replay as a user meets it: files, table, JSON, exit codes, the seam for the live form."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.exits import ExitParams
from agent.core.series import CandleSeries
from agent.core.signal import SellerParams
from agent.replay.bar_form import Progress, ReplayTrade
from agent.replay.command import LiveReplayed, replay_command
from agent.replay.dates import format_date
from agent.replay.setup import ReplaySetup

START = 1_613_520_000_000
MINUTE = 60_000
SETUP = ReplaySetup(
    seller=SellerParams(3, 9, 7, 4, 0.8, 0.3, 0.5),
    exits=ExitParams(True, True, True, False, 8, 2, 0.618, 0.7, 2.0, 20, 5.0, 5.0, "target"),
    timeframe="5m",
    backtest_metrics=None,
)
FILES = {"features.csv", "trades.csv", "metrics.json"}


def no_engine(
    setup: ReplaySetup, candles: CandleSeries, path: CandleSeries | None, progress: Progress
) -> LiveReplayed:
    raise AssertionError("the bar form runs no engine")


def candle_file(path: Path, count: int = 400, step: int = 5 * MINUTE) -> Path:
    dice = random.Random(5)
    lines, before = ["date,open,high,low,close,volume"], 100.0
    for i in range(count):
        close = round(before * (1 + dice.gauss(-0.0005, 0.01)), 4)
        high = max(before, close) + round(dice.expovariate(2), 4)
        low = min(before, close) - round(dice.expovariate(2), 4)
        volume = round(dice.lognormvariate(5, 1), 1)
        lines.append(f"{format_date(START + i * step)},{before},{high:.4f},{low:.4f},{close},{volume}")
        before = close
    path.write_text("\n".join(lines))
    return path


def test_the_bar_form_writes_three_files_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = replace(SETUP, backtest_metrics={"total_trades": 20, "win_rate": 0.5, "max_dd": 0.0})
    source, out = candle_file(tmp_path / "c.csv"), tmp_path / "a" / "out"
    assert replay_command(source, setup, out, live_runner=no_engine) == 0
    assert {path.name for path in out.iterdir()} == FILES
    said = capsys.readouterr()
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["n"] > 5
    for words in ("win_rate", "backtest", "difference", f"{metrics['n'] / 20 - 1:+.1%}"):
        assert words in said.out
    assert "reading c.csv: 100 %" in said.err
    assert "replaying: 100 %" in said.err
    assert "Live evaluation of 400 bars agrees" in said.err
    assert len((out / "features.csv").read_text().splitlines()) == 401


def test_json_is_one_document_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = candle_file(tmp_path / "c.csv")
    assert replay_command(source, SETUP, tmp_path / "out", live_runner=no_engine, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["metrics"] == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert said["bars"] == 400
    assert said["backtest_metrics"] is None
    assert {Path(name).name for name in said["files"]} == FILES


def test_the_policy_overrides_the_config(tmp_path: Path) -> None:
    source, out = candle_file(tmp_path / "c.csv"), tmp_path / "out"
    replay_command(source, SETUP, out, live_runner=no_engine, policy="first_level")
    text = (out / "trades.csv").read_text()
    assert "fib_38.2" in text
    assert "FIB" not in text


def test_no_trade_leaves_the_header_alone(tmp_path: Path) -> None:
    source, out = candle_file(tmp_path / "c.csv", count=3), tmp_path / "out"
    assert replay_command(source, SETUP, out, live_runner=no_engine) == 0
    assert (out / "trades.csv").read_text() == "entry_ts,exit_ts,entry,exit,pnl,R,reason,bars_held\n"
    assert json.loads((out / "metrics.json").read_text())["n"] == 0


def test_the_live_form_runs_the_given_engine_along_the_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trade = ReplayTrade(START, START + 10 * MINUTE, 1.0, 2.0, 0.997, 1.5, "FIB_61.8", 1)
    asked: list[object] = []

    def engine(
        setup: ReplaySetup, candles: CandleSeries, path: CandleSeries | None, progress: Progress
    ) -> LiveReplayed:
        asked.extend((setup.exits.policy, len(candles), path and len(path)))
        progress(1, 2)
        return LiveReplayed((trade,), ("1 signal: no_room",))

    source, finer = (
        candle_file(tmp_path / "c.csv", 40),
        candle_file(tmp_path / "f[red].csv", 100, MINUTE),
    )
    code = replay_command(
        source,
        SETUP,
        tmp_path / "out",
        live_runner=engine,
        form="live",
        policy="first_level",
        finer_path=finer,
    )
    assert code == 0
    assert asked == ["first_level", 40, 100]
    said = capsys.readouterr().err
    assert "1 signal: no_room" in said
    assert "f[red].csv: 20 of 40 bars have no finer candles" in said
    assert (tmp_path / "out" / "trades.csv").read_text().splitlines()[1] == (
        "2021-02-17 00:00:00+00:00,2021-02-17 00:10:00+00:00,1,2,0.997,1.5,FIB_61.8,1"
    )
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["avg_R"] == 1.5


@pytest.mark.parametrize(
    ("step", "start_at", "words"),
    [(5 * MINUTE, 0, "does not divide the 5m bars"), (MINUTE, 300, "covers none of the replayed bars")],
)
def test_a_path_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: int, start_at: int, words: str
) -> None:
    source = candle_file(tmp_path / "c.csv", 40)
    finer = candle_file(tmp_path / "f.csv", start_at + 50, step)
    lines = finer.read_text().splitlines()
    finer.write_text("\n".join([lines[0], *lines[1 + start_at :]]))
    code = replay_command(
        source, SETUP, tmp_path / "out", live_runner=no_engine, form="live", finer_path=finer
    )
    assert code == 1
    assert words in capsys.readouterr().err


def test_refusals_name_the_file_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"

    def run(source: Path, finer: Path | None = None) -> tuple[int, Sequence[str]]:
        code = replay_command(source, SETUP, out, live_runner=no_engine, finer_path=finer)
        said = capsys.readouterr()
        assert said.out == ""
        return code, [line for line in said.err.splitlines() if line.strip()]

    code, lines = run(tmp_path / "none.csv")
    assert code == 2
    assert f"{tmp_path / 'none.csv'}: there is no such file; check the path" in lines
    code, lines = run(candle_file(tmp_path / "hours.csv", 5, 7 * MINUTE))
    assert code == 1
    assert any("hours.csv: line 3: open time is off the grid" in line for line in lines)
    source = candle_file(tmp_path / "c.csv", 5)
    code, lines = run(source, source)
    assert code == 1
    assert "--path is for --form live" in lines[-1]
    assert not out.exists()
    out.write_text("a file is in the way")
    code, lines = run(source)
    assert code == 1
    assert "cannot be written" in lines[-1]
