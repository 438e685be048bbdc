"""The market's data fail while the engine runs: what it shows, what it refuses, how it recovers by itself."""

from __future__ import annotations

import json
import math
import signal
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from agent_process import iso, ms, rows_of
from configurations import BAR_MS, LATE_MS, WISH, quick, written
from ledgers import Books

from agent.config.check import check_config
from agent.config.strategy import exit_params, seller_params
from agent.core.market import Candle
from agent.core.signal import SignalWindow
from agent.store.latch import Latch


def leads(source):
    return lambda s: s["feed"]["source"] == source and s["feed"]["fresh"]


def free(source):
    """Data from `source`, and nothing in the way of an entry."""
    return lambda s: s["feed"]["source"] == source and not s["entries_blocked_by"]


def blocked_by(words):
    return lambda s: any(words in reason for reason in s["entries_blocked_by"])


def decided(open_ms):
    return lambda s: (s["feed"]["last_closed_bar"] or "") >= iso(open_ms)


def decision_of(data_dir, open_ms):
    return next(row for row in rows_of(data_dir, "decisions") if row["bar"] == iso(open_ms))


async def test_silence_is_bridged_by_rest_and_a_signal_is_still_traded(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        await market.fault("F22")
        await watch.until("led by REST", free("rest"))
        state = await watch.enters(market, **WISH)
        assert state["feed"]["source"] == "rest"
        await market.cure()
        await watch.until("led by the socket again", free("websocket"))
    assert await agent.stopped() == 0


async def test_an_unreachable_exchange_blocks_entries_until_it_is_back(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        await market.fault("F8")
        state = await watch.until("blocked", blocked_by("market data is not fresh"))
        assert state["state"] == "RUNNING"
        assert (state["feed"]["source"], state["feed"]["fresh"]) == ("none", False)
        forced = await market.signal(**WISH)
        await market.skip_to(forced["close_ms"] + LATE_MS + BAR_MS)
        await market.cure()
        await watch.until("past the signal", decided(forced["open_ms"]))
        state = await watch.until("free again", lambda s: s["feed"]["fresh"] and not s["entries_blocked_by"])
        assert state["day"]["trades"] == 0
    assert await agent.stopped() == 0
    seen = decision_of(tmp_path, forced["open_ms"])
    assert (seen["exhaustion"], seen["outcome"]) == (True, "late")
    assert_unbroken([row["bar"] for row in rows_of(tmp_path, "decisions")])


def assert_unbroken(bars):
    """Each bar once, in order, none missing."""
    assert all(ms(later) - ms(earlier) == BAR_MS for earlier, later in pairwise(bars))


async def test_html_and_limits_of_rest_leave_the_socket_in_charge(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        await market.fault("F9", params={"variant": "html"}, count=10_000)
        # Nobody confirms the socket's prices any more, so no entry is made on them.
        await watch.until("without confirmation", blocked_by("quotes are not trusted"))
        assert watch.latest["feed"]["source"] == "websocket"
        await market.cure()
        await watch.until("free", free("websocket"))

        # A 429: nobody but a rehearsal's clock asks before the time that the exchange named.
        await market.fault("F6", params={"retry_after": 600})
        await watch.until("without confirmation", blocked_by("quotes are not trusted"))
        await watch.until("free", free("websocket"))
        requests = (await market.control("ledger"))["requests"]
        refused_ms = next(r["ts"] for r in requests if r["status"] == 429)
        # What was under way when the first was refused may be refused as well, and two clocks that run 60
        # times as fast as life do not agree to the second: hence five seconds of life before, two behind.
        banned = range(refused_ms + 300_000, refused_ms + 480_000)
        assert {r["path"] for r in requests if r["ts"] in banned} <= {"/api/v3/time"}
        assert any(r["ts"] > banned.stop and r["status"] == 200 for r in requests)
    assert await agent.stopped() == 0


async def test_a_lost_connection_is_made_again_and_no_bar_is_missed(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        first = await watch.until("free", free("websocket"))
        for variant in ("disconnect", "abort", "shutdown"):
            await market.fault("F27", params={"variant": variant})
            await watch.until(
                "dropped or renewed", lambda s, v=variant: v == "shutdown" or not leads("websocket")(s)
            )
            await watch.until("free", free("websocket"))
            await market.cure()
        last = await watch.until("later", decided(ms(first["at"]) + 2 * BAR_MS))
    assert await agent.stopped() == 0
    bars = [row["bar"] for row in rows_of(tmp_path, "decisions")]
    assert bars[-1] >= last["feed"]["last_closed_bar"]
    assert_unbroken(bars)


BROKEN_BARS = {
    "missing flag": ("F23", {}),
    "gap": ("F25", {"variant": "gap"}),
    "doubled": ("F25", {"variant": "duplicate"}),
    "out of order": ("F25", {"variant": "out_of_order"}),
    "not a number": ("F26", {"variant": "nan"}),
    "negative": ("F26", {"variant": "negative"}),
    "overflow": ("F26", {"variant": "overflow"}),
    "high below low": ("F26", {"variant": "high_below_low"}),
    "garbage": ("F26", {"variant": "garbage"}),
    "a field missing": ("F26", {"variant": "missing_field"}),
}


async def test_each_bar_is_decided_once_on_true_values_whatever_the_socket_brings(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        for name, (fault, params) in BROKEN_BARS.items():
            # What spoils single frames must last until the one that closes the bar.
            lasting = {"for_ms": 60_000, "count": 1_000} if fault == "F26" else {}
            await market.fault(fault, params=params, match={"stream": "*kline*"}, **lasting)
            # The bar of now, with the fault in place: its end is still to come.
            bar_ms = await market.now_ms() // BAR_MS * BAR_MS
            await watch.until(f"past: {name}", decided(bar_ms))
            await market.fires(fault)
            await market.cure()
        await watch.until("free", lambda s: s["feed"]["fresh"] and not s["entries_blocked_by"])
    assert await agent.stopped() == 0
    rows = rows_of(tmp_path, "decisions")
    assert len(rows) >= len(BROKEN_BARS)
    assert_unbroken([row["bar"] for row in rows])

    # The same bars from the exchange's own history, computed at once.
    newest_ms = ms(rows[-1]["bar"])
    klines = await market.get(f"/api/v3/klines?symbol=ADAUSDT&interval=1m&limit=1000&endTime={newest_ms}")
    history = [Candle(k[0], *(float(k[i]) for i in range(1, 6))) for k in klines]
    start = len(history) - len(rows)
    config = check_config(json.dumps(quick())).config
    window = SignalWindow.warm(seller_params(config), exit_params(config), history[:start])
    for row, candle in zip(rows, history[start:], strict=True):
        assert ms(row["bar"]) == candle.open_ms
        window, truth = window.push(candle)
        for name in ("ema_f", "ema_s", "atr", "vol_z", "tr_z", "cloc"):
            ours, theirs = row[name], getattr(truth, name)
            assert ours == theirs or math.isclose(ours, theirs, rel_tol=1e-9), (row["bar"], name)


async def test_a_price_that_jumps_on_the_socket_alone_sells_nothing(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick(backtest_params={"use_stop_loss": True}, agent={"entry_bar_exits": "all"}))
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        await watch.enters(market, **WISH)
        await watch.until("protected", lambda s: s["positions"] and s["positions"][0]["protected_by"])
        for factor in (1.5, 0.5):
            bar = watch.latest["at"]
            await market.fault("F26", params={"variant": "spike", "factor": factor}, count=40)
            await market.fires("F26")
            await watch.until("spiked", lambda s, b=bar: ms(s["at"]) > ms(b) + 60_000)
            assert [p["id"] for p in watch.latest["positions"]] == [1]
            assert Decimal("0.3") < Decimal(watch.latest["price"]["bid"]) < Decimal("0.8")
            await market.cure()
        # A move that both sources show is acted on.
        target = Decimal(watch.latest["positions"][0]["target"])
        await market.price((target * Decimal("1.02")).quantize(Decimal("0.0001")))
        await watch.flat()
    assert await agent.stopped() == 0
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] == "FIB_61.8"
    assert Books.read(tmp_path).fills == Books.read(tmp_path).their_fills


async def test_an_exchange_that_comes_later_is_waited_for(house, tmp_path):
    first = await house.market()
    await first.stop()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *first.address, clock="system")
    async with agent.watched() as watch:
        await agent.complains("the exchange does not answer")
        state = await watch.until("starting", lambda s: s["state"] == "STARTING")
        assert (state["balance"], state["feed"]["source"]) == (None, "none")
        assert state["exchange"]["reachable"] is False
        assert "the pair's rules are not known yet" in state["entries_blocked_by"]
        before = datetime.now(UTC) - timedelta(minutes=10)
        market = await house.market("--start", before.isoformat(), speed=1, port=first.port)
        await market.keep_step()
        await watch.running()
        await watch.until("free", free("websocket"))
    assert await agent.stopped() == 0


async def test_a_rehearsal_whose_exchange_is_not_there_can_be_ended_and_latched(house, tmp_path):
    market = await house.market()
    await market.stop()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    await agent.complains("the exchange's clock does not answer")
    agent.send(signal.SIGUSR1)
    await agent.complains("entries are latched off")
    assert Latch(tmp_path / "halt.latch").read() is not None
    agent.stop()
    assert await agent.ended() == 0


async def test_an_exchange_restarted_under_an_open_position_finds_it_managed(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.until("free", free("websocket"))
        before = await watch.enters(market, **WISH)
        there_ms, here_s = await market.now_ms(), time.monotonic()
        await market.kill()
        await watch.until("without data", blocked_by("market data is not fresh"))
        again = await house.market("--start", iso(there_ms), speed=60, port=market.port)
        # The new one goes on where the old one would be by now.
        passed_ms = round((time.monotonic() - here_s) * 60_000)
        behind_ms = there_ms + passed_ms - await again.now_ms()
        await again.control("clock", {"advance_ms": max(0, behind_ms)})
        target = Decimal(before["positions"][0]["target"])
        await again.price((target * Decimal("1.02")).quantize(Decimal("0.0001")))
        await watch.flat()
        await watch.until("free", free("websocket"))
    assert await agent.stopped() == 0
    trades = rows_of(tmp_path, "trades")
    assert trades[0]["reason"] == "FIB_61.8"
    books = Books.read(tmp_path)
    assert books.fills == books.their_fills
    assert len(books.their_orders) == len(books.orders)
