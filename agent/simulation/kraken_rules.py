"""Worlds over Kraken's rules: client ids that are unique among open orders only, bars closed by the clock, no
sandbox, two requests for a replacement, acceptances without fills, deadlines.

Belongs here: Kraken's answers without HTTP, and what world, disasters and witness ask of the protocol. Stays
true: every answer is the Kraken front-end's own; requests come from ccxt as it is.
"""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Any, Final

import orjson

from agent.exchange.unified.client_ids import as_hex, from_hex
from agent.localexchange.kraken import names
from agent.localexchange.kraken.account import Account
from agent.localexchange.kraken.answers import Answers, Question
from agent.localexchange.kraken.orders import References
from agent.localexchange.parameters import form_pairs
from agent.simulation.rules import Rules
from agent.simulation.venue import SECRET, Answer, Request, SimulatedVenue

if TYPE_CHECKING:
    from agent.localexchange.venue.events import News
    from agent.simulation.network import Network, Sent

_PRIVATE: Final = "/0/private/"
_TYPES: Final = {"market": "MARKET", "limit": "LIMIT", "stop-loss": "STOP_LOSS"}
_UNKNOWN: Final = (
    "EService:Timeout", "EService:Busy", "EService:Unavailable", "EGeneral:Internal error",
)  # fmt: skip


class KrakenFront:
    """From a request to its answer, as `localexchange.kraken.rest` gives it over HTTP."""

    def __init__(self, venue: SimulatedVenue, key: str, secret: str) -> None:
        self._standing = venue.trading.standing
        permissions = venue.trading.permissions
        account = Account(key, secret)
        self._answers = Answers(venue.exchange, self._standing, permissions, account, References({}))
        self._bar_faults = venue.bar_faults
        self.counters = self._answers.counters

    def answer(self, request: Request) -> Answer:
        """Carry out one request."""
        self._standing.passes(request.method, request.path)
        query = dict(form_pairs(request.query))
        asked = Question(
            request.method, request.path, query, request.form.encode(), request.key, request.sign
        )
        said = self._answers.answer(asked)
        if self._bar_faults and request.path.endswith("/OHLC") and not said.refused:
            _spoil(self._bar_faults.pop(), said.body["result"])
        return Answer(said.status, orjson.dumps(said.body), said.headers, refused=said.refused)


def _spoil(fault: str, result: dict[str, Any]) -> None:
    """Bars told twice and in disorder, or impossible numbers."""
    rows = next(value for value in result.values() if isinstance(value, list))
    if len(rows) < 3:
        return
    *_, before, newest, _in_progress = rows
    match fault:
        case "F25":
            rows.insert(0, newest)
            rows.append(before)
        case "F26":
            newest[3] = "-1.0"


class KrakenRules(Rules):
    name = "kraken"
    secret = base64.b64encode(SECRET.encode()).decode()
    signed_paths = f"{_PRIVATE}*"
    account_request = f"POST {_PRIVATE}BalanceEx"
    look_ups = tuple(f"POST {_PRIVATE}{name}" for name in ("OpenOrders", "ClosedOrders", "QueryOrders"))
    tell_of_trades = tuple(
        f"{_PRIVATE}{name}" for name in ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory")
    )
    parts_of_account = tuple(
        f"POST {_PRIVATE}{name}" for name in ("BalanceEx", "OpenOrders", "QueryOrders", "TradesHistory")
    )
    book_path = "/0/public/Depth"
    tells_closing = False
    has_testnet = False
    counts_calls = True
    #: There is no testnet and no cancelReplace, and what is pushed of a bar that is over decides nothing.
    without = frozenset({"F19", "F24", "F42"})

    def front(self, venue: SimulatedVenue) -> None:
        front = KrakenFront(venue, self.key, self.secret)
        venue.answer, venue.counters = front.answer, front.counters

    def use_up_calls(self, venue: SimulatedVenue) -> None:
        assert venue.counters is not None, "this front counts"
        venue.counters.use_up(venue.exchange.clock.now_ms())

    def spoils_answer(self, venue: SimulatedVenue, fault: str) -> bool:
        venue.bar_faults.append(fault)
        return True

    def connect(self, network: Network) -> None:
        def publish(news: News) -> None:
            for socket in list(network.sockets):
                socket.publish(news)

        network.venue.desk.tell(publish)

    def configure(self, body: dict[str, Any]) -> None:
        body["exchange"] |= {"exchange_name": "kraken", "testnet": False}

    def placed(self, request: Request) -> dict[str, str] | None:
        if request.path != f"{_PRIVATE}AddOrder":
            return None
        sent = dict(form_pairs(request.form))
        said = {
            "newClientOrderId": from_hex(sent["cl_ord_id"]),
            "side": sent["type"].upper(),
            "type": _TYPES[sent["ordertype"]],
            "quantity": sent["volume"],
        }
        return {**said, "price": sent["price"]} if sent["ordertype"] == "limit" else said

    def moves(self, request: Request) -> bool:
        return request.path in (f"{_PRIVATE}AddOrder", f"{_PRIVATE}CancelOrder")

    def own_id(self, client_id: str) -> str:
        return from_hex(client_id)

    def wire_id(self, client_id: str) -> str:
        return as_hex(client_id)

    def trade_id(self, number: int) -> str:
        return names.trade_id(number)

    def found_nothing(self, sent: Sent, client_id: str) -> bool:
        """Among what is open it was looked for before; this is the second half of one not-found."""
        request = sent.request
        asked = request.path == f"{_PRIVATE}ClosedOrders" and as_hex(client_id) in request.form
        return asked and sent.status == 200

    def outcome_unknown(self, chance: random.Random) -> Answer:
        return Answer(200, orjson.dumps({"error": [chance.choice(_UNKNOWN)]}))


KRAKEN: Final = KrakenRules()
