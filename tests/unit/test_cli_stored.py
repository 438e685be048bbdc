"""The commands over what is stored: trades, decisions, export, backup, restore, paper-reset."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from stored_agents import (
    NOON_MS,
    PAPER,
    closed_position,
    config_batch,
    decision,
    open_position,
    positions_batch,
    store,
)

from agent.cli import main
from agent.core.records import Outcome
from agent.store.batch import Batch
from agent.store.exports import EXPORTS
from agent.store.instance_lock import InstanceLock
from agent.store.reading import Reader
from agent.store.spool import begin_copy, number_in

ROWS = Batch(
    at_ms=NOON_MS,
    rows=(
        decision(0),
        decision(1, vol_z=None, tr_z=None, cloc=None, reason="volume z undefined"),
        decision(2, outcome=Outcome.NO_ROOM, exhaustion=True, tr_z=1.5, borderline=True, reason="no gain"),
    ),
)


@pytest.fixture
def traded(tmp_path):
    """One closed and one open trade, three decisions, and the configuration."""
    store(
        tmp_path,
        positions_batch(closed_position(1), open_position(2)),
        ROWS,
        config_batch({"seller_params": {"vol_z": 2.0, "tr_z": 1.2, "cloc_min": 0.6}}),
    )
    return tmp_path


def run(capsys, data_dir, *words):
    code = main([*words, "--data-dir", str(data_dir)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_trades_are_a_table_newest_first(traded, capsys):
    code, out, _ = run(capsys, traded, "trades")
    assert code == 0
    rows = [row for row in out.splitlines() if row.strip()]
    assert rows[0].startswith("Trades, ADA/USDT, paper, binance@127.0.0.1:8090 (2025, UTC)")
    assert rows[2].split()[:3] == ["2", "01-15", "12:00"]
    assert "open" in rows[2]
    assert rows[-1].split() == [
        *("1", "01-15", "12:00", "01-15", "13:00", "1,000", "0.342", "0.3612", "+18.80", "+1.57"),
        "FIB_61.8",
    ]
    assert all(len(row) <= 80 for row in rows)


def test_in_a_file_or_a_pipe_a_row_is_one_line(traded, capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    _, out, _ = run(capsys, traded, "decisions")
    assert any(len(row) > 80 for row in out.splitlines())
    assert all(row == row.rstrip() for row in out.splitlines())
    monkeypatch.setenv("COLUMNS", "80")
    _, narrow, _ = run(capsys, traded, "decisions")
    assert len(narrow.splitlines()) > len(out.splitlines())


def test_decisions_show_each_condition_with_its_threshold(traded, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(capsys, traded, "decisions")
    assert code == 0
    rows = [row for row in out.splitlines() if row.strip()]
    assert rows[1].split() == ["bar", "trend", "vol_z>2", "tr_z>1.2", "cloc>0.6", "outcome", "because"]
    assert rows[2].startswith("01-15 12:30 down +  2.31 +   1.50 +   0.71 + no room   borderline; no gain")
    assert rows[3].split()[4:6] == ["none", "-"]
    first = next(row for row in rows if row.startswith("01-15 12:00"))
    assert "1.05 -" in first
    assert "no signal" in first
    assert all(len(row) <= 80 for row in rows)


def test_without_a_readable_configuration_thresholds_are_left_out(tmp_path, capsys):
    store(tmp_path, ROWS, config_batch({"version": "99.0"}))
    _, out, _ = run(capsys, tmp_path, "decisions")
    assert "vol_z " in out
    assert "2.31" in out
    assert ">2" not in out


def test_limit_keeps_the_newest(traded, capsys):
    _, out, _ = run(capsys, traded, "trades", "--limit", "1", "--json")
    assert [row["id"] for row in json.loads(out)] == [2]
    _, out, _ = run(capsys, traded, "decisions", "--limit", "2", "--json")
    assert [row["bar"] for row in json.loads(out)] == ["2025-01-15T12:30:00.000Z", "2025-01-15T12:15:00.000Z"]


@pytest.mark.parametrize("kind", ["trades", "decisions"])
def test_json_has_the_keys_of_the_export(traded, capsys, kind):
    code, out, err = run(capsys, traded, kind, "--json")
    assert (code, err) == (0, "")
    assert set(json.loads(out)[0]) == set(EXPORTS[kind].columns)


def test_nothing_stored_yet_is_a_sentence(tmp_path, capsys):
    for words in (["trades"], ["decisions"], ["export", "fills"]):
        code, out, err = run(capsys, tmp_path, *words)
        assert (code, out) == (2, "")
        assert "the agent has not run there yet" in err
    store(tmp_path)
    assert run(capsys, tmp_path, "trades")[:2] == (
        0,
        "No trades yet (ADA/USDT, paper, binance@127.0.0.1:8090).\n",
    )
    assert run(capsys, tmp_path, "decisions")[1].startswith("No bar was decided yet")


def test_another_venues_rows_do_not_mix(traded, capsys):
    store(traded, scope=replace(PAPER, venue="binance@api.binance.com"))
    assert json.loads(run(capsys, traded, "trades", "--json")[1]) == []
    assert json.loads(run(capsys, traded, "export", "trades", "--json")[1]) == []
    both = json.loads(run(capsys, traded, "export", "trades", "--json", "--all-scopes")[1])
    assert [row["id"] for row in both] == [1, 2]


@pytest.mark.parametrize("kind", list(EXPORTS))
def test_every_export_has_its_columns(traded, capsys, kind):
    code, out, _ = run(capsys, traded, "export", kind)
    assert code == 0
    assert tuple(next(csv.reader(io.StringIO(out)))) == EXPORTS[kind].columns


def test_an_export_to_a_file_does_not_overwrite_unasked(traded, capsys):
    out = traded / "fills.csv"
    assert run(capsys, traded, "export", "fills", "--out", str(out))[0] == 0
    assert len(out.read_text().splitlines()) == 1 + 3
    code, _, err = run(capsys, traded, "export", "fills", "--out", str(out))
    assert code == 1
    assert "exists already" in err
    assert run(capsys, traded, "export", "fills", "--out", str(out), "--overwrite")[0] == 0


@pytest.mark.parametrize("words", [["everything"], ["fills", "--format", "xml"]])
def test_unknown_exports_are_refused(traded, capsys, words):
    code, out, err = run(capsys, traded, "export", *words)
    assert (code, out) == (1, "")
    assert err


def test_a_backup_can_be_restored(traded, capsys):
    code, out, _ = run(capsys, traded, "backup", "--json")
    assert code == 0
    made = json.loads(out)["path"]
    assert made.startswith(str(traded / "backups"))
    store(traded, Batch(at_ms=NOON_MS, rows=(decision(3),)))
    assert len(json.loads(run(capsys, traded, "decisions", "--json")[1])) == 4
    code, out, _ = run(capsys, traded, "restore", made, "--yes", "--json")
    assert code == 0
    assert json.loads(out)["restored"] == made
    assert len(json.loads(run(capsys, traded, "decisions", "--json")[1])) == 3


def test_old_backups_go(traded, capsys):
    for name in ("trades-20240101T000000Z.db", "trades-20240102T000000Z.db"):
        (traded / "backups").mkdir(exist_ok=True)
        (traded / "backups" / name).touch()
    assert run(capsys, traded, "backup", "--keep", "2")[0] == 0
    assert sorted(path.name for path in (traded / "backups").iterdir())[0] == "trades-20240102T000000Z.db"


def test_restore_needs_consent_and_a_free_directory(traded, capsys):
    made = json.loads(run(capsys, traded, "backup", "--json")[1])["path"]
    code, _, err = run(capsys, traded, "restore", made)
    assert code == 1
    assert "--yes" in err
    with InstanceLock.take(traded / "agent.lock", at_ms=1):
        code, out, err = run(capsys, traded, "restore", made, "--yes")
    assert (code, out) == (4, "")
    assert "already runs" in err


def test_a_backup_that_is_none_is_refused(traded, capsys):
    assert run(capsys, traded, "restore", str(traded / "missing.db"), "--yes")[0] == 2
    (traded / "broken.db").write_bytes(b"nonsense" * 500)
    code, _, err = run(capsys, traded, "restore", str(traded / "broken.db"), "--yes")
    assert code == 1
    assert "Traceback" not in err
    assert len(json.loads(run(capsys, traded, "decisions", "--json")[1])) == 3


def test_paper_reset_begins_a_new_account_and_keeps_the_old(tmp_path, capsys):
    store(tmp_path, positions_batch(closed_position()))
    code, out, _ = run(capsys, tmp_path, "paper-reset", "--yes", "--json")
    assert code == 0
    assert json.loads(out) == {"account": "paper-2", "previous": "paper-1"}
    reader = Reader.open(tmp_path / "trades.db")
    try:
        assert [trade.id for trade in reader.trades(PAPER.selection, limit=10)] == [1]
    finally:
        reader.close()


def test_paper_reset_refuses_while_something_is_open_or_runs(tmp_path, capsys):
    store(tmp_path, positions_batch(open_position()))
    code, _, err = run(capsys, tmp_path, "paper-reset", "--yes")
    assert code == 1
    assert "still has an open position" in err
    other = tmp_path / "other"
    store(other)
    with InstanceLock.take(other / "agent.lock", at_ms=1):
        assert run(capsys, other, "paper-reset", "--yes")[0] == 4
    assert run(capsys, other, "paper-reset")[0] == 1


def test_paper_reset_is_for_paper(tmp_path, capsys):
    store(tmp_path, scope=replace(PAPER, mode="testnet", account="main"))
    code, _, err = run(capsys, tmp_path, "paper-reset", "--yes")
    assert code == 1
    assert "testnet" in err


@pytest.mark.parametrize(
    ("word", "where"), [("tax", "agent.cli export tax"), ("kpis", "agent.cli stats"), ("taxes", "--help")]
)
def test_what_has_no_command_of_its_own_is_shown_its_place(capsys, word, where):
    code, out, err = run(capsys, None, word)
    assert (code, out) == (1, "")
    assert where in err


def test_a_new_paper_account_asks_for_a_new_copy_on_the_server(tmp_path, capsys):
    store(tmp_path, ROWS)
    begun = begin_copy(tmp_path / "trades.db", "ada")
    assert main(["backup", "--data-dir", str(tmp_path)]) == 0
    assert "pg_dump" in capsys.readouterr().err
    assert main(["paper-reset", "--yes", "--data-dir", str(tmp_path)]) == 0
    assert number_in(tmp_path / "trades.db") == begun.seq + 1
    copy = next((tmp_path / "backups").glob("*.db"))
    assert main(["restore", str(copy), "--yes", "--data-dir", str(tmp_path)]) == 0
    assert number_in(tmp_path / "trades.db") == begun.seq + 2
