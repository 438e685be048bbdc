"""What an answer of each exchange proves: ACCEPTED, REFUSED with a kind, or UNKNOWN.

PURE. Judged by HTTP status and the exchange's own codes in the body, never by the class of a ccxt exception.
Stays true: only a code from the tables below, in a body that has the exchange's shape, or a limiter's status,
is a refusal; everything else that is no acceptance is UNKNOWN, and UNKNOWN is looked up, never guessed. That
a client order id was used before is UNKNOWN too: it means that an earlier send worked. A refusal keeps the
exchange's words and carries the number that Binance has for the same thing, because the rest of the agent
knows refusals by those.

Sources: Kraken "API errors"; Bybit v5 "error codes"; OKX v5 "error code"; Coinbase Advanced Trade, order
failure reasons; what ccxt 4.5 knows of each (November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final

import orjson

from agent.exchange.signed.classify import Accepted, Refused, Unknown

Judged = Accepted | Refused | Unknown


class Kind(IntEnum):
    """Why, as the number that Binance has for it."""

    RULES = -1013
    REQUEST = -1102
    PAIR = -1121
    TIME = -1021
    LIMIT = -1003
    FUNDS = -2010
    MARKET = -1122
    KEY = -2015
    NO_ORDER = -2013


#: A limiter answers with these before anything is executed.
_LIMITED: Final = frozenset({418, 429})
_SHOWN: Final = 160
_TAGS: Final = re.compile(r"<[^>]{0,200}>")

#: Kraken: the words that an error begins with, and what they mean. The longest that fits counts.
KRAKEN: Final[Mapping[str, Kind]] = {
    "EAPI:Invalid key": Kind.KEY,
    "EAPI:Invalid signature": Kind.KEY,
    "EAPI:Invalid nonce": Kind.TIME,
    "EAPI:Rate limit exceeded": Kind.LIMIT,
    "EAPI:Bad request": Kind.REQUEST,
    "EGeneral:Permission denied": Kind.KEY,
    "EGeneral:Too many requests": Kind.LIMIT,
    "EGeneral:Temporary lockout": Kind.LIMIT,
    "EGeneral:Invalid arguments": Kind.REQUEST,
    "EGeneral:Invalid arguments:deadline": Kind.TIME,
    "EGeneral:Unknown method": Kind.REQUEST,
    "EGeneral:Invalid arguments:volume": Kind.RULES,
    "EGeneral:Invalid arguments:price": Kind.RULES,
    "EOrder:Rate limit exceeded": Kind.LIMIT,
    "EOrder:Insufficient funds": Kind.FUNDS,
    "EOrder:Order minimum not met": Kind.RULES,
    "EOrder:Cost minimum not met": Kind.RULES,
    "EOrder:Invalid price": Kind.RULES,
    "EOrder:Tick size check failed": Kind.RULES,
    "EOrder:Invalid order": Kind.REQUEST,
    "EOrder:Orders limit exceeded": Kind.RULES,
    "EOrder:Domain rate limit exceeded": Kind.LIMIT,
    "EOrder:Post only order": Kind.REQUEST,
    "EOrder:Trading agreement required": Kind.KEY,
    "EOrder:Unknown order": Kind.NO_ORDER,
    "EQuery:Unknown asset pair": Kind.PAIR,
    "EQuery:Invalid asset pair": Kind.PAIR,
    "EService:Deadline elapsed": Kind.TIME,
    "EService:Market in cancel_only mode": Kind.MARKET,
    "EService:Market in post_only mode": Kind.MARKET,
    "EService:Market in limit_only mode": Kind.MARKET,
    "EAccount:Invalid permissions": Kind.KEY,
    "EAuth:Account temporary disabled": Kind.KEY,
    "EAuth:Account unconfirmed": Kind.KEY,
    "ETrade:User Locked": Kind.KEY,
}

#: Bybit v5: `retCode`.
BYBIT: Final[Mapping[int, Kind]] = {
    10001: Kind.REQUEST,
    10002: Kind.TIME,
    10003: Kind.KEY,
    10004: Kind.KEY,
    10005: Kind.KEY,
    10006: Kind.LIMIT,
    10007: Kind.KEY,
    10009: Kind.KEY,
    10010: Kind.KEY,
    10018: Kind.LIMIT,
    10024: Kind.KEY,
    10027: Kind.KEY,
    10028: Kind.KEY,
    10029: Kind.PAIR,
    110001: Kind.NO_ORDER,
    170001: Kind.REQUEST,
    170005: Kind.LIMIT,
    170033: Kind.FUNDS,
    170115: Kind.REQUEST,
    170116: Kind.REQUEST,
    170117: Kind.REQUEST,
    170121: Kind.PAIR,
    170124: Kind.RULES,
    170130: Kind.REQUEST,
    170131: Kind.FUNDS,
    170132: Kind.RULES,
    170133: Kind.RULES,
    170134: Kind.RULES,
    170135: Kind.RULES,
    170136: Kind.RULES,
    170137: Kind.RULES,
    170139: Kind.NO_ORDER,
    170140: Kind.RULES,
    170142: Kind.NO_ORDER,
    170143: Kind.NO_ORDER,
    170148: Kind.RULES,
    170151: Kind.MARKET,
    170157: Kind.MARKET,
    170159: Kind.MARKET,
    170190: Kind.NO_ORDER,
    170192: Kind.RULES,
    170193: Kind.RULES,
    170194: Kind.RULES,
    170201: Kind.KEY,
    170202: Kind.REQUEST,
    170210: Kind.REQUEST,
    170213: Kind.NO_ORDER,
    170217: Kind.MARKET,
    170218: Kind.REQUEST,
}

#: OKX v5: `sCode` of the order, else `code` of the answer.
OKX: Final[Mapping[int, Kind]] = {
    50011: Kind.LIMIT,
    50013: Kind.LIMIT,
    50014: Kind.REQUEST,
    50027: Kind.KEY,
    50040: Kind.LIMIT,
    50061: Kind.LIMIT,
    50100: Kind.KEY,
    50101: Kind.KEY,
    50102: Kind.TIME,
    50103: Kind.KEY,
    50104: Kind.KEY,
    50105: Kind.KEY,
    50106: Kind.KEY,
    50107: Kind.KEY,
    50110: Kind.KEY,
    50111: Kind.KEY,
    50112: Kind.TIME,
    50113: Kind.KEY,
    50114: Kind.KEY,
    50120: Kind.KEY,
    51000: Kind.REQUEST,
    51001: Kind.PAIR,
    51003: Kind.REQUEST,
    51005: Kind.RULES,
    51006: Kind.RULES,
    51008: Kind.FUNDS,
    51020: Kind.RULES,
    51100: Kind.RULES,
    51116: Kind.RULES,
    51118: Kind.RULES,
    51119: Kind.FUNDS,
    51120: Kind.RULES,
    51121: Kind.RULES,
    51122: Kind.RULES,
    51127: Kind.FUNDS,
    51131: Kind.FUNDS,
    51137: Kind.RULES,
    51138: Kind.RULES,
    51201: Kind.RULES,
    51202: Kind.RULES,
    51203: Kind.RULES,
    51400: Kind.NO_ORDER,
    51401: Kind.NO_ORDER,
    51402: Kind.NO_ORDER,
    51503: Kind.NO_ORDER,
    51603: Kind.NO_ORDER,
}

#: Coinbase Advanced Trade: `error` of an order's `error_response`, of a cancel's `failure_reason`, or of the
#: answer itself.
COINBASE: Final[Mapping[str, Kind]] = {
    "INSUFFICIENT_FUND": Kind.FUNDS,
    "INVALID_LIMIT_PRICE_POST_ONLY": Kind.REQUEST,
    "INVALID_LIMIT_PRICE": Kind.RULES,
    "INVALID_PRICE_PRECISION": Kind.RULES,
    "INVALID_SIZE_PRECISION": Kind.RULES,
    "INVALID_ORDER_CONFIG": Kind.REQUEST,
    "INVALID_PRODUCT_ID": Kind.PAIR,
    "INVALID_ARGUMENT": Kind.REQUEST,
    "INVALID_NO_LIQUIDITY": Kind.MARKET,
    "INVALID_REQUEST": Kind.REQUEST,
    "INVALID_SIDE": Kind.REQUEST,
    "INVALID_CANCEL_REQUEST": Kind.NO_ORDER,
    "UNKNOWN_CANCEL_ORDER": Kind.NO_ORDER,
    "NOT_FOUND": Kind.NO_ORDER,
    "ORDER_ENTRY_DISABLED": Kind.MARKET,
    "INELIGIBLE_PAIR": Kind.PAIR,
    "PERMISSION_DENIED": Kind.KEY,
    "UNAUTHENTICATED": Kind.KEY,
    "UNSUPPORTED_ORDER_CONFIGURATION": Kind.REQUEST,
    "ORDER_SIZE_TOO_SMALL": Kind.RULES,
    "ORDER_SIZE_TOO_LARGE": Kind.RULES,
    "RATE_LIMIT_EXCEEDED": Kind.LIMIT,
    "RESOURCE_EXHAUSTED": Kind.LIMIT,
}

#: Words for "an order with this client id was there before", which prove that it was placed.
_SEEN_BEFORE: Final = re.compile(r"duplicate|already exist|cl_ord_id", re.IGNORECASE)
_SEEN_CODES: Final = frozenset({170141, 110072, 51016, 51011})


def judge_kraken(status: int, body: str) -> Judged:
    """`{"error": [...], "result": ...}`; errors that begin with W are warnings."""
    answer = _object(status, body)
    if not isinstance(answer, dict):
        return answer
    errors = answer.get("error")
    if not isinstance(errors, list) or not all(isinstance(error, str) for error in errors):
        return Unknown(f"HTTP {status} without Kraken's list of errors: {_shown(body)}")
    said = [error for error in errors if not error.startswith("W")]
    if not said:
        return _accepted(status, answer, "result" in answer)
    text = "; ".join(said)
    if any(_SEEN_BEFORE.search(error) for error in said):
        return Unknown(f"{_shown(text)}: an order with this client id may have been there before")
    kinds = [_longest(KRAKEN, error) for error in said]
    known = [kind for kind in kinds if kind is not None]
    # One error that is not known makes the whole answer unknown.
    return _refused(known[0], text) if len(known) == len(kinds) else Unknown(_shown(text))


def judge_bybit(status: int, body: str) -> Judged:
    """`{"retCode": 0, "retMsg": "OK", "result": {...}}`."""
    answer = _object(status, body)
    if not isinstance(answer, dict):
        return answer
    code, text = answer.get("retCode"), str(answer.get("retMsg", ""))
    if code == 0 and type(code) is int:
        return _accepted(status, answer, isinstance(answer.get("result"), dict))
    return _by_code(code, text, BYBIT, status)


def judge_okx(status: int, body: str) -> Judged:
    """`{"code": "0", "msg": "", "data": [{"sCode": "0", ...}]}`: what became of the order is in its row."""
    answer = _object(status, body)
    if not isinstance(answer, dict):
        return answer
    code, data = _whole(answer.get("code")), answer.get("data")
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    failed = [row for row in rows if _whole(row.get("sCode", "0")) != 0]
    if failed:
        return _by_code(_whole(failed[0].get("sCode")), str(failed[0].get("sMsg", "")), OKX, status)
    if code == 0:
        return _accepted(status, answer, isinstance(data, list))
    return _by_code(code, str(answer.get("msg", "")), OKX, status)


def judge_coinbase(status: int, body: str) -> Judged:
    """`{"success": true, ...}` of an order, `{"results": [...]}` of cancels, `{"error": ...}` of the rest."""
    answer = _object(status, body)
    if not isinstance(answer, dict):
        return answer
    results = answer.get("results")
    of_order, first = (
        answer.get("error_response"),
        results[0] if isinstance(results, list) and results else None,
    )
    told: object = None
    if isinstance(of_order, dict):
        told = of_order.get("error") or of_order.get("new_order_failure_reason")
        if told == "UNKNOWN_FAILURE_REASON":
            told = of_order.get("preview_failure_reason")
    elif isinstance(first, dict) and first.get("success") is not True:
        told = first.get("failure_reason")
    elif "error" in answer:
        told = answer["error"]
    elif answer.get("success") is not False:
        return _accepted(status, answer, True)
    word = str(told).upper().removeprefix("PREVIEW_")
    kind = COINBASE.get(word)
    detail = _shown(str(told))
    return (
        Unknown(f"{detail} (HTTP {status}), which is no known refusal")
        if kind is None
        else _refused(kind, detail)
    )


JUDGES: Final[Mapping[str, Callable[[int, str], Judged]]] = {
    "kraken": judge_kraken,
    "bybit": judge_bybit,
    "okx": judge_okx,
    "coinbase": judge_coinbase,
}


def _object(status: int, body: str) -> dict[str, Any] | Refused | Unknown:
    """The body as an object, or what follows from its not being one."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if status in _LIMITED:
        return Refused(Kind.LIMIT, f"too many requests (HTTP {status})")
    if status >= 500:
        return Unknown(f"HTTP {status}: {_shown(body) or 'empty'}")
    if not isinstance(answer, dict):
        return Unknown(f"HTTP {status} with a body that cannot be read: {_shown(body) or 'empty'}")
    return answer


