"""What tests of the paper broker trade with: a pair, books, tickets, and a desk that speaks to the broker.

The pair has a tick of 0.0001 and a step of 0.1; costs are 10 bp fee and 5 bp slippage unless a test says
otherwise. Nothing sleeps: the clock moves when it is told to, and the market answers what it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from agent.core.events import Event, Holding
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.money import Price, Qty
from agent.core.order import Fill, Intent, OrderType, Purpose, Side, TimeInForce
from agent.core.ports import MarketDataError
from agent.core.verdict import Approved
from agent.exchange.paper.broker import PaperBroker
from agent.exchange.paper.state import PaperOrder, PaperState, Ticket, open_account
from agent.exchange.paper.store import MemoryPaperStore, PaperStoreError
from agent.exchange.paper.terms import Terms

D = Decimal
BAR = 900_000
NOON = 1_700_006_400_000 // BAR * BAR

PAIR = Instrument(
    symbol="ADA/USDT",
    base="ADA",
    quote="USDT",
    tick=D("0.0001"),
    step=D("0.1"),
    min_qty=D("0.1"),
    max_qty=D("900000"),
    market_max_qty=D("200000"),
    min_notional=D("5"),
    max_notional=D("9000000"),
    min_price=D("0.0001"),
    max_price=D("1000"),
    order_types=frozenset({"MARKET", "LIMIT", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT"}),
    trading=True,
    taker_fee_rate=D("0.001"),
)
TERMS = Terms(PAIR, fee_bp=D(10), slippage_bp=D(5))
FREE_OF_COSTS = Terms(PAIR, fee_bp=D(0), slippage_bp=D(0))


def book(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]], at_ms: int = NOON) -> Book:
    """Levels as (price, quantity), best first."""
    return Book(
        tuple(BookLevel(D(p), D(q)) for p, q in bids), tuple(BookLevel(D(p), D(q)) for p, q in asks), at_ms
    )


def book_at(mid: str, qty: str = "1000", half_spread: str = "0.0001") -> Book:
    """One level on each side of `mid`."""
    return book([(str(D(mid) - D(half_spread)), qty)], [(str(D(mid) + D(half_spread)), qty)])


def quote_at(mid: str, at_ms: int = NOON, half_spread: str = "0.0001") -> Quote:
    half = D(half_spread)
    return Quote(D(mid) - half, D(100), D(mid) + half, D(100), at_ms, DataSource.WEBSOCKET)


def candle(open_: float, high: float, low: float, close: float, open_ms: int = NOON) -> Candle:
    return Candle(open_ms, open_, high, low, close, 1000.0)


def ticket(client_id: str, side: Side, type_: OrderType, qty: str, **prices: str | TimeInForce) -> Ticket:
    """`price=`, `stop_price=` as text and `time_in_force=`, which is GTC for every type with a price."""
    price, stop = prices.get("price"), prices.get("stop_price")
    force = prices.get("time_in_force", TimeInForce.GTC if price is not None else None)
    assert force is None or isinstance(force, TimeInForce)
    return Ticket(
        client_id,
        side,
        type_,
        D(qty),
        D(price) if price is not None else None,
        D(stop) if stop is not None else None,
        force,
    )


def buy(client_id: str, qty: str, price: str | None = None, force: TimeInForce = TimeInForce.IOC) -> Ticket:
    if price is None:
        return ticket(client_id, Side.BUY, OrderType.MARKET, qty)
    return ticket(client_id, Side.BUY, OrderType.LIMIT, qty, price=price, time_in_force=force)


def sell(client_id: str, qty: str, price: str | None = None, force: TimeInForce = TimeInForce.GTC) -> Ticket:
    if price is None:
        return ticket(client_id, Side.SELL, OrderType.MARKET, qty)
    return ticket(client_id, Side.SELL, OrderType.LIMIT, qty, price=price, time_in_force=force)


def stop(client_id: str, qty: str, stop_price: str, price: str | None = None) -> Ticket:
    """A SELL stop: STOP_LOSS, or STOP_LOSS_LIMIT with `price`."""
    if price is None:
        return ticket(client_id, Side.SELL, OrderType.STOP_LOSS, qty, stop_price=stop_price)
    return ticket(client_id, Side.SELL, OrderType.STOP_LOSS_LIMIT, qty, stop_price=stop_price, price=price)


def pair(qty: str, stop_price: str, target: str, ids: tuple[str, str] = ("s", "t")) -> tuple[Ticket, Ticket]:
    """A stop and a target of one list."""
    below = replace(stop(ids[0], qty, stop_price), list_id="list")
    above = ticket(ids[1], Side.SELL, OrderType.LIMIT_MAKER, qty, price=target)
    return below, replace(above, list_id="list", time_in_force=None)


def holding(base: str = "0", quote: str = "1000") -> PaperState:
    """An account with these free amounts, opened at NOON."""
    state = open_account(PAIR, D(1), NOON)
    return replace(state, balances={"ADA": Holding(D(base), D(0)), "USDT": Holding(D(quote), D(0))})


def executions(fills: Sequence[Fill]) -> list[tuple[str, str]]:
    """(price, quantity) of each fill, as text."""
    return [(str(fill.price), str(fill.qty)) for fill in fills]


def approved(asked: Ticket, purpose: Purpose = Purpose.ENTRY) -> Approved:
    intent = Intent(
        client_id=asked.client_id,
        position_id=1,
        purpose=purpose,
        side=asked.side,
        type=asked.type,
        qty=Qty(asked.qty),
        price=None if asked.price is None else Price(asked.price),
        stop_price=None if asked.stop_price is None else Price(asked.stop_price),
        time_in_force=asked.time_in_force,
        created_ms=NOON,
        reason="test",
        list_id=asked.list_id,
    )
    return Approved(intent, ())


class StillClock:
    """Venue time that stands until it is moved; machine sleeps end at once and are counted."""

    def __init__(self) -> None:
        self.at_ms = NOON
        self.slept_ms: list[float] = []

    def now_ms(self) -> int:
        return self.at_ms

    def machine_ms(self) -> float:
        return float(self.at_ms)

    async def sleep_until(self, venue_ms: int) -> None:
        self.at_ms = max(self.at_ms, venue_ms)

    async def sleep_machine(self, ms: float) -> None:
        self.slept_ms.append(ms)
        await asyncio.sleep(0)


class Market:
    """Answers the book it was given, when `arrives` is set if there is one, or fails."""

    def __init__(self, now: Book) -> None:
        self.now = now
        self.fails: str | None = None
        self.arrives: asyncio.Event | None = None
        self.asked = 0

    async def book(self) -> Book:
        self.asked += 1
        if self.arrives is not None:
            await self.arrives.wait()
        if self.fails is not None:
            raise MarketDataError(self.fails)
        return self.now


class FragileStore(MemoryPaperStore):
    """Fails the next save, before or after it took effect."""

    def __init__(self, state: PaperState | None = None) -> None:
        super().__init__(state)
        self.fail_before = False
        self.fail_after = False
        self.fail_reads = False
        self.saves = 0

    async def load(self) -> PaperState | None:
        if self.fail_reads:
            raise PaperStoreError("disk on fire")
        return await super().load()

    async def save(self, state: PaperState, orders: Sequence[PaperOrder], fills: Sequence[Fill]) -> None:
        if self.fail_before:
            raise PaperStoreError("disk full")
        await super().save(state, orders, fills)
        self.saves += 1
        if self.fail_after:
            raise PaperStoreError("no answer from the disk")


class Desk:
    """A broker with its market, store and clock, and everything its `run` delivered."""

    def __init__(self, state: PaperState | None = None, **options: Any) -> None:
        self.market = Market(book_at("0.3000"))
        self.store = FragileStore(state)
        self.clock = StillClock()
        self.told: list[Event] = []
        self.options = options
        self.broker = self.hire()

    def hire(self) -> PaperBroker:
        """A broker on the same account: the first one, or one after a restart."""
        return PaperBroker(
            market=self.market,
            instrument=PAIR,
            fee_bp=D(10),
            slippage_bp=D(5),
            initial_balance=D(1000),
            bar_ms=BAR,
            store=self.store,
            clock=self.clock,
            **self.options,
        )

    async def working(self, *events: Event) -> list[Event]:
        """Let the broker observe `events` while it runs, until it has nothing left to do. What it told."""
        before = len(self.told)
        run = asyncio.ensure_future(self.broker.run(self.told.append))
        await settle_down()
        for event in events:
            self.broker.observe(event)
            await settle_down()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return self.told[before:]


async def settle_down() -> None:
    """Give every task its turns; nothing here takes more than a few."""
    for _ in range(50):
        await asyncio.sleep(0)
