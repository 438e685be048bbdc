"""Recorded candles as the exchange's market, at speed: the agent enters where the backtester entered.

The candles and the backtester's answer are read in place, beside the project; without them there is nothing
to compare with. Live form differs from bar form in ways that have names, and only in these.
"""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from agent_process import ROOT, iso, ms, rows_of
from configurations import changed, example, written

SHARED = ROOT.parent / "shared"
CANDLES = SHARED / "data" / "ada_usdt_1m_2023-03-16_2023-05-01.csv.gz"
GOLDEN = SHARED / "golden" / "real" / "ada15m_2023_loose"
#: A bar takes one and a half seconds of life, and a signal is late after nearly as long: a machine that
#: stumbles stays in time.
SPEED = 600
LATE_S = 840
START, END = "2023-04-23T14:00:00Z", "2023-04-24T00:45:00Z"

#: Why a signal of the backtester may not be entered live (SPEC 4). Late or blocked is none of them.
NAMED = {"entered", "in_position", "no_room", "no_ladder"}

pytestmark = pytest.mark.skipif(
    not (CANDLES.exists() and GOLDEN.exists()), reason="the recorded candles are not beside the project"
)


def rows(path: Path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as file:
        return list(csv.DictReader(file))


def bar(text):
    """The goldens' way of writing a bar's open time, in ours."""
    return iso(ms(text))


async def test_recorded_candles_are_entered_on_the_backtesters_bars(house, tmp_path):
    params = json.loads((GOLDEN / "params.json").read_text())
    wanted = ("timeframe", "seller_params", "backtest_params")
    document = changed(example(), **{name: params[name] for name in wanted}, backtest_metrics=None)
    document["agent"] = {**document.get("agent", {}), **params.get("agent", {}), "late_after_seconds": LATE_S}
    document["risk_management"] |= {"max_daily_trades": 100, "max_daily_loss_percent": 20.0}
    written(tmp_path, document)
    market = await house.market("--candles", str(CANDLES), "--start", START, speed=SPEED)
    # However long a process takes to begin, no venue time passes until it asks for it.
    await market.hold()
    await market.fault("F8")
    agent = await house.agent(tmp_path, *market.address)
    await agent.complains("the exchange's clock does not answer")
    await market.go_on()
    await market.cure()
    async with agent.watched() as watch:
        first = await watch.running()
        await watch.until("at the end", lambda s: (s["feed"]["last_closed_bar"] or "") >= END)
        await watch.entries_allowed()
    assert await agent.stopped() == 0

    ours = {row["bar"]: row for row in rows_of(tmp_path, "decisions")}
    assert min(ours) <= "2023-04-23T16:15", f"it began late: {first['at']}"
    features = {bar(row["date"]): row for row in rows(GOLDEN / "features.csv.gz")}
    for when, row in ours.items():
        theirs = features[when]
        assert row["exhaustion"] == (theirs["exhaustion"] == "1"), when
        for name in ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc"):
            assert row[name] == pytest.approx(float(theirs[name]), rel=1e-6), (when, name)

    golden = {bar(row["entry_ts"]): row for row in rows(GOLDEN / "trades_target.csv")}
    expected = {when: row for when, row in golden.items() if min(ours) <= when <= max(ours)}
    outcomes = {when: row["outcome"] for when, row in ours.items() if row["exhaustion"]}
    assert len(expected) == 4
    assert set(outcomes.values()) <= NAMED, outcomes
    trades = {row["signal_ts"]: row for row in rows_of(tmp_path, "trades")}
    assert set(trades) == {when for when, outcome in outcomes.items() if outcome == "entered"}
    assert [outcomes[when] for when in sorted(expected)] == ["entered", "entered", "entered", "no_room"]
    for when, trade in trades.items():
        assert trade["reason"] == expected[when]["reason"]
        assert trade["bars_held"] == int(expected[when]["bars_held"])
        assert float(trade["entry"]) == pytest.approx(float(expected[when]["entry"]), rel=0.01)
