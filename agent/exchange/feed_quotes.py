"""Best bid and ask: from the socket, confirmed by REST, or from REST alone.

Belongs here: whether a quote is trusted. Stays true: a socket's quote is trusted only while its connection
delivered something within 10 s of machine time and REST agreed with it not longer than 30 s ago; a quote that
REST itself just gave is trusted; when the two disagree, REST's is delivered and the socket's is not believed
until they agree again. While a position is open somebody hears of the price at least once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from agent.core.events import QuoteSeen
from agent.core.market import DataSource, Quote
from agent.core.ports import Clock, Sink
from agent.exchange import feed_terms as terms
from agent.exchange.feed_rest import FeedRest
from agent.exchange.feed_terms import FeedTerms, Wait
from agent.exchange.market_frames import TopFrame
from agent.exchange.pace import Pace
from agent.exchange.waiting import first_of

#: Two prices closer than this are the same market. The two copies are never from the same moment; where venue
#: time runs faster the moments lie further apart, so the share grows with the speed up to a hundredfold.
_AGREE_PERCENT: Final = Decimal(1)
_AGREE_PERCENT_FAST: Final = Decimal(5)
_FAST: Final = Decimal(100)


class QuoteDesk:
    """Quotes of one pair. `heard_ms`: machine time of the connection's last frame or pong."""

    def __init__(
        self,
        rest: FeedRest,
        clock: Clock,
        pace: Pace,
        told: FeedTerms,
        sink: Sink,
        heard_ms: Callable[[], float],
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._pace = pace
        self._terms = told
        self._sink = sink
        self._heard_ms = heard_ms
        self._by_socket = False
        self._watching = False
        self._pushed: Quote | None = None
        self._update_id = -1
        self._confirmed_ms = float("-inf")
        self._asked_ms = float("-inf")
        self._answered_ms = float("-inf")
        self._told_ms = float("-inf")
        self._told: Quote | None = None
        self._told_trusted = False
        self._look = asyncio.Event()

    @property
    def is_young(self) -> bool:
        """Whether somebody told the price recently enough for how closely it is watched."""
        return (self._pushed is not None and self._is_alive) or self._answered_lately

    def lead(self, by_socket: bool, watching: bool) -> None:
        """Where prices come from now, and whether a position is open."""
        if (by_socket, watching) != (self._by_socket, self._watching):
            self._by_socket, self._watching = by_socket, watching
            self._asked_ms = float("-inf")
            self._look.set()

    def forget(self) -> None:
        """The connection is gone, and with it what it said."""
        self._pushed = None
        self._update_id = -1
        self._confirmed_ms = float("-inf")

    def pushed(self, frame: TopFrame) -> None:
        """The socket's word. While two connections overlap, the older copy is dropped."""
        if frame.update_id <= self._update_id:
            return
        self._update_id = frame.update_id
        first = self._pushed is None
        self._pushed = Quote(
            frame.bid, frame.bid_qty, frame.ask, frame.ask_qty, self._clock.now_ms(), DataSource.WEBSOCKET
        )
        self._tell(self._pushed, self._is_trusted)
        if first:
            self._asked_ms = float("-inf")
            self._look.set()

    def beat(self) -> None:
        """Called about twice a second: say again what stands, or that it is not trusted any more."""
        if self._pushed is not None and self._is_trusted:
            silent_ms = self._clock.machine_ms() - self._told_ms
            wanted = self._watching and self._by_socket and silent_ms >= self._ms(terms.PRICE_CLOSELY)
            if wanted or not self._told_trusted:
                self._tell(self._pushed, True)
            return
        self._look.set()
        if self._told is not None and self._told_trusted and not self._answered_lately:
            self._tell(self._told, False)

    async def keep_asking(self) -> None:
        """Ask REST as often as the situation needs, for ever."""
        while True:
            wait_ms = self._asked_ms + self._interval_ms() - self._clock.machine_ms()
            if wait_ms > 0:
                await first_of(self._look.wait(), self._clock.sleep_machine(wait_ms))
                self._look.clear()
                continue
            self._asked_ms = self._clock.machine_ms()
            quote = await self._rest.quote()
            if quote is not None:
                self._answered_ms = self._clock.machine_ms()
                self._compare(quote)

    def _compare(self, theirs: Quote) -> None:
        ours = self._pushed
        if ours is None or not self._is_alive:
            self._tell(theirs, True)
        elif self._agree(ours, theirs):
            self._confirmed_ms = self._clock.machine_ms()
            self._tell(ours, True)
        else:
            self._confirmed_ms = float("-inf")
            self._tell(theirs, True)

    def _agree(self, ours: Quote, theirs: Quote) -> bool:
        faster = (min(Decimal(repr(self._pace.rate)), _FAST) - 1) / (_FAST - 1)
        percent = _AGREE_PERCENT + faster * (_AGREE_PERCENT_FAST - _AGREE_PERCENT)
        return abs(ours.mid - theirs.mid) * 100 <= percent * theirs.mid

    def _tell(self, quote: Quote, trusted: bool) -> None:
        self._told_ms = self._clock.machine_ms()
        self._told, self._told_trusted = quote, trusted
        self._sink(QuoteSeen(quote, trusted))

    def _interval_ms(self) -> float:
        """Machine time between two requests."""
        if self._by_socket and self._is_trusted:
            return self._ms(terms.CONFIRM_EVERY)
        if self._watching:
            return self._ms(terms.PRICE_CLOSELY)
        if self._by_socket:
            return self._ms(terms.CONFIRM_AGAIN_IDLE)
        return self._ms((self._terms.poll_idle_s * 1_000, 1_000))

    @property
    def _answered_lately(self) -> bool:
        """REST told a price in this or the last interval."""
        age_ms = self._clock.machine_ms() - self._answered_ms
        return self._told is not None and age_ms <= self._interval_ms() + terms.ALIVE_FOR_MS

    @property
    def _is_alive(self) -> bool:
        return self._clock.machine_ms() - self._heard_ms() <= terms.ALIVE_FOR_MS

    @property
    def _is_trusted(self) -> bool:
        confirmed_ms = self._clock.machine_ms() - self._confirmed_ms
        return self._is_alive and confirmed_ms <= self._ms(terms.CONFIRMED_FOR)

    def _ms(self, wait: Wait) -> float:
        return self._pace.machine_patience_ms(*wait)
