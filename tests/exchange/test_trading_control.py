"""The account from the operator's side: the venue's own books, strangers, permissions, rates, a wipe."""

from __future__ import annotations

import random
from typing import Any

import pytest
from local_ground import NOON_MS
from trading_ground import D, account

ADA = {"symbol": "ADAUSDT"}


async def test_the_ledger_has_exactly_these_fields() -> None:
    async with account() as a:
        placed = await a.order("BUY", "MARKET", "30.5", newClientOrderId="mine")
        await a.order("SELL", "LIMIT", "40", price=a.near("1.1"), timeInForce="GTC", newClientOrderId="later")
        ledger = await a.ledger()
        assert ledger.keys() == {"balances", "orders", "fills", "requests"}
        fill = placed["fills"][0]
        assert ledger["orders"] == [
            {
                "client_id": "mine",
                "order_id": placed["orderId"],
                "side": "BUY",
                "type": "MARKET",
                "status": "FILLED",
                "quantity": "30.5",
                "filled": "30.5",
                "price": "0",
                "ts": NOON_MS,
            },
            {
                "client_id": "later",
                "order_id": placed["orderId"] + 1,
                "side": "SELL",
                "type": "LIMIT",
                "status": "NEW",
                "quantity": "40",
                "filled": "0",
                "price": f"{a.near('1.1').normalize():f}",
                "ts": NOON_MS,
            },
        ]
        assert ledger["fills"] == [
            {
                "trade_id": fill["tradeId"],
                "client_id": "mine",
                "side": "BUY",
                "price": f"{D(fill['price']).normalize():f}",
                "quantity": "30.5",
                "fee": "0.0305",
                "fee_currency": "ADA",
                "ts": NOON_MS,
            }
        ]
        assert ledger["balances"]["ADA"] == {"free": "9990.4695", "locked": "40"}
        assert [r["path"] for r in ledger["requests"]] == ["/api/v3/order"] * 2
        assert all(r.keys() == {"method", "path", "query", "ts", "status"} for r in ledger["requests"])
        assert len((await a.control("connections")).body["connections"]) == 2, (
            "one for each request, beside them"
        )


async def test_the_ledger_is_in_the_markets_present() -> None:
    async with account() as a:
        await a.order("SELL", "LIMIT", "40", price=a.near("1.05"), timeInForce="GTC")
        await a.price(a.near("1.06"))
        assert (await a.ledger())["orders"][0]["status"] == "FILLED"


async def test_deposits_and_withdrawals() -> None:
    async with account() as a:
        assert (await a.control("account", {"deposit": {"asset": "BTC", "amount": 0.25}})).body["balances"][
            "BTC"
        ] == {"free": "0.25", "locked": "0"}
        await a.control("account", {"withdraw": {"USDT": "9999.5", "ADA": "1"}})
        balances = {b["asset"]: b["free"] for b in (await a.want("GET", "account"))["balances"]}
        assert balances == {"ADA": "9999.00000000", "BTC": "0.25000000", "USDT": "0.50000000"}


async def test_a_strangers_order() -> None:
    async with account() as a:
        wish = {"side": "SELL", "type": "LIMIT", "quantity": "50", "price": str(a.near("1.1"))}
        told = (await a.control("account", {"order": {**wish, "client_id": "manual"}})).body
        assert told == {"order_id": 1, "client_id": "manual", "status": "NEW"}
        (row,) = await a.want("GET", "openOrders", **ADA)
        assert row["clientOrderId"] == "manual"
        sold = (
            await a.control("account", {"order": {"side": "SELL", "type": "MARKET", "quantity": "50"}})
        ).body
        assert sold["status"] == "FILLED"
        assert sold["client_id"].startswith("web_")
        bnb = {"symbol": "BNBUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.05"}
        assert (await a.control("account", {"order": bnb})).body["status"] == "FILLED"
        assert (await a.control("account", {"cancel": {"client_id": "manual"}})).status == 200
        assert await a.want("GET", "openOrders", **ADA) == []


async def test_permissions() -> None:
    async with account() as a:
        wish = {"enableWithdrawals": True, "ipRestrict": False, "enableSomethingNew": True}
        assert (await a.control("account", {"permissions": wish})).status == 200
        told = await a.want("GET", "/sapi/v1/account/apiRestrictions")
        assert {name: told[name] for name in wish} == wish
        await a.control("account", {"permissions": {"enableSpotAndMarginTrading": False}})
        sell = {**ADA, "side": "SELL", "type": "MARKET", "quantity": "30"}
        assert (await a.refused("POST", "order", **sell))[:2] == (401, -2015)
        assert (await a.want("GET", "account"))["canTrade"] is False
        await a.control(
            "account", {"permissions": {"enableReading": False, "enableSpotAndMarginTrading": True}}
        )
        assert (await a.refused("GET", "account"))[:2] == (401, -2015)
        await a.want("POST", "order", **sell)


async def test_rates() -> None:
    async with account() as a:
        wish = {"taker": "0.0004", "maker": "0.0002", "bnb": False}
        assert (await a.control("account", {"commission": wish})).body == {**wish, "discount": "0.25"}
        placed = await a.order("BUY", "MARKET", "1000")
        assert placed["fills"][0]["commission"] == "0.40000000"
        told = await a.want("GET", "account/commission", **ADA)
        assert told["standardCommission"]["maker"] == "0.00020000"
        assert told["discount"]["enabledForAccount"] is False
        assert (await a.want("GET", "account"))["takerCommission"] == 4


