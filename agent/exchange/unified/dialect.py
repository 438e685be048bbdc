"""How each exchange wants to be spoken to through ccxt: our orders as its parameters, and how one is found.

Belongs here: what differs between exchanges and no table of facts can say. Stays true: every order carries
our client id in the exchange's form; money goes as text; an order is looked for by evidence, in what is open
and in what is over, and only when both say no it is not there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from agent.core.money import plain
from agent.core.order import Intent, OrderType
from agent.exchange.signed.permissions import KeyRights, KeyRightsUnreadable
from agent.exchange.unified.call_counter import CallLimit
from agent.exchange.unified.client_ids import as_hex, from_hex
from agent.exchange.unified.kraken_rights import read_kraken_rights

Request = Callable[[], Awaitable[Any]]

#: ccxt's words for our types: what is placed, and the name of the price that starts it.
_KINDS: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.LIMIT_MAKER: "limit",
    OrderType.STOP_LOSS: "market",
    OrderType.STOP_LOSS_LIMIT: "limit",
}


def _as_it_is(client_id: str) -> str:
    return client_id


@dataclass(frozen=True, slots=True)
class Dialect:
    """`numbers_rise`: requests carry a number that must rise. `paths`: what may be asked, as `VERB /path`.

    `searches`: the questions that find an order by client id, asked in turn; each answers a list of orders or
    an order. `id_param` is where ccxt takes our id. `deadline`: an order says until when it may be taken.
    `calls`: how many of an account's calls are counted, where they are. `rights` asks what the key may do,
    of an exchange that tells, and `read_rights` judges the answer.
    `socket_token`: the account's socket wants a token that is asked for. `trades_page` is how many own trades
    one answer brings.
    """

    name: str
    paths: tuple[str, ...]
    searches: tuple[Callable[[Any, str, str], Request], ...]
    numbers_rise: bool = False
    wire_id: Callable[[str], str] = _as_it_is
    client_id: Callable[[str], str] = _as_it_is
    id_param: str = "clientOrderId"
    params: Mapping[str, str] = field(default_factory=dict)
    balance_params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    deadline: bool = False
    calls: CallLimit | None = None
    rights: Callable[[Any], Request] | None = None
    read_rights: Callable[[object, int], KeyRights | KeyRightsUnreadable] | None = None
    socket_token: bool = False
    cancels_by_client_id: bool = True
    trades_page: int = 100
    trades_by_offset: bool = False

    def may_ask(self, request: str) -> bool:
        return any(re.fullmatch(path, request) for path in self.paths)

    def placing(self, intent: Intent, pair: str, api: Any, deadline_ms: int) -> Request:
        """The request that places an order; it leaves before `deadline_ms` of venue time or never counts."""
        params = {**self.params, self.id_param: self.wire_id(intent.client_id)}
        if intent.stop_price is not None:
            params["stopLossPrice"] = plain(intent.stop_price)
        elif intent.type is OrderType.LIMIT and intent.time_in_force is not None:
            params["timeInForce"] = intent.time_in_force.value
        more: dict[str, Any] = {"postOnly": True} if intent.type is OrderType.LIMIT_MAKER else {}
        if self.deadline:
            more["deadline"] = _moment(deadline_ms)
        price = None if intent.price is None else plain(intent.price)
        words = (pair, _KINDS[intent.type], intent.side.value.lower(), plain(intent.qty), price)
        return lambda: api.create_order(*words, {**params, **more})

    def canceling(self, client_id: str, order_id: str | None, pair: str, api: Any) -> Request:
        if self.cancels_by_client_id:
            return lambda: api.cancel_order("", pair, {"clientOrderId": self.wire_id(client_id)})
        assert order_id is not None, "looked up before"
        return lambda: api.cancel_order(order_id, pair)


def _result(answer: object) -> object:
    return answer.get("result") if isinstance(answer, dict) else None


def _moment(at_ms: int) -> str:
    return (
        datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _open(key: str) -> Callable[[Any, str, str], Request]:
    return lambda api, pair, wire_id: lambda: api.fetch_open_orders(pair, None, None, {key: wire_id})


def _closed(key: str) -> Callable[[Any, str, str], Request]:
    return lambda api, pair, wire_id: lambda: api.fetch_closed_orders(pair, None, None, {key: wire_id})


def _canceled_and_closed(key: str) -> Callable[[Any, str, str], Request]:
    return lambda api, pair, wire_id: (
        lambda: api.fetch_canceled_and_closed_orders(pair, None, None, {key: wire_id})
    )


def _by_client_id(api: Any, pair: str, wire_id: str) -> Request:
    return lambda: api.fetch_order("", pair, {"clientOrderId": wire_id})


def _all(api: Any, pair: str, wire_id: str) -> Request:
    return lambda: api.fetch_orders(pair)


KRAKEN: Final = Dialect(
    "kraken",
    paths=(
        r"POST /0/private/(AddOrder|CancelOrder|OpenOrders|ClosedOrders|QueryOrders|TradesHistory|BalanceEx)",
        r"POST /0/private/(GetWebSocketsToken|GetApiKeyInfo)",
        r"GET /0/public/(AssetPairs|Assets|Time)",
    ),
    searches=(_open("clientOrderId"), _closed("clientOrderId")),
    numbers_rise=True,
    wire_id=as_hex,
    client_id=from_hex,
    params={"oflags": "fciq"},
    deadline=True,
    # Of the lowest tier, because nobody tells which one an account has.
    calls=CallLimit(15.0, 0.33, reserve=6.0),
    rights=lambda api: lambda: api.private_post_getapikeyinfo(),
    read_rights=lambda answer, now_ms: read_kraken_rights(_result(answer), now_ms),
    socket_token=True,
    trades_page=50,
    trades_by_offset=True,
)
BYBIT: Final = Dialect(
    "bybit",
    paths=(
        r"POST /v5/order/(create|cancel)",
        r"GET /v5/order/(realtime|history)",
        r"GET /v5/execution/list",
        r"GET /v5/account/wallet-balance",
        r"GET /v5/market/(instruments-info|time)",
    ),
    searches=(_open("orderLinkId"), _canceled_and_closed("orderLinkId")),
    # Which kind of account it is would be asked before every order.
    options={
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 5,
        "createMarketBuyOrderRequiresPrice": False,
        # It warns of orders too old to be found, which ours are not.
        "fetchOrder": {"acknowledged": True},
        "defaultType": "spot",
    },
)
OKX: Final = Dialect(
    "okx",
    paths=(
        r"POST /api/v5/trade/(order|cancel-order)",
        r"GET /api/v5/trade/(order|orders-pending|fills|fills-history)",
        r"GET /api/v5/account/balance",
        r"GET /api/v5/public/(instruments|time)",
    ),
    searches=(_by_client_id,),
    params={"tdMode": "cash", "tgtCcy": "base_ccy"},
    options={"createOrder": "privatePostTradeOrder", "defaultType": "spot"},
)
COINBASE: Final = Dialect(
    "coinbase",
    paths=(
        r"POST /api/v3/brokerage/orders(/batch_cancel)?",
        r"GET /api/v3/brokerage/orders/historical/(batch|fills|[0-9a-f-]+)",
        r"GET /api/v3/brokerage/accounts",
        r"GET /(api/v3/brokerage/(market/)?products|v2/time|api/v3/brokerage/time)",
    ),
    searches=(_all,),
    # Under its common name ccxt drops it here, and sends one of its own instead.
    id_param="client_order_id",
    # The other kind of accounts does not say what orders hold.
    balance_params={"v3": True},
    cancels_by_client_id=False,
)

DIALECTS: Final[Mapping[str, Dialect]] = {d.name: d for d in (KRAKEN, BYBIT, OKX, COINBASE)}
