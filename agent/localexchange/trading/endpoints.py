"""What the trading side offers: paths, methods of the socket API, weights, permissions.

Belongs here: the two tables. Stays true: REST and the socket API answer from the same functions; weights are
Binance's of 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from agent.localexchange.trading import order_lists, orders, queries, wallet
from agent.localexchange.trading.counter import Ask

Answering: TypeAlias = Callable[[Ask], dict[str, Any] | list[Any]]
Need = Literal["read", "trade"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`weight` sees the parameters as sent; `counts_orders`: the answer tells how many were placed lately."""

    answer: Answering
    weight: Callable[[Mapping[str, str]], int]
    need: Need
    counts_orders: bool = False


def _fixed(weight: int) -> Callable[[Mapping[str, str]], int]:
    return lambda sent: weight


def _reads(answer: Answering, weight: int) -> Endpoint:
    return Endpoint(answer, _fixed(weight), "read")


def _trades(answer: Answering) -> Endpoint:
    return Endpoint(answer, _fixed(1), "trade")


def _places(answer: Answering) -> Endpoint:
    return Endpoint(answer, _fixed(1), "trade", counts_orders=True)


_PLACE: Final = _places(orders.place)
_TEST: Final = Endpoint(
    orders.test, lambda sent: 20 if sent.get("computeCommissionRates", "").lower() == "true" else 1, "trade"
)
_CANCEL: Final = _trades(orders.cancel)
_CANCEL_ALL: Final = _trades(orders.cancel_all)
_REPLACE: Final = _places(orders.cancel_replace)
_OCO: Final = _places(order_lists.place_oco)
_OTO: Final = _places(order_lists.place_oto)
_OTOCO: Final = _places(order_lists.place_otoco)
_CANCEL_LIST: Final = _trades(order_lists.cancel_list)
_ORDER: Final = _reads(queries.order, 4)
_OPEN: Final = Endpoint(queries.open_orders, lambda sent: 6 if "symbol" in sent else 80, "read")
_ALL: Final = _reads(queries.all_orders, 20)
_TRADES: Final = Endpoint(queries.my_trades, lambda sent: 5 if "orderId" in sent else 20, "read")
_ACCOUNT: Final = _reads(queries.account, 20)
_COMMISSION: Final = _reads(queries.commission, 20)
_COUNTS: Final = _reads(queries.order_counts, 40)
_LIST: Final = _reads(order_lists.query_list, 4)
_OPEN_LISTS: Final = _reads(order_lists.open_lists, 6)
_ALL_LISTS: Final = _reads(order_lists.all_lists, 20)

ENDPOINTS: Final[Mapping[tuple[str, str], Endpoint]] = {
    ("POST", "/api/v3/order"): _PLACE,
    ("GET", "/api/v3/order"): _ORDER,
    ("DELETE", "/api/v3/order"): _CANCEL,
    ("POST", "/api/v3/order/test"): _TEST,
    ("POST", "/api/v3/order/cancelReplace"): _REPLACE,
    ("GET", "/api/v3/openOrders"): _OPEN,
    ("DELETE", "/api/v3/openOrders"): _CANCEL_ALL,
    ("GET", "/api/v3/allOrders"): _ALL,
    ("GET", "/api/v3/myTrades"): _TRADES,
    ("GET", "/api/v3/account"): _ACCOUNT,
    ("GET", "/api/v3/account/commission"): _COMMISSION,
    ("GET", "/api/v3/rateLimit/order"): _COUNTS,
    ("POST", "/api/v3/orderList/oco"): _OCO,
    ("POST", "/api/v3/orderList/oto"): _OTO,
    ("POST", "/api/v3/orderList/otoco"): _OTOCO,
    ("GET", "/api/v3/orderList"): _LIST,
    ("DELETE", "/api/v3/orderList"): _CANCEL_LIST,
    ("GET", "/api/v3/openOrderList"): _OPEN_LISTS,
    ("GET", "/api/v3/allOrderList"): _ALL_LISTS,
    ("GET", "/sapi/v1/account/apiRestrictions"): _reads(wallet.api_restrictions, 1),
    ("GET", "/sapi/v1/asset/tradeFee"): _reads(wallet.trade_fee, 1),
    ("GET", "/sapi/v1/capital/config/getall"): _reads(wallet.coins, 10),
    ("GET", "/sapi/v1/margin/allPairs"): _reads(wallet.nothing, 1),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _reads(wallet.nothing, 10),
    ("GET", "/sapi/v1/margin/allAssets"): _reads(wallet.nothing, 1),
}

METHODS: Final[Mapping[str, Endpoint]] = {
    "order.place": _PLACE,
    "order.test": _TEST,
    "order.status": _ORDER,
    "order.cancel": _CANCEL,
    "order.cancelReplace": _REPLACE,
    "openOrders.status": _OPEN,
    "openOrders.cancelAll": _CANCEL_ALL,
    "allOrders": _ALL,
    "myTrades": _TRADES,
    "account.status": _ACCOUNT,
    "account.commission": _COMMISSION,
    "account.rateLimits.orders": _COUNTS,
    "orderList.place.oco": _OCO,
    "orderList.place.oto": _OTO,
    "orderList.place.otoco": _OTOCO,
    "orderList.cancel": _CANCEL_LIST,
    "orderList.status": _LIST,
    "openOrderLists.status": _OPEN_LISTS,
    "allOrderLists": _ALL_LISTS,
}
