"""What leaves for Bybit, OKX and Coinbase, as unmodified ccxt writes it, and what their answers become here.

The requests are taken from the wire by a server of ours; the answers are written after the exchanges' own
documentation. No exchange was asked.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import orjson
import pytest
from aiohttp import web

from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core.events import (
    AccountSeen,
    CancelFailed,
    FillsSeen,
    Holding,
    LookupFoundNothing,
    OrderRefused,
    OrderReported,
    OutcomeUnknown,
)
from agent.core.money import Price, Qty
from agent.core.order import Fact, Intent, OrderType, Purpose, Side, TimeInForce, client_order_id
from agent.exchange.addresses import Addresses
from agent.exchange.unified.account import UnifiedAccount
from agent.exchange.unified.refusals import Kind
from agent.exchange.weight_gate import WeightGate
from tests.clocks import ManualClock
from tests.exchange.signed_ground import approved

PAIR = "ADA/USDT"
IDS = {"bybit": "ADAUSDT", "okx": "ADA-USDT", "coinbase": "ADA-USDT", "kraken": "ADAUSDT"}
NOW_MS = 1_750_000_000_000


class Wire:
    """Answers by method and path, and every request that came."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        sent: dict[str, Any] = dict(request.query)
        if body:
            told = orjson.loads(body)
            sent |= told[0] if isinstance(told, list) else told
        name = f"{request.method} {request.path}"
        self.requests.append((name, sent))
        answer = self.answers[name]
        status = 200
        if isinstance(answer, tuple):
            status, answer = answer
        return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")

    def sent(self, name: str) -> dict[str, Any]:
        """The one request to a path."""
        (found,) = [sent for asked, sent in self.requests if asked == name]
        return found


def market(exchange: str) -> dict[str, Any]:
    """The pair, as ccxt would have loaded it."""
    return {
        "id": IDS[exchange], "symbol": PAIR, "base": "ADA", "quote": "USDT", "baseId": "ADA",
        "quoteId": "USDT", "settle": None, "type": "spot", "spot": True, "margin": False, "swap": False,
        "future": False,
        "option": False, "contract": False, "active": True, "linear": None, "inverse": None, "subType": None,
        "taker": 0.001, "maker": 0.001, "contractSize": None, "info": {},
        "precision": {"amount": "0.1", "price": "0.0001"},
        "limits": {"amount": {"min": "1"}, "price": {}, "cost": {"min": "1"}, "leverage": {}},
    }  # fmt: skip


@contextlib.asynccontextmanager
async def wired(exchange: str, answers: Mapping[str, Any]) -> AsyncIterator[tuple[UnifiedAccount, Wire]]:
    wire = Wire()
    wire.answers |= answers
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", wire.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = ManualClock(NOW_MS)
    keys = ExchangeKeys(Secret("some-key"), Secret("some-secret"), Secret("some-phrase"))
    account = UnifiedAccount(
        Addresses.replaced(exchange, address, None),
        keys,
        PAIR,
        WeightGate(clock),
        clock,
        halted=lambda: False,
    )
    account._carrier.ccxt.set_markets([market(exchange)])
    account._follow = lambda intent: None  # type: ignore[method-assign] # the answer alone is looked at
    try:
        yield account, wire
    finally:
        await account.close()
        await runner.cleanup()


def intent(type_: OrderType = OrderType.LIMIT, side: Side = Side.BUY, price: str | None = "0.5123") -> Intent:
    limit = None if type_ is OrderType.MARKET or price is None else Price(Decimal(price))
    return Intent(
        client_id=client_order_id("stest", NOW_MS, random.Random(3).getrandbits(60), 1),
        position_id=1,
        purpose=Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        side=side,
        type=type_,
        qty=Qty(Decimal("123.4")),
        price=limit,
        stop_price=None,
        time_in_force=TimeInForce.IOC if type_ is OrderType.LIMIT else None,
        created_ms=NOW_MS,
        reason="test",
    )


