"""Any exchange's public market through ccxt's unified methods: no keys, no orders.

Numbers are asked for as text, so money stays exact. What an exchange does not tell (no server time, no
minimum) is left out rather than invented. One request counts as one unit, spaced by ccxt's own figure for the
exchange, because most exchanges count no weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

from agent.config.capabilities import CAPABILITIES
from agent.core.instrument import Instrument
from agent.core.market import MINUTE_MS, Book, BookLevel, Candle, DataSource, Quote
from agent.core.money import ZERO, money
from agent.core.ports import Clock, MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.candle_rows import read_candles
from agent.exchange.ccxt_client import PublicClient
from agent.exchange.ccxt_import import rest_class
from agent.exchange.probe import Probe
from agent.exchange.timeframes import BarSource, bar_source
from agent.exchange.weight_gate import Urgency, WeightGate

#: ccxt's precision modes.
_DECIMAL_PLACES: Final = 2
_TICK_SIZE: Final = 4


def gate_for(
    exchange: str,
    clock: Clock,
    *,
    blocked_until_ms: int = 0,
    on_blocked: Callable[[int], None] | None = None,
) -> WeightGate:
    """A gate that spaces requests as ccxt would. Raises UnknownExchangeError."""
    spacing_ms = float(rest_class(exchange)().rateLimit)
    # The spacing is the limit that holds; the minute only has to stay out of its way.
    per_minute = max(10, int(MINUTE_MS / max(spacing_ms, 1.0))) * 3
    return WeightGate(
        clock,
        limit_per_minute=per_minute,
        spacing_ms=spacing_ms,
        blocked_until_ms=blocked_until_ms,
        on_blocked=on_blocked,
    )


class CcxtPublic:
    """`MarketData` of one pair and timeframe on the exchange of `addresses`.

    Raises ValueError, in words for the user, when the timeframe cannot be had there.
    """

    def __init__(
        self, addresses: Addresses, pair: str, timeframe: str, gate: WeightGate, clock: Clock
    ) -> None:
        self.pair = pair
        self._clock = clock
        self._client = PublicClient(addresses, gate)
        self._api = self._client.ccxt
        self.source: BarSource = bar_source(timeframe, self._api.timeframes or {})
        self._tells_ms = False

    async def instrument(self) -> Instrument:
        what = f"the rules of {self.pair}"
        markets = await self._client.ask(
            Urgency.RECONCILE, 1, what, lambda: self._api.load_markets(self._api.markets is not None)
        )
        market = markets.get(self.pair) if isinstance(markets, dict) else None
        if market is None or not market.get("spot", True):
            raise MarketDataError(f"{what}: {self._api.id} has no spot market {self.pair}", permanent=True)
        return _instrument(market, self._api.precisionMode, what, str(self._api.id))

    async def loaded(self) -> Any:
        """ccxt with its markets known, for those who read its words elsewhere. Raises MarketDataError."""
        if self._api.markets is None:
            what = f"the markets of {self._api.id}"
            await self._client.ask(Urgency.WATCH, 1, what, lambda: self._api.load_markets())
        return self._api

    async def candles(self, since_ms: int, limit: int) -> list[Candle]:
        return await self._read(Urgency.WATCH, since_ms, limit)

    async def past_candles(self, since_ms: int, limit: int) -> list[Candle]:
        """The same for loading history, which waits for every other request."""
        return await self._read(Urgency.HISTORY, since_ms, limit)

    async def _read(self, urgency: Urgency, since_ms: int, limit: int) -> list[Candle]:
        fetch = partial(self._ohlcv, urgency)
        return await read_candles(fetch, self.source, since_ms, limit, short_page_ends=False)

    async def _ohlcv(self, urgency: Urgency, since_ms: int, limit: int) -> object:
        return await self._client.ask(
            urgency,
            1,
            f"{self.pair} candles",
            lambda: self._api.fetch_ohlcv(self.pair, self.source.interval, since_ms, limit),
        )

    async def book(self) -> Book:
        return await self._book(Urgency.ENTER)

    async def _book(self, urgency: Urgency) -> Book:
        what = f"the {self.pair} order book"
        answer = await self._client.ask(urgency, 1, what, lambda: self._api.fetch_order_book(self.pair))
        try:
            return Book(_levels(answer["bids"]), _levels(answer["asks"]), self._clock.now_ms())
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise MarketDataError(f"{what}: the answer makes no sense ({error})") from None

    async def fee_price(self, currency: str) -> Decimal:
        """What one of another currency brings here, in quote currency. Raises MarketDataError."""
        pair = f"{currency}/{self.pair.partition('/')[2]}"
        what = f"the {pair} price"
        api = await self.loaded()
        if pair not in api.markets:
            raise MarketDataError(f"{what}: {api.id} has no such market", permanent=True)
        answer = await self._client.ask(Urgency.RECONCILE, 1, what, lambda: api.fetch_order_book(pair))
        bids = _levels(answer["bids"]) if isinstance(answer, dict) else ()
        if not bids:
            raise MarketDataError(f"{what}: nobody is bidding")
        return bids[0].price

    async def quote(self) -> Quote:
        """The top of the book: not every exchange's ticker has a bid and an ask."""
        book = await self._book(Urgency.RECONCILE)
        if not book.bids or not book.asks:
            raise MarketDataError(f"the {self.pair} price: nobody is bidding or asking")
        bid, ask = book.bids[0], book.asks[0]
        return Quote(bid.price, bid.qty, ask.price, ask.qty, book.at_ms, DataSource.REST)

    async def server_time_ms(self) -> int:
        if not self._api.has.get("fetchTime"):
            raise MarketDataError(f"{self._api.id} does not tell its time", permanent=True)
        what = "the exchange's time"
        answer = await self._client.ask(Urgency.WATCH, 1, what, lambda: self._api.fetch_time())
        if type(answer) is not int:
            raise MarketDataError(f"{what}: the answer makes no sense ({answer!r})")
        self._tells_ms = self._tells_ms or bool(answer % 1_000)
        # Of whole seconds (Kraken's) the middle is the best guess.
        return answer if self._tells_ms else answer + 500

    async def probe(self) -> Probe:
        server_time_ms = None
        if self._api.has.get("fetchTime"):
            server_time_ms = await self.server_time_ms()
        else:
            await self.quote()
        assert self._client.last_latency_ms is not None
        return Probe(server_time_ms, self._client.last_latency_ms)

    async def close(self) -> None:
        await self._client.close()


