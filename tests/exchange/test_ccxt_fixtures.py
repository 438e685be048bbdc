"""ccxt's own recorded requests and answers of each exchange, where they are at hand, for our readers.

They are public (`ts/src/test/static` of ccxt's repository: `request/NAME.json`, `response/NAME.json`), and no
part of this project: name the folder in CCXT_STATIC, or put it beside the project as `shared/ccxt-static`.
Without it only the reading itself is tried, on two files of our own in the same form.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from agent.core.order import OrderReport
from agent.exchange.signed.classify import Accepted
from agent.exchange.signed.order_words import NotUnderstood
from agent.exchange.unified.dialect import DIALECTS
from agent.exchange.unified.refusals import JUDGES
from agent.exchange.unified.words import read_balances, read_fill, read_order

FOLDER = Path(os.environ.get("CCXT_STATIC") or Path(__file__).parents[3] / "shared" / "ccxt-static")
EXCHANGES = sorted(DIALECTS)
ORDERS = ("fetchOrder", "fetchOpenOrders", "fetchClosedOrders", "fetchCanceledAndClosedOrders")
ASKED = (*ORDERS, "createOrder", "cancelOrder", "fetchMyTrades", "fetchBalance")


def cases(path: Path, *methods: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every enabled case of some methods, with the method's name."""
    told = orjson.loads(path.read_bytes())
    for method in methods:
        for case in told.get("methods", {}).get(method, []):
            if not case.get("disabled"):
                yield method, case


def spot(symbol: object) -> bool:
    return isinstance(symbol, str) and "/" in symbol and ":" not in symbol


def requests_admitted(path: Path, exchange: str) -> dict[str, int]:
    """How many requests of each method our client would let pass; a method of which none passes counts 0."""
    found: dict[str, int] = {}
    for method, case in cases(path, *ASKED):
        words = [word for word in case.get("input", []) if isinstance(word, str)]
        if any(":" in word for word in words):
            continue
        verb = "POST" if case.get("output") else "GET"
        request = f"{verb} {urlsplit(case['url']).path}"
        found[method] = found.get(method, 0) + DIALECTS[exchange].may_ask(request)
    return found


def answers_read(path: Path, exchange: str) -> int:
    """How many orders, trades and balances were read; raises where one cannot be."""
    count = 0
    for method, case in cases(path, *ORDERS, "fetchMyTrades", "fetchBalance"):
        body = orjson.dumps(case["httpResponse"]).decode()
        verdict = JUDGES[exchange](200, body)
        assert isinstance(verdict, Accepted), (method, verdict)
        parsed = case["parsedResponse"]
        for row in parsed if isinstance(parsed, list) else [parsed]:
            if method == "fetchBalance":
                read_balances(row)
            elif not spot(row.get("symbol")):
                continue
            elif method == "fetchMyTrades":
                read_fill(row, row["symbol"], "client")
            else:
                word = read_order(row, row["symbol"], "client", 0)
                assert isinstance(word, OrderReport), word
                assert not isinstance(word, NotUnderstood)
            count += 1
    return count


def at_hand(kind: str, exchange: str) -> Path:
    path = FOLDER / kind / f"{exchange}.json"
    if not path.exists():
        pytest.skip(f"ccxt's static fixtures are not at hand: no {path}")
    return path


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_requests_that_ccxt_recorded_pass_our_door(exchange: str) -> None:
    found = requests_admitted(at_hand("request", exchange), exchange)
    assert found.get("createOrder"), found
    assert found.get("cancelOrder") or exchange == "okx", found


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_answers_that_ccxt_recorded_are_understood(exchange: str) -> None:
    assert answers_read(at_hand("response", exchange), exchange) > 0


def test_the_reading_itself(tmp_path: Path) -> None:
    """On files of our own in the same form."""
    order = {
        "id": "OABCDE-FGHIJ-KLMNOP", "symbol": "ADA/USDT", "status": "closed", "side": "buy", "type": "limit",
        "amount": 10, "filled": 10, "price": 0.5, "timestamp": 1_750_000_000_000,
    }  # fmt: skip
    trade = {
        "id": "T1", "order": "O1", "symbol": "ADA/USDT", "side": "buy", "price": 0.5, "amount": 10,
        "timestamp": 1_750_000_000_000, "fee": {"cost": 0.01, "currency": "USDT"},
    }  # fmt: skip
    balances = {"total": {"ADA": 10}, "ADA": {"free": 8, "used": 2, "total": 10}}
    good = {"error": [], "result": {}}

    def case(parsed: Any) -> dict[str, Any]:
        return {"description": "ours", "input": [], "httpResponse": good, "parsedResponse": parsed}

    response = tmp_path / "response.json"
    methods = {
        "fetchOrder": [case(order)],
        "fetchMyTrades": [case([trade])],
        "fetchBalance": [case(balances)],
    }
    response.write_bytes(orjson.dumps({"exchange": "kraken", "methods": methods}))
    assert answers_read(response, "kraken") == 3
    request = tmp_path / "request.json"
    placing = {
        "description": "ours", "method": "createOrder", "url": "https://api.kraken.com/0/private/AddOrder",
        "input": ["ADA/USDT", "market", "buy", 10], "output": "nonce=1&pair=ADAUSDT",
    }  # fmt: skip
    elsewhere = {**placing, "url": "https://api.kraken.com/0/private/Withdraw"}
    methods = {"createOrder": [placing, elsewhere]}
    request.write_bytes(orjson.dumps({"exchange": "kraken", "methods": methods}))
    assert requests_admitted(request, "kraken") == {"createOrder": 1}
