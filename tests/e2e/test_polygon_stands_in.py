"""The exchange falls silent under an open position, and Polygon's bars say what becomes of it."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from itertools import pairwise

from agent_process import ms, rows_of
from aiohttp import web
from configurations import BAR_MS, WISH, quick, written

from agent.core.market import Candle
from tests.exchange.polygon_stub import KEY, PolygonStub, polygon_stub
from tests.tcp_proxy import TcpProxy

#: What a dollar is worth in the exchange's currency.
DOLLAR = 1.004


async def shows_market(stub: PolygonStub, market) -> None:
    """Polygon sees the exchange's market, in dollars, past whatever lies between that and the agent."""

    async def seen(request: web.Request) -> None:
        first, last = request.match_info["first"], request.match_info["last"]
        rows = await market.get(
            f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1000&startTime={first}&endTime={last}"
        )
        stub.bars = [
            Candle(row[0], *(float(row[n]) / DOLLAR for n in range(1, 5)), float(row[5])) for row in rows
        ]

    stub.before = seen


async def test_a_stop_is_found_touched_though_the_exchange_is_silent(house, tmp_path):
    market = await house.market()
    stop = {"backtest_params": {"use_stop_loss": True}, "agent": {"protective_stop": False}}
    written(tmp_path, quick(data_feed={"data_source": "both"}, **stop))
    async with polygon_stub() as stub:
        await shows_market(stub, market)
        with closing(TcpProxy(market.port)) as network:
            rest, ws = (f"{kind}://127.0.0.1:{network.port}" for kind in ("http", "ws"))
            agent = await house.agent(
                tmp_path,
                *("--exchange-url", rest, "--exchange-ws-url", ws),
                env={"POLYGON_URL": stub.url, "POLYGON_API_KEY": KEY},
            )
            async with agent.watched() as watch:
                (held,) = (await watch.enters(market, **WISH))["positions"]
                assert watch.latest["feed"]["source"] in ("websocket", "rest")
                network.swallows = True
                network.reset()
                await market.price((Decimal(held["stop"]) * Decimal("0.98")).quantize(Decimal("0.0001")))
                await watch.alerted("Binance's bars stay away: exits are judged by Polygon's")
                state = await watch.until("lent", lambda s: s["feed"]["source"] == "polygon")
                assert not state["feed"]["fresh"]
                assert state["entries_blocked_by"]
                network.swallows = False
                network.reset()
                await watch.flat()
                await watch.until("its own again", lambda s: s["feed"]["source"] in ("websocket", "rest"))
                await watch.entries_allowed()
            assert await agent.stopped() == 0
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] in ("STOP", "STOP_GAP")
    assert "lent_bar" in trade["notes"]
    bars = [row["bar"] for row in rows_of(tmp_path, "decisions")]
    assert all(ms(later) - ms(earlier) == BAR_MS for earlier, later in pairwise(bars)), "each once, its own"
    assert all(KEY not in path for path in stub.asked)
    assert KEY not in agent.said
