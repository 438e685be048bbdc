"""The figures read from a database as an engine leaves it, and the command that shows them."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from stored_agents import (
    NOON_MS,
    PAPER,
    closed_position,
    decision,
    open_position,
    positions_batch,
    store,
)

from agent.cli import main
from agent.core.instant import iso_utc, ms_of_iso
from agent.core.records import BalanceRow, EventRow, Outcome
from agent.insight.facts import Down
from agent.store import reading_statistics as facts
from agent.store.batch import Batch
from agent.store.reading import Reader
from agent.store.statistics import read_statistics
from tests.unit.config_documents import example

D = Decimal
MINUTE = 60_000
OF = PAPER.selection


def told(at_ms, kind, text, level="INFO"):
    return EventRow(at_ms, level, kind, text)


def worth(number, equity):
    return BalanceRow(NOON_MS + number * MINUTE, D(equity), D(equity))


@pytest.fixture
def reader(tmp_path):
    """Two hours of life, with ten minutes off in it and a minute of stale feed; one signal of each kind."""
    rows = [worth(n, 10_000 + n) for n in range(121) if not 30 < n < 40]
    rows[45] = replace(rows[45], equity=D(9_000))
    rows += [
        told(NOON_MS, "engine", "started: version 1, config abc, paper"),
        told(NOON_MS, "feed", "fresh, from websocket"),
        told(NOON_MS + 40 * MINUTE, "engine", "started: version 1, config abc, paper"),
        told(NOON_MS + 40 * MINUTE, "feed", "fresh, from websocket"),
        told(NOON_MS + 60 * MINUTE, "feed", "stale, from none"),
        told(NOON_MS + 61 * MINUTE, "feed", "fresh, from rest"),
        told(NOON_MS + 90 * MINUTE, "risk", "ledger difference", "CRITICAL"),
        told(NOON_MS + 91 * MINUTE, "emergency", "emergency stop by you", "CRITICAL"),
        decision(0),
        decision(1, exhaustion=True, outcome=Outcome.ENTERED, position_id=1),
        decision(2, exhaustion=True, outcome=Outcome.LATE, closed_by="backfill"),
        decision(3, exhaustion=True, outcome=Outcome.NO_ROOM),
    ]
    store(
        tmp_path,
        positions_batch(closed_position(1), open_position(2)),
        Batch(NOON_MS, rows=tuple(rows)),
    )
    made = Reader.open(tmp_path / "trades.db")
    yield made
    made.close()


def test_trades_and_their_executions(reader):
    (trade,) = facts.closed_trades(reader, OF)
    assert (trade.id, trade.reason, trade.pnl_quote) == (1, "FIB_61.8", D("18.8"))
    assert trade.r == pytest.approx(0.0188 / 0.012)
    assert len(facts.opened_times(reader, OF, NOON_MS)) == 2
    bought, still_held = facts.executions(facts.positions(reader, OF))[0::2]
    assert (bought.is_buy, bought.slippage_percent) == (True, 0.0)
    assert still_held.trade_id == 2
    assert sorted(facts.fill_times(reader, OF, 0)) == [1_000, 1_000, 3_600_000]


def test_the_curve_keeps_the_low_of_an_hour_that_ended_well(reader):
    curve = facts.equity_curve(reader, OF)
    assert [point.at_ms for point in curve] == [NOON_MS + n * MINUTE for n in (59, 119, 120)]
    assert (curve[0].equity, curve[0].low, curve[0].high) == (D(10_059), D(9_000), D(10_059))
    assert curve[2].low == curve[2].high == D(10_120)


def test_uptime_is_counted_from_rows_and_events(reader):
    of, now_ms = PAPER, NOON_MS + 120 * MINUTE
    figures = read_statistics(reader, of, now_ms)
    up = next(kpi for kpi in figures.kpis if kpi.name == "uptime")
    assert up.value == pytest.approx((1 - 11 / 120) * 100)
    assert up.detail == "engine off 10 min, feed stale 1 min"
    later = facts.silences(reader, OF, NOON_MS, now_ms + 50 * MINUTE)
    assert later[-1] == (now_ms, now_ms + 50 * MINUTE)
    in_the_gap = facts.silences(reader, OF, NOON_MS + 35 * MINUTE, now_ms)
    assert in_the_gap[0] == (NOON_MS + 30 * MINUTE, NOON_MS + 40 * MINUTE)
    assert Down.ENGINE_OFF.value == "engine off"


def test_an_agent_that_has_been_off_for_a_year_was_not_up(reader):
    figures = read_statistics(reader, PAPER, NOON_MS + 365 * 86_400_000)
    assert next(kpi for kpi in figures.kpis if kpi.name == "uptime").value == 0.0


def test_signals_and_latencies(reader):
    counts = facts.signal_counts(reader, OF, 0)
    assert dict(counts.by_outcome) == {"entered": 1, "late": 1, "no_room": 1}
    assert counts.filled == 1
    assert facts.signal_latencies(reader, OF, 900_000, 0) == (50, 50, 50)


def test_what_a_scope_has_behind_it(reader):
    (run,) = facts.scope_runs(reader, OF)
    assert (run.minutes, run.trades, run.wins, run.starts) == (112, 1, 1, 2)
    assert (run.criticals, run.emergencies, run.daily_losses) == (1, 1, 0)


def test_the_command_shows_tables_or_one_document(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    config = example(backtest_metrics={"total_trades": 45, "win_rate": 0.56, "avg_R": 0.42})
    store(
        tmp_path,
        positions_batch(closed_position(1)),
        Batch(NOON_MS, rows=(worth(0, 10_000),), documents={"status": {"at": iso_utc(NOON_MS + MINUTE)}}),
    )
    from stored_agents import config_batch

    store(tmp_path, config_batch(config))
    assert main(["stats", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "Live against backtest: per unit of base and in R, not account money" in shown
    assert "too few trades to say" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert main(["stats", "--data-dir", str(tmp_path), "--json"]) == 0
    told_ = json.loads(capsys.readouterr().out)
    assert told_["all_time"]["pnl"] == "18.8"
    assert told_["at"] == iso_utc(NOON_MS + MINUTE)
    rate = next(row for row in told_["live_against_backtest"]["metrics"] if row["name"] == "win_rate")
    assert rate["backtest"] == 0.56
    assert rate["more_trades"] == 75
    assert told_["phases"][0]["days"] == 0.0


def test_no_database_is_a_sentence(tmp_path, capsys):
    assert main(["stats", "--data-dir", str(tmp_path)]) == 2
    assert "the agent has not run there yet" in capsys.readouterr().err


def test_moments_read_back():
    assert ms_of_iso(iso_utc(NOON_MS + 5)) == NOON_MS + 5
    with pytest.raises(ValueError):
        ms_of_iso("2025-01-15T12:00:00")
