"""A start with an open position: it is watched from the first seconds, whatever becomes of history."""

from __future__ import annotations

from decimal import Decimal

from agent_process import iso, rows_of
from configurations import BAR_MS, WISH, quick, written
from test_killed import candle, in_position_at, killed, restarted

KLINES = "/api/v3/klines"
#: More than half of the history that is needed: the window of the last decision cannot be known any more.
OUTAGE_BARS = 500


async def test_a_position_leaves_while_history_cannot_be_loaded(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent, before = await in_position_at(house, market, tmp_path)
    await killed(agent, market)
    (tmp_path / "candles.db").unlink()
    await market.fault("F9", params={"variant": "html"}, match={"path": KLINES}, count=100_000)

    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        state = await watch.until("watched", lambda s: s["price"]["trusted"] and s["positions"])
        assert state["state"] == "STARTING"
        assert state["warmup"]["bars"] == 0
        assert any("history" in reason or "warming up" in reason for reason in state["entries_blocked_by"])
        target = Decimal(before["positions"][0]["target"])
        await market.price((target * Decimal("1.01")).quantize(Decimal("0.0001")))
        state = await watch.flat()
        assert state["warmup"]["bars"] == 0, "and still nothing of the history is there"
        (trade,) = rows_of(tmp_path, "trades")
        assert trade["reason"] == "FIB_61.8"
        assert "seen_at_close" not in trade["notes"].split("; ")

        await market.cure()
        await watch.entries_allowed()
        bars = [row["bar"] for row in rows_of(tmp_path, "decisions")]
        assert len(set(bars)) == len(bars)
    assert await agent.stopped() == 0


async def test_bars_missed_are_examined_although_the_candle_store_is_lost(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent, before = await in_position_at(house, market, tmp_path)
    await killed(agent, market)
    (tmp_path / "candles.db").unlink()
    target = Decimal(before["positions"][0]["target"])
    entry = Decimal(before["positions"][0]["entry_price"])
    touching_ms = await candle(
        market,
        open=str(entry),
        high=str(target * Decimal("1.001")),
        low=str(entry),
        close=str(entry),
        volume="9e4",
    )
    await market.skip_to(touching_ms + OUTAGE_BARS * BAR_MS)
    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        await watch.flat()
        await watch.entries_allowed()
        (trade,) = rows_of(tmp_path, "trades")
        assert trade["reason"] == "FIB_61.8"
        assert "seen_at_close" in trade["notes"].split("; ")
        assert trade["exit_ts"] >= iso(touching_ms + OUTAGE_BARS * BAR_MS)
        await agent.complains("signals since the last decision are not judged")
        # It goes on where it is now.
        await watch.enters(market, **WISH)
    assert await agent.stopped() == 0
