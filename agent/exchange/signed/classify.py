"""What an answer proves: ACCEPTED, REFUSED with its code, or UNKNOWN.

PURE. Judged by HTTP status and the numeric `code` in the body, never by the class of an exception: ccxt gives
a connection that broke in the middle of an answer the same name as a rejection. Stays true: only a parsed
integer from the tables below, or the statuses 429 and 418, is a refusal; "I do not know" of the exchange, a
server error, a firewall's page, a body that cannot be read and a code nobody listed are UNKNOWN, and UNKNOWN
is looked up, never guessed. "Duplicate order sent" is UNKNOWN too: it means that an earlier send worked.

Sources: Binance's `errors.md` and `rest-api.md` (HTTP return codes, cancelReplace), July 2026. A busy server
(-1008) may or may not have passed the order on, depending on whom one believes: it counts as UNKNOWN, because
a look-up costs seconds and a wrong refusal costs a second position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from agent.core.value import Value

#: The request was judged and turned down, before or by the matching engine: nothing was placed or canceled.
REFUSALS: Final[Mapping[int, str]] = {
    -1002: "not authorized",
    -1003: "too many requests",
    -1013: "a filter of the pair",
    -1014: "unsupported order combination",
    -1015: "too many new orders",
    -1020: "unsupported operation",
    -1021: "timestamp outside the window",
    -1022: "signature not valid",
    -1100: "illegal characters",
    -1101: "too many parameters",
    -1102: "parameter missing or malformed",
    -1103: "unknown parameter",
    -1104: "unread parameters",
    -1105: "parameter empty",
    -1106: "parameter not required",
    -1108: "parameter overflow",
    -1111: "too much precision",
    -1112: "no orders on the book",
    -1114: "time in force not required",
    -1115: "invalid time in force",
    -1116: "invalid order type",
    -1117: "invalid side",
    -1118: "new client order id empty",
    -1119: "original client order id empty",
    -1121: "invalid symbol",
    -1122: "invalid symbol status",
    -1128: "bad combination of parameters",
    -1130: "invalid parameter",
    -1131: "recvWindow too large",
    -1134: "bad strategy type",
    -1135: "invalid JSON",
    -1145: "invalid cancel restrictions",
    -1151: "symbol named twice",
    -1158: "order type not supported in an OCO",
    -1160: "iceberg without GTC",
    -1165: "limit order of a buying OCO must be below",
    -1166: "limit order of a selling OCO must be above",
    -1168: "both orders of an OCO are limits",
    -1182: "conflicting parameters",
    -1196: "stop of a buying OCO must be above",
    -1197: "stop of a selling OCO must be below",
    -1198: "take-profit of a buying OCO must be below",
    -1199: "take-profit of a selling OCO must be above",
    -1210: "invalid peg",
    -1211: "invalid peg offset",
    -1220: "symbol is not in that status",
    -2008: "unknown API key",
    -2010: "order rejected",
    -2014: "malformed API key",
    -2015: "API key, its address or its permission refused",
    -2016: "no trading window",
}

#: Refusals of requests about an order that should exist. Said of an order that is being placed, they make no
#: sense and prove nothing.
REFUSALS_OF_EXISTING: Final[Mapping[int, str]] = {
    -1127: "look-up interval too big",
    -2011: "cancel rejected",
    -2013: "no such order",
    -2026: "order archived",
    -2039: "client order id belongs to another order",
}

#: What the exchange says when it does not know itself, or cannot have looked properly.
PROVES_NOTHING: Final[Mapping[int, str]] = {
    -1000: "unknown error",
    -1001: "disconnected",
    -1004: "server busy",
    -1006: "unexpected response inside the exchange, execution status unknown",
    -1007: "time-out inside the exchange, execution status unknown",
    -1008: "server overloaded",
    -1010: "error of the matching engine",
    -1016: "service shutting down",
    -1099: "not found, authenticated or authorized",
}

#: The key itself is the reason; repeating the request cannot help.
KEY_REFUSED: Final = frozenset({-1002, -1022, -2008, -2014, -2015})

BAD_TIMESTAMP: Final = -1021
NO_SUCH_ORDER: Final = -2013
ARCHIVED: Final = -2026
_ORDER_REJECTED: Final = -2010
#: A cancelReplace of which not everything worked; each half tells its own result.
_HALF_FAILED: Final = frozenset({-2021, -2022})

#: The limiter refuses before anything is executed, whatever the body says.
_LIMITED: Final = frozenset({418, 429})
#: A web application firewall answers with this one; what lies behind it may have been reached.
_FORBIDDEN: Final = 403

_TAGS: Final = re.compile(r"<[^>]{0,200}>")
_SHOWN: Final = 160


class Accepted(Value, frozen=True):
    """The exchange did what was asked. What it says about it is not validated yet."""

    answer: Any


class Refused(Value, frozen=True):
    """Certainly not executed. `code` is the exchange's, or the HTTP status where the body held none."""

    code: int
    message: str


