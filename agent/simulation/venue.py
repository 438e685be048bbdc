"""The exchange of a simulated world: the venue and the answers of the local exchange, without HTTP.

Belongs here: joining the local exchange's own parts (venue, counter, user streams, faults) around a made-up
path, and from one request to its answer. Stays true: everything that decides what an order does is the code
that also runs behind the local exchange's sockets; what is done here in its place, the contract tests compare
with it, answer by answer.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

import orjson

from agent.core.market import Candle, DataSource, Quote
from agent.localexchange.clock import VenueClock
from agent.localexchange.exchange import Exchange, SeenRequest
from agent.localexchange.faults import FaultBoard
from agent.localexchange.faults_stream import FrameFaults
from agent.localexchange.kraken.counters import Counters
from agent.localexchange.market import Instrument, Market
from agent.localexchange.pairs import WIRE_UNITS, pair_named
from agent.localexchange.parameters import Parameters, RejectionError, form_pairs
from agent.localexchange.rest_public import PUBLIC
from agent.localexchange.trading.desk import Desk
from agent.localexchange.trading.frames import Frames
from agent.localexchange.trading.market_prices import MarketPrices
from agent.localexchange.trading.side import TradingSide
from agent.localexchange.trading.signed import raw_of_http
from agent.localexchange.venue.words import Side, SymbolStatus
from agent.simulation.agenda import Agenda
from agent.simulation.path import MarketPath, PathBook, PathInstrument, StillBook, StillTape

KEY: Final = "simulated-key-CANARY-7f3a"
SECRET: Final = "simulated-secret-CANARY-91bc"
_UNAVAILABLE: Final = {"code": -1016, "msg": "This service is no longer available."}


class Request(NamedTuple):
    """One request as its bytes say it."""

    method: str
    path: str
    query: str = ""
    form: str = ""
    key: str | None = None
    sign: str | None = None
    """Where it is no parameter."""

    @property
    def text(self) -> str:
        return "&".join(part for part in (self.query, self.form) if part)


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})
    refused: bool = False
    """Where the status does not say it."""


class WorldClock(VenueClock):
    """The venue's clock is the world's."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        super().__init__(agenda.now_ms, monotonic=lambda: agenda.now_us / 1e6)

    def now_ms(self) -> int:
        return self._agenda.now_ms


class PathDesk(Desk):
    """The counter over a path: only seconds in which something was traded are looked at."""

    def _pass(self, from_s: int, to_s: int, now_ms: int) -> None:
        registry = self.venue.registry
        if not registry.any_open:
            return
        instrument = self.market.main
        pair, symbol = instrument.pair, instrument.pair.symbol
        for trade in instrument.tape.trades(from_s, to_s + 1):
            if instrument.listing.status is not SymbolStatus.TRADING:
                continue
            price = trade.price * pair.tick
            concerned = False
            for order in registry.open_orders(symbol):
                if order.waiting:
                    concerned = concerned or order.terms.starts_at(price)
                elif order.resting:
                    buys = order.terms.side is Side.BUY
                    concerned = concerned or (
                        price <= order.terms.price if buys else price >= order.terms.price
                    )
            if concerned:
                prices = MarketPrices(self.market, instrument, self._taken, trade.at_ms)
                self.venue.pass_trade(prices, price, trade.amount * pair.step)