def _accepted(status: int, answer: dict[str, Any], shaped: bool) -> Accepted | Unknown:
    if 200 <= status < 300 and shaped:
        return Accepted(answer)
    return Unknown(f"HTTP {status} without an error and without a result")


def _by_code(code: object, text: str, known: Mapping[int, Kind], status: int) -> Refused | Unknown:
    if type(code) is not int:
        return Unknown(f"HTTP {status} without a code: {_shown(text)}")
    if code in _SEEN_CODES or _SEEN_BEFORE.search(text):
        return Unknown(f"{_shown(text)} ({code}): an order with this client id may have been there before")
    kind = known.get(code)
    if kind is None:
        return Unknown(f"{_shown(text)} ({code}, HTTP {status}), which is no known refusal")
    return _refused(kind, f"{_shown(text)} ({code})")


def _refused(kind: Kind, text: str) -> Refused:
    # The core tells a balance that its ledger disagrees with by these words.
    told = f"insufficient balance: {text}" if kind is Kind.FUNDS else text
    return Refused(int(kind), _shown(told))


def _longest(known: Mapping[str, Kind], error: str) -> Kind | None:
    fitting = [words for words in known if error.startswith(words)]
    return known[max(fitting, key=len)] if fitting else None


def _whole(value: object) -> int | None:
    """OKX writes its codes as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else None


def _shown(text: str) -> str:
    """One short line without tags: an error page must not flood a log."""
    line = " ".join(_TAGS.sub(" ", text[: 20 * _SHOWN]).split())
    return line[:_SHOWN] + ("..." if len(line) > _SHOWN else "")
