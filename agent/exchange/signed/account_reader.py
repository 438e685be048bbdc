"""Reading the account and one's own orders by REST, until the parts fit together.

Balances, open orders and trades are three answers of three moments. Balances are read before the trades, and
the reading is repeated when a trade happened in between (the stream heard of one, or one is younger than the
balances), a few times at most. Trades carry order ids only; the client ids come from what was learned before,
or from the list of orders. What cannot be read comes back as a sentence, never as half an account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agent.core.events import AccountSeen, AccountUnreadable
from agent.core.market import DAY_MS
from agent.core.order import Fill, OrderReport
from agent.core.ports import Clock
from agent.exchange.signed.account_words import (
    Balances,
    OwnTrade,
    read_balances,
    read_order_ids,
    read_trades,
)
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Partly, Refused
from agent.exchange.signed.client import Outcome, SignedClient
from agent.exchange.signed.endpoints import (
    ACCOUNT,
    ALL_ORDERS,
    OPEN_ORDERS,
    OWN_TRADES,
    TRADES_OF_ORDER,
    Endpoint,
)
from agent.exchange.signed.fields import FieldError, rows
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.order_words import NotUnderstood, Pair, Unreadable, read_order
from agent.exchange.weight_gate import Urgency

#: Rows that the exchange gives at most, for trades and for orders.
PAGE: Final = 1_000
_READINGS: Final = 3
#: Longer than this nothing is read day by day; the account must then be looked at by a person.
_MOST_DAYS: Final = 60


class _NotReadError(Exception):
    """Why an answer is missing. `permanent`: asking again will not help."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class AccountReader:
    """Reads one pair's account. `trades_heard` counts what the user stream told so far."""

    def __init__(
        self,
        client: SignedClient,
        clock: Clock,
        pair: Pair,
        ids: OrderIds,
        trades_heard: Callable[[], int],
        not_understood: Callable[[NotUnderstood], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._pair = pair
        self._ids = ids
        self._trades_heard = trades_heard
        self._not_understood = not_understood

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        try:
            for _ in range(_READINGS):
                began_ms, heard = self._clock.now_ms(), self._trades_heard()
                open_orders = await self._open_orders()
                balances = read_balances(await self._ask(ACCOUNT, {}))
                trades = await self._trades_since(fills_since_ms)
                if heard == self._trades_heard() and not _younger(trades, balances):
                    break
            fills = await self._with_client_ids(trades)
        except (_NotReadError, FieldError) as error:
            permanent = isinstance(error, _NotReadError) and error.permanent
            return AccountUnreadable(f"the account cannot be read: {error}", permanent)
        return AccountSeen(balances.holdings, open_orders, fills, fills_since_ms, began_ms)

    async def fills_of_order(self, order_id: str, client_id: str) -> tuple[Fill, ...] | str:
        """Own trades of one order, or why they cannot be read."""
        params: dict[str, str | int] = {"symbol": self._pair.symbol, "orderId": order_id, "limit": PAGE}
        found: list[OwnTrade] = []
        try:
            while True:
                page = read_trades(await self._ask(TRADES_OF_ORDER, params), self._pair)
                if any(trade.order_id != order_id for trade in page):
                    raise FieldError(f"trades of another order than {order_id}")
                found += page
                if len(page) < PAGE:
                    return tuple(trade.fill(client_id) for trade in found)
                params["fromId"] = page[-1].trade_id + 1
        except (_NotReadError, FieldError) as error:
            return str(error)

    async def _open_orders(self) -> tuple[OrderReport, ...]:
        answer = await self._ask(OPEN_ORDERS, {"symbol": self._pair.symbol})
        reports = []
        for row in rows(answer, "open orders"):
            word = read_order(row, self._pair)
            if isinstance(word, NotUnderstood):
                self._not_understood(word)
                raise FieldError(word.detail)
            if isinstance(word, Unreadable):
                raise FieldError(f"an open order: {word.detail}")
            self._ids.learn(word.client_id, word.exchange_order_id)
            reports.append(word)
        return tuple(reports)

    async def _trades_since(self, since_ms: int) -> tuple[OwnTrade, ...]:
        """Own trades from `since_ms` on, oldest first."""
        if self._client.time.stamp_ms() - since_ms < DAY_MS:
            return await self._and_later(await self._page({"startTime": since_ms}))
        latest = await self._page({})
        if len(latest) < PAGE or latest[0].at_ms < since_ms:
            return tuple(trade for trade in latest if trade.at_ms >= since_ms)
        return await self._day_by_day(since_ms)

    async def _day_by_day(self, since_ms: int) -> tuple[OwnTrade, ...]:
        """Many trades, long ago: a window is a day at most, until there is one to go on from."""
        for from_ms in range(since_ms, since_ms + _MOST_DAYS * DAY_MS, DAY_MS):
            page = await self._page({"startTime": from_ms, "endTime": from_ms + DAY_MS - 1})
            if page:
                later = await self._page({"fromId": page[-1].trade_id + 1})
                return (*page, *await self._and_later(later))
        raise _NotReadError(f"{_MOST_DAYS} days without a trade are too many to read one by one")

    async def _and_later(self, page: tuple[OwnTrade, ...]) -> tuple[OwnTrade, ...]:
        """A page and all that follow it."""
        found = list(page)
        while len(page) >= PAGE:
            page = await self._page({"fromId": page[-1].trade_id + 1})
            found += page
        return tuple(found)

    async def _page(self, window: dict[str, str | int]) -> tuple[OwnTrade, ...]:
        params: dict[str, str | int] = {"symbol": self._pair.symbol, **window, "limit": PAGE}
        return read_trades(await self._ask(OWN_TRADES, params), self._pair)

    async def _with_client_ids(self, trades: Sequence[OwnTrade]) -> tuple[Fill, ...]:
        for trade in trades:
            self._ids.traded(trade.trade_id, trade.at_ms)
        names = {t.order_id: self._ids.client_of(t.order_id) for t in trades}
        while nameless := [int(order_id) for order_id, name in names.items() if name is None]:
            first = min(nameless)
            params: dict[str, str | int] = {"symbol": self._pair.symbol, "orderId": first, "limit": PAGE}
            listed = read_order_ids(await self._ask(ALL_ORDERS, params), self._pair)
            for order_id, client_id in listed.items():
                self._ids.learn(client_id, order_id)
            if str(first) not in listed:
                raise FieldError(f"order {first} has trades but is in no list of orders")
            names |= {
                order_id: listed.get(order_id, name) for order_id, name in names.items() if name is None
            }
        return tuple(t.fill(name) for t in trades if (name := names[t.order_id]) is not None)

    async def _ask(self, endpoint: Endpoint, params: dict[str, str | int]) -> object:
        outcome = await self._client.ask(endpoint, Urgency.RECONCILE, params)
        if isinstance(outcome, Accepted):
            return outcome.answer
        raise _NotReadError(
            f"{endpoint.what}: {said(outcome)}",
            permanent=isinstance(outcome, Refused) and outcome.code in KEY_REFUSED,
        )


def said(outcome: Outcome) -> str:
    """What came instead of an acceptance, in one line."""
    assert not isinstance(outcome, Accepted)
    if isinstance(outcome, Refused | Partly):
        return f"{outcome.message} ({outcome.code})"
    return outcome.why


def _younger(trades: Sequence[OwnTrade], balances: Balances) -> bool:
    """Whether a trade is not in the balances yet."""
    changed_ms = balances.changed_ms
    return changed_ms is not None and any(trade.at_ms > changed_ms for trade in trades)
