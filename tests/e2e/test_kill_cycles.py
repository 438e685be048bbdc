"""kill -9 at random moments, again and again: in the end both ledgers are the same, to the last digit.

Every bar of a falling market is a signal and every position leaves with the next bar, so that something is
always on its way: on paper, and with signed orders at an exchange that goes on without us. Engines are killed
until enough was traded between the kills, so that a slow machine kills more often instead of proving less.
AGENT_KILLS=120 makes more cycles of it, AGENT_KILL_SEED another course of the same.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from decimal import Decimal

from account_books import Theirs, compared
from agent_process import cli
from configurations import changed, quick, written
from ledgers import Books
from testnet_ground import TESTNET, credentials

INITIAL = Decimal(10_000)
TICK = Decimal("0.0001")
KILLS = int(os.environ.get("AGENT_KILLS", "5"))
#: What must have been traded for the kills to prove something.
TRADES = KILLS / 3
#: Venue time: an engine that has not traded in this much of it for each kill does not trade.
AT_MOST_MS = (KILLS + 5) * 3_600_000
SEED = int(os.environ.get("AGENT_KILL_SEED", "20"))
#: What the log says when something is on its way.
TRADING = ("buying", "bought", "leaving", "closed at")
#: Processes are killed this long after they were made, or after such a line; a start takes a second or two.
AFTER_START_S, AFTER_LINE_S = 3.0, 0.3

RESTLESS = quick(
    seller_params={"vol_z": -9.0, "tr_z": -9.0, "cloc_min": 0.0},
    backtest_params={"use_fib_exits": False, "use_stop_loss": True, "use_time_exit": True, "max_hold": 1},
    risk_management={"max_daily_trades": 100, "max_daily_loss_percent": 20.0},
)


async def killed_somewhere(agent, chance):
    """Let it live until a moment drawn from `chance`, and kill it; says which moment."""
    if chance.random() < 0.3:
        after_s = chance.uniform(0.0, AFTER_START_S)
        await asyncio.sleep(after_s)
        moment = f"{after_s:.3f} s after the start"
    else:
        line = chance.choice(TRADING)
        await agent.complains(line)
        after_s = chance.choice((0.0, chance.uniform(0.0, AFTER_LINE_S)))
        await asyncio.sleep(after_s)
        moment = f"{after_s:.3f} s after {line!r}"
    await agent.kill()
    return moment


async def fall(market):
    """The price drops by a fiftieth, so that the averages stay in a downtrend."""
    price = Decimal((await market.get("/api/v3/ticker/price?symbol=ADAUSDT"))["price"])
    await market.price((price * Decimal("0.98")).quantize(TICK))


def traded(data_dir):
    """Trades that are over."""
    return sum(not trade["is_open"] for trade in Books.read(data_dir).trades) if begun(data_dir) else 0


def begun(data_dir):
    """Whether a start lived long enough to leave a ledger."""
    database = data_dir / "trades.db"
    if not database.exists():
        return False
    with closing(sqlite3.connect(database)) as reader:
        return reader.execute("SELECT count(*) FROM sqlite_master WHERE name = 'trades'").fetchone() == (1,)


async def kill_again_and_again(market, start, data_dir, look):
    """`look` is asked for after every kill; says at which moments the engines were killed."""
    chance, moments = random.Random(SEED), []
    until_ms = await market.now_ms() + AT_MOST_MS
    while len(moments) < KILLS or traded(data_dir) < TRADES:
        assert await market.now_ms() < until_ms, f"it does not trade, killed {moments}"
        moments.append(await killed_somewhere(await start(), chance))
        await fall(market)
        if begun(data_dir):
            await look(moments)
    return moments


async def test_kills_at_any_moment_leave_both_ledgers_equal(house, tmp_path):
    market = await house.market()
    written(tmp_path, RESTLESS)

    async def started():
        return await house.agent(tmp_path, *market.address)

    async def look(moments):
        no_orphan(Books.read(tmp_path), moments)

    await kill_again_and_again(market, started, tmp_path, look)
    final = await flattened(await started(), tmp_path)
    the_same_books(Books.read(tmp_path), Decimal(final["balance"]))
    undamaged(tmp_path)


async def test_kills_with_signed_orders_leave_both_ledgers_equal(house, tmp_path):
    market = await house.market(*credentials.options)
    written(tmp_path, changed(RESTLESS, **TESTNET))
    env = credentials.environment(tmp_path)

    async def started():
        return await house.agent(tmp_path, *market.address, env=env)

    async def look(moments):
        written_down, theirs = set(Books.read(tmp_path).intents), await Theirs.read(market)
        assert set(theirs.orders) <= written_down, f"an order without an intent, killed {moments}"

    moments = await kill_again_and_again(market, started, tmp_path, look)
    final = await flattened(await started(), tmp_path)
    theirs = await Theirs.read(market)
    assert compared(tmp_path, theirs) == [], f"killed {moments}"
    assert theirs.total("USDT") == Decimal(final["balance"])
    ended = {"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"}
    assert {order["status"] for order in theirs.orders.values()} <= ended, "nothing is open there"
    undamaged(tmp_path)


async def flattened(agent, data_dir):
    """A last run that sells what is left and ends; its state when everything is over."""
    async with agent.watched() as watch:
        await watch.until("running", lambda s: s["state"] == "RUNNING" and s["price"]["trusted"])
        assert (await cli(data_dir, "stop", "--flatten", "--yes")).code == 0
        final = await watch.until(
            "stopped", lambda s: s["state"] == "STOPPED" and not s["positions"] and not s["orders"]
        )
    assert await agent.stopped() == 0
    return final


def undamaged(data_dir):
    with closing(sqlite3.connect(data_dir / "trades.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def no_orphan(books, moments):
    """At every moment: nothing at the exchange that we had not written down before."""
    assert books.theirs() <= set(books.intents), f"an order without an intent, killed {moments}"
    assert books.fills <= books.their_fills, f"a fill that never happened, killed {moments}"


def the_same_books(books, balance):
    assert books.fills == books.their_fills
    assert books.fill_rows == len(books.fills)
    assert books.theirs() == set(books.their_orders), "nothing is open there"
    for client_id, order in books.orders.items():
        theirs = books.their_orders.get(client_id)
        if theirs is None:
            assert (order["status"], order["filled"]) in {("NOT_PLACED", "0"), ("REJECTED", "0")}, order
        else:
            assert (order["status"], order["filled"]) == (theirs["status"], theirs["executed_qty"])
    quote, base = books.explained(INITIAL)
    assert books.total("USDT") == quote == balance
    assert books.total("ADA") == base
    assert 0 <= base < len(books.trades), "only dust is left"
    earned = sum(Decimal(trade["pnl_quote"]) for trade in books.trades if trade["pnl_quote"])
    assert quote == INITIAL + earned
