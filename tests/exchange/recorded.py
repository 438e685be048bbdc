"""Recordings of ccxt's form (`request` and `response`), held against what our own client sends and reads.

A recorded order is said in our words, sent by our client, and must carry what was recorded; a recorded
question must pass our door and go where it was recorded to go; a recorded answer goes through our client from
its bytes on, and must become what was recorded of it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
import pytest

from agent.config.capabilities import CAPABILITIES
from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core.money import Price, Qty, money
from agent.core.order import Fact, Intent, OrderReport, OrderType, Purpose, Side, TimeInForce, client_order_id
from agent.exchange.addresses import Addresses
from agent.exchange.signed.classify import Accepted
from agent.exchange.unified.carrier import Carrier
from agent.exchange.unified.dialect import DIALECTS
from agent.exchange.unified.words import order_id_of, read_balances, read_fill, read_order, wire_id_of
from agent.exchange.weight_gate import Urgency, WeightGate
from tests.clocks import ManualClock
from tests.exchange.test_unified_requests import market

NOW_MS: Final = 1_750_000_000_000
ORDERS: Final = ("fetchOrder", "fetchOpenOrders", "fetchClosedOrders", "fetchCanceledAndClosedOrders")
QUESTIONS: Final = (*ORDERS, "cancelOrder", "fetchMyTrades", "fetchBalance")
#: What is signed, numbered or named by whoever sends; and what our orders say beyond a recorded one's.
OWN: Final[Mapping[str, frozenset[str]]] = {
    "kraken": frozenset({"nonce", "cl_ord_id", "deadline", "oflags"}),
    "bybit": frozenset({"orderLinkId", "timeInForce"}),
    "okx": frozenset({"clOrdId", "tag"}),
    "coinbase": frozenset({"client_order_id"}),
}
#: Old names of currencies, and which of them a pair keeps.
_KRAKEN_IDS: Final = {"BTC/USDT": "XBTUSDT", "BTC/USD": "XXBTZUSD"}


FOLDER: Final = Path(os.environ.get("CCXT_STATIC") or Path(__file__).parents[3] / "shared" / "ccxt-static")


def at_hand(kind: str, exchange: str) -> Any:
    """What ccxt recorded of an exchange; skips the test where that is not here."""
    path = FOLDER / kind / f"{exchange}.json"
    if not path.exists():
        pytest.skip(f"ccxt's static fixtures are not at hand: no {path}")
    return orjson.loads(path.read_bytes())


@dataclass(slots=True)
class Held:
    """How many recordings of each method were held against ours; `left_out` cannot be said in our words."""

    counted: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def count(self, method: str) -> None:
        self.counted[method] = self.counted.get(method, 0) + 1


class _Answer:
    def __init__(self, body: bytes) -> None:
        self.status, self.reason, self.headers, self._body = 200, "OK", {}, body

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode()

    async def __aenter__(self) -> _Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Wire:
    """Stands where ccxt expects a session: every request is kept, every answer is the one that was given."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any, bytes]] = []
        self.answer = b"{}"
        self.headers: dict[str, str] = {}

    def _ask(self, method: str, url: Any, data: bytes | None) -> _Answer:
        self.requests.append((method, url, data or b""))
        return _Answer(self.answer)

    def get(self, url: Any, *, data: Any = None, **more: Any) -> _Answer:
        return self._ask("GET", url, data)

    def post(self, url: Any, *, data: Any = None, **more: Any) -> _Answer:
        return self._ask("POST", url, data)

    async def close(self) -> None:
        return None


@contextlib.asynccontextmanager
async def carrier(exchange: str, symbols: set[str]) -> AsyncIterator[tuple[Carrier, Wire]]:
    clock, wire = ManualClock(NOW_MS), Wire()
    made = Carrier(
        Addresses.replaced(exchange, "http://127.0.0.1:9", None),
        ExchangeKeys(
            Secret("some-key"),
            Secret("c29tZS1zZWNyZXQ=" if exchange == "kraken" else "some-secret"),
            Secret("some-phrase"),
        ),
        DIALECTS[exchange],
        WeightGate(clock, limit_per_minute=100_000),
        clock,
        None,
        timeout_ms=1_000,
        admit_within_ms=1_000,
    )
    made.ccxt.session = wire
    made.ccxt.set_markets([market_of(exchange, symbol) for symbol in sorted(symbols)])
    try:
        yield made, wire
    finally:
        await made.close()


