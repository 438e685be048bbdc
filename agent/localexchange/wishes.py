"""What `POST /control/market` asks for.

Belongs here: from JSON to an intervention in the market, with a sentence for every wish that cannot be
granted. Stays true: amounts may be written as text or as JSON numbers; nothing is done unless all of it can.
"""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, Final

from agent.core.money import money
from agent.localexchange import intervals
from agent.localexchange.exhaustion import Thresholds
from agent.localexchange.interventions import NothingTradesError
from agent.localexchange.market import Instrument, Market
from agent.localexchange.shaping import CannotShapeError, Wish, force_signal, shape_bar

_KINDS: Final = ("price", "candle", "signal")
_CANDLE: Final = ("open", "high", "low", "close", "volume")


class CannotGrantError(Exception):
    """The wish makes no sense or comes too late; the text says why."""


def grant(market: Market, body: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Change the market as asked; says what will happen. Raises CannotGrantError."""
    asked = [kind for kind in _KINDS if kind in body]
    strangers = body.keys() - {*_KINDS, "symbol"}
    if len(asked) != 1 or strangers:
        raise CannotGrantError(
            "ask for one of price, candle or signal (and a symbol, if it is not the first one)"
            + (f", not for {', '.join(sorted(strangers))}" if strangers else "")
        )
    symbol = body.get("symbol", market.main.pair.symbol)
    instrument = market.find(symbol) if isinstance(symbol, str) else None
    if instrument is None:
        raise CannotGrantError(f"there is no symbol {symbol!r}; there are {', '.join(market.symbols)}")
    try:
        if asked == ["price"]:
            return _price(instrument, body["price"], now_ms)
        if asked == ["candle"]:
            return _candle(instrument, body["candle"], now_ms)
        return _signal(instrument, body["signal"], now_ms)
    except NothingTradesError:
        raise CannotGrantError(
            f"{instrument.pair.symbol} is not traded at that time: the candles have a hole or have ended"
        ) from None
    except CannotShapeError as error:
        raise CannotGrantError(str(error)) from None


def _amount(value: object, name: str) -> Decimal:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            amount = money(str(value))
            if amount > 0 or (name == "volume" and amount == 0):
                return amount
    except ValueError:
        pass
    raise CannotGrantError(f"{name} must be a positive number, not {value!r}")


def _price(instrument: Instrument, value: object, now_ms: int) -> dict[str, Any]:
    ticks = instrument.pair.ticks(_amount(value, "price"))
    instrument.tape.move_to(ticks, now_ms)
    return {"symbol": instrument.pair.symbol, "price": instrument.pair.price_text(ticks), "from_ms": now_ms}


def _interval(value: object) -> str:
    if not isinstance(value, str) or value not in intervals.FIXED_MS or value == "1s":
        offered = ", ".join(name for name in intervals.FIXED_MS if name != "1s")
        raise CannotGrantError(f"the interval must be one of {offered}, not {value!r}")
    return value


def _candle(instrument: Instrument, value: object, now_ms: int) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() - {*_CANDLE, "interval"}:
        raise CannotGrantError(f"a candle is an object of {', '.join(_CANDLE)} and interval, not {value!r}")
    missing = [name for name in _CANDLE if name not in value]
    if missing:
        raise CannotGrantError(f"the candle has no {missing[0]}")
    interval = _interval(value.get("interval", "1m"))
    pair = instrument.pair
    opened, high, low, closed = (pair.ticks(_amount(value[name], name)) for name in _CANDLE[:4])
    if not low <= min(opened, closed) <= max(opened, closed) <= high:
        raise CannotGrantError("the candle's low and high do not enclose its open and close")
    volume = pair.steps(_amount(value["volume"], "volume"))
    open_ms = shape_bar(instrument.tape, interval, opened, high, low, closed, volume, now_ms)
    return {"symbol": pair.symbol, "interval": interval, "open_ms": open_ms}


def _signal(instrument: Instrument, value: object, now_ms: int) -> dict[str, Any]:
    if value is True:
        value = {}
    if not isinstance(value, dict):
        raise CannotGrantError(
            f"signal is true, or an object of interval, bounce and thresholds, not {value!r}"
        )
    wish = Wish(
        _interval(value.get("interval", "15m")),
        _thresholds(value),
        None if value.get("bounce") is None else _amount(value["bounce"], "bounce"),
        int(_amount(value.get("bounce_bars", 8), "bounce_bars")),
    )
    forced = force_signal(instrument.tape, wish, now_ms)
    reading = forced.reading
    return {
        "symbol": instrument.pair.symbol,
        "interval": wish.interval,
        "open_ms": forced.open_ms,
        "close_ms": forced.close_ms,
        "bars_before": forced.bars_before,
        "vol_z": reading.vol_z,
        "tr_z": reading.tr_z,
        "cloc": reading.cloc,
    }


def _thresholds(value: dict[str, Any]) -> Thresholds:
    """Those of a config's `seller_params`; defaults for what is not given."""
    types = {field.name: field.type for field in fields(Thresholds)}
    strangers = value.keys() - types.keys() - {"interval", "bounce", "bounce_bars"}
    if strangers:
        raise CannotGrantError(f"a signal has no {sorted(strangers)[0]!r}; it takes {', '.join(types)}")
    given: dict[str, Any] = {}
    for name in value.keys() & types.keys():
        amount = _amount(value[name], name)
        given[name] = int(amount) if types[name] == "int" else float(amount)
    return replace(Thresholds(), **given)
