"""Time passes for orders as it does for candles: all at once or second by second, with the same result."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from local_ground import MINUTE_MS, NOON_MS
from trading_ground import Account, D, account

ADA = {"symbol": "ADAUSDT"}
HOURS = 6


async def _orders(a: Account) -> None:
    """Orders of every kind at prices that the coming hours reach, or do not."""
    for share in ("0.97", "0.99", "0.995", "0.999"):
        price = a.near(share)
        await a.order("BUY", "LIMIT", "1500", price=price, timeInForce="GTC")
        await a.order("SELL", "STOP_LOSS", "70", stopPrice=price)
    for share in ("1.001", "1.005", "1.01", "1.03"):
        price = a.near(share)
        await a.order("SELL", "LIMIT", "900", price=price, timeInForce="GTC")
    await a.want(
        "POST",
        "orderList/otoco",
        **ADA,
        workingType="LIMIT",
        workingSide="BUY",
        workingPrice=a.near("0.998"),
        workingQuantity="200",
        workingTimeInForce="GTC",
        pendingSide="SELL",
        pendingQuantity="199",
        pendingAboveType="LIMIT_MAKER",
        pendingAbovePrice=a.near("1.004"),
        pendingBelowType="STOP_LOSS_LIMIT",
        pendingBelowStopPrice=a.near("0.985"),
        pendingBelowPrice=a.near("0.984"),
        pendingBelowTimeInForce="GTC",
    )
    bnb = a.running.exchange.market.find("BNBUSDT")
    assert bnb is not None
    last = bnb.tape.last_trade(a.now_ms)
    assert last is not None
    below = (last.price * bnb.pair.tick * D("0.998")).quantize(bnb.pair.tick)
    await a.want(
        "POST",
        "order",
        symbol="BNBUSDT",
        side="BUY",
        type="LIMIT",
        quantity="1",
        price=below,
        timeInForce="GTC",
    )


async def _after_hours(seed: int, step_ms: int) -> Any:
    async with account(seed=seed) as a:
        await _orders(a)
        exchange = a.running.exchange
        for _ in range(HOURS * 60 * MINUTE_MS // step_ms):
            exchange.clock.advance(step_ms)
            exchange.desk.catch_up()
        ledger = await a.ledger()
        return {key: ledger[key] for key in ("balances", "orders", "fills")}


@pytest.mark.parametrize("seed", [3, 8])
async def test_a_jump_is_the_same_as_many_steps(seed: int) -> None:
    at_once = await _after_hours(seed, HOURS * 60 * MINUTE_MS)
    assert len(at_once["fills"]) > 5
    assert {o["status"] for o in at_once["orders"]} >= {"FILLED", "NEW"}
    for step_ms in (4_000, 100_000):
        assert await _after_hours(seed, step_ms) == at_once


async def test_nothing_happens_while_time_stands_still() -> None:
    async with account() as a:
        order = await a.order("BUY", "LIMIT", "100", price=a.last() - D("0.0001"), timeInForce="GTC")
        await asyncio.sleep(0.1)
        assert (await a.query(order["orderId"]))["status"] == "NEW"
        assert a.now_ms == NOON_MS


async def test_recorded_candles_end_and_orders_stay(tmp_path: Any) -> None:
    rows = [f"2025-06-18T10:{minute:02d}:00Z,0.5,0.51,0.49,0.5,6000" for minute in range(30)]
    file = tmp_path / "candles.csv"
    file.write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    start_ms = 1_750_241_400_000
    async with account(candles=file, start_ms=start_ms) as a:
        assert a.last() == D("0.5")
        buy = await a.order("BUY", "LIMIT", "30", price="0.49", timeInForce="GTC")
        deep = await a.order("BUY", "LIMIT", "30", price="0.4", timeInForce="GTC")
        await a.advance(10 * 24 * 60 * MINUTE_MS)
        assert (await a.query(buy["orderId"]))["status"] == "FILLED"
        assert (await a.query(deep["orderId"]))["status"] == "NEW"
        assert (await a.order("SELL", "MARKET", "30"))["status"] == "FILLED"