class Front:
    """From a request to its answer, as `localexchange.rest.Rest` gives it over HTTP."""

    def __init__(self, exchange: Exchange, trading: TradingSide) -> None:
        self.exchange = exchange
        self.trading = trading

    def answer(self, request: Request) -> Answer:
        """Carry out one request."""
        exchange, trading, now_ms = self.exchange, self.trading, self.exchange.clock.now_ms()
        trading.standing.passes(request.method, request.path)
        away = trading.standing.unavailable
        status, body, headers = (503, _UNAVAILABLE, {}) if away else self._answered(request, now_ms)
        headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(exchange.limits.used(now_ms))
        return Answer(status, body if isinstance(body, bytes) else orjson.dumps(body), headers)

    def _answered(self, request: Request, now_ms: int) -> tuple[int, object, dict[str, str]]:
        """Status, body and headers. Bytes are a page; what is anything else is written as JSON."""
        public = PUBLIC.get(request.path) if request.method == "GET" else None
        signed = self.trading.endpoint(request.method, request.path)
        pairs = form_pairs(request.query)
        asked = dict(pairs)
        if public is not None:
            weight = public.weight(asked, len(self.exchange.market.symbols))
        elif signed is not None:
            weight = signed.weight(asked)
        else:
            return 404, b"<html><body><h2>404 Not found</h2></body></html>", {}
        refusal = self.exchange.limits.admit(weight, now_ms)
        if refusal is not None:
            held = {"Retry-After": str(refusal.retry_after_s)}
            return refusal.status, {"code": -1003, "msg": refusal.text}, held
        try:
            if public is not None:
                return 200, public.answer(self.exchange.market, Parameters(pairs), now_ms), {}
            assert signed is not None
            raw = raw_of_http(request.query.encode(), request.form.encode(), pairs)
            body = self.trading.execute(signed, request.key, raw, request.method, request.path)
            return 200, body, self.trading.headers(signed)
        except RejectionError as rejection:
            wait = rejection.retry_after_s
            headers = {} if wait is None else {"Retry-After": str(wait)}
            return rejection.status, rejection.body, headers


class SimulatedVenue:
    """An account, a market and the answers about both."""

    def __init__(
        self,
        agenda: Agenda,
        chance: random.Random,
        path_start_ms: int,
        bar_ms: int,
        balances: Mapping[str, Decimal],
        *,
        busy: float = 1.0,
        key: str = KEY,
        secret: str = SECRET,
    ) -> None:
        pair = pair_named("ADA/USDT")
        self.agenda = agenda
        self.path = MarketPath(pair, chance, path_start_ms, bar_ms, busy=busy)
        self.book = PathBook(self.path)
        fee_pair = pair_named("BNB/USDT")
        fee_tape = StillTape(fee_pair, 60_000)
        main = PathInstrument(pair, self.path, self.book)
        fees = PathInstrument(fee_pair, fee_tape, StillBook(fee_tape))
        market = Market([cast(Instrument, main), cast(Instrument, fees)])
        clock = WorldClock(agenda)
        desk = PathDesk(clock, market, balances)
        self.faults = FaultBoard(lambda: agenda.now_us / 1e3, lambda: agenda.now_us / 1e3)
        self.exchange = Exchange(
            clock, market, desk, key, secret, self.faults, FrameFaults(self.faults, clock.now_ms)
        )
        self.exchange.requests = cast(Any, _Uncounted())
        self.trading = TradingSide(self.exchange)
        self.frames = Frames(self.exchange, self.trading)
        self.answer = Front(self.exchange, self.trading).answer
        self.desk = desk
        self.symbol = pair.symbol
        self.initial = dict(balances)
        self.flows: list[tuple[int, str, Decimal]] = []
        self.bar_faults: list[str] = []
        #: What counts an account's calls and orders, where the rules know of such a thing.
        self.counters: Counters | None = None
        """What the next answers about bars suffer, where those tell that bars are over."""

    def candle(self, open_ms: int) -> Candle:
        """The bar that opened then, closed, as its text on the wire is read."""
        bar = self.path.bar(open_ms, open_ms + self.path.bar_ms)
        assert bar is not None
        tick, step = self.path.pair.price_unit, self.path.pair.amount_unit
        # Whole numbers divided are the floats nearest to the text that the venue writes.
        opened, high, low, close = (
            ticks * tick / WIRE_UNITS for ticks in (bar.open, bar.high, bar.low, bar.close)
        )
        return Candle(open_ms, opened, high, low, close, bar.volume * step / WIRE_UNITS)

    def quote(self) -> Quote:
        """Best bid and ask now."""
        now_ms, tick = self.agenda.now_ms, self.path.pair.tick
        bid, ask = self.book.inside(now_ms)
        size = Decimal(1_000)
        return Quote(bid * tick, size, ask * tick, size, now_ms, DataSource.WEBSOCKET)

    def last_price(self) -> Decimal:
        trade = self.path.last_trade(self.agenda.now_ms)
        assert trade is not None
        return trade.price * self.path.pair.tick

    @property
    def open_orders(self) -> Any:
        return self.desk.venue.registry.open_orders(self.symbol)


class _Uncounted:
    """The world keeps a record of its own, with what became of every request."""

    def append(self, seen: SeenRequest) -> None:
        return None

    def __iter__(self) -> Any:
        return iter(())