OURS = intent().client_id
PLACE = {
    "bybit": "POST /v5/order/create",
    "okx": "POST /api/v5/trade/order",
    "coinbase": "POST /api/v3/brokerage/orders",
}
TAKEN: dict[str, Any] = {
    "bybit": {"retCode": 0, "retMsg": "OK", "result": {"orderId": "77", "orderLinkId": OURS}},
    "okx": {"code": "0", "msg": "", "data": [{"ordId": "77", "clOrdId": OURS, "sCode": "0", "sMsg": ""}]},
    "coinbase": {
        "success": True,
        "success_response": {
            "order_id": "77", "product_id": "ADA-USDT", "side": "BUY", "client_order_id": OURS,
        },
    },
}  # fmt: skip
REFUSED: dict[str, Any] = {
    "bybit": {"retCode": 170131, "retMsg": "Insufficient balance.", "result": {}},
    "okx": {
        "code": "1",
        "msg": "",
        "data": [{"ordId": "", "sCode": "51008", "sMsg": "Insufficient balance"}],
    },
    "coinbase": {"success": False, "error_response": {"error": "INSUFFICIENT_FUND", "message": "no"}},
}
BROKEN: dict[str, Any] = {
    "bybit": {"retCode": 10016, "retMsg": "Server error.", "result": {}},
    "okx": {"code": "50004", "msg": "Endpoint request timeout", "data": []},
    "coinbase": (500, {"error": "internal", "message": "?"}),
}
LIMIT_IOC: dict[str, dict[str, Any]] = {
    "bybit": {
        "category": "spot", "symbol": "ADAUSDT", "side": "Buy", "orderType": "Limit", "qty": "123.4",
        "price": "0.5123", "timeInForce": "IOC", "orderLinkId": OURS,
    },
    "okx": {
        "instId": "ADA-USDT", "side": "buy", "ordType": "ioc", "sz": "123.4", "px": "0.5123",
        "tdMode": "cash", "clOrdId": OURS, "tgtCcy": "base_ccy",
    },
    "coinbase": {
        "product_id": "ADA-USDT", "side": "BUY", "client_order_id": OURS,
        "order_configuration": {"sor_limit_ioc": {"base_size": "123.4", "limit_price": "0.5123"}},
    },
}  # fmt: skip
MARKET_SALE: dict[str, dict[str, Any]] = {
    "bybit": {
        "category": "spot", "symbol": "ADAUSDT", "side": "Sell", "orderType": "Market", "qty": "123.4",
        "orderLinkId": OURS, "marketUnit": "baseCoin",
    },
    "okx": {
        "instId": "ADA-USDT", "side": "sell", "ordType": "market", "sz": "123.4", "tdMode": "cash",
        "clOrdId": OURS, "tgtCcy": "base_ccy",
    },
    "coinbase": {
        "product_id": "ADA-USDT", "side": "SELL", "client_order_id": OURS,
        "order_configuration": {"market_market_ioc": {"base_size": "123.4"}},
    },
}  # fmt: skip

EXCHANGES = sorted(PLACE)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(
    ("what", "wanted"), [(intent(), LIMIT_IOC), (intent(OrderType.MARKET, Side.SELL), MARKET_SALE)]
)
async def test_our_orders_as_they_leave(exchange: str, what: Intent, wanted: dict[str, Any]) -> None:
    async with wired(exchange, {PLACE[exchange]: TAKEN[exchange]}) as (account, wire):
        placed = await account.place(approved(what))
        assert isinstance(placed, OrderReported), placed
        assert (placed.report.exchange_order_id, placed.report.fact) == ("77", Fact.WORKING)
        assert wire.sent(PLACE[exchange]) == wanted[exchange]
        assert len(wire.requests) == 1, "one order, one request"


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_refused_and_unknown_by_their_own_codes(exchange: str) -> None:
    async with wired(exchange, {PLACE[exchange]: REFUSED[exchange]}) as (account, wire):
        refused = await account.place(approved(intent()))
        assert isinstance(refused, OrderRefused)
        assert refused.code == Kind.FUNDS
        assert "insufficient balance" in refused.detail
        wire.answers[PLACE[exchange]] = BROKEN[exchange]
        unknown = await account.place(approved(intent()))
        assert isinstance(unknown, OutcomeUnknown)
        assert len(wire.requests) == 2, "nothing was sent again"


# --- finding, canceling, reading ------------------------------------------------------------------------

