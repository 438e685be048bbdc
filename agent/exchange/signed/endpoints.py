"""Every request this package can send, and no other: there is no code here for moving money away.

Weights are Binance's own (`rest-api.md`, July 2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """One of those below, so it equals itself alone.

    `call` is ccxt's implicit method; `places`: the request may make an order.
    """

    what: str
    verb: str
    path: str
    call: str
    weight: int
    places: bool = False

    @property
    def request(self) -> str:
        return f"{self.verb} {self.path}"


SERVER_TIME: Final = Endpoint("the exchange's time", "GET", "/api/v3/time", "public_get_time", 1)
PLACE: Final = Endpoint("placing an order", "POST", "/api/v3/order", "private_post_order", 1, places=True)
CANCEL: Final = Endpoint("canceling an order", "DELETE", "/api/v3/order", "private_delete_order", 1)
REPLACE: Final = Endpoint(
    "replacing an order",
    "POST",
    "/api/v3/order/cancelReplace",
    "private_post_order_cancelreplace",
    1,
    places=True,
)
PLACE_PAIR: Final = Endpoint(
    "placing an order list", "POST", "/api/v3/orderList/oco", "private_post_orderlist_oco", 1, places=True
)
ORDER: Final = Endpoint("looking up an order", "GET", "/api/v3/order", "private_get_order", 4)
OPEN_ORDERS: Final = Endpoint("open orders", "GET", "/api/v3/openOrders", "private_get_openorders", 6)
ALL_ORDERS: Final = Endpoint("orders", "GET", "/api/v3/allOrders", "private_get_allorders", 20)
ACCOUNT: Final = Endpoint("the account", "GET", "/api/v3/account", "private_get_account", 20)
OWN_TRADES: Final = Endpoint("own trades", "GET", "/api/v3/myTrades", "private_get_mytrades", 20)
TRADES_OF_ORDER: Final = Endpoint(
    "the trades of an order", "GET", "/api/v3/myTrades", "private_get_mytrades", 5
)
KEY_RIGHTS: Final = Endpoint(
    "the rights of the key", "GET", "/sapi/v1/account/apiRestrictions", "sapi_get_account_apirestrictions", 1
)

ALLOWED_REQUESTS: Final = frozenset(
    endpoint.request
    for endpoint in (
        SERVER_TIME,
        PLACE,
        PLACE_PAIR,
        CANCEL,
        REPLACE,
        ORDER,
        OPEN_ORDERS,
        ALL_ORDERS,
        ACCOUNT,
        OWN_TRADES,
        TRADES_OF_ORDER,
        KEY_RIGHTS,
    )
)
