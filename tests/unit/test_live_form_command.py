"""`replay --form live` from the command line: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from agent.cli import main
from agent.core.market import MINUTE_MS, Candle
from agent.replay.dates import format_date
from tests.playbook import BAR, EXITS, SELLER, falling_history, quiet_candle, signal_candle

HISTORY = falling_history()
SIGNAL = signal_candle(HISTORY[-1])
HELD = quiet_candle(SIGNAL)
RISEN = quiet_candle(HELD, close=0.51)
CANDLES = [*HISTORY, SIGNAL, HELD, RISEN, quiet_candle(RISEN)]

EXPORT = {
    "timeframe": "15m",
    "seller_params": {
        name: getattr(SELLER, name)
        for name in ("ema_fast", "ema_slow", "z_window", "atr_window", "vol_z", "tr_z", "cloc_min")
    },
    "backtest_params": {
        "use_stop_loss": True,
        "use_time_exit": True,
        "fib_swing_lookback": EXITS.fib_swing_lookback,
        "fib_swing_lookahead": EXITS.fib_swing_lookahead,
        "max_hold": EXITS.max_hold,
    },
}


def write_candles(path: Path, candles: Sequence[Candle]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("date", "open", "high", "low", "close", "volume"))
        for c in candles:
            rows.writerow((format_date(c.open_ms), c.open, c.high, c.low, c.close, c.volume))
    return path


class Place:
    """A folder with candles and a config; `replay` runs the command there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.candles = write_candles(folder / "candles.csv", CANDLES)
        self.config = folder / "config.json"
        self.configure()

    def configure(self, **sections: object) -> None:
        self.config.write_text(json.dumps({**EXPORT, **sections}))

    def replay(self, *words: str) -> int:
        given = [str(self.candles), "--config", str(self.config), "--out", str(self.out), *words]
        return main(["replay", *given])

    def trades(self) -> list[dict[str, str]]:
        with (self.out / "trades.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_writes_the_engines_trades_and_tells_every_difference(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.replay("--form", "live") == 0
    (trade,) = place.trades()
    assert (trade["entry_ts"], trade["reason"]) == (format_date(SIGNAL.open_ms), "FIB_61.8")
    assert trade["exit_ts"] == format_date(RISEN.open_ms)
    assert float(trade["entry"]) == pytest.approx(HELD.open * 1.0005, rel=1e-6)
    assert json.loads((place.out / "metrics.json").read_text())["n"] == 1
    assert (place.out / "features.csv").read_text().count("\n") == len(CANDLES) + 1
    said = capsys.readouterr()
    assert "1 of the bar form's 1 trades left here on the same bar for the same reason" in said.err
    assert "replaying: 100 %" in said.err
    assert "total_pnl" in said.out


def test_json_is_one_document_with_everything_that_was_said(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.replay("--form", "live", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["n"] == 1
    assert any(notice.startswith("live form: 1 signals (1 entered)") for notice in document["notices"])


def test_the_policy_may_be_chosen(place: Place) -> None:
    place.configure(agent={"enter_without_room": True})
    assert place.replay("--form", "live", "--policy", "first_level") == 0
    assert [trade["reason"] for trade in place.trades()] == ["fib_38.2"]


def test_the_agents_own_options_count(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.configure(backtest_params={**EXPORT["backtest_params"], "fee_bp": 100.0})  # type: ignore[dict-item]
    assert place.replay("--form", "live") == 0
    assert place.trades() == []
    assert "not traded here: 1 no room" in capsys.readouterr().err
    place.configure(
        backtest_params={**EXPORT["backtest_params"], "fee_bp": 100.0},  # type: ignore[dict-item]
        agent={"enter_without_room": True},
    )
    assert place.replay("--form", "live") == 0
    assert len(place.trades()) == 1


def test_a_finer_path_decides_what_came_first(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    both = Candle(HELD.open_ms + BAR, HELD.close, 0.51, 0.45, HELD.close, 1000.0)
    place.candles = write_candles(place.folder / "both.csv", [*CANDLES[:-2], both, quiet_candle(both)])
    assert place.replay("--form", "live") == 0
    assert [trade["reason"] for trade in place.trades()] == ["STOP"]
    prices = (HELD.close, 0.51, 0.45, HELD.close)
    minutes = [
        Candle(both.open_ms + i * MINUTE_MS, a, max(a, b), min(a, b), b, 10.0)
        for i, (a, b) in enumerate(pairwise(prices))
    ]
    finer = write_candles(place.folder / "minutes.csv", minutes)
    capsys.readouterr()
    assert place.replay("--form", "live", "--path", str(finer)) == 0
    assert [trade["reason"] for trade in place.trades()] == ["FIB_61.8"]
    said = capsys.readouterr().err
    assert f"{len(CANDLES) - 1} of {len(CANDLES)} bars have no finer candles" in said
    assert "the bar form has a fixed order" in said


def test_the_bar_form_needs_no_path(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.replay("--path", str(place.candles)) == 1
    assert "--path is for --form live" in capsys.readouterr().err
    assert not place.out.exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--form", "lively"), 1, "write bar or live"),
        (("--form", "live", "--policy", "best"), 1, "write target or first_level"),
        (("--form", "live", "--path", "nowhere.csv"), 2, "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_said(
    place: Place, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert place.replay(*words) == code
    captured = capsys.readouterr()
    assert said in captured.err.lower()
    assert captured.out == ""
    assert not place.out.exists()


def test_a_path_must_be_finer_and_of_the_same_time(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.replay("--form", "live", "--path", str(place.candles)) == 1
    assert "does not divide the 15m bars into smaller ones" in capsys.readouterr().err
    elsewhere = [Candle(i * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 1.0) for i in range(1, 10)]
    other = write_candles(place.folder / "other.csv", elsewhere)
    assert place.replay("--form", "live", "--path", str(other)) == 1
    assert "covers none of the replayed bars" in capsys.readouterr().err


def test_a_refused_config_replays_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.configure(agent={"fib_exti": "target"})
    assert place.replay("--form", "live") == 1
    assert "did you mean" in capsys.readouterr().err
    assert not place.out.exists()
