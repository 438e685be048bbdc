"""Why and while I was away: sentences from facts, and from a database that an engine left."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from stored_agents import NOON_MS, PAPER, closed_position, config_batch, decision, positions_batch, store

from agent.cli import main
from agent.core import events as e
from agent.core.commands import Keep
from agent.core.instant import iso_utc
from agent.core.parameters import SellerParams
from agent.core.records import BalanceRow, Check, EventRow, Outcome, VerdictRow
from agent.insight.account import flows_in
from agent.insight.away import Absence, absences
from agent.insight.facts import Down, Outage
from agent.insight.why import explain, explain_absence
from agent.store.batch import Batch
from tests.playbook import Playbook
from tests.unit.config_documents import example

D = Decimal
BAR = 900_000
MINUTE = 60_000
SELLER = SellerParams(
    ema_fast=96, ema_slow=672, z_window=672, atr_window=96, vol_z=2.0, tr_z=1.2, cloc_min=0.6
)


# --- why -------------------------------------------------------------------------------------------


def test_each_condition_stands_with_value_threshold_and_result():
    found = explain(decision(0), SELLER, BAR)
    assert [(c.value, c.threshold, c.passed) for c in found.conditions] == [
        ("fast average 0.34, slow 0.35", "fast below slow", True),
        ("2.31", "above 2", True),
        ("1.05", "above 1.2", False),
        ("0.71", "above 0.6", True),
    ]
    lines = found.lines()
    assert lines[0] == "Bar of 2025-01-15 12:00 UTC: no signal"
    assert lines[3].split(None, 1) == ["no", "range, z-score          1.05  (above 1.2)"]
    assert lines[-1] == "Closed at 0.342, decided 50 ms later on its closed flag."


def test_a_threshold_is_strict_and_an_undefined_value_fails():
    edge = explain(decision(0, vol_z=2.0, tr_z=None), SELLER, BAR).conditions
    assert [c.passed for c in edge] == [True, False, False, True]
    assert edge[2].value == "undefined"


def test_a_refusal_shows_every_limit_with_its_numbers():
    checks = (Check("risk per trade", True, "100 of 100"), Check("daily trades", False, "10 of 10"))
    row = decision(0, exhaustion=True, outcome=Outcome.REFUSED, reason="daily trades", borderline=True)
    lines = explain(row, SELLER, BAR, VerdictRow(row.decided_ms, 1, None, False, checks)).lines()
    assert lines[0].endswith("refused by a limit: daily trades")
    assert "  no   daily trades: 10 of 10" in lines
    assert any(line.startswith("Borderline") for line in lines)


def test_a_bar_without_a_decision_has_a_reason_too():
    off = Outage(NOON_MS - MINUTE, NOON_MS + 3 * BAR, Down.ENGINE_OFF)
    assert "engine off from 2025-01-15 11:59" in explain_absence(NOON_MS, BAR, [off], NOON_MS + 9 * BAR)[0]
    assert "it closes at 2025-01-15 12:15" in explain_absence(NOON_MS, BAR, [off], NOON_MS)[0]
    assert "had not begun here" in explain_absence(NOON_MS - 9 * BAR, BAR, [off], NOON_MS)[0]


# --- away ------------------------------------------------------------------------------------------


def test_outages_that_follow_each_other_are_one_absence():
    down = [
        Outage(0, 100_000, Down.ENGINE_OFF),
        Outage(100_000, 105_000, Down.FEED_STALE),
        Outage(900_000, 1_000_000, Down.FEED_STALE),
    ]
    assert absences(down, 1_000_000) == (
        Absence(0, 105_000, (Down.ENGINE_OFF, Down.FEED_STALE)),
        Absence(900_000, None, (Down.FEED_STALE,)),
    )


@pytest.fixture
def back(tmp_path):
    """Off from 12:10 to 12:50 with a position, which the resting stop sold; back with two bars in history."""
    held, orders = closed_position(1)
    sold = replace(orders[1].fills[0], at_ms=NOON_MS + 30 * MINUTE)
    intent = replace(orders[1].intent, purpose=type(orders[1].intent.purpose)("protect"))
    exit_ = replace(orders[1], intent=intent, fills=(sold,))
    held = replace(held, last_fill_ms=sold.at_ms, exit_reason="STOP")
    alive = [n for n in range(121) if not 10 < n < 50]
    told = [
        (0, "engine", "started: version 1, config abc, paper"),
        (0, "feed", "fresh, from websocket"),
        (50, "engine", "started: version 1, config abc, paper"),
        (50, "feed", "fresh, from websocket"),
        (51, "account", "account and ledger agree: 0 open positions, 0 open orders"),
        (80, "account", "deposit of 5 USDT: counted as a flow, not as profit"),
    ]
    rows = (
        *(BalanceRow(NOON_MS + n * MINUTE, D(10_000), D(10_000)) for n in alive),
        *(EventRow(NOON_MS + n * MINUTE, "INFO", kind, text) for n, kind, text in told),
        decision(-1),
        decision(0, closed_by="backfill", decided_ms=NOON_MS + 50 * MINUTE),
        decision(
            1, closed_by="backfill", decided_ms=NOON_MS + 50 * MINUTE, exhaustion=True,
            outcome=Outcome.LATE, reason="found 1200.0 s after the close, 30 s allowed",
        ),
        decision(3),
    )  # fmt: skip
    status = {
        "status": {"at": iso_utc(NOON_MS + 120 * MINUTE), "entries_blocked_by": ["the agent is PAUSED"]}
    }
    store(
        tmp_path,
        config_batch(example()),
        positions_batch((held, (orders[0], exit_))),
        Batch(NOON_MS, rows=rows, documents=status),
    )
    return tmp_path


def run(capsys, data_dir, *words):
    code = main([*words, "--data-dir", str(data_dir)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_report_tells_bars_signals_fills_and_what_the_return_found(back, capsys):
    code, out, _ = run(capsys, back, "away")
    assert code == 0
    assert out.splitlines() == [
        "Away from 2025-01-15 12:10 UTC to 2025-01-15 12:50 UTC (40 min): engine off.",
        "3 bars closed meanwhile: 2 judged afterwards, 1 not judged.",
        "Signal on the bar of 2025-01-15 12:15: signal found too late (found 1200.0 s after the close, "
        "30 s allowed).",
        "2025-01-15 12:30: sold 1,000.00 ADA at 0.3612 by the resting stop, position 1.",
        "Position 1 ended: STOP, +18.80 USDT, R +1.57.",
        "On return: account and ledger agree: 0 open positions, 0 open orders",
    ]
    told = json.loads(run(capsys, back, "away", "--json")[1])
    assert (told[0]["bars"], told[0]["judged"], told[0]["not_judged"]) == (3, 2, 1)
    assert told[0]["fills"][0]["purpose"] == "protect"


def test_why_finds_the_bar_of_a_moment(back, capsys):
    code, out, _ = run(capsys, back, "why", "2025-01-15 12:22:10")
    assert code == 0
    assert out.startswith("Bar of 2025-01-15 12:15 UTC: signal found too late: found 1200.0 s")
    assert "afterwards, from history" in out
    code, out, _ = run(capsys, back, "why", "2025-01-15T12:31:00Z")
    assert "there is no decision: engine off from 2025-01-15 12:10 to 2025-01-15 12:50 UTC" in out
    code, out, _ = run(capsys, back, "why")
    assert out.startswith("Bar of 2025-01-15 12:45 UTC: no signal")
    assert "Entries were blocked at the last look: the agent is PAUSED." in out
    assert json.loads(run(capsys, back, "why", "--json")[1])["conditions"][2]["passed"] is False


@pytest.mark.parametrize("bar", ["yesterday", "2025-13-01", ""])
def test_what_is_no_moment_is_refused_with_an_example(back, capsys, bar):
    code, out, err = run(capsys, back, "why", bar)
    assert (code, out) == (1, "")
    assert '"2025-01-15 14:30"' in err


def test_without_anything_to_tell(tmp_path, capsys):
    store(tmp_path)
    assert run(capsys, tmp_path, "why")[1] == "No bar was decided yet.\n"
    assert run(capsys, tmp_path, "away")[1] == "The agent was never away while anything happened.\n"


# --- what the core writes down for it --------------------------------------------------------------


def account_rows(play: Playbook) -> list[EventRow]:
    kept = (c.row for c in play.commands if isinstance(c, Keep))
    return [row for row in kept if isinstance(row, EventRow) and row.kind == "account"]


def test_the_first_agreement_and_one_after_a_long_time_are_told_once():
    play = Playbook()
    play.ready()
    assert [row.text for row in account_rows(play)] == [
        "account and ledger agree: 0 open positions, 0 open orders"
    ]
    play.later(61_000)
    play.account_agrees()
    assert len(account_rows(play)) == 1
    play.at(play.now_ms + 600_000)
    play.account_agrees()
    assert len(account_rows(play)) == 2


def test_a_flow_is_read_back_from_what_reconciliation_says():
    play = Playbook()
    play.ready()
    for _ in range(2):
        play.at(play.now_ms + 60_000)
        play.learn(e.AccountSeen({"USDT": e.Holding(D("10250.5"), D(0))}, (), (), 0))
    assert [flow.amount for flow in flows_in(account_rows(play))] == [D("250.5")]
    assert PAPER.quote == "USDT"
