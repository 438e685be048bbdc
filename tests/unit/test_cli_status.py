"""`status`: the view at 80 columns, the JSON document, and what is said when no engine runs."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from control_fakes import OTHER
from engine_threads import ScriptedDoor, engine
from rich.console import Console
from status_documents import HALT, flat_status, full_status
from stored_agents import status_batch, store

from agent.cli import main
from agent.command_line import wording
from agent.command_line.status_view import status_view
from agent.control.status import Status


def shown(document, *, running=True, width=80) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    console.print(status_view(Status.read(document), running=running))
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return text


def line(text: str, start: str) -> str:
    return next(row.rstrip() for row in text.splitlines() if row.startswith(start))


def test_a_position_at_a_glance():
    text = shown(full_status())
    assert line(text, "RUNNING") == "RUNNING | Paper Trading | ADA/USDT 15m | binance@127.0.0.1:8090"
    assert line(text, "since") == "since       2025-01-15 14:32:05 UTC (1 h 12 min)"
    assert line(text, "balance") == "balance     9,580.12 USDT   equity 10,003.46 USDT"
    assert line(text, "today") == "today       +3.46 USDT (+0.03 %)   1 trade   2025-01-15 UTC"
    assert line(text, "position 3") == "position 3  1,234.5 ADA at 0.34211   +3.46 USDT (+0.82 %)"
    assert "target 0.3612 (+4.73 %)   stop 0.3301 (-4.29 %)   bid 0.3449" in text
    assert "protected by order sx01protect" in text
    assert line(text, "entries") == "entries     allowed"
    assert line(text, "feed") == "feed        websocket, fresh, last bar of 2025-01-15 15:15:00 UTC"
    assert line(text, "exchange") == "exchange    reachable, 45 ms, clock +3 ms, weight 120"
    assert line(text, "warm-up") == "warm-up     7,000 of 7,100 bars, error at most 1.2e-09"


def test_what_is_wrong_is_said_in_words():
    position = {
        **full_status()["positions"][0],
        "protected_by": None,
        "unprotected_since": "2025-01-15T15:43:53.000Z",
        "mode": "live",
        "leaving": "STOP",
    }
    order = {**full_status()["orders"][0], "status": "UNKNOWN", "price": None, "type": "MARKET"}
    text = shown(
        full_status(
            state="EXITS_ONLY",
            positions=[position],
            orders=[order],
            entries_blocked_by=["feed stale", "an order of unknown outcome"],
            feed={"source": "rest", "fresh": False, "last_closed_bar": None},
            exchange={"reachable": False, "latency_ms": None, "clock_offset_ms": None, "used_weight": None},
        )
    )
    assert "NOT PROTECTED since 2025-01-15 15:43:53 UTC (12 s)" in text
    assert "entered in LIVE TRADING" in text
    assert "leaving now: STOP" in text
    assert "SELL MARKET 0 of 1,234.5 at market: UNKNOWN" in text
    assert line(text, "entries") == "entries     blocked by feed stale; an order of unknown outcome"
    assert line(text, "feed") == "feed        rest, STALE"
    assert line(text, "exchange") == "exchange    NOT REACHABLE"


def test_a_halt_says_what_is_open_and_once_flat_how_to_clear_it():
    text = shown(full_status(state="HALTED", halt=HALT))
    assert line(text, "halted") == "halted      by emergency stop at 2025-01-15 15:43:00 UTC"
    assert line(text, "still open") == "still open  position 3: 1234.5 ADA"
    flat = {**HALT, "reason": "daily_loss", "flat": True, "remaining": []}
    text = shown(flat_status(state="HALTED", halt=flat))
    assert "by daily loss limit" in text
    assert "python -m agent.cli clear-halt" in text


def test_without_a_bid_distances_are_from_the_entry_and_without_levels_it_says_so():
    bare = {**full_status()["positions"][0], "stop": None, "target": None}
    assert "no exit level is set" in shown(full_status(positions=[bare], price={"bid": None}))
    assert "target 0.3612 (+5.58 %)" in shown(full_status(price={"bid": None}))


def test_before_the_first_price_nothing_is_invented():
    text = shown(
        flat_status(
            balance=None,
            equity=None,
            day={"date": None, "pnl": None, "trades": 0, "start_equity": None},
            warmup={"bars": 0, "needed": 7100, "error_bound": None},
        )
    )
    assert line(text, "balance") == "balance   - USDT   equity - USDT"
    assert line(text, "today") == "today     waiting for the first trusted price"
    assert line(text, "warm-up") == "warm-up   0 of 7,100 bars"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits(width):
    shown(full_status(state="HALTED", halt=HALT), width=width)


def test_the_running_engine_answers(tmp_path, capsys):
    with engine(tmp_path, ScriptedDoor(full_status())):
        assert main(["status", "--data-dir", str(tmp_path)]) == 0
        assert "RUNNING | Paper Trading" in capsys.readouterr().out
        assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == Status.read(full_status()).document(running=True)
    assert told.err == ""


def test_the_last_state_is_shown_when_no_engine_runs(tmp_path, capsys):
    store(tmp_path, status_batch(full_status()))
    assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out) == Status.read(full_status()).document(running=False)
    assert "No engine is running" in told.err
    assert main(["status", "--data-dir", str(tmp_path)]) == 3
    assert "This is the last stored state" in capsys.readouterr().out


def test_with_nothing_stored_only_that_is_said(tmp_path, capsys):
    assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out) == {"running": False}
    assert "Nothing is stored there either." in told.err


def test_a_database_that_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / "trades.db").write_bytes(b"nonsense" * 1000)
    assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "trades.db" in told.err


def test_a_status_of_another_version_that_cannot_be_read_is_named(tmp_path, capsys):
    with engine(tmp_path, ScriptedDoor({"version": "9.9.9", "state": "RUNNING"}), OTHER):
        assert main(["status", "--json", "--data-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "9.9.9" in told.err
    assert "is missing" in told.err


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10000", "10,000.00 USDT"),
        ("-1234.567", "-1,234.57 USDT"),
        ("0", "0.00 USDT"),
        ("0.5", "0.50 USDT"),
        ("0.00012345678", "0.000123 USDT"),
        ("-0.001", "-0.00100 USDT"),
        ("999999.999", "1,000,000.00 USDT"),
    ],
)
def test_amounts(value, text):
    assert wording.quote_amount(Decimal(value), "USDT") == text


def test_signed_amounts_and_prices_keep_every_digit_that_matters():
    assert wording.quote_amount(Decimal("3.456"), "USDT", signed=True) == "+3.46 USDT"
    assert wording.price(Decimal("98765.4321")) == "98,765.4321"
    assert wording.price(Decimal("0.00001234")) == "0.00001234"
    assert wording.price(Decimal("-1234.50")) == "-1,234.5"
    assert wording.price(Decimal("1000")) == "1,000"
    assert wording.price(None) == "-"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds, text):
    assert wording.duration(timedelta(seconds=seconds)) == text


def test_counts():
    assert [wording.counted(n, "order") for n in (0, 1, 2)] == ["no orders", "1 order", "2 orders"]
