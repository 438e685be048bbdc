"""The public REST endpoints: what each answers and what it weighs.

Belongs here: one function per endpoint, from parameters to JSON, and the table of them. Stays true: an
endpoint reads the market as of one moment of venue time; unknown parameters are refused; weights are
Binance's of 2026.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from agent.localexchange import intervals, wire
from agent.localexchange.bars import TRADE_EPOCH_S, Trade
from agent.localexchange.book import Top
from agent.localexchange.intervals import MINUTE_MS, SECOND_MS
from agent.localexchange.market import DayStatistics, Instrument, Market
from agent.localexchange.parameters import Parameters, RejectionError, bad_symbol
from agent.localexchange.wire import Json
from agent.localexchange.wire_info import exchange_info

Answer: TypeAlias = Json | list[Any]
Endpoint: TypeAlias = Callable[[Market, Parameters, int], Answer]

#: Klines, trades and the like: rows unless told otherwise, and at most.
_ROWS: Final = 500
_MOST_ROWS: Final = 1_000
_MOST_LEVELS: Final = 5_000
_AVERAGE_MINUTES: Final = 5


@dataclass(frozen=True, slots=True)
class Public:
    """An endpoint and its weight. `weight` sees the query, because lists weigh more."""

    answer: Endpoint
    weight: Callable[[dict[str, str], int], int]


def _listed(market: Market, symbol: str) -> Instrument:
    instrument = market.find(symbol)
    if instrument is None:
        raise bad_symbol()
    return instrument


def _chosen(market: Market, parameters: Parameters) -> tuple[list[Instrument], bool]:
    """The instruments asked for, and whether the answer is a list."""
    wants_list = parameters.text("symbol") is None
    symbols = parameters.symbols()
    return [_listed(market, s) for s in symbols or market.symbols], wants_list


def _ping(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    parameters.nothing_else()
    return {}


def _time(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    parameters.nothing_else()
    return {"serverTime": now_ms}


def _exchange_info(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    for filtered in ("permissions", "symbolStatus", "showPermissionSets"):
        parameters.text(filtered)
    instruments, _ = _chosen(market, parameters)
    parameters.nothing_else()
    return exchange_info([i.listing for i in instruments], now_ms)


def _klines(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    interval = parameters.required("interval")
    if interval not in intervals.NAMES:
        raise RejectionError(-1120, "Invalid interval.")
    if parameters.text("timeZone") not in (None, "0", "+0", "00:00", "+00:00"):
        raise RejectionError(
            -1100, "Illegal characters found in parameter 'timeZone'; only UTC is offered here."
        )
    start_ms, end_ms = parameters.whole("startTime"), parameters.whole("endTime")
    limit = parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    bars = instrument.tape.klines(interval, start_ms, end_ms, limit, now_ms)
    return [wire.kline_row(instrument.pair, bar) for bar in bars]


def _depth(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    limit = parameters.limit(100, _MOST_LEVELS)
    parameters.text("symbolStatus")
    parameters.nothing_else()
    book = instrument.book
    book.advance(now_ms)
    return wire.depth(instrument.pair, book.update_id, book.bids, book.asks, limit)


def _day(instrument: Instrument, now_ms: int) -> tuple[DayStatistics, Top, Trade]:
    day, last = instrument.day(now_ms), instrument.tape.last_trade(now_ms)
    instrument.book.advance(now_ms)
    top = instrument.book.top()
    if day is None or top is None or last is None:
        raise RejectionError(-1121, "Invalid symbol: nothing was traded in it during the last 24 hours.")
    return day, top, last


def _ticker_day(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instruments, wants_list = _chosen(market, parameters)
    kind = parameters.text("type") or "FULL"
    if kind not in ("FULL", "MINI"):
        raise RejectionError(-1130, "Data sent for parameter 'type' is not valid.")
    parameters.text("symbolStatus")
    parameters.nothing_else()
    rows = []
    for instrument in instruments:
        day, top, last = _day(instrument, now_ms)
        pair = instrument.pair
        full = kind == "FULL"
        rows.append(wire.day_row(pair, day, top, last.amount) if full else wire.mini_day_row(pair, day))
    return rows if wants_list else rows[0]


def _ticker_price(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instruments, wants_list = _chosen(market, parameters)
    parameters.text("symbolStatus")
    parameters.nothing_else()
    rows = []
    for instrument in instruments:
        last = instrument.tape.last_trade(now_ms)
        if last is not None:
            rows.append({"symbol": instrument.pair.symbol, "price": instrument.pair.price_text(last.price)})
    if not rows:
        raise bad_symbol()
    return rows if wants_list else rows[0]


def _ticker_book(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instruments, wants_list = _chosen(market, parameters)
    parameters.text("symbolStatus")
    parameters.nothing_else()
    rows = []
    for instrument in instruments:
        instrument.book.advance(now_ms)
        top = instrument.book.top()
        if top is not None:
            rows.append(wire.book_ticker_row(instrument.pair, top))
    if not rows:
        raise bad_symbol()
    return rows if wants_list else rows[0]


def _trades(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    limit = parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    return [wire.trade_row(instrument.pair, t) for t in instrument.tape.newest_trades(limit, now_ms)]


def _historical_trades(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    limit, from_id = parameters.limit(_ROWS, _MOST_ROWS), parameters.whole("fromId")
    parameters.nothing_else()
    if from_id is None:
        found = instrument.tape.newest_trades(limit, now_ms)
    else:
        found = _trades_from(instrument, from_id + TRADE_EPOCH_S, None, limit, now_ms)
    return [wire.trade_row(instrument.pair, trade) for trade in found]


def _agg_trades(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    start_ms, end_ms = parameters.whole("startTime"), parameters.whole("endTime")
    from_id, limit = parameters.whole("fromId"), parameters.limit(_ROWS, _MOST_ROWS)
    parameters.nothing_else()
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise RejectionError(-1128, "Combination of optional parameters invalid.")
    if from_id is not None:
        found = _trades_from(instrument, from_id + TRADE_EPOCH_S, None, limit, now_ms)
    elif start_ms is not None:
        found = _trades_from(instrument, -(-start_ms // SECOND_MS), end_ms, limit, now_ms)
    else:
        found = instrument.tape.newest_trades(limit, now_ms if end_ms is None else min(end_ms, now_ms))
    return [wire.agg_trade_row(instrument.pair, trade) for trade in found]


def _trades_from(
    instrument: Instrument, from_s: int, end_ms: int | None, limit: int, now_ms: int
) -> list[Trade]:
    """Up to `limit` trades forward from a second; an hour is read at most, so that holes end the search."""
    from_s = max(from_s, instrument.tape.listed_ms // SECOND_MS)
    until_s = min(now_ms, now_ms if end_ms is None else end_ms) // SECOND_MS + 1
    found = instrument.tape.trades(from_s, min(until_s, from_s + 3_600)) if from_s < until_s else []
    return found[:limit]


def _average_price(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    instrument = _listed(market, parameters.symbol())
    parameters.nothing_else()
    pair = instrument.pair
    span = instrument.tape.span((now_ms // MINUTE_MS - _AVERAGE_MINUTES + 1) * MINUTE_MS, now_ms)
    last = instrument.tape.last_trade(now_ms)
    if last is None:
        raise bad_symbol()
    price = pair.price_text(last.price)
    if span is not None and span.volume:
        price = pair.average_text(span.quote, span.volume)
    return {"mins": _AVERAGE_MINUTES, "price": price, "closeTime": last.at_ms}


def _system_status(market: Market, parameters: Parameters, now_ms: int) -> Answer:
    parameters.nothing_else()
    if market.in_maintenance:
        return {"status": 1, "msg": "system_maintenance"}
    return {"status": 0, "msg": "normal"}


def _fixed(weight: int) -> Callable[[dict[str, str], int], int]:
    return lambda query, listed: weight


def _per_list(one: int, all_symbols: int) -> Callable[[dict[str, str], int], int]:
    return lambda query, listed: one if "symbol" in query else all_symbols


def _day_weight(query: dict[str, str], listed: int) -> int:
    asked = query["symbols"].count(",") + 1 if "symbols" in query else None
    if "symbol" in query or (asked is not None and asked <= 20):
        return 2
    return 40 if asked is not None and asked <= 100 else 80


def _depth_weight(query: dict[str, str], listed: int) -> int:
    text = query.get("limit", "100")
    limit = int(text) if text.isdigit() else 100
    for most, weight in ((100, 5), (500, 25), (1_000, 50)):
        if limit <= most:
            return weight
    return 250


PUBLIC: Final[dict[str, Public]] = {
    "/api/v3/ping": Public(_ping, _fixed(1)),
    "/api/v3/time": Public(_time, _fixed(1)),
    "/api/v3/exchangeInfo": Public(_exchange_info, _fixed(20)),
    "/api/v3/klines": Public(_klines, _fixed(2)),
    "/api/v3/uiKlines": Public(_klines, _fixed(2)),
    "/api/v3/depth": Public(_depth, _depth_weight),
    "/api/v3/trades": Public(_trades, _fixed(25)),
    "/api/v3/historicalTrades": Public(_historical_trades, _fixed(25)),
    "/api/v3/aggTrades": Public(_agg_trades, _fixed(4)),
    "/api/v3/avgPrice": Public(_average_price, _fixed(2)),
    "/api/v3/ticker/24hr": Public(_ticker_day, _day_weight),
    "/api/v3/ticker/price": Public(_ticker_price, _per_list(2, 4)),
    "/api/v3/ticker/bookTicker": Public(_ticker_book, _per_list(2, 4)),
    "/sapi/v1/system/status": Public(_system_status, _fixed(1)),
}