def _order_types(exchange: str) -> frozenset[str]:
    """What is placed there: of stops, those that this agent lets rest."""
    row = CAPABILITIES.get(exchange)
    return frozenset({"LIMIT", "MARKET", *(() if row is None else row.stops)})


def _instrument(market: Mapping[str, Any], precision_mode: int, what: str, exchange: str) -> Instrument:
    limits = market.get("limits") or {}
    try:
        return Instrument(
            symbol=market["symbol"],
            base=market["base"],
            quote=market["quote"],
            tick=_grid(market["precision"]["price"], precision_mode),
            step=_grid(market["precision"]["amount"], precision_mode),
            min_qty=_limit(limits, "amount", "min"),
            max_qty=_limit(limits, "amount", "max"),
            market_max_qty=_limit(limits, "market", "max"),
            min_notional=_limit(limits, "cost", "min"),
            max_notional=_limit(limits, "cost", "max"),
            min_price=_limit(limits, "price", "min"),
            max_price=_limit(limits, "price", "max"),
            order_types=_order_types(exchange),
            lists_allowed=False,
            trading=market.get("active") is not False,
            taker_fee_rate=_number(market.get("taker")),
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise MarketDataError(f"{what}: {error} is missing or makes no sense") from None


def _grid(precision: object, mode: int) -> Decimal:
    if precision is None:
        raise ValueError("the price or quantity step")
    if mode == _TICK_SIZE:
        return money(str(precision))
    if mode == _DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(str(precision)))
    raise ValueError("a grid of significant digits")


def _limit(limits: Mapping[str, Any], name: str, side: str) -> Decimal:
    return _number((limits.get(name) or {}).get(side))


def _number(value: object) -> Decimal:
    return ZERO if value is None else money(str(value))


def _levels(rows: list[list[object]]) -> tuple[BookLevel, ...]:
    levels = tuple(BookLevel(money(str(row[0])), money(str(row[1]))) for row in rows)
    return tuple(level for level in levels if level.price > ZERO and level.qty > ZERO)
