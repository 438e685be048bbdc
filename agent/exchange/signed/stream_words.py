"""What the user's own stream says, frame by frame: parsed at the edge, into our words.

PURE. A frame that cannot be read is `Unreadable` and may have been an order's: the reader must then ask by
REST. Events of other pairs, and of no concern to orders or balances, are `Other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from agent.core.money import ZERO
from agent.core.order import Fill, OrderReport
from agent.core.value import Value
from agent.exchange.signed.fields import FieldError, amount, integer, obj, positive, text
from agent.exchange.signed.order_words import (
    STATUS_FACTS,
    NotUnderstood,
    Pair,
    Unreadable,
    check_quantities,
    fee_of,
    is_triggered,
    reason_of,
    side_of,
)

_BALANCE_EVENTS: Final = frozenset({"outboundAccountPosition", "balanceUpdate", "externalLockUpdate"})
_SHOWN: Final = 120


class BalancesMoved(Value, frozen=True):
    """Free or locked amounts changed: by a trade, an order, a deposit, a transfer."""

    event: str


class Terminated(Value, frozen=True):
    """The subscription is over although the connection is not."""


class ShutdownAnnounced(Value, frozen=True):
    """The server will close this connection soon."""


class Other(Value, frozen=True):
    event: str


class SocketAnswer(Value, frozen=True):
    """The answer to a request of ours. `code` None: it succeeded.

    `used_weight` of the running minute; `retry_after_ms` is how long the exchange asks for silence.
    """

    request_id: str
    status: int
    code: int | None
    message: str
    used_weight: int | None
    retry_after_ms: int | None


StreamFrame = (
    OrderReport
    | NotUnderstood
    | Unreadable
    | BalancesMoved
    | Terminated
    | ShutdownAnnounced
    | SocketAnswer
    | Other
)


def read_stream_frame(raw: bytes | str, pair: Pair) -> StreamFrame:
    try:
        frame = obj(orjson.loads(raw), "the frame")
        if "event" not in frame:
            return _answer(frame)
        return _event(obj(frame["event"], "the event"), pair)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"not JSON ({error}): {_shown(raw)}")
    except FieldError as error:
        return Unreadable(f"{error}: {_shown(raw)}")


def _event(event: Mapping[str, Any], pair: Pair) -> StreamFrame:
    kind = text(event, "e")
    if kind == "executionReport":
        return _execution(event, pair) if text(event, "s") == pair.symbol else Other(kind)
    if kind in _BALANCE_EVENTS:
        return BalancesMoved(kind)
    if kind == "eventStreamTerminated":
        return Terminated()
    return ShutdownAnnounced() if kind == "serverShutdown" else Other(kind)


def _execution(event: Mapping[str, Any], pair: Pair) -> OrderReport | NotUnderstood:
    # Of a canceled order `c` is the cancel request's id and `C` the order's own.
    client_id = text(event, "C" if event.get("C") else "c")
    status, side, at_ms = text(event, "X"), side_of(event, "S"), integer(event, "T")
    qty, executed = positive(event, "q"), amount(event, "z")
    fills: tuple[Fill, ...] = ()
    if text(event, "x") == "TRADE":
        fee, currency = fee_of(event, "n", "N", pair, side)
        fills = (
            Fill(
                trade_id=str(integer(event, "t")),
                client_id=client_id,
                side=side,
                price=positive(event, "L"),
                qty=positive(event, "l"),
                fee=fee,
                fee_currency=currency,
                at_ms=at_ms,
            ),
        )
    check_quantities(qty, executed, fills[0].qty if fills else ZERO, status)
    order_id, price = str(integer(event, "i")), amount(event, "p")
    fact = STATUS_FACTS.get(status)
    if fact is None:
        return NotUnderstood(client_id, status)
    return OrderReport(
        client_id=client_id,
        exchange_order_id=order_id,
        side=side,
        type=text(event, "o"),
        fact=fact,
        qty=qty,
        price=price,
        executed_qty=executed,
        at_ms=at_ms,
        fills=fills,
        reason=reason_of(status, event.get("r"), event.get("eR")),
        triggered=is_triggered(text(event, "o"), event.get("w")),
    )


def _answer(frame: Mapping[str, Any]) -> SocketAnswer:
    status = integer(frame, "status")
    error = obj(frame["error"], "the error") if "error" in frame else None
    code, message = None, ""
    if error is not None or status != 200:
        told = error if error is not None else {}
        code = told.get("code") if type(told.get("code")) is int else -status
        message = str(told.get("msg", ""))[:_SHOWN]
    identity = frame.get("id")
    return SocketAnswer(
        request_id=identity if isinstance(identity, str) else "",
        status=status,
        code=code,
        message=message,
        used_weight=_used_weight(frame.get("rateLimits")),
        retry_after_ms=_retry_after_ms(error),
    )


def _used_weight(limits: object) -> int | None:
    for limit in limits if isinstance(limits, list) else ():
        if isinstance(limit, dict) and limit.get("rateLimitType") == "REQUEST_WEIGHT":
            count = limit.get("count")
            if limit.get("interval") == "MINUTE" and type(count) is int:
                return count
    return None


def _retry_after_ms(error: Mapping[str, Any] | None) -> int | None:
    """Binance tells its own time and the time from which it may be asked again."""
    data = error.get("data") if error is not None else None
    if not isinstance(data, dict):
        return None
    until, now = data.get("retryAfter"), data.get("serverTime")
    return max(0, until - now) if type(until) is int and type(now) is int else None


def _shown(raw: bytes | str) -> str:
    shown = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    return repr(shown[:_SHOWN]) + ("..." if len(shown) > _SHOWN else "")
