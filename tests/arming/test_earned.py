"""The way to live walked to its end: what the ledger's writer wrote opens every gate, without an override."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from agent.arming.checklist import Worth
from agent.arming.record import read_record
from agent.cli import main
from agent.command_line import arming
from agent.command_line.terminal import Terminal
from agent.compose.live import live_start
from agent.config import check_config
from agent.core.records import BalanceRow, EventRow
from agent.store.batch import Batch, Scope
from agent.store.data_dir import DataDir
from agent.store.ledger import Ledger
from agent.store.prepare import prepare
from agent.store.writer import Watch, Writer

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from stored_agents import NOON_MS, closed_position

PAIR = "ADA/USDT"
REAL_MONEY = {"exchange": {"paper_trading": False, "testnet": False}, "agent": {"capital": 50}}
PAPER = Scope("agent", "binance@api.binance.com", "paper", "paper-1", PAIR)
TESTNET = Scope("agent", "binance@testnet.binance.vision", "testnet", "main", PAIR)
WEEK_MINUTES = 7 * 1_440


def lived(minutes, trades, *events, first=1):
    """Minutes in which the worth of the account was known, trades from number `first` on, and events."""
    worth = [BalanceRow(NOON_MS + n * 60_000, Decimal(1), Decimal(1)) for n in minutes]
    told = [EventRow(NOON_MS, level, kind, text) for level, kind, text in events]
    closed = [closed_position(number) for number in range(first, first + trades)]
    orders = tuple(order for _, its in closed for order in its)
    return Batch(NOON_MS, rows=(*worth, *told), positions=tuple(p for p, _ in closed), orders=orders)


def closed_by_hand(number):
    position, orders = closed_position(number)
    return Batch(NOON_MS, positions=(replace(position, exit_reason="MANUAL"),), orders=orders)


def write(place, scope, *batches):
    with closing(Ledger.open(place.trades_db, scope)) as ledger:
        writer = Writer(ledger, Watch())
        for batch in batches:
            writer.submit(batch).result(30)
        writer.close()


def test_a_week_of_each_phase_its_trades_and_what_was_tried_arm_without_an_override(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("LIVE_TRADING_CONFIRM", PAIR)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(REAL_MONEY))
    monkeypatch.setattr(Terminal, "can_ask", property(lambda self: True))
    monkeypatch.setattr(Terminal, "ask", lambda self, question: PAIR)
    monkeypatch.setattr(arming, "account_worth", lambda *_: Worth(Decimal(10_000), "USDT"))
    place = DataDir(tmp_path)
    prepare(place.trades_db)
    started = ("INFO", "engine", "started: version 1, config abc, paper")
    tried = (("CRITICAL", "emergency", "emergency stop by you"), ("CRITICAL", "daily_loss", "5 % lost"))
    write(place, PAPER, lived(range(WEEK_MINUTES), 9, started, started, *tried), closed_by_hand(10))
    write(place, TESTNET, lived(range(WEEK_MINUTES - 1), 9))

    def arms():
        code = main(["arm", "--data-dir", str(tmp_path)])
        return code, capsys.readouterr().out

    code, told = arms()
    assert code == 1
    assert "passed  paper phase: 7.0 of 7 days, 10 of 10 trades on the exchange itself" in told
    assert "passed  launch list: 7 of 7 done" in told
    assert "CLOSED  testnet phase: 6.9 of 7 days, 9 of 10 trades" in told
    write(place, TESTNET, lived((), 1, first=10))
    assert arms()[0] == 1, "ten trades, and a minute short of the week"
    write(place, TESTNET, lived((WEEK_MINUTES,), 0))
    code, told = arms()
    assert (code, "CLOSED" in told) == (0, False)
    record = read_record(tmp_path)
    assert (record.pair, record.how, record.override) == (PAIR, "typed", None)

    config = check_config(json.dumps(REAL_MONEY)).config
    start = live_start(
        *(config, tmp_path / ".env", tmp_path, place.trades_db),
        flag=False,
        is_open=False,
        worth=lambda: "not asked any more",
    )
    assert (start.refusal, start.exits_only_because) == (None, None)
    assert start.arming.config_hash == config.config_hash