def market_of(exchange: str, symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("/")
    number = symbol.replace("/", "-" if exchange in ("okx", "coinbase") else "")
    if exchange == "kraken":
        number = _KRAKEN_IDS.get(symbol, number)
    names = {"id": number, "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote}
    grid = {"precision": {"amount": "0.00000001", "price": "0.00000001"}}
    return {**market(exchange), **names, **grid, "info": {"altname": number}}


def cases(told: Mapping[str, Any], *methods: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every enabled case of some methods about spot, with the method's name."""
    for method in methods:
        for case in told["methods"].get(method, []):
            words = [word for word in case.get("input", []) if isinstance(word, str)]
            if not case.get("disabled") and not any(":" in word for word in words):
                yield method, case


def symbols_of(told: Mapping[str, Any]) -> set[str]:
    """Every pair that is spoken of."""
    found = {"ADA/USDT"}
    for _, case in cases(told, *told["methods"]):
        parsed = case.get("parsedResponse")
        rows = parsed if isinstance(parsed, list) else [parsed]
        found |= {word for word in case.get("input", []) if isinstance(word, str) and "/" in word}
        found |= {
            row["symbol"] for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str)
        }
    return {symbol for symbol in found if ":" not in symbol}


# -- requests -------------------------------------------------------------------------------------------


def as_intent(given: list[Any]) -> Intent | None:
    """A recorded order in our words; None for one that we never place."""
    _, type_, side, amount, price, params = [*given, *[None] * (6 - len(given))]
    params = dict(params or {})
    stop, force = params.pop("stopLossPrice", None), params.pop("timeInForce", None)
    post = params.pop("postOnly", False)
    if params or (type_ == "market" and price is not None):
        return None
    kind = OrderType.MARKET if type_ == "market" else OrderType.LIMIT
    if stop is not None:
        kind = OrderType.STOP_LOSS if type_ == "market" else OrderType.STOP_LOSS_LIMIT
    elif post:
        kind = OrderType.LIMIT_MAKER
    return Intent(
        client_id=client_order_id("stest", NOW_MS, random.Random(3).getrandbits(60), 1),
        position_id=1,
        purpose=Purpose.ENTRY if side == "buy" else Purpose.EXIT,
        side=Side[side.upper()],
        type=kind,
        qty=Qty(money(str(amount))),
        price=None if price is None else Price(money(str(price))),
        stop_price=None if stop is None else Price(money(str(stop))),
        time_in_force=None if force is None else TimeInForce[force],
        created_ms=NOW_MS,
        reason="recorded",
    )


async def requests_held(told: Mapping[str, Any], exchange: str) -> Held:
    """Raises AssertionError for the first difference."""
    held = Held()
    async with carrier(exchange, symbols_of(told)) as (made, wire):
        for method, case in cases(told, "createOrder"):
            intent = as_intent(case["input"])
            if intent is None or (intent.stop_price is not None and not CAPABILITIES[exchange].stops):
                held.left_out.append(case["description"])
                continue
            request = DIALECTS[exchange].placing(intent, case["input"][0], made.ccxt, NOW_MS + 5_000)
            await made.ask(Urgency.LEAVE, request)
            recorded, ours = _said(case["output"].encode()), _said(wire.requests[-1][2])
            assert _without(ours, exchange) == _without(recorded, exchange), case["description"]
            held.count(method)
        for method, case in cases(told, *QUESTIONS):
            before = len(wire.requests)
            await made.ask(Urgency.LEAVE, lambda m=method, c=case: getattr(made.ccxt, _snake(m))(*c["input"]))
            path = case["url"].partition("?")[0].split("/", 3)[3]
            sent = {str(url.raw_path).lstrip("/") for _, url, _ in wire.requests[before:]}
            if path in sent:
                held.count(method)
            else:
                held.left_out.append(f"{method}: {case['description']}")
    return held


def _snake(method: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method.replace("OHLCV", "Ohlcv")).lower()


def _said(body: bytes) -> dict[str, Any]:
    if body[:1] in (b"{", b"["):
        told = orjson.loads(body)
        return dict(told[0] if isinstance(told, list) else told)
    return dict(parse_qsl(body.decode()))


def _without(said: Mapping[str, Any], exchange: str) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in OWN[exchange]}


# -- answers --------------------------------------------------------------------------------------------


async def answers_held(told: Mapping[str, Any], exchange: str) -> Held:
    """Raises AssertionError for the first difference."""
    held = Held()
    readers = {"createOrder": _placed, "fetchMyTrades": _fills, "fetchBalance": _balances}
    async with carrier(exchange, symbols_of(told)) as (made, wire):
        for method, case in cases(told, *readers, *ORDERS):
            wire.answer = orjson.dumps(_unquoted(case["httpResponse"]))
            outcome = await made.ask(
                Urgency.LEAVE, lambda m=method, c=case: getattr(made.ccxt, _snake(m))(*c["input"])
            )
            if not isinstance(outcome, Accepted):
                held.left_out.append(f"{method}: {case['description']}: {outcome}")
                continue
            reader = readers.get(method, _orders)
            reader(outcome.answer, case["parsedResponse"])
            held.count(method)
    return held


def _unquoted(answer: Any) -> Any:
    """ccxt writes whole numbers as text before it parses, and so they were recorded."""
    return {**answer, "retCode": int(answer["retCode"])} if "retCode" in answer else answer


def _placed(answer: Any, parsed: Mapping[str, Any]) -> None:
    assert order_id_of(answer) == parsed["id"]


def _orders(answer: Any, parsed: Any) -> None:
    ours, theirs = _listed(answer), _listed(parsed)
    assert [order["id"] for order in ours] == [order["id"] for order in theirs]
    for mine, recorded in zip(ours, theirs, strict=True):
        word = read_order(mine, recorded["symbol"], "ours", NOW_MS)
        assert isinstance(word, OrderReport), word
        assert (word.exchange_order_id, word.side) == (recorded["id"], Side[recorded["side"].upper()])
        assert word.qty == _exact(recorded["amount"])
        assert word.executed_qty == _exact(recorded["filled"])
        working = word.fact in (Fact.WORKING, Fact.PART_FILLED)
        assert working == (recorded["status"] == "open")
        named = recorded.get("clientOrderId")
        assert wire_id_of(mine) == (None if named == "0" else named)


def _fills(answer: Any, parsed: list[dict[str, Any]]) -> None:
    assert len(answer) == len(parsed)
    for mine, recorded in zip(answer, parsed, strict=True):
        fill = read_fill(mine, recorded["symbol"], "ours")
        assert (fill.trade_id, fill.at_ms) == (recorded["id"], recorded["timestamp"])
        assert (fill.price, fill.qty) == (_exact(recorded["price"]), _exact(recorded["amount"]))
        assert (fill.fee, fill.fee_currency) == (
            _exact(recorded["fee"]["cost"]),
            recorded["fee"]["currency"],
        )


def _balances(answer: Any, parsed: Mapping[str, Any]) -> None:
    ours = read_balances(answer)
    wanted = {name: total for name, total in parsed["total"].items() if total}
    assert set(ours) == set(wanted)
    for name, total in wanted.items():
        # What was recorded went through floats.
        assert abs(ours[name].total - _exact(total)) < Decimal("1e-12")


def _listed(told: Any) -> list[Any]:
    return told if isinstance(told, list) else [told]


def _exact(number: object) -> Decimal:
    return Decimal(0) if number is None else Decimal(str(number))