class Unknown(Value, frozen=True):
    """It may have been executed."""

    why: str


class Partly(Value, frozen=True):
    """A cancelReplace that did not work as a whole. `data` holds what became of each half."""

    code: int
    message: str
    data: Mapping[str, Any]


Verdict = Accepted | Refused | Unknown | Partly
Half = Accepted | Refused | Unknown


def classify(status: int, body: str, *, places: bool) -> Verdict:
    """Judge one HTTP answer. `body` is the whole body as text, of whatever it may be.

    `places`: the request would have made an order; otherwise it was about what exists.
    """
    answer = _json(body)
    code, message = _error_of(answer)
    if code is not None and code in PROVES_NOTHING:
        return Unknown(f"{message} ({code}, HTTP {status})")
    if code in _HALF_FAILED:
        return _partly(status, code, message, answer)
    if status in _LIMITED:
        return Refused(status if code is None else code, message or _shown(body) or "too many requests")
    if 200 <= status < 300:
        return _accepted(status, body, answer, code)
    if code is None:
        return Unknown(f"HTTP {status} without a code: {_shown(body) or 'empty'}")
    if not 400 <= status < 500 or status == _FORBIDDEN:
        return Unknown(f"{message} ({code}, HTTP {status})")
    return _judge(code, message, places)


def read_halves(data: object) -> tuple[Half, Half | None]:
    """What became of cancel and new order, of a cancelReplace; the second is None if it was not tried."""
    told = data if isinstance(data, dict) else {}
    canceled = _half(told, "cancelResult", "cancelResponse", places=False)
    if told.get("newOrderResult") == "NOT_ATTEMPTED":
        return canceled, None
    return canceled, _half(told, "newOrderResult", "newOrderResponse", places=True)


def _half(data: Mapping[str, Any], result: str, response: str, *, places: bool) -> Half:
    if data.get(result) == "SUCCESS":
        return Accepted(data.get(response))
    if data.get(result) != "FAILURE":
        return Unknown(f"{result} is {str(data.get(result))[:40]!r}")
    code, message = _error_of(data.get(response))
    return Unknown("it failed without a code") if code is None else _judge(code, message, places)


def _partly(status: int, code: int, message: str, answer: object) -> Partly | Unknown:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or not 400 <= status < 500:
        return Unknown(f"{message} ({code}, HTTP {status}) without what became of each half")
    return Partly(code, message, data)


def _judge(code: int, message: str, places: bool) -> Refused | Unknown:
    if code == _ORDER_REJECTED and "duplicate" in message.lower():
        return Unknown(f"{message} ({code}): an order with this client id was there before")
    if code in REFUSALS or (code in REFUSALS_OF_EXISTING and not places):
        return Refused(code, message)
    return Unknown(f"{message} ({code}), which is no known refusal")


def _accepted(status: int, body: str, answer: object, code: int | None) -> Accepted | Unknown:
    if not isinstance(answer, dict | list):
        return Unknown(f"HTTP {status} with a body that cannot be read: {_shown(body) or 'empty'}")
    if code is not None:
        return Unknown(f"HTTP {status} with the error code {code}")
    return Accepted(answer)


def _json(body: str) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _error_of(answer: object) -> tuple[int | None, str]:
    """Code and message of an error body. Text that looks like a number is no code."""
    if not isinstance(answer, dict):
        return None, ""
    code, message = answer.get("code"), answer.get("msg")
    if type(code) is not int or code >= 0:
        return None, ""
    return code, _shown(message) if isinstance(message, str) else "no message"


def _shown(text: str) -> str:
    """One short line without tags: an error page must not flood a log."""
    line = " ".join(_TAGS.sub(" ", text[: 20 * _SHOWN]).split())
    return line[:_SHOWN] + ("..." if len(line) > _SHOWN else "")
