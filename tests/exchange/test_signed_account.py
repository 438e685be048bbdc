"""Reading the account: balances, open orders and own trades that fit together, or nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from agent.core.events import AccountSeen, AccountUnreadable, Holding
from agent.core.order import OrderReport, Side
from agent.exchange.signed import account_reader
from tests.exchange.signed_faults import error, instead
from tests.exchange.signed_ground import Ground, approved, ground
from tests.exchange.signed_stub import Stub

D = Decimal
DAY = 86_400_000


def stranger(stub: Stub, *, ago_ms: int, side: str = "BUY", client_id: str = "web_1") -> dict[str, Any]:
    """A trade somebody else made on the account, with its order."""
    order_id, at = next(stub.order_ids), stub.now_ms() - ago_ms
    order = {
        "symbol": "ADAUSDT", "orderId": order_id, "clientOrderId": client_id, "price": "0.5",
        "origQty": "5", "executedQty": "5", "status": "FILLED", "type": "LIMIT", "side": side,
        "transactTime": at, "fills": [],
    }  # fmt: skip
    trade = {
        "symbol": "ADAUSDT", "id": next(stub.trade_ids), "orderId": order_id, "price": "0.5", "qty": "5",
        "commission": "0.00001", "commissionAsset": "BNB", "time": at,
        "isBuyer": side == "BUY", "isMaker": True,
    }  # fmt: skip
    stub.orders[order_id] = order
    stub.trades.append(trade)
    stub.trades.sort(key=lambda t: t["time"])
    return trade


async def read(here: Ground, ago_ms: int = 60_000) -> AccountSeen:
    seen = await here.exchange.account(here.clock.now_ms() - ago_ms)
    assert isinstance(seen, AccountSeen), seen
    return seen


async def test_balances_open_orders_and_fills_in_one_view() -> None:
    async with ground(stream=False) as here:
        here.stub.plan = [("0.5", "10")]
        bought, stop = here.intent(), here.stop()
        await here.exchange.place(approved(bought))
        await here.exchange.place(approved(stop))
        here.stub.free["OLD"] = D(0)
        seen = await read(here)
        assert seen.holdings == {"USDT": Holding(D("995"), D(0)), "ADA": Holding(D("109.99"), D(0))}
        assert [(o.client_id, o.executed_qty) for o in seen.open_orders] == [(stop.client_id, 0)]
        assert [(f.client_id, f.qty, f.fee) for f in seen.fills] == [(bought.client_id, D(10), D("0.010"))]
        assert [s.kind.split("/")[-1] for s in here.stub.seen[2:]] == ["openOrders", "account", "myTrades"]


async def test_a_reading_is_as_old_as_its_open_orders_also_when_it_was_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ground(stream=False) as here:
        reader, asked_ms = here.exchange._reader, list[int]()
        heard, was = iter((0, 1, 1, 1)), reader._open_orders

        async def open_orders() -> tuple[OrderReport, ...]:
            asked_ms.append(here.clock.now_ms())
            await asyncio.sleep(0.03)
            return await was()

        monkeypatch.setattr(reader, "_open_orders", open_orders)
        monkeypatch.setattr(reader, "_trades_heard", lambda: next(heard))
        seen = await read(here)
        assert seen.asked_ms is not None
        assert len(asked_ms) == 2, "a trade was heard of in between"
        assert asked_ms[0] + 25 < seen.asked_ms <= asked_ms[1]


async def test_after_a_restart_trades_find_their_client_ids_again() -> None:
    async with ground(stream=False) as here:
        # Another process placed this order: nothing about it is remembered here.
        await here.stub.place(
            {
                "symbol": "ADAUSDT", "side": "BUY", "type": "MARKET", "quantity": "10",
                "newClientOrderId": "tstbefore", "newOrderRespType": "FULL",
            }
        )  # fmt: skip
        order = here.stub.order("tstbefore")
        assert order is not None
        here.stub.plan = [("0.5", "4"), ("0.5", "6")]
        await here.stub.fill(order, here.stub.now_ms())
        stranger(here.stub, ago_ms=1)
        seen = await read(here)
        assert sorted(f.client_id for f in seen.fills) == ["tstbefore", "tstbefore", "web_1"]
        assert here.stub.count("GET /api/v3/allOrders") == 1
        await read(here)
        assert here.stub.count("GET /api/v3/allOrders") == 1


async def test_a_stranger_keeps_his_own_side_and_fee() -> None:
    async with ground(stream=False) as here:
        stranger(here.stub, ago_ms=5, side="SELL")
        (fill,) = (await read(here)).fills
        assert (fill.side, fill.fee, fill.fee_currency) == (Side.SELL, D("0.00001"), "BNB")


async def test_trades_are_paged_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_reader, "PAGE", 3)
    async with ground(stream=False) as here:
        ids = [stranger(here.stub, ago_ms=20 - i, client_id=f"web_{i}")["id"] for i in range(8)]
        seen = await read(here)
        assert [int(f.trade_id) for f in seen.fills] == ids
        assert [f.client_id for f in seen.fills] == [f"web_{i}" for i in range(8)]
        pages = [s.params for s in here.stub.seen if s.kind.endswith("myTrades")]
        assert ["fromId" in page for page in pages] == [False, True, True]


@pytest.mark.parametrize("page", [3, 1_000])
async def test_trades_of_long_ago_are_found_without_a_window_above_a_day(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_reader, "PAGE", page)
    async with ground(stream=False) as here:
        # The exchange answers the oldest first; what it gives without a window are the latest.
        before = stranger(here.stub, ago_ms=9 * DAY)
        wanted = [stranger(here.stub, ago_ms=ago)["id"] for ago in (5 * DAY, 4 * DAY, 2 * DAY, 1000)]
        if page == 3:
            original = here.stub.my_trades

            def latest(p: dict[str, str]) -> list[dict[str, Any]]:
                if {"startTime", "fromId", "orderId"} & p.keys():
                    return original(p)
                return here.stub.trades[-3:]

            here.stub.my_trades = latest  # type: ignore[method-assign]
        seen = await read(here, 7 * DAY)
        assert [int(f.trade_id) for f in seen.fills] == wanted
        assert before["id"] not in wanted
        for asked in here.stub.seen:
            if "endTime" in asked.params:
                assert int(asked.params["endTime"]) - int(asked.params["startTime"]) < DAY


async def test_an_account_that_moved_while_it_was_read_is_read_again() -> None:
    async with ground(stream=False) as here:
        original, readings = here.stub.execute, []

        async def execute(kind: str, p: dict[str, str]) -> Any:
            answer = await original(kind, p)
            if kind.endswith("account"):
                readings.append(kind)
                if len(readings) == 1:
                    answer["updateTime"] = here.stub.now_ms() - 50
                    stranger(here.stub, ago_ms=0)
            return answer

        here.stub.execute = execute  # type: ignore[method-assign]
        seen = await read(here)
        assert len(readings) == 2
        assert len(seen.fills) == 1


GOOD = {"asset": "USDT", "free": "1", "locked": "0"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("account", {"balances": None}),
        ("account", {}),
        ("account", []),
        ("account", {"balances": [GOOD, {"asset": "ADA", "free": "1"}]}),
        ("account", {"balances": [GOOD, GOOD]}),
        ("account", {"balances": [{**GOOD, "free": 1.5}]}),
        ("account", {"balances": [{**GOOD, "free": "-1"}]}),
        ("account", {"balances": [GOOD], "updateTime": "soon"}),
        ("openOrders", {}),
        ("openOrders", [{}]),
        ("openOrders", [{"symbol": "BNBUSDT"}]),
        ("myTrades", {}),
        ("myTrades", [{"symbol": "ADAUSDT", "id": 1}]),
    ],
)
async def test_half_an_account_is_none(kind: str, body: Any) -> None:
    async with ground(stream=False) as here:
        here.stub.fault(f"GET /api/v3/{kind}", instead(200, body))
        seen = await here.exchange.account(here.clock.now_ms())
        assert isinstance(seen, AccountUnreadable)
        assert not seen.permanent
        assert "cannot be read" in seen.detail


async def test_trades_without_an_order_to_them_are_no_account() -> None:
    async with ground(stream=False) as here:
        trade = stranger(here.stub, ago_ms=1)
        del here.stub.orders[trade["orderId"]]
        assert isinstance(await here.exchange.account(here.clock.now_ms() - 1_000), AccountUnreadable)


async def test_a_refused_key_is_told_as_permanent() -> None:
    async with ground(stream=False) as here:
        here.stub.fault("GET /api/v3/openOrders", error(401, -2015, "Invalid API-key"))
        seen = await here.exchange.account(here.clock.now_ms())
        assert isinstance(seen, AccountUnreadable)
        assert seen.permanent
