"""kill -9 in a position: what was known is known again, what was missed is judged, nothing is done twice."""

from __future__ import annotations

from decimal import Decimal

from agent_process import iso, rows_of
from configurations import BAR_MS, LATE_MS, WISH, quick, written
from ledgers import Books

INITIAL = Decimal(10_000)
TICK = Decimal("0.0001")


async def until_bar(watch, open_ms):
    """The bar opened at `open_ms` was decided."""
    return await watch.until("decided", lambda s: (s["feed"]["last_closed_bar"] or "") >= iso(open_ms))


def remembered(state):
    """What a restart must not change."""
    fixed = ("id", "opened_at", "signal_bar", "entry_price", "size", "stop", "target", "ladder", "risk")
    positions = [{name: position[name] for name in fixed} for position in state["positions"]]
    day = {name: state["day"][name] for name in ("date", "trades", "wins", "losses", "start_equity")}
    return positions, day, state["balance"]


async def killed(agent, market):
    """Nobody watches any more, and venue time waits for the test."""
    await market.hold()
    await agent.kill()


def protected(state):
    return state["positions"] and state["positions"][0]["protected_by"]


async def candle(market, **shape):
    """The next whole bar will look like this; its open time."""
    planned = await market.control("market", {"candle": {**shape, "interval": "1m"}})
    return planned["open_ms"]


async def in_position_at(house, market, data_dir):
    """An engine with a position, and its state; the market has just given its signal."""
    agent = await house.agent(data_dir, *market.address)
    async with agent.watched() as watch:
        state = await watch.enters(market, **WISH)
    return agent, state


async def restarted(house, market, data_dir, *options):
    """Another engine there; venue time, which stood still without one, goes on."""
    await market.go_on()
    return await house.agent(data_dir, *market.address, *options)


async def test_a_position_is_taken_up_again_and_missed_bars_are_judged(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick())
    agent, before = await in_position_at(house, market, tmp_path)
    decided = rows_of(tmp_path, "decisions")
    await killed(agent, market)

    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        after = await watch.until("back", lambda s: s["price"]["trusted"] and s["balance"])
        assert remembered(after) == remembered(before)
        books = Books.read(tmp_path)
        assert set(books.their_orders) == set(books.intents) == set(books.orders)
        assert len(books.orders) == 1
    await killed(agent, market)

    # While nobody watches, one bar reaches the target and comes back.
    target = Decimal(before["positions"][0]["target"])
    entry = Decimal(before["positions"][0]["entry_price"])
    low = entry * Decimal("0.999")
    touching_ms = await candle(
        market,
        open=str(entry),
        high=str(target * Decimal("1.001")),
        low=str(low),
        close=str(entry),
        volume="9e4",
    )
    await market.skip_to(touching_ms + 2 * BAR_MS)
    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        await watch.flat()
        await until_bar(watch, touching_ms + BAR_MS)
    await killed(agent, market)
    (trade,) = rows_of(tmp_path, "trades")
    assert trade["reason"] == "FIB_61.8"
    assert "seen_at_close" in trade["notes"].split("; ")
    assert Decimal(trade["exit"]) < target, "it was sold at what the market then offered"
    assert Decimal(after["balance"]) < INITIAL - 900

    # A signal that was missed is recorded and not entered.
    missed = await market.signal(**WISH)
    await market.skip_to(missed["close_ms"] + LATE_MS + BAR_MS)
    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        state = await until_bar(watch, missed["open_ms"])
        assert state["positions"] == []
        assert state["day"]["trades"] == 1
    assert await agent.stopped() == 0

    rows = rows_of(tmp_path, "decisions")
    assert rows[: len(decided)] == decided, "what was decided stands"
    bars = [row["bar"] for row in rows]
    first_ms = min(missed["open_ms"], touching_ms)
    assert len(set(bars)) == len(bars)
    assert {iso(open_ms) for open_ms in range(first_ms, missed["open_ms"] + 1, BAR_MS)} <= set(bars), (
        "no gaps"
    )
    late = next(row for row in rows if row["bar"] == iso(missed["open_ms"]))
    assert late["exhaustion"] is True
    assert late["outcome"] == "late"
    assert len(rows_of(tmp_path, "trades")) == 1


async def test_a_stop_reached_while_down_is_settled_from_the_bars_missed(house, tmp_path):
    market = await house.market()
    written(tmp_path, quick(backtest_params={"use_stop_loss": True}))
    agent = await house.agent(tmp_path, *market.address)
    async with agent.watched() as watch:
        await watch.enters(market, **WISH)
        # An entry that was filled in parts has its stop replaced by one for all of it.
        state = await watch.until("protected by one", lambda s: protected(s) and len(s["orders"]) == 1)
    await killed(agent, market)
    (position,) = state["positions"]
    (resting,) = state["orders"]
    stop, entry = Decimal(resting["price"]), Decimal(position["entry_price"])
    assert (resting["type"], resting["side"]) == ("STOP_LOSS", "SELL")
    assert Decimal(position["stop"]) == stop, "what is shown is what rests"

    through_ms = await candle(
        market,
        open=str(entry),
        high=str(entry),
        low=str(stop * Decimal("0.99")),
        close=str(entry),
        volume="9e4",
    )
    await market.skip_to(through_ms + 2 * BAR_MS)
    agent = await restarted(house, market, tmp_path)
    async with agent.watched() as watch:
        await watch.flat()
        final = await watch.until("booked", lambda s: s["day"]["losses"] == 1)
    assert await agent.stopped() == 0
    (trade,) = rows_of(tmp_path, "trades")
    worsened = (stop * Decimal("0.9995")).quantize(TICK, "ROUND_FLOOR")
    assert Decimal(trade["exit"]) == worsened, "at the stop and the slippage assumed, not at today's price"
    assert trade["reason"] == "STOP"
    assert trade["exit_ts"] == iso(through_ms + BAR_MS - 1)
    assert Decimal(final["balance"]) == INITIAL + Decimal(trade["pnl_quote"])
    books = Books.read(tmp_path)
    assert len(books.their_orders) == 2, "the entry and its stop"
    assert books.fills == books.their_fills