BYBIT_ORDER = {
    "orderId": "77", "orderLinkId": OURS, "symbol": "ADAUSDT", "side": "Buy", "orderType": "Limit",
    "orderStatus": "PartiallyFilledCanceled", "price": "0.5123", "qty": "123.4", "cumExecQty": "100",
    "cumExecValue": "51.2", "avgPrice": "0.512", "timeInForce": "IOC", "createdTime": "1750000000100",
    "updatedTime": "1750000000200", "cumExecFee": "0.1", "leavesQty": "0", "triggerPrice": "0",
}  # fmt: skip
OKX_ORDER = {
    "ordId": "77", "clOrdId": OURS, "instId": "ADA-USDT", "instType": "SPOT", "side": "buy", "ordType": "ioc",
    "state": "canceled", "px": "0.5123", "sz": "123.4", "accFillSz": "100", "avgPx": "0.512", "fee": "-0.1",
    "feeCcy": "ADA", "cTime": "1750000000100", "uTime": "1750000000200", "tgtCcy": "base_ccy",
}  # fmt: skip
COINBASE_ORDER = {
    "order_id": "77", "client_order_id": OURS, "product_id": "ADA-USDT", "side": "BUY", "status": "CANCELLED",
    "order_configuration": {"sor_limit_ioc": {"base_size": "123.4", "limit_price": "0.5123"}},
    "filled_size": "100", "average_filled_price": "0.512", "created_time": "2025-06-15T15:06:40.100Z",
    "order_type": "LIMIT", "time_in_force": "IMMEDIATE_OR_CANCEL", "total_fees": "0.1",
    "filled_value": "51.2",
}  # fmt: skip
FOUND: dict[str, dict[str, Any]] = {
    "bybit": {
        "GET /v5/order/realtime": {"retCode": 0, "retMsg": "OK", "result": {"list": []}},
        "GET /v5/order/history": {"retCode": 0, "retMsg": "OK", "result": {"list": [BYBIT_ORDER]}},
    },
    "okx": {"GET /api/v5/trade/order": {"code": "0", "msg": "", "data": [OKX_ORDER]}},
    "coinbase": {
        "GET /api/v3/brokerage/orders/historical/batch": {"orders": [COINBASE_ORDER], "has_next": False},
    },
}
NOT_FOUND: dict[str, dict[str, Any]] = {
    "bybit": {
        "GET /v5/order/realtime": {"retCode": 0, "retMsg": "OK", "result": {"list": []}},
        "GET /v5/order/history": {"retCode": 0, "retMsg": "OK", "result": {"list": []}},
    },
    "okx": {"GET /api/v5/trade/order": {"code": "51603", "msg": "Order does not exist", "data": []}},
    "coinbase": {"GET /api/v3/brokerage/orders/historical/batch": {"orders": [], "has_next": False}},
}


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_an_order_is_found_by_our_id_or_proven_absent(exchange: str) -> None:
    async with wired(exchange, FOUND[exchange]) as (account, wire):
        found = await account.look_up(intent())
        assert isinstance(found, OrderReported), found
        report = found.report
        assert (report.client_id, report.exchange_order_id, report.side) == (OURS, "77", Side.BUY)
        assert (report.fact, report.executed_qty, report.qty) == (
            Fact.WAS_CANCELED,
            Decimal(100),
            Decimal("123.4"),
        )
        wire.requests.clear()
    async with wired(exchange, NOT_FOUND[exchange]) as (account, wire):
        assert await account.look_up(intent()) == LookupFoundNothing(OURS)
        searched = [sent for _, sent in wire.requests]
        assert exchange == "coinbase" or all(OURS in sent.values() for sent in searched)


CANCEL = {
    "bybit": "POST /v5/order/cancel",
    "okx": "POST /api/v5/trade/cancel-order",
    "coinbase": "POST /api/v3/brokerage/orders/batch_cancel",
}
CANCELED: dict[str, Any] = {
    "bybit": {"retCode": 0, "retMsg": "OK", "result": {"orderId": "77", "orderLinkId": OURS}},
    "okx": {"code": "0", "msg": "", "data": [{"ordId": "77", "clOrdId": OURS, "sCode": "0", "sMsg": ""}]},
    "coinbase": {"results": [{"success": True, "failure_reason": "", "order_id": "77"}]},
}
GONE: dict[str, Any] = {
    "bybit": {"retCode": 170213, "retMsg": "Order does not exist.", "result": {}},
    "okx": {"code": "1", "msg": "", "data": [{"sCode": "51400", "sMsg": "does not exist"}]},
    "coinbase": {"results": [{"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": "77"}]},
}


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_cancel_tells_what_the_order_traded_before(exchange: str) -> None:
    by_id = {
        "GET /api/v3/brokerage/orders/historical/77": {"order": COINBASE_ORDER},
    }
    answers = {CANCEL[exchange]: CANCELED[exchange], **FOUND[exchange], **by_id}
    async with wired(exchange, answers) as (account, wire):
        canceled = await account.cancel(intent())
        assert isinstance(canceled, OrderReported), canceled
        assert canceled.report.executed_qty == 100
        sent = wire.sent(CANCEL[exchange])
        assert OURS in sent.values() or sent == {"order_ids": ["77"]}
        wire.answers[CANCEL[exchange]] = GONE[exchange]
        gone = await account.cancel(intent())
        assert isinstance(gone, CancelFailed)
        assert gone.code == Kind.NO_ORDER


