"""The parity worker beside the engine: what it finds, that it is told once, and that it harms nothing."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import pytest
from stored_agents import NOON_MS, PAPER, closed_position, config_batch, positions_batch, store

from agent.cli import main
from agent.compose.scrutiny import Scrutiny
from agent.config.env_file import ENV_NAMES
from agent.core import events as e
from agent.core.commands import Alert, Keep
from agent.core.market import Candle
from agent.core.records import BalanceRow, DecisionRow, EventRow, Outcome
from agent.core.signal import SignalWindow
from agent.insight.parity import Score, rest_copies
from agent.store.batch import Batch
from agent.store.candles import CandleStore, SeriesKey
from agent.store.config_export import differences
from agent.store.scrutiny_findings import Findings, Looks, findings_in
from tests.bench.bench_strategy import walk
from tests.playbook import Playbook
from tests.store_ground import ROOT
from tests.unit.config_documents import accepted, example

BAR = 900_000
START = NOON_MS - 900 * BAR


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A thousand bars, the last hundred decided by the live path, one trade."""
    from agent.config.strategy import exit_params, seller_params

    directory = tmp_path_factory.mktemp("lived")
    config = accepted()
    series = walk(1_000)
    candles = [replace(c, open_ms=START + i * BAR) for i, c in enumerate(series)]
    kept = CandleStore(directory / "candles.db")
    kept.series(SeriesKey(PAPER.venue, PAPER.pair, "15m")).save(candles)
    kept.close()
    window = SignalWindow.warm(seller_params(config), exit_params(config), candles[:900])
    rows = []
    for candle in candles[900:]:
        window, seen = window.push(candle)
        rows.append(
            DecisionRow(
                bar_open_ms=seen.open_ms, decided_ms=seen.open_ms + BAR + 40, close=seen.close,
                ema_f=seen.ema_f, ema_s=seen.ema_s, atr=seen.atr, vol_z=seen.vol_z, tr_z=seen.tr_z,
                cloc=seen.cloc, downtrend=seen.downtrend, exhaustion=False, borderline=seen.exhaustion,
                outcome=Outcome.NO_SIGNAL, reason="", closed_by="flag",
            )
        )  # fmt: skip
    began = config_batch(example())
    began = replace(began, config=replace(began.config, at_ms=START))
    store(directory, began, Batch(NOON_MS, rows=tuple(rows)), positions_batch(closed_position(1)))
    return directory, rows


