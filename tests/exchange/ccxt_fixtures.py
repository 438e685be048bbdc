"""The local exchange beside ccxt's public recordings of Binance: the same requests, the same fields.

ccxt keeps them in its repository, in `ts/src/test/static`, as data for its own tests; they are not part of
this project. Whoever has them compares with

    python tests/exchange/ccxt_fixtures.py FOLDER

where FOLDER holds `request/binance.json`, `response/binance.json` and `ws/binance.json`, or some of them.
Everything about spot is taken: each recorded answer is compared, field by field, with what the local exchange
answers to the same request; each recorded request is made by the installed ccxt, and must carry the same
parameters and be accepted here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import ccxt.pro
from ccxt_ground import client
from trading_ground import Account, D
from wire_answers import gathered
from wire_shapes import differences, shape_of

PAIR: Final = "ADA/USDT"
OTHER: Final = "BNB/USDT"
KINDS: Final = ("request", "response", "ws")
#: Unified call -> which of our answers its recorded answer is compared with.
ANSWERS: Final[Mapping[str, str]] = {
    "createOrder": "order iceberg",
    "fetchOrder": "query filled",
    "fetchOpenOrders": "openOrders",
    "fetchOrders": "allOrders",
    "fetchMyTrades": "myTrades",
    "fetchBalance": "account",
    "fetchOHLCV": "klines",
    "fetchOrderBook": "depth",
    "fetchTrades": "aggTrades",
    "fetchTicker": "ticker/24hr",
    "fetchTime": "time",
    "fetchTradingFee": "tradeFee",
}
#: Present here because of another order than the recorded one: it expired.
_OF_OTHER_CASES: Final = ("[].expiryReason is sent and not known there",)
#: Chosen by whoever sends; what must be equal is the name.
_OWN: Final = (
    *("symbol", "symbols"),
    *("quantity", "price", "stopPrice", "quoteOrderQty", "icebergQty"),
    *("orderId", "cancelOrderId", "newClientOrderId", "timestamp", "signature"),
    *("startTime", "endTime", "fromId", "limit"),
)
#: Parameters of products that are not traded here.
_ELSEWHERE: Final = frozenset({"marginMode", "portfolioMargin", "type", "stop", "trigger", "rpi", "rolling"})


@dataclass(slots=True)
class Compared:
    """What was compared and what differs, a sentence each."""

    answers: int = 0
    fields: int = 0
    requests: int = 0
    parameters: int = 0
    left_out: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.answers} recorded answers and events, {self.fields} fields; {self.requests} recorded"
            f" requests, {self.parameters} parameters; {len(self.differences)} differences"
        )


async def compared(folder: Path) -> Compared:
    """Everything about spot that lies in `folder`."""
    result, ours = Compared(), await gathered()
    _compare_answers(_spot(folder, "response"), ours, result)
    _compare_frames(_spot(folder, "ws"), ours, result)
    await _compare_requests(_spot(folder, "request"), result)
    return result


def recordings(folder: Path) -> bool:
    """Whether there is anything to compare with."""
    return any((folder / kind / "binance.json").is_file() for kind in KINDS)


def _spot(folder: Path, kind: str) -> list[tuple[str, dict[str, Any]]]:
    file = folder / kind / "binance.json"
    if not file.is_file():
        return []
    methods = json.loads(file.read_text(encoding="utf-8"))["methods"]
    return [(method, one) for method, cases in methods.items() for one in cases if _is_spot(one)]


def _is_spot(recorded: Mapping[str, Any]) -> bool:
    url = urlsplit(recorded.get("url", "/api/v3"))
    foreign = ("/fapi", "/dapi", "/eapi", "/papi", "/sapi/v1/margin", "/sapi/v1/equity")
    if url.path.startswith(foreign) or url.netloc.startswith(("fstream", "dstream", "vstream")):
        return False
    texts = [str(one) for one in _flat(recorded["input"])]
    asked = {
        name
        for one in recorded["input"]
        if isinstance(one, dict)
        for name, value in one.items()
        if (name, value) != ("type", "spot")
    }
    return not recorded.get("disabled") and not asked & _ELSEWHERE and not any(":" in text for text in texts)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif not isinstance(value, dict):
        yield value


# -- answers --------------------------------------------------------------------------------------------


def _compare_answers(
    recorded: list[tuple[str, dict[str, Any]]], ours: Mapping[str, Any], result: Compared
) -> None:
    for method, one in recorded:
        name = ANSWERS.get(method)
        if name is None:
            result.left_out.append(f"answer of {method}")
            continue
        # ccxt writes whole numbers as text before it parses, and so they were recorded.
        _compare(f"{method}: {one['description']}", ours[name], one["httpResponse"], result, quoted=True)


def _compare_frames(
    recorded: list[tuple[str, dict[str, Any]]], ours: Mapping[str, Any], result: Compared
) -> None:
    for method, one in recorded:
        for message in one["messages"]:
            name = _frame_name(message)
            if name not in ours:
                result.left_out.append(f"frame {name} of {method}")
                continue
            _compare(
                f"{method}: {one['description']}: {name}", ours[name], message.get("event", message), result
            )
        if one.get("httpResponse"):
            _compare(f"{method}: depth", ours["depth"], one["httpResponse"], result)


def _frame_name(message: Mapping[str, Any]) -> str:
    if "event" in message:
        event = message["event"]
        return f"{event['e']} {event['x']}" if event["e"] == "executionReport" else str(event["e"])
    if "status" in message:
        return "subscribed"
    if "result" in message:
        return "subscribe"
    return str(message.get("e", "bookTicker"))


def _compare(case: str, ours: Any, theirs: Any, result: Compared, *, quoted: bool = False) -> None:
    here, there = shape_of(ours), shape_of(theirs, quoted=quoted)
    result.answers += 1
    result.fields += len(there)
    told = [text for text in differences(here, there) if text not in _OF_OTHER_CASES]
    result.differences += [f"{case}: {text}" for text in told]


# -- requests -------------------------------------------------------------------------------------------


async def _compare_requests(recorded: list[tuple[str, dict[str, Any]]], result: Compared) -> None:
    async with client(balances={"USDT": D(100_000), "ADA": D(10_000)}) as (exchange, ground):
        for method, one in recorded:
            if not hasattr(exchange, method) or urlsplit(one["url"]).path not in _PATHS:
                result.left_out.append(f"request {method}: {one['description']}")
                continue
            await _compare_request(exchange, ground, method, one, result)


#: What is asked here at all; the rest of a recording is about other parts of the exchange.
_PATHS: Final = (
    *("/api/v3/order", "/api/v3/order/test", "/api/v3/order/cancelReplace", "/api/v3/openOrders"),
    *("/api/v3/account", "/api/v3/myTrades", "/api/v3/allOrders", "/api/v3/time", "/api/v3/klines"),
    *("/api/v3/depth", "/api/v3/aggTrades", "/api/v3/ticker/24hr", "/api/v3/ticker/bookTicker"),
    *("/api/v3/ticker/price", "/sapi/v1/asset/tradeFee", "/sapi/v1/capital/config/getall"),
    "/sapi/v1/system/status",
)


async def _compare_request(
    exchange: Any, ground: Account, method: str, one: Mapping[str, Any], result: Compared
) -> None:
    case = f"{method}: {one['description']}"
    wanted = dict(parse_qsl(one.get("output") or urlsplit(one["url"]).query, keep_blank_values=True))
    arguments = await _here(ground, method, one["input"])
    before = len(ground.running.exchange.requests)
    try:
        await getattr(exchange, method)(*arguments)
    except ccxt.BaseError as error:
        # Understood, and refused by a rule of the pair: no symbol here has trailing stops.
        if not ("trailingDelta" in wanted and "-2010" in str(error)):
            result.differences.append(f"{case}: not accepted: {error}")
    sent = list(ground.running.exchange.requests)[before:]
    path = urlsplit(one["url"]).path
    request = next((seen for seen in sent if seen.path == path), None)
    result.requests += 1
    result.parameters += len(wanted)
    if request is None:
        result.differences.append(f"{case}: {path} was not asked, but {[seen.path for seen in sent]}")
        return
    made = dict(parse_qsl(request.query, keep_blank_values=True))
    told = [f"{name} is not sent" for name in wanted.keys() - made.keys()]
    told += [f"{name} is sent too" for name in made.keys() - wanted.keys()]
    told += [
        f"{name} is {made[name]}, there {value}"
        for name, value in wanted.items()
        if name not in _OWN and made.get(name, value) != value
    ]
    result.differences += [f"{case}: {text}" for text in sorted(told)]


async def _here(ground: Account, method: str, given: list[Any]) -> list[Any]:
    """The recorded arguments, with a pair, an order and amounts that exist here."""
    arguments = [PAIR if isinstance(one, str) and "/" in one else one for one in given]
    arguments = [[PAIR, OTHER] if isinstance(one, list) else one for one in arguments]
    if method in ("cancelOrder", "fetchOrder", "editOrder"):
        arguments[0] = str((await _resting(ground))["orderId"])
    if method == "cancelAllOrders":
        await _resting(ground)
    if method.endswith("WithCost"):
        arguments[-1] = 20
    if method in ("createOrder", "editOrder"):
        at = 3 if method == "createOrder" else 4
        sells = arguments[at - 1] == "sell"
        arguments[at] = 30.4234234234
        if len(arguments) > at + 1 and arguments[at + 1] is not None:
            arguments[at + 1] = float(ground.near("1.03" if sells else "0.97"))
        for name, value in (("triggerPrice", "1.05"), ("icebergAmount", None)):
            if isinstance(arguments[-1], dict) and name in arguments[-1]:
                chosen = 15 if value is None else float(ground.near(value))
                arguments[-1] = {**arguments[-1], name: chosen}
    return arguments


async def _resting(ground: Account) -> Any:
    return await ground.order("BUY", "LIMIT", "100", price=ground.near("0.9"), timeInForce="GTC")


def main() -> int:
    if len(sys.argv) != 2 or not recordings(Path(sys.argv[1])):
        sys.stderr.write(
            f"usage: {sys.argv[0]} FOLDER, with {' or '.join(f'{k}/binance.json' for k in KINDS)}\n"
        )
        return 2
    result = asyncio.run(compared(Path(sys.argv[1])))
    for text in (*(f"left out: {one}" for one in result.left_out), *result.differences, str(result)):
        sys.stdout.write(f"{text}\n")
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
