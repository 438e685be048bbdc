"""Market data as Binance writes it: JSON rows for REST, payloads for streams.

Belongs here: from our types to the exact field names and text forms of WIRE. Stays true: prices and amounts
are text with eight decimals, times are integers of milliseconds, a pure function of its arguments.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

from agent.localexchange.bars import Bar, Trade
from agent.localexchange.book import Changes, Levels, Top
from agent.localexchange.market import DayStatistics
from agent.localexchange.pairs import Pair

Json: TypeAlias = dict[str, Any]


@lru_cache(maxsize=2_000)
def kline_row(pair: Pair, bar: Bar) -> tuple[Any, ...]:
    """The same bars are asked for again and again, above all by every start."""
    return (
        bar.open_ms,
        pair.price_text(bar.open),
        pair.price_text(bar.high),
        pair.price_text(bar.low),
        pair.price_text(bar.close),
        pair.amount_text(bar.volume),
        bar.close_ms,
        pair.quote_text(bar.quote),
        bar.trades,
        pair.amount_text(bar.taker_buy),
        pair.quote_text(bar.taker_buy_quote),
        "0",
    )


def kline_event(pair: Pair, interval: str, bar: Bar, event_ms: int) -> Json:
    return {
        "e": "kline",
        "E": event_ms,
        "s": pair.symbol,
        "k": {
            "t": bar.open_ms,
            "T": bar.close_ms,
            "s": pair.symbol,
            "i": interval,
            "f": bar.first_trade,
            "L": bar.last_trade,
            "o": pair.price_text(bar.open),
            "c": pair.price_text(bar.close),
            "h": pair.price_text(bar.high),
            "l": pair.price_text(bar.low),
            "v": pair.amount_text(bar.volume),
            "n": bar.trades,
            "x": bar.closed,
            "q": pair.quote_text(bar.quote),
            "V": pair.amount_text(bar.taker_buy),
            "Q": pair.quote_text(bar.taker_buy_quote),
            "B": "0",
        },
    }


def trade_row(pair: Pair, trade: Trade) -> Json:
    return {
        "id": trade.id,
        "price": pair.price_text(trade.price),
        "qty": pair.amount_text(trade.amount),
        "quoteQty": pair.quote_text(trade.price * trade.amount),
        "time": trade.at_ms,
        "isBuyerMaker": not trade.taker_buys,
        "isBestMatch": True,
    }


def agg_trade_row(pair: Pair, trade: Trade) -> Json:
    return {
        "a": trade.id,
        "p": pair.price_text(trade.price),
        "q": pair.amount_text(trade.amount),
        "f": trade.id,
        "l": trade.id,
        "T": trade.at_ms,
        "m": not trade.taker_buys,
        "M": True,
    }


def trade_event(pair: Pair, trade: Trade, event_ms: int) -> Json:
    return {
        "e": "trade",
        "E": event_ms,
        "s": pair.symbol,
        "t": trade.id,
        "p": pair.price_text(trade.price),
        "q": pair.amount_text(trade.amount),
        "T": trade.at_ms,
        "m": not trade.taker_buys,
        "M": True,
    }


def agg_trade_event(pair: Pair, trade: Trade, event_ms: int) -> Json:
    return {"e": "aggTrade", "E": event_ms, "s": pair.symbol, **agg_trade_row(pair, trade)}


def levels(pair: Pair, side: Levels, limit: int | None = None) -> list[list[str]]:
    rows = list(side.items())[:limit]
    return [[pair.price_text(price), pair.amount_text(size)] for price, size in rows]


def depth(pair: Pair, update_id: int, bids: Levels, asks: Levels, limit: int) -> Json:
    return {
        "lastUpdateId": update_id,
        "bids": levels(pair, bids, limit),
        "asks": levels(pair, asks, limit),
    }


def depth_event(pair: Pair, changes: Changes, event_ms: int) -> Json:
    return {
        "e": "depthUpdate",
        "E": event_ms,
        "s": pair.symbol,
        "U": changes.first_id,
        "u": changes.last_id,
        "b": levels(pair, changes.bids),
        "a": levels(pair, changes.asks),
    }


def book_ticker_row(pair: Pair, top: Top) -> Json:
    return {
        "symbol": pair.symbol,
        "bidPrice": pair.price_text(top.bid),
        "bidQty": pair.amount_text(top.bid_size),
        "askPrice": pair.price_text(top.ask),
        "askQty": pair.amount_text(top.ask_size),
    }


def book_ticker_event(pair: Pair, top: Top) -> Json:
    return {
        "u": top.update_id,
        "s": pair.symbol,
        "b": pair.price_text(top.bid),
        "B": pair.amount_text(top.bid_size),
        "a": pair.price_text(top.ask),
        "A": pair.amount_text(top.ask_size),
    }


def _change(pair: Pair, bar: Bar) -> tuple[str, str, str]:
    """Change of price, in percent, and the weighted average price."""
    move = bar.close - bar.open
    average = pair.average_text(bar.quote, bar.volume)
    return pair.price_text(move), f"{100.0 * move / bar.open:.3f}", average


def day_row(pair: Pair, day: DayStatistics, top: Top, last_amount: int) -> Json:
    bar = day.bar
    change, percent, average = _change(pair, bar)
    return {
        "symbol": pair.symbol,
        "priceChange": change,
        "priceChangePercent": percent,
        "weightedAvgPrice": average,
        "prevClosePrice": pair.price_text(day.previous_close),
        "lastPrice": pair.price_text(bar.close),
        "lastQty": pair.amount_text(last_amount),
        "bidPrice": pair.price_text(top.bid),
        "bidQty": pair.amount_text(top.bid_size),
        "askPrice": pair.price_text(top.ask),
        "askQty": pair.amount_text(top.ask_size),
        "openPrice": pair.price_text(bar.open),
        "highPrice": pair.price_text(bar.high),
        "lowPrice": pair.price_text(bar.low),
        "volume": pair.amount_text(bar.volume),
        "quoteVolume": pair.quote_text(bar.quote),
        "openTime": bar.open_ms,
        "closeTime": bar.close_ms,
        "firstId": bar.first_trade,
        "lastId": bar.last_trade,
        "count": bar.trades,
    }


def mini_day_row(pair: Pair, day: DayStatistics) -> Json:
    bar = day.bar
    return {
        "symbol": pair.symbol,
        "openPrice": pair.price_text(bar.open),
        "highPrice": pair.price_text(bar.high),
        "lowPrice": pair.price_text(bar.low),
        "lastPrice": pair.price_text(bar.close),
        "volume": pair.amount_text(bar.volume),
        "quoteVolume": pair.quote_text(bar.quote),
        "openTime": bar.open_ms,
        "closeTime": bar.close_ms,
        "firstId": bar.first_trade,
        "lastId": bar.last_trade,
        "count": bar.trades,
    }


def mini_ticker_event(pair: Pair, day: DayStatistics, event_ms: int) -> Json:
    bar = day.bar
    return {
        "e": "24hrMiniTicker",
        "E": event_ms,
        "s": pair.symbol,
        "c": pair.price_text(bar.close),
        "o": pair.price_text(bar.open),
        "h": pair.price_text(bar.high),
        "l": pair.price_text(bar.low),
        "v": pair.amount_text(bar.volume),
        "q": pair.quote_text(bar.quote),
    }


def ticker_event(pair: Pair, day: DayStatistics, top: Top, last_amount: int, event_ms: int) -> Json:
    bar = day.bar
    change, percent, average = _change(pair, bar)
    return {
        "e": "24hrTicker",
        "E": event_ms,
        "s": pair.symbol,
        "p": change,
        "P": percent,
        "w": average,
        "x": pair.price_text(day.previous_close),
        "c": pair.price_text(bar.close),
        "Q": pair.amount_text(last_amount),
        "b": pair.price_text(top.bid),
        "B": pair.amount_text(top.bid_size),
        "a": pair.price_text(top.ask),
        "A": pair.amount_text(top.ask_size),
        "o": pair.price_text(bar.open),
        "h": pair.price_text(bar.high),
        "l": pair.price_text(bar.low),
        "v": pair.amount_text(bar.volume),
        "q": pair.quote_text(bar.quote),
        "O": bar.open_ms,
        "C": bar.close_ms,
        "F": bar.first_trade,
        "L": bar.last_trade,
        "n": bar.trades,
    }