async def test_a_wipe() -> None:
    async with account() as a:
        await a.order("SELL", "MARKET", "30")
        told = (await a.control("account", {"wipe": True})).body
        assert told["balances"]["ADA"] == {"free": "10000", "locked": "0"}
        ledger = await a.ledger()
        assert (ledger["orders"], ledger["fills"]) == ([], [])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "deposit, withdraw, order"),
        ({"deposit": {"USDT": 1}, "wipe": True}, "ask for one"),
        ({"gift": {}}, "gift"),
        ({"deposit": "much"}, "is an object"),
        ({"deposit": {"USDT": "-1"}}, "positive"),
        ({"deposit": {"USDT": "lots"}}, "positive"),
        ({"deposit": {"US DT": "1"}}, "US DT"),
        ({"withdraw": {"USDT": "10001"}}, "only 10000 are free"),
        ({"withdraw": {"BTC": "1"}}, "only 0 are free"),
        ({"order": {"side": "SELL"}}, "side, type and quantity"),
        ({"order": {"side": "SELL", "type": "MARKET", "quantity": 0}}, "quantity"),
        ({"order": {"side": "SELL", "type": "LIMIT", "quantity": 20}}, "price"),
        ({"order": {"side": "SELL", "type": "MARKET", "quantity": "0.05"}}, "LOT_SIZE"),
        ({"order": {"side": "SELL", "type": "MARKET", "quantity": 20, "symbol": "NOPE"}}, "NOPE"),
        ({"cancel": {"client_id": "nobody"}}, "Unknown order"),
        ({"permissions": {"fly": True}}, "fly"),
        ({"permissions": {"enableReading": "yes"}}, "enableReading"),
        ({"commission": {"taker": "2"}}, "taker"),
        ({"commission": {"bnb": "yes"}}, "bnb"),
        ({"commission": {"colour": "1"}}, "colour"),
        ({"wipe": "please"}, "wipe is true"),
    ],
)
async def test_the_account_refuses_nonsense(body: dict[str, Any], says: str) -> None:
    async with account() as a:
        before = await a.ledger()
        answer = await a.control("account", body)
        assert answer.status == 400
        assert says in answer.body["error"]
        assert await a.ledger() == before


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_clients_are_told_adds_up_to_the_ledger(seed: int) -> None:
    """A day of trading: events, answers and queries give the same account as the venue's own books."""
    chance = random.Random(seed)
    funds = {"USDT": D(20_000), "ADA": D(20_000), "BNB": D("0.05")}
    async with account(balances=funds, seed=seed) as a, a.stream() as stream:
        events: list[Any] = []
        for _ in range(60):
            price = a.near(str(1 + chance.randint(-80, 80) / 10_000))
            kind = chance.choice(["MARKET", "LIMIT", "LIMIT", "STOP_LOSS_LIMIT"])
            params: dict[str, Any] = {**ADA, "side": chance.choice(["BUY", "SELL"]), "type": kind}
            params["quantity"] = chance.randint(100, 9_000) / 10
            if kind != "MARKET":
                params |= {"price": price, "timeInForce": chance.choice(["GTC", "IOC"])}
            if kind == "STOP_LOSS_LIMIT":
                params["stopPrice"] = price
            await a.ask("POST", "order", **params)
            if chance.random() < 0.2:
                await a.ask("DELETE", "openOrders", **ADA)
            await a.advance(chance.randint(100, 900_000))
        ledger = await a.ledger()
        await stream.call("ping", {})
        events = stream.events
        told = {b["a"]: (D(b["f"]), D(b["l"])) for e in events if "B" in e for b in e["B"]}
        owned = {x: (D(b["free"]), D(b["locked"])) for x, b in ledger["balances"].items()}
        assert told == {x: owned[x] for x in told}
        trades = await a.want("GET", "myTrades", **ADA, limit=1_000)
        from_events = [
            (e["t"], D(e["l"]), D(e["L"]), D(e["n"]), e["N"]) for e in events if e.get("x") == "TRADE"
        ]
        from_rows = [
            (t["id"], D(t["qty"]), D(t["price"]), D(t["commission"]), t["commissionAsset"]) for t in trades
        ]
        from_ledger = [
            (f["trade_id"], D(f["quantity"]), D(f["price"]), D(f["fee"]), f["fee_currency"])
            for f in ledger["fills"]
        ]
        assert from_events == from_rows == from_ledger
        assert len(from_rows) > 20
        for asset in funds:
            moved = funds[asset] - sum(fee for *_, fee, name in from_rows if name == asset)
            for trade in trades:
                sign = 1 if trade["isBuyer"] else -1
                if asset == "ADA":
                    moved += sign * D(trade["qty"])
                elif asset == "USDT":
                    moved -= sign * D(trade["quoteQty"])
            assert sum(owned[asset]) == moved, asset
        rows = await a.want("GET", "allOrders", **ADA, limit=1_000)
        newest = {e["i"]: e for e in events if e["e"] == "executionReport"}
        assert [(r["orderId"], r["status"], D(r["executedQty"])) for r in rows] == [
            (o["order_id"], o["status"], D(o["filled"])) for o in ledger["orders"]
        ]
        assert {r["orderId"]: r["status"] for r in rows} == {i: e["X"] for i, e in newest.items()}
