"""A second protocol from outside: the agent trades on paper at an exchange that speaks Kraken's."""

from __future__ import annotations

from decimal import Decimal

from agent_process import cli, exported, rows_of
from configurations import BAR_MS, STILL, WISH, quick, written

KRAKEN = {"exchange_name": "kraken"}


async def test_signal_order_fill_exit_flat_on_paper(house, tmp_path):
    market = await house.market(speed=60)
    written(tmp_path, quick(exchange=KRAKEN))
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.entries_allowed()
        assert await agent.says("RUNNING | Paper Trading | ADA/USDT 1m")
        await watch.enters(market, **{**WISH, **STILL})
        status = await cli(tmp_path, "status", "--json")
        (position,) = status.document["positions"]
        await market.price((Decimal(position["target"]) * Decimal("1.01")).quantize(Decimal("0.0001")))
        await watch.flat()
        final = await watch.until("booked", lambda s: s["day"]["wins"] + s["day"]["losses"] == 1)
    assert await agent.stopped() == 0
    assert status.document["feed"]["source"] == "websocket"
    (trade,) = rows_of(tmp_path, "trades")
    assert (trade["reason"], trade["mode"]) == ("FIB_61.8", "paper")
    assert Decimal(final["balance"]) == 10_000 + Decimal(trade["pnl_quote"])
    decisions = await exported(tmp_path, "decisions")
    assert len({row["bar"] for row in decisions}) == len(decisions), "each bar was decided once"
    requests = (await market.control("ledger"))["requests"]
    asked = {request["path"] for request in requests}
    assert asked <= {f"/0/public/{name}" for name in ("AssetPairs", "Assets", "Depth", "OHLC", "Time")} | {
        "/v2"
    }
    assert "/v2" in asked
    assert BAR_MS == 60_000
