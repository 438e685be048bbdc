"""Kraken's public endpoints, read from the same market.

Belongs here: one function per endpoint and the table of them. Stays true: an answer reads the market as of
one moment of venue time; OHLC tells the newest 720 bars and never more, whatever `since` says, the last of
them still open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from agent.localexchange import intervals
from agent.localexchange.bars import Bar
from agent.localexchange.book import Levels
from agent.localexchange.kraken.errors import UNKNOWN_PAIR, KrakenError, invalid
from agent.localexchange.kraken.names import Names, asset_id, find, names_of
from agent.localexchange.market import Instrument, Market
from agent.localexchange.pairs import Pair
from agent.localexchange.venue.words import SymbolStatus

Result = dict[str, Any]
Query = Mapping[str, str]

#: Bars that OHLC tells at most.
MOST_BARS: Final = 720
#: Minutes of an interval to the market's name for it.
INTERVALS: Final[Mapping[int, str]] = {
    1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1_440: "1d",
}  # fmt: skip
_TAKER_PERCENT: Final = 0.4
_MAKER_PERCENT: Final = 0.25


def bar_row(pair: Pair, names: Names, bar: Bar) -> list[Any]:
    return [
        bar.open_ms // 1_000,
        *(names.price(ticks * pair.tick) for ticks in (bar.open, bar.high, bar.low, bar.close)),
        names.price(average(pair, bar)),
        f"{bar.volume * pair.step:.8f}",
        bar.trades,
    ]


def average(pair: Pair, bar: Bar) -> Decimal:
    """Volume-weighted; zero when nothing was traded."""
    return pair.tick * bar.quote / bar.volume if bar.volume else Decimal(0)


def newest_bars(instrument: Instrument, minutes: int, now_ms: int, count: int = MOST_BARS) -> list[Bar]:
    return instrument.tape.klines(INTERVALS[minutes], None, None, count, now_ms)


def asked_pairs(market: Market, query: Query) -> list[Instrument]:
    """The pairs named, or all. Raises KrakenError for one that is not listed."""
    if "pair" not in query:
        return [instrument for instrument in market if not instrument.delisted]
    found = []
    for text in query["pair"].split(","):
        instrument = find(market, text)
        if instrument is None:
            raise KrakenError(UNKNOWN_PAIR)
        found.append(instrument)
    return found


def whole(query: Query, name: str, default: int) -> int:
    """An integer parameter. Raises KrakenError."""
    text = query.get(name, str(default))
    if not text.lstrip("-").isdigit():
        raise invalid(name)
    return int(text)


def _time(market: Market, query: Query, now_ms: int) -> Result:
    at = datetime.fromtimestamp(now_ms / 1_000, UTC)
    return {"unixtime": now_ms // 1_000, "rfc1123": f"{at:%a, %d %b %y %H:%M:%S} +0000"}


def _status(market: Market, query: Query, now_ms: int) -> Result:
    at = datetime.fromtimestamp(now_ms / 1_000, UTC)
    status = "maintenance" if market.in_maintenance else "online"
    return {"status": status, "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}"}


def _assets(market: Market, query: Query, now_ms: int) -> Result:
    currencies = {c for instrument in market for c in (instrument.pair.base, instrument.pair.quote)}
    return {
        asset_id(c): {
            "aclass": "currency", "altname": c, "decimals": 8, "display_decimals": 5, "status": "enabled",
        }
        for c in sorted(currencies)
    }  # fmt: skip


def _asset_pairs(market: Market, query: Query, now_ms: int) -> Result:
    return dict(_asset_pair(instrument) for instrument in asked_pairs(market, query))


def _asset_pair(instrument: Instrument) -> tuple[str, Result]:
    pair, names, listing = instrument.pair, names_of(instrument.pair), instrument.listing
    online = {SymbolStatus.TRADING: "online", SymbolStatus.CANCEL_ONLY: "cancel_only"}
    return names.id, {
        "altname": names.altname,
        "wsname": names.wsname,
        "aclass_base": "currency",
        "base": asset_id(pair.base),
        "aclass_quote": "currency",
        "quote": asset_id(pair.quote),
        "lot": "unit",
        "cost_decimals": 8,
        "pair_decimals": names.price_decimals,
        "lot_decimals": names.lot_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, _TAKER_PERCENT]],
        "fees_maker": [[0, _MAKER_PERCENT]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": names.lot(listing.min_qty),
        "costmin": f"{listing.min_notional:f}",
        "tick_size": names.price(pair.tick),
        "status": online.get(listing.status, "maintenance"),
    }


def _ohlc(market: Market, query: Query, now_ms: int) -> Result:
    if "pair" not in query:
        raise invalid("pair")
    instrument = asked_pairs(market, query)[0]
    minutes, since_s = whole(query, "interval", 1), whole(query, "since", 0)
    if minutes not in INTERVALS:
        raise invalid("interval")
    pair, names = instrument.pair, names_of(instrument.pair)
    bars = newest_bars(instrument, minutes, now_ms)
    rows = [bar_row(pair, names, bar) for bar in bars if bar.open_ms // 1_000 > since_s]
    open_ms = intervals.open_of(INTERVALS[minutes], now_ms)
    return {names.id: rows, "last": (open_ms - minutes * 60_000) // 1_000}


def _ticker(market: Market, query: Query, now_ms: int) -> Result:
    return dict(filter(None, (_ticker_of(instrument, now_ms) for instrument in asked_pairs(market, query))))


def _ticker_of(instrument: Instrument, now_ms: int) -> tuple[str, Result] | None:
    pair, names = instrument.pair, names_of(instrument.pair)
    day, last = instrument.day(now_ms), instrument.tape.last_trade(now_ms)
    instrument.book.advance(now_ms)
    top = instrument.book.top()
    if day is None or last is None or top is None:
        return None

    def offer(ticks: int, steps: int) -> list[str]:
        amount = steps * pair.step
        return [names.price(ticks * pair.tick), str(int(amount)), f"{amount:.3f}"]

    bar = day.bar
    volume, mean = f"{bar.volume * pair.step:.8f}", names.price(average(pair, bar))
    low, high = names.price(bar.low * pair.tick), names.price(bar.high * pair.tick)
    return names.id, {
        "a": offer(top.ask, top.ask_size),
        "b": offer(top.bid, top.bid_size),
        "c": [names.price(last.price * pair.tick), f"{last.amount * pair.step:.8f}"],
        "v": [volume, volume],
        "p": [mean, mean],
        "t": [bar.trades, bar.trades],
        "l": [low, low],
        "h": [high, high],
        "o": names.price(bar.open * pair.tick),
    }


def _depth(market: Market, query: Query, now_ms: int) -> Result:
    if "pair" not in query:
        raise invalid("pair")
    instrument = asked_pairs(market, query)[0]
    count = min(500, max(1, whole(query, "count", 100)))
    pair, names = instrument.pair, names_of(instrument.pair)
    instrument.book.advance(now_ms)

    def told(side: Levels) -> list[list[Any]]:
        rows = list(side.items())[:count]
        return [[names.price(p * pair.tick), f"{a * pair.step:.3f}", now_ms // 1_000] for p, a in rows]

    return {names.id: {"asks": told(instrument.book.asks), "bids": told(instrument.book.bids)}}


PUBLIC: Final[Mapping[str, Callable[[Market, Query, int], Result]]] = {
    "Time": _time,
    "SystemStatus": _status,
    "Assets": _assets,
    "AssetPairs": _asset_pairs,
    "OHLC": _ohlc,
    "Ticker": _ticker,
    "Depth": _depth,
}
