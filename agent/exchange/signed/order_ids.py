"""Which exchange order id belongs to which client id: trades are kept by the one, the ledger by the other.

Learned from every answer and event; bounded, the longest unused is forgotten and can be asked again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_REMEMBERED: Final = 4_096


class OrderIds:
    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._clients: OrderedDict[str, str] = OrderedDict()
        self._orders: dict[str, str] = {}

    def learn(self, client_id: str, order_id: str) -> None:
        """The first client id of an order stays: a canceled order may later go by its cancel request's id."""
        if order_id not in self._clients:
            self._clients[order_id] = client_id
            self._orders[client_id] = order_id
        self._clients.move_to_end(order_id)
        while len(self._clients) > self._remembered:
            gone, client = self._clients.popitem(last=False)
            if self._orders.get(client) == gone:
                del self._orders[client]

    def placed(self, client_id: str, order_id: str) -> None:
        """An order was placed just now: whatever went by that number before is of another exchange's life."""
        former = self._clients.pop(order_id, None)
        if former is not None and self._orders.get(former) == order_id:
            del self._orders[former]
        self.learn(client_id, order_id)

    def client_of(self, order_id: str) -> str | None:
        return self._clients.get(order_id)

    def order_of(self, client_id: str) -> str | None:
        return self._orders.get(client_id)
