"""Where the trading side attaches: signed endpoints and the socket API.

Belongs here: which paths need a key and what they answer. Stays true: a request that names no key, or
another one, learns nothing but that. Orders and accounts are not offered yet: whoever asks is refused like
a key without permission.
"""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from agent.localexchange.exchange import Exchange
from agent.localexchange.parameters import RejectionError

_SIGNED: Final = frozenset(
    {
        "/api/v3/account",
        "/api/v3/account/commission",
        "/api/v3/allOrderList",
        "/api/v3/allOrders",
        "/api/v3/myTrades",
        "/api/v3/openOrderList",
        "/api/v3/openOrders",
        "/api/v3/order",
        "/api/v3/order/cancelReplace",
        "/api/v3/order/test",
        "/api/v3/orderList",
        "/api/v3/orderList/oco",
        "/api/v3/rateLimit/order",
        "/sapi/v1/account/apiRestrictions",
        "/sapi/v1/asset/tradeFee",
        "/sapi/v1/capital/config/getall",
        "/sapi/v1/margin/allPairs",
        "/sapi/v1/margin/isolated/allPairs",
    }
)


class TradingSide:
    """Signed requests of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def knows(self, method: str, path: str) -> bool:
        return path in _SIGNED and method in ("GET", "POST", "PUT", "DELETE")

    async def answer(self, request: web.Request, now_ms: int) -> object:
        """The body of the answer; raises RejectionError."""
        if not request.headers.get("X-MBX-APIKEY"):
            raise RejectionError(-2014, "API-key format invalid.", 401)
        raise RejectionError(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def answer_frame(self, request: dict[str, Any], now_ms: int) -> dict[str, Any]:
        """The answer to one frame of the socket API."""
        ident = request.get("id")
        match request.get("method"):
            case "ping":
                return {"id": ident, "status": 200, "result": {}, "rateLimits": []}
            case "time":
                return {"id": ident, "status": 200, "result": {"serverTime": now_ms}, "rateLimits": []}
        error = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
        return {"id": ident, "status": 401, "error": error, "rateLimits": []}
