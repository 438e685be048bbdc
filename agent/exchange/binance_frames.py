"""What Binance's market streams say, frame by frame: parsed at the edge, into our words.

PURE. Money becomes Decimal from its text here, times stay integer milliseconds. A frame that cannot be
understood becomes `Unreadable`, a frame that is not for us `None`; nothing here raises for what the exchange
sends. Whether a candle can be believed is decided later: a well-formed NaN is a candle, and a bad one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import orjson

from agent.core.market import Candle
from agent.core.money import money
from agent.core.value import Value
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable

#: How much of an unreadable frame is kept to be shown.
_SHOWN: Final = 120
#: Nothing is priced or counted at 10^16 and above.
_LARGEST_EXPONENT: Final = 15


class ShutdownFrame(Value, frozen=True):
    """The server will close this connection soon."""


Frame = KlineFrame | TopFrame | ShutdownFrame | Unreadable


def read_frame(raw: bytes | str, symbol: str) -> Frame | None:
    """One frame of a combined stream. None: well-formed, but of no concern to `symbol` (`ADAUSDT`)."""
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"not JSON ({error}): {_shown(raw)}")
    if not isinstance(message, dict):
        return Unreadable(f"not an object: {_shown(raw)}")
    data = message.get("data", message)
    if not isinstance(data, dict):
        return Unreadable(f"data is not an object: {_shown(raw)}")
    try:
        kind = data.get("e")
        if kind == "kline":
            return _kline(data, symbol)
        if kind is None and "result" not in data and "error" not in data:
            return _top(data, symbol)  # the only event without a name
        return ShutdownFrame() if kind == "serverShutdown" else None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Unreadable(f"{type(error).__name__} ({error}): {_shown(raw)}")


def _kline(data: dict[str, Any], symbol: str) -> KlineFrame | None:
    k = data["k"]
    if k["s"] != symbol:
        return None
    closed, interval = k["x"], k["i"]
    if not isinstance(closed, bool) or not isinstance(interval, str):
        raise TypeError("x must be a flag and i an interval")
    return KlineFrame(
        interval,
        Candle(_time(k["t"]), float(k["o"]), float(k["h"]), float(k["l"]), float(k["c"]), float(k["v"])),
        closed,
    )


def _top(data: dict[str, Any], symbol: str) -> TopFrame | None:
    if data["s"] != symbol:
        return None
    bid, ask = _amount(data["b"]), _amount(data["a"])
    bid_qty, ask_qty = _amount(data["B"]), _amount(data["A"])
    if bid <= 0 or ask <= 0 or bid_qty < 0 or ask_qty < 0:
        raise ValueError("a price or a quantity is not positive")
    return TopFrame(_time(data["u"]), bid, bid_qty, ask, ask_qty)


def _amount(value: object) -> Decimal:
    """A decimal number as text, of a size that something could be traded at."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a number as text")
    amount = money(value)
    if amount.adjusted() > _LARGEST_EXPONENT:
        raise ValueError(f"{value} is not a price or a quantity")
    return amount


def _time(value: object) -> int:
    """An integer as the exchange writes it; true, 1.5 and "7" are not."""
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"{value!r} is not an integer of time or sequence")
    return value


def _shown(raw: bytes | str) -> str:
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    return repr(text[:_SHOWN]) + ("..." if len(text) > _SHOWN else "")
