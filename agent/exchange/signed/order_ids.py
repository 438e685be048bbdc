"""Which exchange order id belongs to which client id: trades are kept by the one, the ledger by the other.

Learned from every answer and event; bounded, the longest unused is forgotten and can be asked again. A
testnet that begins anew gives its numbers a second time: nothing that was learned before it holds then.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_REMEMBERED: Final = 4_096
#: An answer to placing and a row of own trades may date the same trade differently.
_SAME_MOMENT_MS: Final = 1_000


class OrderIds:
    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._clients: OrderedDict[str, str] = OrderedDict()
        self._orders: dict[str, str] = {}
        #: Order ids whose client id is certain: answers to placing and to asking by client id gave them.
        self._certain: set[str] = set()
        self._newest_trade: tuple[int, int] | None = None
        """When the newest own trade was, and its number."""

    def traded(self, trade_id: int, at_ms: int) -> None:
        """An own trade was told of, before its order is. Numbers grow with time: a later trade without a
        higher one is of another life of the exchange."""
        newest = self._newest_trade
        if newest is not None and at_ms > newest[0] + _SAME_MOMENT_MS and trade_id <= newest[1]:
            self._forget_all()
            newest = None
        self._newest_trade = (at_ms, trade_id) if newest is None else max(newest, (at_ms, trade_id))

    def learn(self, client_id: str, order_id: str) -> None:
        """The first client id of an order stays: a canceled order may later go by its cancel request's id."""
        if order_id not in self._clients:
            self._clients[order_id] = client_id
            self._orders[client_id] = order_id
        self._clients.move_to_end(order_id)
        while len(self._clients) > self._remembered:
            gone, client = self._clients.popitem(last=False)
            self._certain.discard(gone)
            if self._orders.get(client) == gone:
                del self._orders[client]

    def placed(self, client_id: str, order_id: str) -> None:
        """An answer to placing, or to asking by client id: the number is this order's.

        Numbers are given once. One that was certainly another's before is of another life of the exchange, as
        are all that were learned then.
        """
        former = self._clients.get(order_id)
        if former not in (None, client_id):
            if order_id in self._certain:
                self._forget_all()
            else:
                self._forget(order_id)
        self.learn(client_id, order_id)
        self._certain.add(order_id)

    def _forget(self, order_id: str) -> None:
        former = self._clients.pop(order_id)
        if self._orders.get(former) == order_id:
            del self._orders[former]

    def _forget_all(self) -> None:
        self._clients.clear()
        self._orders.clear()
        self._certain.clear()

    def client_of(self, order_id: str) -> str | None:
        return self._clients.get(order_id)

    def order_of(self, client_id: str) -> str | None:
        return self._orders.get(client_id)
