"""Reading an account and its orders through ccxt, until the parts fit together.

Balances, open orders and trades are answers of several moments. Balances are read before the trades, and the
reading is repeated, a few times at most, when a trade happened after balances were asked for. Trades name
their order by the exchange's id; whose it is was learned before, stands beside the trade, or is asked. What
cannot be read comes back as a sentence, never as half an account.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from agent.core.events import AccountSeen, AccountUnreadable, Holding
from agent.core.order import Fill, OrderReport
from agent.core.ports import Clock
from agent.exchange.signed.classify import KEY_REFUSED, Accepted, Refused
from agent.exchange.signed.fields import FieldError
from agent.exchange.signed.order_ids import OrderIds
from agent.exchange.signed.order_words import NotUnderstood
from agent.exchange.unified.call_counter import Need
from agent.exchange.unified.carrier import Carrier, Outcome
from agent.exchange.unified.dialect import Dialect
from agent.exchange.unified.refusals import Kind
from agent.exchange.unified.words import (
    listed,
    read_balances,
    read_fill,
    read_order,
    trade_ids,
    wire_id_of,
)
from agent.exchange.weight_gate import Urgency

_READINGS: Final = 3
#: Histories count more than other calls where calls are counted.
_TRADES_CALLS: Final = 2
#: More pages of trades than this are not read; the account must then be looked at by a person.
_MOST_PAGES: Final = 40
#: "There is no such order", as the number that refusals carry.
_NO_ORDER: Final = int(Kind.NO_ORDER)
#: Where the client order id stands beside an own trade, of exchanges that say it there.
_BESIDE_TRADES: Final = ("orderLinkId", "clOrdId", "client_order_id")


class NotReadError(Exception):
    """Why an answer is missing. `permanent`: asking again will not help."""

    def __init__(self, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.permanent = permanent


class UnifiedReader:
    """Reads one pair's account."""

    def __init__(
        self,
        carrier: Carrier,
        dialect: Dialect,
        pair: str,
        ids: OrderIds,
        clock: Clock,
        not_understood: Callable[[NotUnderstood], None],
    ) -> None:
        self._carrier = carrier
        self._dialect = dialect
        self._pair = pair
        self._ids = ids
        self._clock = clock
        self._not_understood = not_understood

    @property
    def api(self) -> Any:
        return self._carrier.ccxt

    async def account(self, fills_since_ms: int) -> AccountSeen | AccountUnreadable:
        try:
            for _ in range(_READINGS):
                began_ms = self._clock.now_ms()
                open_orders = await self._open_orders()
                asked_ms = self._clock.now_ms()
                holdings = await self._balances()
                trades = await self._trades_since(fills_since_ms, Need.SPARE)
                if all(int(trade.get("timestamp") or 0) <= asked_ms for trade in trades):
                    break
            fills = [fill for trade in trades if (fill := await self._fill(trade)) is not None]
        except (NotReadError, FieldError) as error:
            permanent = isinstance(error, NotReadError) and error.permanent
            return AccountUnreadable(f"the account cannot be read: {error}", permanent)
        fills.sort(key=lambda fill: (fill.at_ms, fill.trade_id))
        return AccountSeen(holdings, open_orders, tuple(fills), fills_since_ms, began_ms)

    async def fills_of_order(
        self, order_id: str, client_id: str, since_ms: int, need: Need
    ) -> tuple[Fill, ...] | str:
        """Own trades of one order, or why they cannot be read."""
        try:
            trades = await self._trades_since(since_ms, need)
            return tuple(
                read_fill(trade, self._pair, client_id) for trade in trades if trade_ids(trade)[1] == order_id
            )
        except (NotReadError, FieldError) as error:
            return str(error)

    async def order(self, order_id: str, need: Need = Need.USUAL) -> dict[str, Any]:
        """One order by the exchange's id. Raises NotReadError, FieldError."""
        asking = partial(self.api.fetch_order, order_id, self._pair)
        found = await self._ask("looking up an order", asking, need)
        if not isinstance(found, dict):
            raise FieldError("the order is no object")
        return found

    async def found(self, client_id: str, need: Need, *, over: bool = False) -> dict[str, Any] | None:
        """The order that carries a client id, open or over; None: in neither. Raises NotReadError.

        `over`: it was just canceled, so that what is over is searched first. In that order no absence is
        proven: it may end between the two questions.
        """
        wire_id = self._dialect.wire_id(client_id)
        searches = self._dialect.searches
        for search in searches[::-1] if over else searches:
            asking = search(self.api, self._pair, wire_id)
            outcome = await self._carrier.ask(Urgency.RECONCILE, asking, need=need)
            if isinstance(outcome, Refused) and outcome.code == _NO_ORDER:
                continue
            told = self._read("looking up an order", outcome)
            for order in told if isinstance(told, list) else [told]:
                if wire_id_of(order) == wire_id:
                    return dict(order)
        return None

    # --- parts ------------------------------------------------------------------------------------------

    async def _open_orders(self) -> tuple[OrderReport, ...]:
        told = await self._ask("open orders", lambda: self.api.fetch_open_orders(self._pair), Need.SPARE)
        reports = []
        for row in listed(told, "open orders"):
            wire_id = wire_id_of(row)
            client_id = str(row.get("id")) if wire_id is None else self._dialect.client_id(wire_id)
            word = read_order(row, self._pair, client_id, self._clock.now_ms())
            if isinstance(word, NotUnderstood):
                self._not_understood(word)
                raise FieldError(word.detail)
            self._ids.learn(word.client_id, word.exchange_order_id)
            reports.append(word)
        return tuple(reports)

    async def _balances(self) -> dict[str, Holding]:
        params = dict(self._dialect.balance_params)
        told = await self._ask("balances", lambda: self.api.fetch_balance(params), Need.SPARE)
        return read_balances(told)

    async def _trades_since(self, since_ms: int, need: Need) -> list[dict[str, Any]]:
        """Own trades from `since_ms` on."""
        found: dict[str, dict[str, Any]] = {}
        for page in range(_MOST_PAGES):
            more = {"ofs": page * self._dialect.trades_page} if self._dialect.trades_by_offset else {}
            # Where pages are counted, those of other pairs count too: ccxt must not leave them out.
            pair = None if self._dialect.trades_by_offset else self._pair
            asking = partial(self.api.fetch_my_trades, pair, since_ms, None, more)
            told = await self._ask("own trades", asking, need, calls=_TRADES_CALLS)
            trades = [trade for trade in listed(told, "own trades") if isinstance(trade, dict)]
            known = len(found)
            found |= {trade_ids(trade)[0]: trade for trade in trades}
            if len(trades) < self._dialect.trades_page or len(found) == known:
                return [
                    trade
                    for trade in found.values()
                    if trade.get("symbol") == self._pair and int(trade.get("timestamp") or 0) >= since_ms
                ]
            if not self._dialect.trades_by_offset:
                newest = max(int(trade.get("timestamp") or 0) for trade in trades)
                oldest = min(int(trade.get("timestamp") or 0) for trade in trades)
                if oldest > since_ms or newest <= since_ms:
                    raise NotReadError("more own trades than one answer holds, and no way to the others")
                since_ms = newest
        raise NotReadError(f"more than {_MOST_PAGES} pages of own trades")

    async def _fill(self, trade: dict[str, Any]) -> Fill | None:
        """The trade with its order's client id; None for a stranger's that has none."""
        order_id = trade_ids(trade)[1]
        client_id = self._ids.client_of(order_id)
        if client_id is None:
            info = trade.get("info")
            info = info if isinstance(info, dict) else {}
            wire_id = next((info[name] for name in _BESIDE_TRADES if info.get(name)), None)
            if wire_id is None:
                wire_id = wire_id_of(await self.order(order_id))
            client_id = order_id if wire_id is None else self._dialect.client_id(str(wire_id))
            self._ids.learn(client_id, order_id)
        return read_fill(trade, self._pair, client_id)

    async def _ask(
        self, what: str, request: Callable[[], Any], need: Need = Need.USUAL, *, calls: int = 1
    ) -> Any:
        return self._read(what, await self._carrier.ask(Urgency.RECONCILE, request, calls=calls, need=need))

    def _read(self, what: str, outcome: Outcome) -> Any:
        if isinstance(outcome, Accepted):
            return outcome.answer
        permanent = isinstance(outcome, Refused) and outcome.code in KEY_REFUSED
        raise NotReadError(f"{what}: {said(outcome)}", permanent=permanent)


def said(outcome: Outcome) -> str:
    """What came instead of an acceptance, in one line."""
    assert not isinstance(outcome, Accepted)
    return outcome.message if isinstance(outcome, Refused) else outcome.why