def run(capsys, data_dir, *words):
    code = main([*words, "--data-dir", str(data_dir)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_compares_every_decision(lived, capsys):
    code, out, _ = run(capsys, lived[0], "parity", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["score"]["bars"], told["score"]["mismatches"]) == (100, 0)
    assert 0 < told["score"]["worst"] < 1e-9
    assert told["suggested"]["fee_bp"] is None
    shown = run(capsys, lived[0], "parity")[1]
    assert shown.startswith("100 bars compared with the whole history, no signals among them: no mismatches;")


def test_a_candle_that_rest_tells_otherwise_is_the_named_cause(lived, tmp_path, capsys):
    directory, rows = lived
    for name in ("candles.db", "trades.db"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    other = Candle(rows[50].bar_open_ms, 1.0, 1.5, 0.5, 1.25, 3e9)
    play = Playbook()
    play.learn(e.BarDiffered(replace(other, close=rows[50].close), other))
    (told,) = [c.row for c in play.commands if isinstance(c, Keep) and c.row.kind == "candle differs"]
    assert rest_copies([told]) == {other.open_ms: other}
    store(tmp_path, Batch(NOON_MS, rows=(told,)))
    code, out, _ = run(capsys, tmp_path, "parity", "--json")
    assert code == 1
    score = json.loads(out)["score"]
    assert score["mismatches"] == 50
    assert score["by_cause"] == {"the candle differs from REST": 50}


def test_the_worker_looks_once_and_prints_one_document(lived):
    directory, _ = lived
    worker = subprocess.run(
        [
            *(sys.executable, "-m", "agent.store.scrutiny_worker", str(directory), str(NOON_MS)),
            *PAPER.columns().values(),
        ],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert (worker.returncode, worker.stderr) == (0, "")
    found = Findings.of(json.loads(worker.stdout))
    assert (found.score.bars, found.score.mismatches) == (100, 0)
    assert findings_in({"scrutiny": found.document()}) == found
    assert findings_in({"scrutiny": {"score": 1}}).score == Score()


def test_what_happened_before_a_restart_is_told_with_it(tmp_path):
    alive = [n for n in range(200) if not 10 < n < 50]
    told = (
        *(BalanceRow(NOON_MS + n * 60_000, Decimal(10_000), Decimal(10_000)) for n in alive),
        EventRow(NOON_MS + 50 * 60_000, "INFO", "engine", "started: version 1"),
        EventRow(NOON_MS + 50 * 60_000, "INFO", "feed", "fresh, from websocket"),
    )
    store(tmp_path, config_batch(example()), Batch(NOON_MS, rows=told), positions_batch(closed_position(1)))
    from agent.store.reading import Reader
    from agent.store.scrutiny import scrutinize

    reader = Reader.open(tmp_path / "trades.db")
    try:
        found = scrutinize(reader, tmp_path / "candles.db", PAPER, NOON_MS + 199 * 60_000)
    finally:
        reader.close()
    (key,) = (key for key in found.warnings if key.startswith("away"))
    assert key == f"away {NOON_MS + 10 * 60_000}"
    assert found.warnings[key].startswith("Away from 2025-01-15 12:10 UTC to 2025-01-15 12:50 UTC (40 min)")


class Desk:
    """A scrutiny whose worker is a given program, and everything it does."""

    def __init__(self, tmp_path, program: str, last: Findings | None = None) -> None:
        self.kept: list[Batch] = []
        self.told: list[e.Event] = []
        self.slept: list[float] = []
        self.dealt_with = asyncio.Event()
        self.scrutiny = Scrutiny(
            tmp_path,
            PAPER,
            self,
            self.kept.append,
            self.told.append,
            last or Findings(Score(), {}),
            command=(sys.executable, "-c", program),
        )

    def now_ms(self) -> int:
        return NOON_MS

    async def sleep_machine(self, ms: float) -> None:
        self.slept.append(ms)
        if len(self.slept) == 2:
            self.dealt_with.set()
        await asyncio.sleep(0)

    async def after_bars(self, bars: int) -> None:
        """Let that many bars close, and wait until the worker was dealt with."""
        decision = Keep(DecisionRow(1, 2, 1.0, 1.0, 1.0, None, None, None, None, False, False, False,
                                    Outcome.NO_SIGNAL, "", "flag"))  # fmt: skip
        for _ in range(bars):
            self.scrutiny(Playbook().state, (decision,))
        running = asyncio.ensure_future(self.scrutiny.run())
        await asyncio.wait_for(self.dealt_with.wait(), 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def program(findings: Findings) -> str:
    return f"print({json.dumps(findings.document())!r})"


BAD = Findings(
    Score(bars=5, mismatches=2, first="bar of ...: ema_s is 1, the whole history gives 2; cause: the code"),
    {"kpi slippage": "slippage is 0.7 % (alert > 0.5)"},
)


async def test_the_first_mismatch_is_an_alert_and_the_score_is_kept(tmp_path):
    desk = Desk(tmp_path, program(BAD))
    await desk.after_bars(3)
    assert desk.told == [
        e.Scrutinized("ERROR", "parity", BAD.score.first),
        e.Scrutinized("WARNING", "as promised", "slippage is 0.7 % (alert > 0.5)"),
    ]
    kept = replace(BAD, looks=Looks(made=1, waited=2))
    assert [batch.documents["scrutiny"] for batch in desk.kept] == [kept.document()]
    assert findings_in({"scrutiny": kept.document()}) == kept
    old = {k: v for k, v in BAD.document().items() if k != "looks"}
    assert findings_in({"scrutiny": old}) == BAD, "what an older version kept"
    assert desk.slept == [60_000.0, 30_000.0]


async def test_what_was_told_before_a_restart_is_not_told_again(tmp_path):
    desk = Desk(tmp_path, program(BAD), last=BAD)
    await desk.after_bars(1)
    assert desk.told == []
    assert len(desk.kept) == 1


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('{}')", "print('nonsense')"])
async def test_a_worker_that_fails_changes_nothing(tmp_path, caplog, program):
    desk = Desk(tmp_path, program, last=replace(BAD, looks=Looks(made=4, failed=1, last_failure="before")))
    await desk.after_bars(1)
    assert desk.told == []
    (kept,) = [findings_in(batch.documents) for batch in desk.kept]
    assert kept.score == BAD.score
    assert (kept.looks.made, kept.looks.failed) == (5, 2)
    assert kept.looks.last_failure.startswith("exit code ")
    assert "5 looks, 2 of them without an answer (the last: exit code" in kept.looks.sentence()
    assert "the parity worker did not answer" in caplog.text


async def test_a_worker_inherits_no_key(tmp_path, monkeypatch):
    for name in ENV_NAMES:
        monkeypatch.setenv(name, f"canary of {name}")
    seen = tmp_path / "environment"
    desk = Desk(
        tmp_path, f"import os, pathlib; pathlib.Path({str(seen)!r}).write_text(repr(dict(os.environ)))"
    )
    await desk.after_bars(1)
    assert "PATH" in seen.read_text()
    assert "canary" not in seen.read_text()


def test_the_core_makes_it_an_alert_and_a_row():
    play = Playbook()
    play.learn(e.Scrutinized("ERROR", "parity", "bar of ..."))
    assert [(c.level.value, c.kind) for c in play.commands if isinstance(c, Alert)] == [("ERROR", "parity")]
    assert [c.row for c in play.commands if isinstance(c, Keep) and isinstance(c.row, EventRow)][
        -1
    ].kind == "parity"


# --- exports -----------------------------------------------------------------------------------------


def test_costs_leave_with_the_bar_form_beside_them(tmp_path, capsys):
    kept = CandleStore(tmp_path / "candles.db")
    bars = [(0.3415, 0.343, 0.340, 0.342), (0.342, 0.350, 0.341, 0.349), (0.349, 0.365, 0.348, 0.36)]
    kept.series(SeriesKey(PAPER.venue, PAPER.pair, "15m")).save(
        [Candle(NOON_MS + i * BAR, *prices, 1_000.0) for i, prices in enumerate(bars)]
    )
    kept.close()
    store(tmp_path, config_batch(example()), positions_batch(closed_position(1)))
    code, out, _ = run(capsys, tmp_path, "export", "costs", "--format", "json")
    assert code == 0
    (row,) = json.loads(out)
    assert (row["bar_entry"], row["bar_exit"], row["bar_reason"], row["bar_bars_held"]) == (
        *("0.3415", "0.3612", "FIB_61.8"),
        2,
    )
    # Bought dearer than the bar form, sold at its level but in another bar: the rule gives nothing.
    names = ("timing", "slippage", "fee", "rule", "difference", "pnl", "bar_pnl")
    timing, slippage, fee, rule, difference, pnl, bar_pnl = (Decimal(row[name]) for name in names)
    assert (timing, rule) == (Decimal("-0.0005"), 0)
    assert fee == Decimal("0.7027") * Decimal("0.0005") - Decimal("0.0004")
    assert slippage == Decimal("0.7027") * Decimal("0.0005")
    assert timing + slippage + fee + rule == difference == pnl - bar_pnl


def test_incidents_are_what_was_more_than_information(tmp_path, capsys):
    told = tuple(EventRow(NOON_MS, level, "order", level) for level in ("INFO", "WARNING", "CRITICAL"))
    store(tmp_path, Batch(NOON_MS, rows=told))
    rows = list(csv.DictReader(io.StringIO(run(capsys, tmp_path, "export", "incidents")[1])))
    assert [row["text"] for row in rows] == ["WARNING", "CRITICAL"]
    assert rows[0]["mode"] == "paper"


def test_configurations_tell_where_they_came_from_and_what_they_changed(tmp_path, capsys):
    first, second = example(), example(backtest_params={"max_hold": 48}, version="2.1.3")
    for config, name in ((first, "a"), (first, "a"), (second, "b")):
        batch = config_batch(config)
        store(tmp_path, replace(batch, config=replace(batch.config, config_hash=name)))
    rows = json.loads(run(capsys, tmp_path, "export", "configs", "--json")[1])
    assert [(row["config_hash"], row["starts"], row["exporter_version"]) for row in rows] == [
        ("a", 2, "2.1.0"),
        ("b", 1, "2.1.3"),
    ]
    assert rows[0]["changed"] == ""
    assert rows[1]["changed"] == 'version: "2.1.0" -> "2.1.3"; backtest_params.max_hold: 96 -> 48'
    assert differences({"a": 1}, {"b": {"c": None}}) == ["b.c: absent -> null", "a: 1 -> absent"]
