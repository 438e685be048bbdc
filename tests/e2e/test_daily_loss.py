"""The loss a day may bring: everything is sold, the agent halts, and no restart undoes it."""

from __future__ import annotations

from decimal import Decimal

from agent_process import cli, iso, ms, rows_of
from configurations import WISH, quick, written

INITIAL = Decimal(10_000)
DAY_MS = 86_400_000


async def test_the_daily_loss_sells_everything_and_keeps_entries_out_until_tomorrow(house, tmp_path):
    market = await house.market()
    limits = {
        "max_daily_loss_percent": 1.0,
        "max_position_size_percent": 50.0,
        "risk_per_trade_percent": 10.0,
    }
    written(tmp_path, quick(risk_management=limits))
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.enters(market, **WISH)
        entry = Decimal(state["positions"][0]["entry_price"])
        await market.price((entry * Decimal("0.97")).quantize(Decimal("0.0001")))
        state = await watch.until("halted and flat", lambda s: s["halt"] and s["halt"]["flat"])
        assert (state["state"], state["halt"]["reason"]) == ("HALTED", "daily_loss")
        assert Decimal(state["day"]["pnl"]) < -INITIAL / 100
        assert await watch.alerted("CRITICAL daily loss")
        assert state["entries_blocked_by"][0].startswith("halted (daily loss)")
        start = await cli(tmp_path, "start", "--yes")
        assert (start.code, start.first_line) == (1, "Halted: clear the halt first (clear-halt), then start.")
        forced = await market.signal(**WISH)
        await watch.until("past the signal", lambda s: s["feed"]["last_closed_bar"] >= iso(forced["open_ms"]))
    await agent.kill()
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] == "DAILY_LOSS"

    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        state = await watch.until("taken up", lambda s: s["price"]["trusted"] and s["feed"]["fresh"])
        assert (state["state"], state["halt"]["reason"]) == ("HALTED", "daily_loss")
        cleared = await cli(tmp_path, "clear-halt", "--yes", "--json")
        assert cleared.code == 0, cleared
        assert cleared.document["state"] == "STOPPED"
        assert "no entries until the next UTC day" in cleared.document["text"]
        assert (await cli(tmp_path, "start", "--yes")).code == 0
        today = await watch.until("running", lambda s: s["state"] == "RUNNING")
        assert any("daily loss limit reached" in b for b in today["entries_blocked_by"])
        forced = await market.signal(**WISH)
        await watch.until("past the signal", lambda s: s["feed"]["last_closed_bar"] >= iso(forced["open_ms"]))
        assert watch.latest["day"]["trades"] == 1

        # Tomorrow it trades again without being asked.
        midnight_ms = (ms(today["at"]) // DAY_MS + 1) * DAY_MS
        await market.skip_to(midnight_ms + 60_000)
        state = await watch.until(
            "tomorrow", lambda s: s["day"]["date"] > today["day"]["date"] and not s["entries_blocked_by"]
        )
        assert state["day"]["trades"] == 0
        assert Decimal(state["day"]["start_equity"]) == INITIAL + Decimal(trade["pnl_quote"])
        await watch.enters(market, **WISH)
    assert await agent.stopped() == 0
    rows = [row for row in rows_of(tmp_path, "decisions") if row["exhaustion"]]
    signals = [row for row in rows if row["outcome"] == "entered" or "daily loss" in row["reason"]]
    assert [row["outcome"] for row in signals] == ["entered", "blocked", "blocked", "entered"]
    assert signals[1]["reason"].startswith("halted (daily loss)")
    assert signals[2]["reason"].startswith("daily loss limit reached on")
