"""Every order, list and trade there ever was.

Belongs here: looking them up, now or as they were at a past moment. Stays true: the newest version of an
order is never older than the one before; ids only rise; nothing is ever forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from agent.localexchange.venue.order import Order, OrderList, Trade

_Kept = TypeVar("_Kept", Order, OrderList)


@dataclass(slots=True)
class Numbers:
    """The next id of every kind."""

    order: int = 1
    list: int = 1
    trade: int = 1
    report: int = 1


class Registry:
    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self._versions: dict[int, list[Order]] = {}
        self._open: dict[int, Order] = {}
        self._by_client: dict[tuple[str, str], list[int]] = {}
        self._lists: dict[int, list[OrderList]] = {}
        self._trades: list[Trade] = []
        self._renamed: set[int] = set()

    # -- orders --------------------------------------------------------------------------------------

    def put(self, order: Order) -> None:
        """A new order, or a newer version of one."""
        versions = self._versions.get(order.id)
        if versions is None:
            self._versions[order.id] = [order]
            key = (order.terms.symbol, order.terms.client_id)
            self._by_client.setdefault(key, []).append(order.id)
        else:
            assert versions[-1].open, f"order {order.id} has ended"
            assert versions[-1].filled <= order.filled, f"order {order.id} would be less filled than before"
            assert versions[-1].updated_ms <= order.updated_ms, f"order {order.id} would change in the past"
            versions.append(order)
        if order.open:
            self._open[order.id] = order
        else:
            self._open.pop(order.id, None)

    def order(self, order_id: int) -> Order:
        return self._versions[order_id][-1]

    def all_orders(self) -> Iterator[Order]:
        """The newest version of each, oldest order first."""
        return (versions[-1] for versions in self._versions.values())

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def open_orders(self, symbol: str | None = None) -> list[Order]:
        return [o for o in self._open.values() if symbol is None or o.terms.symbol == symbol]

    def of_symbol(self, symbol: str, as_of_ms: int | None) -> list[Order]:
        """All of them as they were then, oldest first."""
        found = (_as_of(versions, as_of_ms) for versions in self._versions.values())
        return [order for order in found if order is not None and order.terms.symbol == symbol]

    def open_as_of(self, symbol: str | None, as_of_ms: int | None) -> list[Order]:
        if as_of_ms is None:
            return self.open_orders(symbol)
        found = (_as_of(versions, as_of_ms) for versions in self._versions.values())
        return [o for o in found if o is not None and o.open and symbol in (None, o.terms.symbol)]

    def find(
        self, symbol: str, order_id: int | None, client_id: str | None, as_of_ms: int | None = None
    ) -> Order | None:
        """By its id, else by its client id: the open one, else the newest that had it."""
        if order_id is not None:
            versions = self._versions.get(order_id)
            order = None if versions is None else _as_of(versions, as_of_ms)
            return order if order is not None and order.terms.symbol == symbol else None
        ids = self._by_client.get((symbol, client_id or ""), [])
        found = [o for i in ids if (o := _as_of(self._versions[i], as_of_ms)) is not None]
        return next((o for o in found if o.open), found[-1] if found else None)

    def holder(self, symbol: str, client_id: str) -> Order | None:
        """The open order that has this client id."""
        for order_id in self._by_client.get((symbol, client_id), ()):
            order = self._open.get(order_id)
            if order is not None:
                return order
        return None

    def rename(self, order: Order) -> None:
        """From now on it is found by the id of its cancellation, not by its client id any more."""
        symbol = order.terms.symbol
        self._renamed.add(order.id)
        self._by_client[(symbol, order.terms.client_id)].remove(order.id)
        self._by_client.setdefault((symbol, order.cancel_id), []).append(order.id)

    def renamed(self, order: Order) -> bool:
        return order.id in self._renamed

    # -- lists ---------------------------------------------------------------------------------------

    def put_list(self, order_list: OrderList) -> None:
        self._lists.setdefault(order_list.id, []).append(order_list)

    def order_list(self, list_id: int) -> OrderList:
        return self._lists[list_id][-1]

    def lists(self, as_of_ms: int | None = None) -> list[OrderList]:
        """Oldest first."""
        found = (_as_of(versions, as_of_ms) for versions in self._lists.values())
        return [order_list for order_list in found if order_list is not None]

    def open_lists(self, symbol: str) -> list[OrderList]:
        return [li for li in self.lists() if not li.done and li.symbol == symbol]

    def find_list(
        self, list_id: int | None, client_id: str | None, as_of_ms: int | None = None
    ) -> OrderList | None:
        if list_id is not None:
            versions = self._lists.get(list_id)
            return None if versions is None else _as_of(versions, as_of_ms)
        found = [li for li in self.lists(as_of_ms) if li.client_id == client_id]
        return next((li for li in found if not li.done), found[-1] if found else None)

    # -- trades --------------------------------------------------------------------------------------

    def add_trade(self, trade: Trade) -> None:
        assert not self._trades or self._trades[-1].id < trade.id, "trade ids rise"
        self._trades.append(trade)

    @property
    def trades(self) -> list[Trade]:
        return self._trades

    def trades_from(self, trade_id: int) -> list[Trade]:
        return self._trades[bisect_left(self._trades, trade_id, key=lambda t: t.id) :]


def _as_of(versions: list[_Kept], at_ms: int | None) -> _Kept | None:
    if at_ms is None:
        return versions[-1]
    place = bisect_right(versions, at_ms, key=lambda version: version.updated_ms)
    return versions[place - 1] if place else None
