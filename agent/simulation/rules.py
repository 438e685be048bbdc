"""What a world asks of the venue's protocol: which request is an order, a look-up, a reading of the account.

Belongs here: everything in which worlds over different protocols differ, as one object; this one is
Binance's. Stays true: disasters and witness know no path of any protocol.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import orjson

from agent.localexchange.faults_http import UNKNOWN_TEXTS
from agent.localexchange.parameters import form_pairs
from agent.simulation.venue import KEY, SECRET, Answer, Request, SimulatedVenue

if TYPE_CHECKING:
    from agent.simulation.network import Network, Sent

_PLACES: Final = ("/api/v3/order", "/api/v3/order/cancelReplace", "/api/v3/orderList/oco")


class Rules:
    """Binance's."""

    name = "binance"
    secret = SECRET
    key = KEY
    #: `VERB /path` of what reads the account, and of what finds an order.
    account_request = "GET /api/v3/account"
    look_ups: tuple[str, ...] = ("GET /api/v3/order",)
    #: All that a reading of the account asks.
    parts_of_account: tuple[str, ...] = tuple(
        f"GET /api/v3/{name}" for name in ("account", "openOrders", "myTrades", "allOrders")
    )
    #: Paths that tell of orders and trades, and not of balances.
    tell_of_trades: tuple[str, ...] = tuple(
        f"/api/v3/{name}" for name in ("myTrades", "order", "allOrders", "openOrders")
    )
    book_path = "/api/v3/depth"
    #: Whether what is pushed of a bar says that it is over.
    tells_closing = True
    has_testnet = True
    #: Where signed requests go.
    signed_paths = "/api/v3/*"
    #: Whether an account's calls are counted, so that another program can use them up.
    counts_calls = False
    #: Faults of the catalogue that cannot happen under these rules.
    without: frozenset[str] = frozenset()

    def front(self, venue: SimulatedVenue) -> None:
        """Have the venue answer in this protocol: it does already."""

    def use_up_calls(self, venue: SimulatedVenue) -> None:
        """Another program asks until nobody may ask any more: nothing counts that here."""

    def connect(self, network: Network) -> None:
        """Have the account's sockets hear of what happens: they do already."""

    def spoils_answer(self, venue: SimulatedVenue, fault: str) -> bool:
        """Have a bar's fault come with the next answer; False: with the push, as here."""
        return False

    def configure(self, body: dict[str, Any]) -> None:
        """Write the exchange into a world's configuration: it is there already."""

    def placed(self, request: Request) -> dict[str, str] | None:
        """What an order says, in Binance's words; None for a request that places none."""
        if request.method != "POST" or request.path not in _PLACES:
            return None
        return dict(form_pairs(request.text))

    def moves(self, request: Request) -> bool:
        """Whether it places or cancels."""
        return request.method in ("POST", "DELETE")

    def own_id(self, client_id: str) -> str:
        """The agent's own client id of an order at the venue."""
        return client_id

    def wire_id(self, client_id: str) -> str:
        """And back."""
        return client_id

    def is_account(self, request: Request) -> bool:
        return f"{request.method} {request.path}" == self.account_request

    def trade_id(self, number: int) -> str:
        """The venue's trade as the agent knows it."""
        return str(number)

    def found_nothing(self, sent: Sent, client_id: str) -> bool:
        """Whether a request was a definite answer that no such order exists."""
        request = sent.request
        return (
            f"{request.method} {request.path}" in self.look_ups
            and client_id in request.query
            and sent.status == 400
        )

    def outcome_unknown(self, chance: random.Random) -> Answer:
        """What the exchange says when it does not know what became of a request."""
        code = chance.choice(("-1007", "-1006", "-1000", "-1001"))
        body = orjson.dumps({"code": int(code), "msg": UNKNOWN_TEXTS[code]})
        return Answer(504 if code == "-1007" else 500, body)


BINANCE: Final = Rules()
