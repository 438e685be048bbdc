"""Market sockets of any exchange, through ccxt.pro: the same sockets that the feed knows of Binance.

Belongs here: keeping the subscriptions, back-off, and reading ccxt's caches after every frame. Stays true:
what is told comes out of the caches, so that nothing is lost between two waits, and as copies, because ccxt
changes its rows in place; no bar is ever told to be closed (`tells_closing` is false), so the clock closes it
and REST has the last word; every connection has an instance of its own, so that nothing ccxt remembers of one
that failed reaches the next; whatever happens another attempt follows (at once after a long life, then after
1, 2, 4, 8, 16, 16, ... seconds). Whether the data is fresh is judged by the feed, which calls `reconnect`: a
socket that answers pings and brings nothing is found there, not by ccxt.

All times here are machine time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from agent.core.market import Candle
from agent.core.money import ZERO
from agent.core.ports import Clock, MarketDataError
from agent.exchange.addresses import Addresses
from agent.exchange.binance_sockets import SocketListener
from agent.exchange.market_frames import KlineFrame, TopFrame, Unreadable
from agent.exchange.unified.pro_client import closed, pro_instance, with_markets_of
from agent.exchange.waiting import BackOff, first_of

_log = logging.getLogger(__name__)

#: A connection that lived this long was healthy: dial again at once when it drops.
_HEALTHY_LIFE_MS: Final = 30_000.0
#: A wait for ccxt is ended and begun again; the subscription stays.
_WAIT_S: Final = 30.0


#: Of an error of ccxt, which may hold a whole page.
_SHOWN: Final = 200

Watch = Callable[[], Awaitable[object]]
"""One wait of ccxt for one subscription."""


class Ends(Protocol):
    def ended(self, why: str) -> None: ...


class KnowsMarkets(Protocol):
    """Whose markets are used: the client that reads by REST."""

    async def loaded(self) -> Any:
        """A ccxt instance with its markets loaded. Raises MarketDataError."""
        ...


@dataclass(slots=True)
class UnifiedCounters:
    """What happened since the start."""

    instances: int = 0
    connections: int = 0
    frames: int = 0
    not_understood: int = 0


class UnifiedSockets:
    """Candles of `interval`, best bid and ask of `pair` (`ADA/USDT`). `interval` None: prices alone."""

    def __init__(
        self,
        addresses: Addresses,
        pair: str,
        interval: str | None,
        markets: KnowsMarkets,
        clock: Clock,
        *,
        ping_interval_s: float,
    ) -> None:
        self._addresses = addresses
        self._pair = pair
        self._interval = interval
        self._markets = markets
        self._clock = clock
        self._ping_interval_ms = round(ping_interval_s * 1_000)
        self._reconnect_wanted = asyncio.Event()
        self._reconnect_reason = ""
        self._last_heard_ms = float("-inf")
        self.counters = UnifiedCounters()

    @property
    def tells_closing(self) -> bool:
        return False

    @property
    def last_heard_ms(self) -> float:
        """Machine time of the last frame."""
        return self._last_heard_ms

    def reconnect(self, why: str) -> None:
        """Drop the connection and dial again."""
        self._reconnect_reason = why
        self._reconnect_wanted.set()

    async def run(self, listener: SocketListener) -> None:
        """Deliver until canceled."""
        back_off = BackOff()
        while True:
            life = _Life(self._pair, self._interval, self._clock, listener, self.counters, self._heard)
            began_ms = self._clock.machine_ms()
            why = await self._live(life)
            _log.info("market streams are down: %s", why)
            listener.socket_down(why)
            if self._clock.machine_ms() - began_ms >= _HEALTHY_LIFE_MS:
                back_off.reset()
            else:
                await self._clock.sleep_machine(back_off.next_ms())

    def _heard(self) -> None:
        self._last_heard_ms = self._clock.machine_ms()

    async def _live(self, life: _Life) -> str:
        """From an instance of ccxt to its end. Returns why it ended."""
        try:
            known = await self._markets.loaded()
        except MarketDataError as error:
            return str(error)
        self.counters.instances += 1
        made = pro_instance(self._addresses, life, ping_interval_ms=self._ping_interval_ms)
        try:
            with_markets_of(made, known)
            self._reconnect_wanted.clear()
            life.made = made
            await first_of(
                life.over.wait(),
                self._reconnect_wanted.wait(),
                *(kept_waiting(watch, life) for watch in self._watches(made)),
            )
            return self._reconnect_reason if self._reconnect_wanted.is_set() else life.why
        finally:
            life.made = None
            await closed(made)

    def _watches(self, made: Any) -> list[Watch]:
        pair, interval = self._pair, self._interval
        watches: list[Watch] = []
        if made.has.get("watchBidsAsks"):
            watches.append(lambda: made.watch_bids_asks([pair], {}))
        else:
            watches.append(lambda: made.watch_ticker(pair))
        if interval is not None:
            watches.append(lambda: made.watch_ohlcv(pair, interval))
        return watches


class _Life:
    """One instance of ccxt: what its frames say, told on when it is new."""

    made: Any = None

    def __init__(
        self,
        pair: str,
        interval: str | None,
        clock: Clock,
        listener: SocketListener,
        counters: UnifiedCounters,
        heard: Callable[[], None],
    ) -> None:
        self._pair = pair
        self._interval = interval
        self._clock = clock
        self._listener = listener
        self._counters = counters
        self._heard = heard
        self._up = False
        self._candle: Candle | None = None
        self._top: tuple[Decimal, ...] | None = None
        self._updates = 0
        self.over = asyncio.Event()
        self.why = "the connection ended"

    def opened(self) -> None:
        self._counters.connections += 1
        if not self._up:
            self._up = True
            self._listener.socket_up()

    def ended(self, why: str) -> None:
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def heard(self) -> None:
        self._counters.frames += 1
        self._heard()
        if self.made is None or self.over.is_set():
            return
        try:
            self._read_top()
            self._read_candle()
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.not_understood(f"{type(error).__name__} ({error})")

    def not_understood(self, why: str) -> None:
        self._counters.not_understood += 1
        self._heard()
        self._listener.socket_unreadable(Unreadable(why))

    def _read_top(self) -> None:
        """Best bid and ask: of the cache for them, or of the ticker where there is none."""
        told = self.made.bidsasks.get(self._pair) or self.made.tickers.get(self._pair)
        if told is None or told.get("bid") is None or told.get("ask") is None:
            return
        top = tuple(_amount(told.get(name)) for name in ("bid", "bidVolume", "ask", "askVolume"))
        if top == self._top:
            return
        if top[0] <= 0 or top[2] <= 0 or top[1] < 0 or top[3] < 0:
            raise ValueError(f"a price or a quantity is not positive: {told}")
        self._top = top
        self._updates += 1
        # Two connections never overlap here, so our own count is the book's.
        update_id = self._clock.now_ms() * 1_000 + self._updates % 1_000
        self._listener.socket_top(TopFrame(update_id, *top))

    def _read_candle(self) -> None:
        """The newest row; older ones are the clock's and REST's."""
        rows = (self.made.ohlcvs.get(self._pair) or {}).get(self._interval)
        if not rows:
            return
        row = max(list(rows)[-2:], key=lambda one: one[0])
        candle = Candle(int(row[0]), *(float(value) for value in row[1:6]))
        if candle != self._candle:
            self._candle = candle
            assert self._interval is not None
            self._listener.socket_kline(KlineFrame(self._interval, candle, closed=False))


async def kept_waiting(watch: Watch, life: Ends) -> None:
    """Wait for ccxt again and again, so that it stays subscribed; returns when it failed."""
    while True:
        try:
            # Not `wait_for`: of 3.11 it forgets a cancellation that comes with a result.
            async with asyncio.timeout(_WAIT_S):
                await watch()
        except TimeoutError:
            continue
        except asyncio.CancelledError:
            # ccxt cancels its own waits when it closes a connection; that is not the end of us.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            life.ended("the connection was closed")
            return
        except Exception as error:  # noqa: BLE001 - a wrong key is a KeyError here, and anything may be
            life.ended(f"{type(error).__name__}: {error}"[:_SHOWN])
            return


def _amount(value: object) -> Decimal:
    """Of a number of ccxt's: a float says exactly the digits it was sent with, up to fifteen of them."""
    if value is None:
        return ZERO
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError(f"{value} is no amount")
    return amount
