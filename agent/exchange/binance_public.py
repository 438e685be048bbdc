"""Binance spot's public market by REST: ccxt carries the requests, the answers are read raw.

Raw, because Binance writes every number as text (money stays exact), and because ccxt would first load every
market there is, 50 MiB of them. Weights are Binance's own. What an answer should contain and does not is a
MarketDataError.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from agent.core.instrument import Instrument, PriceBand
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.money import ZERO, money
from agent.core.ports import Clock, MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.candle_rows import read_candles
from agent.exchange.ccxt_client import PublicClient
from agent.exchange.probe import Probe
from agent.exchange.timeframes import BINANCE_INTERVALS, BarSource, bar_source
from agent.exchange.weight_gate import Urgency, WeightGate

#: exchangeInfo tells no fees; this is the regular rate, and ccxt's constant too.
_TAKER_FEE: Final = Decimal("0.001")
_BOOK_LEVELS: Final = 100

_WEIGHT_CANDLES: Final = 2
_WEIGHT_BOOK: Final = 5
_WEIGHT_QUOTE: Final = 2
_WEIGHT_INFO: Final = 20
_WEIGHT_TIME: Final = 1


class BinancePublic:
    """`MarketData` of one pair and timeframe. No keys, no orders."""

    def __init__(
        self, addresses: Addresses, pair: str, timeframe: str, gate: WeightGate, clock: Clock
    ) -> None:
        base, _, quote = pair.partition("/")
        assert quote, f"{pair!r} is not BASE/QUOTE"
        self.pair = pair
        self.symbol = base + quote
        self.source: BarSource = bar_source(timeframe, BINANCE_INTERVALS)
        self._clock = clock
        self._gate = gate
        self._client = PublicClient(addresses, gate)
        self._api = self._client.ccxt

    async def instrument(self) -> Instrument:
        """The pair's rules. Also tells the gate the current request limit."""
        what = f"the rules of {self.pair}"
        answer = await self._client.ask(
            Urgency.RECONCILE,
            _WEIGHT_INFO,
            what,
            lambda: self._api.public_get_exchangeinfo({"symbol": self.symbol}),
        )
        info = _object(answer, what)
        limit = _weight_limit(info)
        if limit is not None:
            self._gate.set_limit(limit)
        self._gate.orders.learn_limits(info.get("rateLimits"))
        found = [s for s in _list(info.get("symbols"), what) if _object(s, what).get("symbol") == self.symbol]
        if not found:
            raise MarketDataError(f"{what}: the exchange does not trade {self.pair}", permanent=True)
        return instrument_of(found[0], self.pair)

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        return await self._read(Urgency.WATCH, since_ms, limit)

    async def past_candles(self, since_ms: int, limit: int) -> list[Candle]:
        """The same for loading history, which waits for every other request."""
        return await self._read(Urgency.HISTORY, since_ms, limit)

    async def _read(self, urgency: Urgency, since_ms: int, limit: int) -> list[Candle]:
        fetch = partial(self._klines, urgency)
        return await read_candles(fetch, self.source, since_ms, limit, short_page_ends=True)

    async def _klines(self, urgency: Urgency, since_ms: int, limit: int) -> object:
        request = {
            "symbol": self.symbol,
            "interval": self.source.interval,
            "startTime": since_ms,
            "limit": limit,
        }
        return await self._client.ask(
            urgency,
            _WEIGHT_CANDLES,
            f"{self.pair} candles",
            lambda: self._api.public_get_klines(request),
        )

    async def book(self) -> Book:
        what = f"the {self.pair} order book"
        answer = await self._client.ask(
            Urgency.ENTER,
            _WEIGHT_BOOK,
            what,
            lambda: self._api.public_get_depth({"symbol": self.symbol, "limit": _BOOK_LEVELS}),
        )
        book = _object(answer, what)
        try:
            return Book(_levels(book["bids"]), _levels(book["asks"]), self._clock.now_ms())
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise MarketDataError(f"{what}: the answer makes no sense ({error})") from None

    async def quote(self) -> Quote:
        what = f"the {self.pair} price"
        answer = await self._client.ask(
            Urgency.RECONCILE,
            _WEIGHT_QUOTE,
            what,
            lambda: self._api.public_get_ticker_bookticker({"symbol": self.symbol}),
        )
        top = _object(answer, what)
        try:
            quote = Quote(
                _amount(top["bidPrice"]),
                _amount(top["bidQty"]),
                _amount(top["askPrice"]),
                _amount(top["askQty"]),
                self._clock.now_ms(),
                DataSource.REST,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise MarketDataError(f"{what}: the answer makes no sense ({error})") from None
        if quote.bid <= 0 or quote.ask <= 0:
            raise MarketDataError(f"{what}: nobody is bidding or asking")
        return quote

    async def fee_price(self, currency: str) -> Decimal:
        """Quote currency for one unit of `currency`: the middle of its own pair's best bid and ask."""
        symbol = currency + self.pair.partition("/")[2]
        what = f"the price of {currency}"
        answer = await self._client.ask(
            Urgency.WATCH,
            _WEIGHT_QUOTE,
            what,
            lambda: self._api.public_get_ticker_bookticker({"symbol": symbol}),
        )
        top = _object(answer, what)
        try:
            bid, ask = _amount(top["bidPrice"]), _amount(top["askPrice"])
        except (KeyError, TypeError, ValueError) as error:
            raise MarketDataError(f"{what}: the answer makes no sense ({error})") from None
        if bid <= 0 or ask < bid:
            raise MarketDataError(f"{what}: nobody is bidding or asking")
        return (bid + ask) / 2

    async def server_time_ms(self) -> int:
        what = "the exchange's time"
        answer = await self._client.ask(
            Urgency.WATCH, _WEIGHT_TIME, what, lambda: self._api.public_get_time()
        )
        try:
            return int(_object(answer, what)["serverTime"])
        except (KeyError, TypeError, ValueError) as error:
            raise MarketDataError(f"{what}: the answer makes no sense ({error})") from None

    async def probe(self) -> Probe:
        server_time_ms = await self.server_time_ms()
        assert self._client.last_latency_ms is not None
        return Probe(server_time_ms, self._client.last_latency_ms)

    async def close(self) -> None:
        await self._client.close()


def instrument_of(symbol: Mapping[str, Any], pair: str) -> Instrument:
    """Binance's description of a symbol. Raises MarketDataError when something needed is missing."""
    try:
        filters = {f["filterType"]: f for f in symbol["filters"]}
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        band = filters.get("PERCENT_PRICE_BY_SIDE")
        return Instrument(
            symbol=pair,
            base=symbol["baseAsset"],
            quote=symbol["quoteAsset"],
            tick=money(price["tickSize"]),
            step=money(lot["stepSize"]),
            min_qty=money(lot["minQty"]),
            max_qty=money(lot["maxQty"]),
            market_max_qty=money(filters.get("MARKET_LOT_SIZE", {}).get("maxQty", "0")),
            min_notional=money(notional.get("minNotional", "0")),
            max_notional=money(notional.get("maxNotional", "0")),
            min_price=money(price["minPrice"]),
            max_price=money(price["maxPrice"]),
            order_types=frozenset(symbol["orderTypes"]),
            trading=symbol["status"] == "TRADING",
            taker_fee_rate=_TAKER_FEE,
            price_band=None if band is None else _band(band),
            lists_allowed=bool(symbol.get("ocoAllowed", True)),
            max_orders=_most(filters, "MAX_NUM_ORDERS", "maxNumOrders"),
            max_conditional_orders=_most(filters, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
            max_lists=_most(filters, "MAX_NUM_ORDER_LISTS", "maxNumOrderLists"),
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise MarketDataError(f"the rules of {pair}: {error} is missing or makes no sense") from None


def _most(filters: Mapping[str, Mapping[str, Any]], name: str, key: str) -> int:
    """How many a filter allows; 0 where the exchange states nothing."""
    stated = filters.get(name, {}).get(key, 0)
    return stated if type(stated) is int and stated > 0 else 0


def _band(band: Mapping[str, str]) -> PriceBand:
    return PriceBand(
        bid_down=money(band["bidMultiplierDown"]),
        bid_up=money(band["bidMultiplierUp"]),
        ask_down=money(band["askMultiplierDown"]),
        ask_up=money(band["askMultiplierUp"]),
    )


def _weight_limit(info: Mapping[str, Any]) -> int | None:
    for limit in info.get("rateLimits") or ():
        if (limit.get("rateLimitType"), limit.get("interval"), limit.get("intervalNum")) == (
            "REQUEST_WEIGHT",
            "MINUTE",
            1,
        ):
            stated = limit.get("limit")
            return stated if isinstance(stated, int) and stated > 0 else None
    return None


def _levels(rows: list[list[str]]) -> tuple[BookLevel, ...]:
    levels = tuple(BookLevel(_amount(row[0]), _amount(row[1])) for row in rows)
    return tuple(level for level in levels if level.price > ZERO and level.qty > ZERO)


def _amount(text: object) -> Decimal:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a number as text")
    return money(text)


def _object(answer: object, what: str) -> Mapping[str, Any]:
    if not isinstance(answer, dict):
        raise MarketDataError(f"{what}: the answer is no object but {str(answer)[:100]!r}")
    return answer


def _list(answer: object, what: str) -> list[Any]:
    if not isinstance(answer, list):
        raise MarketDataError(f"{what}: the answer is no list but {str(answer)[:100]!r}")
    return answer
