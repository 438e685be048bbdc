"""Reading a request's parameters as strictly as the real exchange does.

Belongs here: from the query string to values, and every refusal of a parameter with its Binance code.
Stays true: a parameter nobody asked for is refused, so that a client's spelling mistakes show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

_SYMBOL: Final = re.compile(r"[A-Z0-9\-_.]{1,20}")
_DIGITS: Final = re.compile(r"[0-9]{1,20}")


class RejectionError(Exception):
    """An answer {"code", "msg"} with an HTTP status of the 4xx family.

    `data` says what became of the parts of a request that failed in part; `retry_after_s` is venue time.
    """

    def __init__(
        self,
        code: int,
        text: str,
        status: int = 400,
        *,
        data: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.data = data
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        told: dict[str, Any] = {"code": self.code, "msg": self.text}
        return told if self.data is None else {**told, "data": self.data}


def form_pairs(form: str) -> list[tuple[str, str]]:
    """Names and values of a query or a form in their order, empty ones as well.

    Hardly any is escaped, and then there is nothing to undo.
    """
    if "%" in form or "+" in form:
        return parse_qsl(form, keep_blank_values=True)
    pairs = []
    for part in form.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    return pairs


def missing(name: str) -> RejectionError:
    return RejectionError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> RejectionError:
    return RejectionError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_valid(name: str) -> RejectionError:
    return RejectionError(-1130, f"Data sent for parameter '{name}' is not valid.")


def bad_symbol() -> RejectionError:
    return RejectionError(-1121, "Invalid symbol.")


class Parameters:
    """The parameters of one request. Ask for each, then call `nothing_else`."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._sent: dict[str, str] = {}
        for name, value in pairs:
            if name in self._sent:
                raise RejectionError(-1101, f"Duplicate values for parameter '{name}'.")
            self._sent[name] = value
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        self._read.add(name)
        value = self._sent.get(name)
        if value == "":
            raise RejectionError(-1105, f"Parameter '{name}' was empty.")
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def symbol(self) -> str:
        return _checked_symbol(self.required("symbol"))

    def symbols(self) -> list[str] | None:
        """`symbol` or `symbols`; None when neither was sent."""
        one, many = self.text("symbol"), self.text("symbols")
        if one is not None and many is not None:
            raise RejectionError(-1128, "Combination of optional parameters invalid.")
        if one is not None:
            return [_checked_symbol(one)]
        return None if many is None else _symbol_list(many)

    def whole(self, name: str) -> int | None:
        """A non-negative integer."""
        value = self.text(name)
        if value is None:
            return None
        if not _DIGITS.fullmatch(value):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(value)

    def limit(self, default: int, largest: int) -> int:
        """At least one; more than the largest counts as the largest."""
        value = self.whole("limit")
        if value is None:
            return default
        if value == 0:
            raise not_valid("limit")
        return min(value, largest)

    def nothing_else(self) -> None:
        strangers = len(self._sent.keys() - self._read)
        if not strangers:
            return
        if not self._sent.keys() & self._read:
            raise RejectionError(
                -1101, f"Too many parameters; expected '0' and received '{len(self._sent)}'."
            )
        raise RejectionError(
            -1104,
            f"Not all sent parameters were read; read '{len(self._sent) - strangers}' parameter(s) "
            f"but was sent '{len(self._sent)}'.",
        )


def _checked_symbol(symbol: str) -> str:
    if not _SYMBOL.fullmatch(symbol):
        raise illegal("symbol", "^[A-Z0-9-_.]{1,20}$")
    return symbol


def _symbol_list(text: str) -> list[str]:
    problem = illegal("symbols", r'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$')
    try:
        symbols = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise problem from None
    if not isinstance(symbols, list) or not all(isinstance(s, str) and _SYMBOL.fullmatch(s) for s in symbols):
        raise problem
    if not symbols:
        raise RejectionError(-1105, "Parameter 'symbols' was empty.")
    return symbols
