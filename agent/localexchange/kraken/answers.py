"""From a request to Kraken's answer, without HTTP: who may ask, what is asked, and errors in the body.

Stays true: an answer has status 200 whatever it says, except where the limiter of the address speaks; a
refused request was not executed; nothing is awaited between bringing the venue to the present and executing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.localexchange.exchange import Exchange
from agent.localexchange.kraken import queries
from agent.localexchange.kraken.account import TOKEN_EXPIRES_S, Account
from agent.localexchange.kraken.counters import Counters
from agent.localexchange.kraken.errors import (
    DENIED,
    TOO_MANY,
    TOO_MANY_ORDERS,
    UNAVAILABLE,
    UNKNOWN_METHOD,
    KrakenError,
)
from agent.localexchange.kraken.key_info import key_info
from agent.localexchange.kraken.orders import References, add_order, cancel_order, named
from agent.localexchange.kraken.public import PUBLIC
from agent.localexchange.kraken.queries import Asked
from agent.localexchange.kraken.strange import strange_answer
from agent.localexchange.parameters import RejectionError
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.fate import Fate
from agent.localexchange.trading.permissions import Permissions
from agent.localexchange.trading.standing import Standing

_PRIVATE: Final = "/0/private/"
_QUERIES: Final[Mapping[str, Callable[[Asked], Any]]] = {
    "Balance": queries.balance,
    "BalanceEx": queries.balance_ex,
    "OpenOrders": queries.open_orders,
    "ClosedOrders": queries.closed_orders,
    "QueryOrders": queries.query_orders,
    "TradesHistory": queries.trades_history,
    "QueryTrades": queries.query_trades,
}
_COMMANDS: Final[Mapping[str, Callable[[Desk, References, Mapping[str, str], Fate, int], Any]]] = {
    "AddOrder": add_order,
    "CancelOrder": cancel_order,
}
_TOKEN: Final = "GetWebSocketsToken"
_RIGHTS: Final = "GetApiKeyInfo"


@dataclass(frozen=True, slots=True)
class Question:
    """One request: `key` and `sign` are its headers, `query` its parameters in the address."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    key: str | None = None
    sign: str | None = None

    @property
    def is_private(self) -> bool:
        return self.path.startswith(_PRIVATE)

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[1]


@dataclass(frozen=True, slots=True)
class Said:
    """`body` as JSON. `refused`: it carries errors and nothing was done."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return bool(self.body["error"])


class Answers:
    """Of the one account and of the market."""

    def __init__(
        self,
        exchange: Exchange,
        standing: Standing,
        permissions: Permissions,
        account: Account,
        references: References,
    ) -> None:
        self._exchange = exchange
        self._standing = standing
        self._account = account
        self._references = references
        self._permissions = permissions
        self.counters = Counters()

    def answer(self, asked: Question) -> Said:
        """Carry out one request."""
        refusal = self._exchange.limits.admit(1, self._exchange.clock.now_ms())
        if refusal is not None:
            return Said(refusal.status, {"error": [TOO_MANY]}, {"Retry-After": str(refusal.retry_after_s)})
        try:
            return Said(200, {"error": [], "result": self._result(asked)})
        except KrakenError as error:
            return Said(200, {"error": [str(error)]})

    def _result(self, asked: Question) -> Any:
        if self._standing.unavailable:
            raise KrakenError(UNAVAILABLE)
        name, exchange = asked.name, self._exchange
        if not asked.is_private:
            if name not in PUBLIC:
                raise KrakenError(UNKNOWN_METHOD)
            return PUBLIC[name](exchange.market, asked.query, exchange.clock.now_ms())
        if asked.method != "POST" or name not in {*_QUERIES, *_COMMANDS, _TOKEN, _RIGHTS}:
            raise KrakenError(UNKNOWN_METHOD)
        sent = self._account.opened(asked.path, asked.key, asked.sign, asked.body)
        if name != _RIGHTS:
            self._may(trading=name in _COMMANDS)
        if name not in _COMMANDS and not self.counters.admits_call(name, exchange.clock.now_ms()):
            raise KrakenError(TOO_MANY)
        if name == _RIGHTS:
            return key_info(self._permissions, exchange.key)
        if name == _TOKEN:
            return {"token": self._account.new_token(), "expires": TOKEN_EXPIRES_S}
        return self._executed(asked, name, sent)

    def _executed(self, asked: Question, name: str, sent: Mapping[str, str]) -> Any:
        desk = self._exchange.desk
        now_ms = desk.catch_up()
        fate = Fate(self._exchange.faults, asked.method, asked.path)
        try:
            if name in _COMMANDS:
                self._count_order(name, sent, now_ms)
                return _COMMANDS[name](desk, self._references, sent, fate, now_ms)
            age_ms = fate.age_ms()
            as_of_ms = None if age_ms is None else now_ms - age_ms
            result = _QUERIES[name](Asked(desk, self._references, sent, as_of_ms))
        finally:
            desk.publish()
        strange = self._exchange.faults.fire_on_request(("F21",), asked.method, asked.path)
        return result if strange is None else strange_answer(strange, result)

    def _count_order(self, name: str, sent: Mapping[str, str], now_ms: int) -> None:
        """Raises KrakenError for an order too many."""
        if name == "AddOrder":
            if not self.counters.admits_order(now_ms):
                raise KrakenError(TOO_MANY_ORDERS)
            return
        for order in named(self._exchange.desk, self._references, sent):
            self.counters.canceled(now_ms - order.created_ms, now_ms)

    def _may(self, *, trading: bool) -> None:
        """Raises KrakenError while the key, its address or its permission to trade is lost."""
        try:
            self._standing.must_be_allowed(trading=trading)
        except RejectionError:
            raise KrakenError(DENIED) from None
        if not (self._permissions.may_trade if trading else self._permissions.may_read):
            raise KrakenError(DENIED)
