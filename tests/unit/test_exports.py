"""What leaves as CSV and JSON: exactly the agreed columns, exact amounts, and nothing on the way lost."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from agent.core.order import Order, OrderStatus, OrderType, Side
from agent.core.position import Position, PositionState
from agent.core.records import Check, Outcome, VerdictRow
from agent.store.batch import Batch, Selection
from agent.store.exports import (
    DONE,
    EXPORTS,
    REFUSED,
    UNREADABLE,
    export_command,
    export_to_file,
)
from agent.store.trade_report import trade_columns
from agent.store.trouble import StoreTrouble
from tests.store_ground import LIVE, SCOPE, T0, Store, balance, decision, fill, order, position

COLUMNS = {
    "trades": "id signal_ts entry_ts exit_ts entry exit size pnl_quote pnl R reason bars_held fees_quote "
    "mode venue notes",
    "orders": "client_id side type status quantity filled price ts intent_id verdict",
    "fills": "trade_id client_id side price quantity fee fee_currency ts",
    "decisions": "bar ema_f ema_s atr vol_z tr_z cloc downtrend exhaustion borderline outcome reason",
    "balances": "ts balance equity mode",
    "tax": "trade_id client_id side price quantity fee fee_currency ts value_quote fee_quote",
    "costs": "id signal_ts bar_entry entry bar_exit exit bar_reason reason bar_bars_held bars_held bar_pnl "
    "pnl difference timing slippage fee rule notes",
    "incidents": "ts level kind text mode venue pair",
    "dust": "ts trade_id currency quantity",
    "configs": "accepted config_hash exporter_version exported strategy description mode venue pair starts "
    "changed",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    # What comes of a server's rows is compared with this in test_store_courier.
    with closing(Store(tmp_path)) as store:
        yield store


def filled(one: Order, held: Position) -> Position:
    for execution in one.fills:
        base = execution.fee_currency == "ADA"
        fee = execution.fee * execution.price if base else execution.fee
        held = held.with_fill(execution, base="ADA", fee_in_quote=fee)
    return held


def bought() -> Order:
    """40 at 0.35 and 60 at 0.3512: 100 for 35.072, fees 0.035072."""
    first = fill("11", qty="40", price="0.35", fee="0.014", at_ms=T0 + 100)
    second = fill("12", qty="60", price="0.3512", fee="0.021072", at_ms=T0 + 300)
    return order().with_fill(first).with_fill(second)


def sold() -> Order:
    one = fill("13", "sell1", side=Side.SELL, qty="100", price="0.3626", fee="0.03626", at_ms=T0 + 9_000_000)
    return order("sell1", side=Side.SELL).with_fill(one)


def closed_trade() -> Position:
    held = filled(sold(), filled(bought(), position(state=PositionState.CLOSED)))
    return replace(held, exit_reason="FIB_61.8", bars_held=9, notes=("basis 1.2 bp",), seen_at_close=True)


def exported(store: Store, kind: str, form: str, of: Selection = SCOPE.selection) -> str:
    out, said = io.StringIO(), io.StringIO()
    assert export_command(store.place, kind, form, out=None, of=of, stdout=out, stderr=said) == DONE
    assert said.getvalue() == ""
    return out.getvalue()


def as_json(store: Store, kind: str, of: Selection = SCOPE.selection) -> list[dict[str, object]]:
    return json.loads(exported(store, kind, "json", of))


@pytest.mark.parametrize("kind", EXPORTS)
def test_the_columns_are_exactly_the_agreed_ones_even_without_rows(store: Store, kind: str) -> None:
    assert EXPORTS.keys() == COLUMNS.keys()
    assert exported(store, kind, "csv") == COLUMNS[kind].replace(" ", ",") + "\n"
    assert exported(store, kind, "json") == "[]\n"


def test_a_closed_trade(store: Store) -> None:
    store.ledger().commit(Batch(T0, positions=(closed_trade(),), orders=(bought(), sold())))
    (trade,) = as_json(store, "trades")
    assert list(trade) == COLUMNS["trades"].split()
    assert trade == {
        "id": 1,
        "signal_ts": "2025-01-15T14:30:00.000Z",
        "entry_ts": "2025-01-15T14:32:05.100Z",
        "exit_ts": "2025-01-15T17:02:05.000Z",
        "entry": "0.35072",
        "exit": "0.3626",
        "size": "100",
        "pnl_quote": "1.116668",
        "pnl": "0.01116668",
        "R": "1.00600720720720721",
        "reason": "FIB_61.8",
        "bars_held": 9,
        "fees_quote": "0.071332",
        "mode": "paper",
        "venue": "binance api.binance.com",
        "notes": "basis 1.2 bp; seen_at_close",
    }


def test_pnl_is_per_unit_after_fees_and_r_is_pnl_over_the_risk_fixed_at_entry() -> None:
    row = trade_columns(closed_trade())
    assert row["pnl"] == row["exit"] - row["entry"] - row["fees_quote"] / row["size"]
    assert row["pnl"] * row["size"] == row["pnl_quote"]
    assert row["r"] == pytest.approx(row["pnl"] / Decimal("0.0111"), rel=Decimal("1e-17"))


def test_an_average_that_never_ends_is_rounded_and_its_trade_is_exact_where_it_can_be() -> None:
    thirds = order().with_fill(fill("1", qty="1", price="0.1")).with_fill(fill("2", qty="2", price="0.2"))
    row = trade_columns(filled(thirds, position(state=PositionState.IN_POSITION)))
    assert row["entry"] == Decimal("0.166666666666666667")


def test_what_a_trade_earned_is_null_while_it_is_open(store: Store) -> None:
    half = fill("13", "sell1", side=Side.SELL, qty="50", price="0.3626", at_ms=T0 + 9)
    leaving = order("sell1", side=Side.SELL).with_fill(half)
    held = filled(leaving, filled(bought(), position(state=PositionState.EXITING)))
    held = replace(held, exit_reason="FIB_61.8")
    store.ledger().commit(Batch(T0, positions=(held,), orders=(bought(), leaving)))
    (trade,) = as_json(store, "trades")
    unknown = [name for name, value in trade.items() if value is None]
    assert unknown == ["exit_ts", "exit", "pnl_quote", "pnl", "R", "reason"]
    assert (trade["entry"], trade["size"]) == ("0.35072", "100")
    (row,) = csv.DictReader(io.StringIO(exported(store, "trades", "csv")))
    assert [row[name] for name in unknown] == [""] * 6


def test_what_never_held_anything_is_no_trade(store: Store) -> None:
    store.ledger().commit(Batch(T0, positions=(position(1, PositionState.MONITORING),)))
    store.ledger().commit(Batch(T0, positions=(position(2),)))
    assert as_json(store, "trades") == []


def test_a_holding_that_was_sold_elsewhere_earned_nothing_we_know_of(store: Store) -> None:
    gone = replace(filled(bought(), position(state=PositionState.CLOSED)), exit_reason="EXTERNAL")
    store.ledger().commit(Batch(T0, positions=(gone,), orders=(bought(),)))
    (trade,) = as_json(store, "trades")
    assert (trade["reason"], trade["exit"], trade["pnl_quote"], trade["R"]) == ("EXTERNAL", None, None, None)


def test_orders_say_what_was_decided_what_became_of_it_and_who_allowed_it(store: Store) -> None:
    at_market = replace(order("m1").intent, type=OrderType.MARKET, price=None, time_in_force=None)
    store.ledger().commit(
        Batch(
            T0,
            orders=(bought(), Order(at_market, OrderStatus.UNKNOWN), order("late1")),
            rows=(
                VerdictRow(T0, 1, "buy1", True, (Check("room", True, "1 < 2"),)),
                VerdictRow(T0, 2, "late1", False, ()),
            ),
        )
    )
    first, second, third = as_json(store, "orders")
    assert first == {
        "client_id": "buy1",
        "side": "BUY",
        "type": "LIMIT",
        "status": "FILLED",
        "quantity": "100",
        "filled": "100",
        "price": "0.3512",
        "ts": "2025-01-15T14:32:05.000Z",
        "intent_id": 1,
        "verdict": "approved",
    }
    assert (second["type"], second["status"], second["price"]) == ("MARKET", "UNKNOWN", None)
    assert (second["verdict"], third["verdict"]) == (None, "refused")


def test_fills_are_the_exchanges_own_words(store: Store) -> None:
    store.ledger().commit(Batch(T0, orders=(bought(),)))
    assert as_json(store, "fills")[0] == {
        "trade_id": "11",
        "client_id": "buy1",
        "side": "BUY",
        "price": "0.35",
        "quantity": "40",
        "fee": "0.014",
        "fee_currency": "USDT",
        "ts": "2025-01-15T14:32:05.100Z",
    }


def test_tax_values_every_fill_and_its_fee_in_quote_currency(store: Store) -> None:
    paid = (
        fill("1", qty="40", price="0.35", fee="0.014", fee_currency="USDT"),
        fill("2", qty="10", price="0.35", fee="0.01", fee_currency="ADA"),
        fill("3", qty="20", price="0.36", fee="0.00002", fee_currency="BNB"),
        fill("4", qty="20", price="0.36", fee="0.00003", fee_currency="BNB"),
        fill("5", qty="10", price="0.36", fee="0", fee_currency="BNB"),
    )
    one = order()
    for execution in paid:
        one = one.with_fill(execution)
    values = {("buy1", "3"): Decimal("0.0141")}
    store.ledger().commit(Batch(T0, orders=(one,), fee_values=values))
    rows = as_json(store, "tax")
    assert [row["value_quote"] for row in rows] == ["14", "3.5", "7.2", "7.2", "3.6"]
    assert [row["fee_quote"] for row in rows] == ["0.014", "0.0035", "0.0141", None, "0"]
    assert [row["fee_currency"] for row in rows] == ["USDT", "ADA", "BNB", "BNB", "BNB"]


def test_decisions_keep_every_digit_of_their_floats(store: Store) -> None:
    store.ledger().commit(Batch(T0, rows=(decision(1), decision(2, Outcome.ENTERED))))
    first, second = as_json(store, "decisions")
    assert first == {
        "bar": "1970-01-01T00:15:00.000Z",
        "ema_f": 0.35123456789012345,
        "ema_s": 0.1 + 0.2,
        "atr": None,
        "vol_z": 2.5,
        "tr_z": None,
        "cloc": 0.61,
        "downtrend": True,
        "exhaustion": False,
        "borderline": False,
        "outcome": "no_signal",
        "reason": "",
    }
    assert (second["outcome"], second["exhaustion"]) == ("entered", True)
    row = next(csv.DictReader(io.StringIO(exported(store, "decisions", "csv"))))
    assert float(row["ema_s"]) == 0.1 + 0.2
    assert (row["atr"], row["downtrend"], row["exhaustion"]) == ("", "1", "0")


def test_balances_are_plain_text(store: Store) -> None:
    store.ledger().commit(Batch(T0, rows=(replace(balance(T0), equity=Decimal("1E+4")),)))
    assert exported(store, "balances", "csv").splitlines()[1:] == [
        "2025-01-15T14:32:05.000Z,10000.123456789012345678,10000,paper"
    ]


def test_text_with_commas_quotes_and_line_ends_survives(store: Store) -> None:
    odd = 'said "no", then\nleft; ü'
    store.ledger().commit(Batch(T0, rows=(replace(decision(1), reason=odd),)))
    (row,) = csv.DictReader(io.StringIO(exported(store, "decisions", "csv"), newline=""))
    assert row["reason"] == odd
    assert as_json(store, "decisions")[0]["reason"] == odd


@pytest.mark.parametrize("count", [9, 10, 11, 35])
def test_more_rows_than_one_page_come_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr("agent.store.reading._PAGE", 10)
    store.ledger(LIVE).commit(Batch(T0, rows=tuple(decision(n) for n in range(7))))
    store.ledger().commit(Batch(T0, rows=tuple(decision(n) for n in range(count))))
    bars = [row["bar"] for row in as_json(store, "decisions")]
    assert len(bars) == count
    assert bars == sorted(set(bars))


def test_only_the_selected_scopes_are_exported(store: Store) -> None:
    store.ledger(SCOPE).commit(Batch(T0, rows=(balance(1),)))
    store.ledger(LIVE).commit(Batch(T0, rows=(balance(2),)))
    assert [row["mode"] for row in as_json(store, "balances")] == ["paper"]
    assert [row["mode"] for row in as_json(store, "balances", Selection(mode="live"))] == ["live"]
    assert [row["mode"] for row in as_json(store, "balances", Selection())] == ["paper", "live"]


# --- files and failures ---------------------------------------------------------------------------


def to_file(store: Store, out: Path, **options: bool) -> tuple[int, str]:
    said, stdout = io.StringIO(), io.StringIO()
    code = export_command(
        store.place, "balances", "csv", out=out, of=SCOPE.selection, stdout=stdout, stderr=said, **options
    )
    assert stdout.getvalue() == ""
    return code, said.getvalue()


def test_a_file_appears_whole_and_private(store: Store, tmp_path: Path) -> None:
    store.ledger().commit(Batch(T0, rows=(balance(1), balance(2))))
    out = tmp_path / "out.csv"
    assert to_file(store, out) == (DONE, f"2 rows written to {out}\n")
    assert len(out.read_text().splitlines()) == 3
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_existing_file_is_not_overwritten_unless_asked(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("last year's")
    code, said = to_file(store, out)
    assert (code, out.read_text()) == (REFUSED, "last year's")
    assert said == f"{out} exists already; choose another name or remove it first\n"
    assert to_file(store, out, overwrite=True)[0] == DONE
    assert out.read_text().startswith("ts,balance")


@pytest.mark.parametrize("name", ["trades.db", "config.json", ".env", "sub/../halt.latch", "link.json"])
def test_what_the_agent_lives_on_is_never_overwritten(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "config.json")
    out = tmp_path / name
    if name != "trades.db":
        out.write_text("precious")
    before = out.read_bytes()
    code, said = to_file(store, out, overwrite=True)
    assert (code, out.read_bytes()) == (REFUSED, before)
    assert "the agent's own" in said


def test_a_place_that_cannot_be_written_is_a_sentence(store: Store, tmp_path: Path) -> None:
    code, said = to_file(store, tmp_path / "gone" / "out.csv")
    assert code == REFUSED
    assert (
        said == f"writing {tmp_path / 'gone' / 'out.csv'} failed: there is no directory {tmp_path / 'gone'}\n"
    )
    code, said = to_file(store, Path("/proc/out.csv"))
    assert code == REFUSED
    assert said.startswith("writing /proc/out.csv failed: ")


def test_a_link_prepared_by_somebody_else_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    os.symlink(tmp_path / "victim", tmp_path / ".out.csv.partial")
    code, said = to_file(store, tmp_path / "out.csv")
    assert code == REFUSED
    assert "symbolic link" in said
    assert (tmp_path / "victim").read_text() == "precious"


def test_without_a_database_there_is_nothing_to_export(tmp_path: Path) -> None:
    said, out = io.StringIO(), io.StringIO()
    database = tmp_path / "trades.db"
    code = export_command(database, "tax", "json", out=None, of=Selection(), stdout=out, stderr=said)
    assert (code, out.getvalue()) == (UNREADABLE, "")
    assert said.getvalue() == f"there is no trades.db in {tmp_path}: the agent has not run there yet\n"


def test_a_database_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreTrouble, match="damaged or no SQLite database"):
        export_to_file(store.path, "tax", "csv", store.path.with_name("x.csv"), Selection())
    assert not store.path.with_name("x.csv").exists()
