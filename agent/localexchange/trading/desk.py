"""The counter between the protocol and the venue.

Belongs here: bringing the venue to the present before every command, and telling the user stream afterwards.
Stays true: the market's trades up to now have passed the open orders before anything is executed or answered;
whatever the venue tells is published exactly once, in order; two commands never interleave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from agent.localexchange.bars import Trade
from agent.localexchange.clock import VenueClock
from agent.localexchange.intervals import MINUTE_MS, SECOND_MS
from agent.localexchange.market import Instrument, Market
from agent.localexchange.order_limits import OrderCounts
from agent.localexchange.parameters import bad_symbol
from agent.localexchange.trading.market_prices import MarketPrices, Taken, market_prices
from agent.localexchange.venue.events import News, Report
from agent.localexchange.venue.listing import Listing
from agent.localexchange.venue.order import Order
from agent.localexchange.venue.venue import Venue
from agent.localexchange.venue.words import Side, SymbolStatus

#: Machine seconds between two looks at the market while orders are open.
TICK_S: Final = 0.05
#: Minutes looked through at once when much time has passed.
_MINUTES_AT_ONCE: Final = 1_440


class Desk:
    def __init__(self, clock: VenueClock, market: Market, deposits: Mapping[str, Decimal]) -> None:
        self.clock = clock
        self.market = market
        self.venue = Venue(deposits, clock.now_ms())
        self.counts = OrderCounts()
        self._deposits = dict(deposits)
        self._taken = Taken()
        self._passed_s = clock.now_ms() // SECOND_MS
        self._audience: list[Callable[[News], None]] = []
        self._stirred = asyncio.Event()

    def tell(self, audience: Callable[[News], None]) -> None:
        """Have all news told to `audience` from now on."""
        self._audience.append(audience)

    # -- prices --------------------------------------------------------------------------------------

    def prices(self, symbol: str, now_ms: int) -> MarketPrices:
        """Raises RejectionError for a symbol that is not traded here."""
        prices = market_prices(self.market, symbol, self._taken, now_ms)
        if prices is None:
            raise bad_symbol()
        return prices

    def listing(self, symbol: str) -> Listing:
        """Raises RejectionError for a symbol that is not listed here."""
        instrument = self.market.find(symbol)
        if instrument is None:
            raise bad_symbol()
        return instrument.listing

    # -- the present -----------------------------------------------------------------------------------

    def catch_up(self) -> int:
        """Let everything happen that the market has done so far; returns venue time now."""
        now_ms = self.clock.now_ms()
        from_s, to_s = self._passed_s + 1, now_ms // SECOND_MS
        if to_s >= from_s:
            self._passed_s = to_s
            self._pass(from_s, to_s, now_ms)
            self.publish()
        return now_ms

    def publish(self) -> None:
        """Tell what the venue has to tell."""
        for news in self.venue.take_news():
            if isinstance(news, Report) and news.trade is not None and news.order.filled == news.trade.qty:
                self.counts.first_fill(news.at_ms, maker=news.trade.maker)
            for audience in self._audience:
                audience(news)
        if self.venue.registry.any_open:
            self._stirred.set()

    async def run(self) -> None:
        """Keep the open orders in the market's present until cancelled."""
        while True:
            if not self.venue.registry.any_open:
                self._stirred.clear()
                await self._stirred.wait()
            self.catch_up()
            await asyncio.sleep(TICK_S)

    def wipe(self, now_ms: int) -> None:
        """As the testnet does: balances as in the beginning, orders and trades gone, ids anew."""
        self.venue.wipe(self._deposits, now_ms)
        self._taken.forget()

    def _pass(self, from_s: int, to_s: int, now_ms: int) -> None:
        minute, last_minute = from_s // 60, to_s // 60
        while minute <= last_minute and self.venue.registry.any_open:
            until = min(last_minute, minute + _MINUTES_AT_ONCE - 1)
            for lively in (
                self._lively(minute, until, now_ms) if until - minute > 1 else range(minute, until + 1)
            ):
                self._pass_seconds(max(from_s, lively * 60), min(to_s, lively * 60 + 59))
            minute = until + 1

    def _lively(self, minute: int, until: int, now_ms: int) -> Iterable[int]:
        """Those of the minutes in which the market came to an open order's price."""
        ranges: dict[int, list[tuple[str, Decimal, Decimal]]] = {}
        for instrument in self._concerned():
            tick = instrument.pair.tick
            bars = instrument.tape.bars("1m", minute * MINUTE_MS, until * MINUTE_MS, now_ms)
            for bar in bars:
                span = (instrument.pair.symbol, bar.low * tick, bar.high * tick)
                ranges.setdefault(bar.open_ms // MINUTE_MS, []).append(span)
        for number in sorted(ranges):
            orders = self.venue.registry.open_orders()
            if any(
                _near(order, low, high)
                for symbol, low, high in ranges[number]
                for order in orders
                if order.terms.symbol == symbol
            ):
                yield number

    def _pass_seconds(self, from_s: int, to_s: int) -> None:
        """Every trade of these seconds, of all symbols with open orders, in the order of time."""
        trades: list[tuple[Trade, Instrument]] = []
        for instrument in self._concerned():
            trades.extend((trade, instrument) for trade in instrument.tape.trades(from_s, to_s + 1))
        trades.sort(key=lambda item: item[0].at_ms)
        for trade, instrument in trades:
            pair = instrument.pair
            if instrument.listing.status is not SymbolStatus.TRADING:
                continue
            price = trade.price * pair.tick
            if any(_near(order, price, price) for order in self.venue.registry.open_orders(pair.symbol)):
                prices = MarketPrices(self.market, instrument, self._taken, trade.at_ms)
                self.venue.pass_trade(prices, price, trade.amount * pair.step)

    def _concerned(self) -> list[Instrument]:
        symbols = {order.terms.symbol for order in self.venue.registry.open_orders()}
        found = (self.market.find(symbol) for symbol in sorted(symbols))
        return [instrument for instrument in found if instrument is not None]


def _near(order: Order, low: Decimal, high: Decimal) -> bool:
    """Whether a minute between these prices could have done something to the order."""
    if order.waiting:
        return order.terms.starts_at(low) or order.terms.starts_at(high)
    if not order.resting:
        return False
    reach = low if order.terms.side is Side.BUY else high
    return reach <= order.terms.price if order.terms.side is Side.BUY else reach >= order.terms.price
