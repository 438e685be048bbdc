"""From an exported config.json to a booked paper trade, seen as a trader and as another program see it."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from agent_process import cli, exported
from configurations import STILL, changed, example, written

#: SPEC 16: what other programs rely on.
OF_THE_STATUS = {
    "running", "state", "state_since", "mode", "pair", "timeframe", "balance", "equity", "day", "positions",
    "orders", "feed", "exchange", "warmup", "halt", "entries_blocked_by", "version", "config_hash",
}  # fmt: skip
OF_A_SECTION = {
    "day": {"date", "pnl", "trades", "start_equity"},
    "feed": {"source", "fresh", "last_closed_bar"},
    "exchange": {"reachable", "latency_ms", "clock_offset_ms", "used_weight"},
    "warmup": {"bars", "needed", "error_bound"},
}
OF_A_POSITION = {
    "id", "mode", "opened_at", "entry_price", "size", "stop", "target", "take_profit", "unrealized_pnl",
    "protected_by", "unprotected_since",
}  # fmt: skip
KINDS = ("trades", "orders", "fills", "decisions", "balances", "tax")
BAR = timedelta(minutes=15)
INITIAL = Decimal(10_000)
FEE = Decimal("0.0005")


def at(text):
    return datetime.fromisoformat(text)


def total(rows, column):
    return sum(Decimal(row[column]) for row in rows)


def value(fills):
    return sum(Decimal(fill["price"]) * Decimal(fill["quantity"]) for fill in fills)


#: At 300 times the speed a signal's half minute would be a tenth of a second.
PATIENT = {"late_after_seconds": 900}


async def test_from_the_exported_configuration_to_a_booked_trade(house, tmp_path):
    market = await house.market(speed=300)
    written(tmp_path, changed(example(), agent=PATIENT))
    # Before the start: three seconds are a bar here, and one may close just when RUNNING is said.
    began_ms = await market.now_ms()
    agent = await house.agent(tmp_path, *market.address, fresh=True)
    async with agent.watched() as watch:
        await watch.running()
        line = await agent.says("RUNNING")
        assert line == "RUNNING | Paper Trading | ADA/USDT 15m | Balance: 10,000.00 USDT"
        await watch.enters(market, **STILL)
        status, shown = await asyncio.gather(cli(tmp_path, "status", "--json"), cli(tmp_path, "status"))
        paused = await cli(tmp_path, "pause", "--yes")
        assert (status.code, shown.code, paused.code) == (0, 0, 0)
        target = Decimal(status.document["positions"][0]["target"])
        await market.price((target * Decimal("1.01")).quantize(Decimal("0.0001")))
        await watch.flat()
        final = await watch.until("booked", lambda s: s["day"]["wins"] + s["day"]["losses"] == 1)
    assert await agent.stopped() == 0

    document = status.document
    assert set(document) == OF_THE_STATUS
    for name, keys in OF_A_SECTION.items():
        assert set(document[name]) == keys
    (position,) = document["positions"]
    assert set(position) == OF_A_POSITION
    assert document["state"] == "RUNNING"
    assert document["running"] is True
    assert document["feed"]["source"] in ("websocket", "rest")
    assert position["target"] is not None
    assert position["stop"] is None
    assert Decimal(position["target"]) > Decimal(position["entry_price"])
    assert "Paper Trading | ADA/USDT 15m" in shown.out

    tables = await asyncio.gather(*(exported(tmp_path, kind) for kind in KINDS))
    rows = dict(zip(KINDS, tables, strict=True))
    (trade,) = rows["trades"]
    signal_bar = at(trade["signal_ts"])
    assert (signal_bar + BAR).timestamp() * 1_000 >= began_ms, "it closed after the start"
    assert signal_bar + BAR <= at(trade["entry_ts"])
    # A bar is three seconds here: a machine that stumbles enters in the bar after, and says so.
    assert at(trade["entry_ts"]) < signal_bar + 2 * BAR or "entered_late" in trade["notes"]
    assert at(trade["exit_ts"]) >= signal_bar + 2 * BAR, "the entry bar is not examined for the target"
    assert (trade["reason"], trade["mode"]) == ("FIB_61.8", "paper")
    assert trade["entry"] == position["entry_price"]
    assert Decimal(trade["exit"]) >= Decimal(position["target"]) * Decimal("0.995")

    # Cash is 10,000 and what the trade made of it, to the last digit; the fills say the same.
    assert Decimal(final["balance"]) == INITIAL + Decimal(trade["pnl_quote"])
    assert final["equity"] == final["balance"] == rows["balances"][-1]["balance"]
    entry, exit_ = rows["orders"]
    bought = [fill for fill in rows["fills"] if fill["client_id"] == entry["client_id"]]
    sold = [fill for fill in rows["fills"] if fill["client_id"] == exit_["client_id"]]
    assert bought + sold == rows["fills"], "nothing else was filled, and in this order"
    assert {(f["side"], f["fee_currency"]) for f in bought} == {("BUY", "ADA")}
    assert {(f["side"], f["fee_currency"]) for f in sold} == {("SELL", "USDT")}
    cost, proceeds = value(bought), value(sold)
    assert Decimal(trade["pnl_quote"]) == proceeds - total(sold, "fee") - cost
    assert total(bought, "fee") == total(bought, "quantity") * FEE
    assert Decimal(trade["fees_quote"]) == total(rows["tax"], "fee_quote")
    assert total(rows["tax"], "value_quote") == cost + proceeds
    held_after_fee = total(bought, "quantity") - total(bought, "fee")
    assert Decimal(position["size"]) == held_after_fee
    assert 0 <= held_after_fee - total(sold, "quantity") < 1, "what is left is dust"

    # A tenth of the account at the price expected, with an order behind every fill and a verdict behind
    # every entry.
    assert INITIAL / 10 * Decimal("0.99") < cost <= INITIAL / 10 * Decimal("1.005")
    assert (entry["status"], entry["type"], entry["verdict"]) == ("FILLED", "LIMIT", "approved")
    assert (exit_["status"], exit_["type"]) == ("FILLED", "MARKET")
    assert all(Decimal(fill["price"]) <= Decimal(entry["price"]) for fill in bought)

    decisions = {at(row["bar"]): row for row in rows["decisions"]}
    assert len(decisions) == len(rows["decisions"]), "one row per bar"
    assert decisions[signal_bar]["outcome"] == "entered"
    assert decisions[signal_bar]["exhaustion"] is True
    bars = sorted(decisions)
    assert all(later - earlier == BAR for earlier, later in pairwise(bars))


async def test_exports_as_csv_say_the_same_as_json(house, tmp_path):
    market = await house.market(speed=600)
    written(tmp_path, example())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.running()
    assert await agent.stopped() == 0
    table = await cli(tmp_path, "export", "balances", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table.out)))
    assert rows == await exported(tmp_path, "balances")
    assert rows[0]["balance"] == "10000"