ACCOUNTS: dict[str, dict[str, Any]] = {
    "bybit": {
        "GET /v5/order/realtime": {
            "retCode": 0, "retMsg": "OK",
            "result": {"list": [{**BYBIT_ORDER, "orderStatus": "PartiallyFilled", "leavesQty": "23.4"}]},
        },
        "GET /v5/account/wallet-balance": {
            "retCode": 0, "retMsg": "OK", "time": NOW_MS,
            "result": {"list": [{"accountType": "UNIFIED", "coin": [
                {"coin": "ADA", "walletBalance": "100.5", "locked": "40", "equity": "100.5"},
                {"coin": "USDT", "walletBalance": "900.25", "locked": "0", "equity": "900.25"},
            ]}]},
        },
        "GET /v5/execution/list": {
            "retCode": 0, "retMsg": "OK",
            "result": {"category": "spot", "list": [{
                "symbol": "ADAUSDT", "orderId": "77", "orderLinkId": OURS, "execId": "9", "side": "Buy",
                "execPrice": "0.512", "execQty": "100", "execFee": "0.1", "feeCurrency": "ADA",
                "execTime": str(NOW_MS + 150), "isMaker": False, "orderType": "Limit", "execType": "Trade",
            }]},
        },
    },
    "okx": {
        "GET /api/v5/trade/orders-pending": {
            "code": "0", "msg": "", "data": [{**OKX_ORDER, "state": "partially_filled"}],
        },
        "GET /api/v5/trade/order": {"code": "0", "msg": "", "data": [OKX_ORDER]},
        "GET /api/v5/account/balance": {
            "code": "0", "msg": "",
            "data": [{"uTime": str(NOW_MS), "details": [
                {"ccy": "ADA", "eq": "100.5", "availBal": "60.5", "frozenBal": "40", "availEq": ""},
                {"ccy": "USDT", "eq": "900.25", "availBal": "900.25", "frozenBal": "0", "availEq": ""},
            ]}],
        },
        "GET /api/v5/trade/fills-history": {
            "code": "0", "msg": "",
            "data": [{
                "instId": "ADA-USDT", "instType": "SPOT", "ordId": "77", "clOrdId": OURS, "tradeId": "9",
                "billId": "5", "side": "buy", "fillPx": "0.512", "fillSz": "100", "fee": "-0.1",
                "feeCcy": "ADA", "ts": str(NOW_MS + 150), "execType": "T",
            }],
        },
    },
    "coinbase": {
        "GET /api/v3/brokerage/orders/historical/batch": {
            "orders": [{**COINBASE_ORDER, "status": "OPEN"}], "has_next": False,
        },
        "GET /api/v3/brokerage/accounts": {
            "has_next": False,
            "accounts": [
                {"currency": "ADA", "available_balance": {"value": "60.5", "currency": "ADA"},
                 "hold": {"value": "40", "currency": "ADA"}, "type": "ACCOUNT_TYPE_CRYPTO"},
                {"currency": "USDT", "available_balance": {"value": "900.25", "currency": "USDT"},
                 "hold": {"value": "0", "currency": "USDT"}, "type": "ACCOUNT_TYPE_CRYPTO"},
            ],
        },
        "GET /api/v3/brokerage/orders/historical/fills": {
            "fills": [{
                "entry_id": "1", "trade_id": "9", "order_id": "77", "trade_time": "2025-06-15T15:06:40.150Z",
                "price": "0.512", "size": "100", "commission": "0.1", "product_id": "ADA-USDT", "side": "BUY",
                "liquidity_indicator": "TAKER", "size_in_quote": False,
            }],
            "cursor": "",
        },
        "GET /api/v3/brokerage/orders/historical/77": {"order": COINBASE_ORDER},
    },
}  # fmt: skip


@pytest.mark.parametrize(("exchange", "currency"), [("bybit", "ADA"), ("okx", "ADA"), ("coinbase", "USDT")])
async def test_the_account_in_our_words(exchange: str, currency: str) -> None:
    async with wired(exchange, ACCOUNTS[exchange]) as (account, _):
        seen = await account.account(NOW_MS - 60_000)
        assert isinstance(seen, AccountSeen), seen
        assert seen.holdings == {
            "ADA": Holding(Decimal("60.5"), Decimal(40)),
            "USDT": Holding(Decimal("900.25"), Decimal(0)),
        }
        (open_order,) = seen.open_orders
        assert (open_order.client_id, open_order.fact) == (OURS, Fact.PART_FILLED)
        (fill,) = seen.fills
        assert (fill.client_id, fill.trade_id, fill.side) == (OURS, "9", Side.BUY)
        assert (fill.price, fill.qty, fill.fee, fill.fee_currency) == (
            Decimal("0.512"),
            Decimal(100),
            Decimal("0.1"),
            currency,
        )
        fills = await account.fills_of(intent())
        assert fills == FillsSeen((fill,))
        found = await account.look_up(intent())
        assert isinstance(found, OrderReported), "by the number that the reading taught"
