"""Requests and answers of each exchange in the form of ccxt's recordings, written by us.

The shapes are those of the exchanges' documentation; every value is made up.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

PAIR: Final = "ADA/USDT"
AT_MS: Final = 1_750_000_000_100
FILLED: Final = {"symbol": PAIR, "side": "buy", "amount": 40, "filled": 40, "status": "closed"}
RESTS: Final = {"symbol": PAIR, "side": "sell", "amount": 40, "filled": 0, "status": "open"}
TRADE: Final = {"symbol": PAIR, "price": 0.5, "amount": 40, "timestamp": AT_MS}
TOTALS: Final = {"total": {"ADA": 40, "USDT": 980.5, "DOGE": 0}}


def asked(method: str, url: str, given: list[Any], body: Any = None) -> dict[str, Any]:
    case = {"description": f"{method} {given}", "method": method, "url": url, "input": given}
    if body is None:
        return case
    return {**case, "output": body if isinstance(body, str) else orjson.dumps(body).decode()}


def answered(method: str, given: list[Any], answer: Any, parsed: Any) -> dict[str, Any]:
    told = {"description": method, "method": method, "input": given}
    return {**told, "httpResponse": answer, "parsedResponse": parsed}


MARKET = [PAIR, "market", "buy", 40]
SALE = [PAIR, "market", "sell", 40]
LIMIT_IOC = [PAIR, "limit", "buy", 40, 0.5, {"timeInForce": "IOC"}]
STOP = [PAIR, "market", "sell", 40, None, {"stopLossPrice": 0.45}]

# -- Kraken ---------------------------------------------------------------------------------------------

_K: Final = "https://api.kraken.com/0/private/"
_K_NAME: Final = "a000000000000000000000000000beef"


def _kraken_order(kind: str, side: str, status: str, done: str, **more: Any) -> dict[str, Any]:
    price = more.pop("price", "0")
    described = kind.replace("-", " ") if price == "0" else f"{kind.replace('-', ' ')} {price}"
    return {
        "refid": None, "userref": None, "cl_ord_id": _K_NAME, "status": status, "opentm": AT_MS / 1_000,
        "starttm": 0, "expiretm": 0,
        "descr": {
            "pair": "ADAUSDT", "type": side, "ordertype": kind, "price": price, "price2": "0",
            "leverage": "none", "order": f"{side} 40.00000000 ADAUSDT @ {described}", "close": "",
        },
        "vol": "40.00000000", "vol_exec": done, "cost": "0.00000", "fee": "0.00000", "price": "0.00000",
        "stopprice": "0.00000", "limitprice": "0.00000", "misc": "", "oflags": "fciq", **more,
    }  # fmt: skip


_K_STOP = {"open": {"OAAAAA-BBBBB-CCCCCC": _kraken_order("stop-loss", "sell", "open", "0", price="0.45")}}
_K_OVER = {"ODDDDD-EEEEE-FFFFFF": _kraken_order("market", "buy", "closed", "40", closetm=AT_MS / 1_000)}
_K_TRADE = {
    "ordertxid": "ODDDDD-EEEEE-FFFFFF", "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": "ADAUSDT",
    "time": AT_MS / 1_000, "type": "buy", "ordertype": "market", "price": "0.500000", "cost": "20.00000",
    "fee": "0.08000", "vol": "40.00000000", "margin": "0.00000", "leverage": "0", "misc": "",
    "trade_id": 77, "maker": False,
}  # fmt: skip
KRAKEN_REQUESTS = {
    "createOrder": [
        asked("createOrder", f"{_K}AddOrder", given, f"nonce=1&pair=ADAUSDT&{said}")
        for given, said in (
            (MARKET, "type=buy&ordertype=market&volume=40"),
            (SALE, "type=sell&ordertype=market&volume=40"),
            (LIMIT_IOC, "type=buy&ordertype=limit&volume=40&price=0.5&timeinforce=IOC"),
            (STOP, "type=sell&ordertype=stop-loss&volume=40&price=0.45"),
        )
    ],
    "cancelOrder": [asked("cancelOrder", f"{_K}CancelOrder", ["OAAAAA-BBBBB-CCCCCC", PAIR])],
    "fetchOrder": [asked("fetchOrder", f"{_K}QueryOrders", ["OAAAAA-BBBBB-CCCCCC", PAIR])],
    "fetchOpenOrders": [asked("fetchOpenOrders", f"{_K}OpenOrders", [PAIR])],
    "fetchClosedOrders": [asked("fetchClosedOrders", f"{_K}ClosedOrders", [PAIR])],
    "fetchMyTrades": [asked("fetchMyTrades", f"{_K}TradesHistory", [PAIR, AT_MS])],
    "fetchBalance": [asked("fetchBalance", f"{_K}BalanceEx", [])],
}


def _kraken(result: Any) -> dict[str, Any]:
    return {"error": [], "result": result}


_K_TAKEN = {"descr": {"order": "buy 40.00000000 ADAUSDT @ market"}, "txid": ["ODDDDD-EEEEE-FFFFFF"]}
_K_BALANCES = {
    "ADA": {"balance": "40.0000000000", "hold_trade": "40.0000000000"},
    "USDT": {"balance": "980.5000", "hold_trade": "0.0000"},
}
KRAKEN_ANSWERS = {
    "createOrder": [answered("createOrder", MARKET, _kraken(_K_TAKEN), {"id": "ODDDDD-EEEEE-FFFFFF"})],
    "fetchOrder": [
        answered(
            "fetchOrder", ["ODDDDD-EEEEE-FFFFFF", PAIR], _kraken(_K_OVER),
            {"id": "ODDDDD-EEEEE-FFFFFF", "clientOrderId": _K_NAME, **FILLED},
        ),
    ],
    "fetchOpenOrders": [
        answered(
            "fetchOpenOrders", [PAIR], _kraken(_K_STOP),
            [{"id": "OAAAAA-BBBBB-CCCCCC", "clientOrderId": _K_NAME, **RESTS}],
        ),
    ],
    "fetchClosedOrders": [
        answered(
            "fetchClosedOrders", [PAIR], _kraken({"closed": _K_OVER, "count": 1}),
            [{"id": "ODDDDD-EEEEE-FFFFFF", "clientOrderId": _K_NAME, **FILLED}],
        ),
    ],
    "fetchMyTrades": [
        answered(
            "fetchMyTrades", [PAIR], _kraken({"trades": {"TAAAAA-BBBBB-CCCCCC": _K_TRADE}, "count": 1}),
            [{"id": "TAAAAA-BBBBB-CCCCCC", **TRADE, "fee": {"cost": 0.08, "currency": "USDT"}}],
        ),
    ],
    "fetchBalance": [answered("fetchBalance", [], _kraken(_K_BALANCES), TOTALS)],
}  # fmt: skip

# -- Bybit ----------------------------------------------------------------------------------------------

_B: Final = "https://api.bybit.com/v5/"
_B_ORDER: Final = {"symbol": "ADAUSDT", "category": "spot"}


def _bybit(result: Any) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": AT_MS}


def _bybit_order(number: str, side: str, status: str, done: str, **more: Any) -> dict[str, Any]:
    return {
        "orderId": number, "orderLinkId": "ours", "symbol": "ADAUSDT", "side": side, "orderType": "Market",
        "orderStatus": status, "qty": "40", "cumExecQty": done, "cumExecValue": "0", "cumExecFee": "0",
        "avgPrice": "", "price": "0", "leavesQty": "0", "timeInForce": "IOC", "triggerPrice": "0",
        "createdTime": str(AT_MS), "updatedTime": str(AT_MS), "marketUnit": "baseCoin",
        "rejectReason": "EC_NoError", **more,
    }  # fmt: skip


BYBIT_REQUESTS = {
    "createOrder": [
        asked("createOrder", f"{_B}order/create", given, {**_B_ORDER, "qty": "40", **said})
        for given, said in (
            (MARKET, {"side": "Buy", "orderType": "Market", "marketUnit": "baseCoin"}),
            (SALE, {"side": "Sell", "orderType": "Market", "marketUnit": "baseCoin"}),
            (LIMIT_IOC, {"side": "Buy", "orderType": "Limit", "price": "0.5"}),
        )
    ],
    "cancelOrder": [asked("cancelOrder", f"{_B}order/cancel", ["77", PAIR])],
    "fetchOpenOrders": [asked("fetchOpenOrders", f"{_B}order/realtime", [PAIR])],
    "fetchClosedOrders": [asked("fetchClosedOrders", f"{_B}order/history", [PAIR])],
    "fetchMyTrades": [asked("fetchMyTrades", f"{_B}execution/list", [PAIR])],
    "fetchBalance": [asked("fetchBalance", f"{_B}account/wallet-balance", [])],
}
_B_TRADE = {
    "symbol": "ADAUSDT", "orderId": "78", "orderLinkId": "ours", "execId": "9", "side": "Buy",
    "execPrice": "0.5", "execQty": "40", "execValue": "20", "execFee": "0.04", "feeCurrency": "ADA",
    "feeRate": "0.001", "execTime": str(AT_MS), "isMaker": False, "orderType": "Market", "execType": "Trade",
}  # fmt: skip
_B_COINS = [
    {"coin": "ADA", "walletBalance": "40", "locked": "40", "equity": "40"},
    {"coin": "USDT", "walletBalance": "980.5", "locked": "0", "equity": "980.5"},
]
BYBIT_ANSWERS = {
    "createOrder": [
        answered("createOrder", MARKET, _bybit({"orderId": "78", "orderLinkId": "ours"}), {"id": "78"})
    ],
    "fetchOpenOrders": [
        answered(
            "fetchOpenOrders", [PAIR], _bybit({"category": "spot", "list": [
                _bybit_order("77", "Sell", "New", "0", orderType="Limit", price="0.6", timeInForce="GTC"),
            ]}),
            [{"id": "77", "clientOrderId": "ours", **RESTS}],
        ),
    ],
    "fetchClosedOrders": [
        answered(
            "fetchClosedOrders", [PAIR],
            _bybit({"category": "spot", "list": [_bybit_order("78", "Buy", "Filled", "40")]}),
            [{"id": "78", "clientOrderId": "ours", **FILLED}],
        ),
    ],
    "fetchMyTrades": [
        answered(
            "fetchMyTrades", [PAIR], _bybit({"category": "spot", "list": [_B_TRADE]}),
            [{"id": "9", **TRADE, "fee": {"cost": 0.04, "currency": "ADA"}}],
        ),
    ],
    "fetchBalance": [
        answered(
            "fetchBalance", [], _bybit({"list": [{"accountType": "UNIFIED", "coin": _B_COINS}]}), TOTALS
        ),
    ],
}  # fmt: skip

# -- OKX ------------------------------------------------------------------------------------------------

_X: Final = "https://www.okx.com/api/v5/"
_X_ORDER: Final = {"instId": "ADA-USDT", "sz": "40", "tdMode": "cash", "tgtCcy": "base_ccy"}


def _okx(*data: Any) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(data)}


def _okx_order(number: str, side: str, kind: str, state: str, done: str, price: str) -> dict[str, Any]:
    return {
        "ordId": number, "clOrdId": "ours", "instId": "ADA-USDT", "instType": "SPOT", "side": side,
        "ordType": kind, "state": state, "px": price, "sz": "40", "accFillSz": done, "avgPx": "0.5",
        "fee": "-0.04", "feeCcy": "ADA", "cTime": str(AT_MS), "uTime": str(AT_MS), "tgtCcy": "base_ccy",
    }  # fmt: skip


OKX_REQUESTS = {
    "createOrder": [
        asked("createOrder", f"{_X}trade/order", given, {**_X_ORDER, **said})
        for given, said in (
            (MARKET, {"side": "buy", "ordType": "market"}),
            (SALE, {"side": "sell", "ordType": "market"}),
            (LIMIT_IOC, {"side": "buy", "ordType": "ioc", "px": "0.5"}),
        )
    ],
    "cancelOrder": [asked("cancelOrder", f"{_X}trade/cancel-order", ["77", PAIR])],
    "fetchOrder": [asked("fetchOrder", f"{_X}trade/order", ["77", PAIR])],
    "fetchOpenOrders": [asked("fetchOpenOrders", f"{_X}trade/orders-pending", [PAIR])],
    "fetchMyTrades": [asked("fetchMyTrades", f"{_X}trade/fills-history", [PAIR])],
    "fetchBalance": [asked("fetchBalance", f"{_X}account/balance", [])],
}
_X_TRADE = {
    "instId": "ADA-USDT", "instType": "SPOT", "ordId": "78", "clOrdId": "ours", "tradeId": "9",
    "billId": "5", "side": "buy", "fillPx": "0.5", "fillSz": "40", "fee": "-0.04", "feeCcy": "ADA",
    "ts": str(AT_MS), "execType": "T", "posSide": "net",
}  # fmt: skip
_X_COINS = [
    {"ccy": "ADA", "eq": "40", "cashBal": "40", "availBal": "0", "frozenBal": "40", "availEq": ""},
    {"ccy": "USDT", "eq": "980.5", "cashBal": "980.5", "availBal": "980.5", "frozenBal": "0", "availEq": ""},
]
_X_TAKEN = {"ordId": "78", "clOrdId": "ours", "sCode": "0", "sMsg": "", "tag": "", "ts": str(AT_MS)}
OKX_ANSWERS = {
    "createOrder": [answered("createOrder", MARKET, _okx(_X_TAKEN), {"id": "78"})],
    "fetchOrder": [
        answered(
            "fetchOrder", ["78", PAIR], _okx(_okx_order("78", "buy", "market", "filled", "40", "")),
            {"id": "78", "clientOrderId": "ours", **FILLED},
        ),
    ],
    "fetchOpenOrders": [
        answered(
            "fetchOpenOrders", [PAIR], _okx(_okx_order("77", "sell", "limit", "live", "0", "0.6")),
            [{"id": "77", "clientOrderId": "ours", **RESTS}],
        ),
    ],
    "fetchMyTrades": [
        answered(
            "fetchMyTrades", [PAIR], _okx(_X_TRADE),
            [{"id": "9", **TRADE, "fee": {"cost": 0.04, "currency": "ADA"}}],
        ),
    ],
    "fetchBalance": [
        answered("fetchBalance", [], _okx({"uTime": str(AT_MS), "details": _X_COINS}), TOTALS)
    ],
}  # fmt: skip

# -- Coinbase -------------------------------------------------------------------------------------------

_C: Final = "https://api.coinbase.com/api/v3/brokerage/"


def _coinbase_order(number: str, side: str, status: str, done: str, set_up: Any) -> dict[str, Any]:
    return {
        "order_id": number, "client_order_id": "ours", "product_id": "ADA-USDT", "side": side,
        "status": status, "order_configuration": set_up, "filled_size": done, "average_filled_price": "0.5",
        "created_time": "2025-06-15T15:06:40.100Z", "total_fees": "0.2", "filled_value": "20",
        "product_type": "SPOT", "settled": status == "FILLED",
    }  # fmt: skip


def _coinbase_said(side: str, set_up: Any) -> dict[str, Any]:
    return {"product_id": "ADA-USDT", "side": side, "order_configuration": set_up}


_C_BASE = {"market_market_ioc": {"base_size": "40"}}
_C_RESTS = {"limit_limit_gtc": {"base_size": "40", "limit_price": "0.6", "post_only": False}}
_C_FILL = {
    "entry_id": "1", "trade_id": "9", "order_id": "78", "trade_time": "2025-06-15T15:06:40.100Z",
    "trade_type": "FILL", "price": "0.5", "size": "40", "commission": "0.2", "product_id": "ADA-USDT",
    "liquidity_indicator": "TAKER", "size_in_quote": False, "side": "BUY",
}  # fmt: skip
_C_ACCOUNTS = [
    {
        "uuid": name, "currency": name, "type": "ACCOUNT_TYPE_CRYPTO",
        "available_balance": {"value": free, "currency": name}, "hold": {"value": held, "currency": name},
    }
    for name, free, held in (("ADA", "0", "40"), ("USDT", "980.5", "0"))
]  # fmt: skip
COINBASE_REQUESTS = {
    "createOrder": [
        asked("createOrder", f"{_C}orders", given, _coinbase_said(side, set_up))
        for given, side, set_up in (
            (SALE, "SELL", _C_BASE),
            (LIMIT_IOC, "BUY", {"sor_limit_ioc": {"base_size": "40", "limit_price": "0.5"}}),
        )
    ],
    "cancelOrder": [asked("cancelOrder", f"{_C}orders/batch_cancel", ["77", PAIR])],
    "fetchOrder": [asked("fetchOrder", f"{_C}orders/historical/77", ["77", PAIR])],
    "fetchOpenOrders": [asked("fetchOpenOrders", f"{_C}orders/historical/batch", [PAIR])],
    "fetchMyTrades": [asked("fetchMyTrades", f"{_C}orders/historical/fills", [PAIR])],
    "fetchBalance": [asked("fetchBalance", f"{_C}accounts", [{"v3": True}])],
}
COINBASE_ANSWERS = {
    "createOrder": [
        answered(
            "createOrder", SALE,
            {"success": True, "success_response": {"order_id": "78", "client_order_id": "ours"}},
            {"id": "78"},
        ),
    ],
    "fetchOrder": [
        answered(
            "fetchOrder", ["78", PAIR], {"order": _coinbase_order("78", "BUY", "FILLED", "40", _C_BASE)},
            {"id": "78", "clientOrderId": "ours", **FILLED},
        ),
    ],
    "fetchOpenOrders": [
        answered(
            "fetchOpenOrders", [PAIR],
            {"orders": [_coinbase_order("77", "SELL", "OPEN", "0", _C_RESTS)], "has_next": False},
            [{"id": "77", "clientOrderId": "ours", **RESTS}],
        ),
    ],
    "fetchMyTrades": [
        answered(
            "fetchMyTrades", [PAIR], {"fills": [_C_FILL], "cursor": ""},
            [{"id": "9", **TRADE, "fee": {"cost": 0.2, "currency": "USDT"}}],
        ),
    ],
    "fetchBalance": [
        answered("fetchBalance", [{"v3": True}], {"accounts": _C_ACCOUNTS, "has_next": False}, TOTALS)
    ],
}  # fmt: skip

REQUESTS: Final = {
    "kraken": {"methods": KRAKEN_REQUESTS},
    "bybit": {"methods": BYBIT_REQUESTS},
    "okx": {"methods": OKX_REQUESTS},
    "coinbase": {"methods": COINBASE_REQUESTS},
}
ANSWERS: Final = {
    "kraken": {"methods": KRAKEN_ANSWERS},
    "bybit": {"methods": BYBIT_ANSWERS},
    "okx": {"methods": OKX_ANSWERS},
    "coinbase": {"methods": COINBASE_ANSWERS},
}
