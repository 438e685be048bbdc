"""The whole agent but its feed, trading on the local exchange: core, loop, dispatcher, signed connection.

Requests and the user stream go over real sockets. The exchange's clock stands still unless a test moves it;
the test says which bars close, and prices are read from the exchange's own book.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from local_ground import PATIENCE_S
from trading_ground import KEY, SECRET, Account, D, account

from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core import events as e
from agent.core.account import holdings_total
from agent.core.market import Candle, DataSource
from agent.core.order import Order, Purpose
from agent.core.position import Position, PositionState
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Setup
from agent.exchange.addresses import Addresses
from agent.exchange.binance_public import BinancePublic
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import WeightGate
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import Runtime
from tests.playbook import BAR, EXITS, falling_history, make_setup, quiet_candle, signal_candle
from tests.shell_ground import HandDisk, HandLatch

#: The exchange's clock leaps when a test says so, which is no machine that slept: nobody looks out for that.
QUICK = Patience(
    request_ms=1_500,
    look_every_ms=3_600_000.0,
    keep_warm_ms=60_000.0,
    refresh_every_ms=50.0,
    poll_every_ms=100.0,
)


class VenueClock:
    """The exchange's own time, which the test moves; machine time is real."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms()

    def machine_ms(self) -> float:
        return time.monotonic() * 1_000

    async def sleep_until(self, venue_ms: int) -> None:
        while True:
            if self.now_ms() >= venue_ms:
                return
            await asyncio.sleep(0.002)

    async def sleep_machine(self, ms: float) -> None:
        await asyncio.sleep(ms / 1_000)


class Agent:
    """`a` is the account it trades on, `state` what it believes."""

    def __init__(self, a: Account, setup: Setup, order_types: frozenset[str] | None = None) -> None:
        self.a, self.setup = a, setup
        self.order_types = order_types
        self.clock = VenueClock(lambda: a.running.exchange.clock.now_ms())
        self.disk, self.latch = HandDisk(), HandLatch()
        self.alerts: list[str] = []
        last = float(a.last())
        first_ms = a.now_ms // BAR * BAR - 120 * BAR
        shift = last - falling_history(start_ms=first_ms)[-1].close
        self.history = falling_history(start_ms=first_ms, top=0.60 + shift)
        self._begin()

    def _begin(self) -> None:
        addresses = Addresses.replaced("binance", self.a.running.rest, self.a.running.ws)
        self.gate = WeightGate(self.clock)
        self.market = BinancePublic(addresses, "ADA/USDT", "15m", self.gate, self.clock)
        self.exchange = SignedBinance(
            addresses,
            ExchangeKeys(Secret(KEY), Secret(SECRET), None),
            "ADA/USDT",
            self.gate,
            self.clock,
            chance=random.Random(5),
            halted=self.latch.is_set,
            patience=QUICK,
        )
        state = self.disk.state(self.setup, self.clock.now_ms())
        self.runtime = Runtime(state, self.clock, self.disk, self.latch, random.Random(time.monotonic_ns()))
        self.dispatcher = Dispatcher(
            self.exchange,
            self.market,
            self.latch,
            self.runtime.sink,
            self.runtime.intent_of,
            fee_prices=self.market,
        )
        self.runtime.connect(self.dispatcher)
        self.runtime.observe(self._hear)
        self._tasks: list[asyncio.Task[None]] = []

    def _hear(self, state: AgentState, commands: tuple[Any, ...]) -> None:
        self.alerts += [f"{c.level} {c.kind}: {c.text}" for c in commands if type(c).__name__ == "Alert"]

    @property
    def state(self) -> AgentState:
        return self.runtime.state

    # --- life and death ----------------------------------------------------------------------------

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self.runtime.run()),
            loop.create_task(self.exchange.run(self.runtime.sink)),
        ]
        instrument = await self.market.instrument()
        if self.order_types is not None:
            instrument = replace(instrument, order_types=self.order_types)
        self.runtime.sink(e.InstrumentSeen(instrument))
        known = self.history
        window = SignalWindow.warm(self.setup.seller, self.setup.exits, known)
        self.runtime.sink(e.WarmedUp(window, known[-1].open_ms, known[-1].close))
        self.runtime.sink(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
        await self.quote()
        await self.runtime.ask(e.StartRequested("test"))

    async def stop(self) -> None:
        """As a kill leaves it: nothing is finished."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dispatcher.close(0.0)
        await self.exchange.close()
        await self.market.close()

    async def restart(self) -> None:
        await self.stop()
        self._begin()
        await self.start()

    async def until(self, holds: Callable[[], bool], what: str = "", patience_s: float = PATIENCE_S) -> None:
        try:
            async with asyncio.timeout(patience_s):
                while True:
                    if holds():
                        return
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise AssertionError(f"{what or holds}: {self.told()}") from None

    def told(self) -> str:
        orders = [
            f"{o.intent.purpose.value} {o.intent.type.value} {o.status.value} {o.filled} {o.detail}"
            for o in self.state.orders.values()
        ]
        positions = [f"{p.id} {p.state} {p.held_qty} {p.exit_reason}" for p in self.state.positions.values()]
        return f"{positions} {orders} {self.alerts[-8:]}"

    # --- the market --------------------------------------------------------------------------------

    async def quote(self) -> None:
        quote = await self.market.quote()
        last = float(self.a.last())
        open_ms = self.clock.now_ms() // BAR * BAR
        self.runtime.sink(e.BarUpdated(Candle(open_ms, last, last, last, last, 1.0)))
        self.runtime.sink(e.QuoteSeen(replace(quote, source=DataSource.WEBSOCKET), trusted=True))
        seen = quote.at_ms
        await self.until(lambda: self.state.prices.trusted is None or self.state.now_ms >= seen)

    async def price(self, to: float) -> None:
        """The market goes to `to`, in steps too small to be suspicious."""
        start = float(self.a.last())
        steps = max(1, int(abs(to - start) / (0.03 * start)) + 1)
        for n in range(1, steps + 1):
            await self.a.price(f"{start + (to - start) * n / steps:.4f}")
            await self.quote()

    def touch(self, resting: Order, share: str) -> None:
        """Somebody trades with a part of what rests there."""
        exchange = self.a.running.exchange
        order = exchange.desk.venue.registry.find("ADAUSDT", None, resting.intent.client_id)
        assert order is not None
        now_ms = exchange.clock.now_ms()
        exchange.desk.venue.fill_by_fate(order, D(share), exchange.desk.prices("ADAUSDT", now_ms))

    async def to_close_of(self, candle: Candle) -> None:
        end = candle.open_ms + BAR
        if self.clock.now_ms() < end:
            await self.a.advance(end - self.clock.now_ms() + 200)

    async def bar(self, candle: Candle) -> None:
        await self.to_close_of(candle)
        self.history.append(candle)
        self.runtime.sink(e.BarClosed(candle, e.ClosedBy.FLAG))
        await self.until(lambda: self.state.last_bar is candle)

    async def quiet_bar(self, **shape: float) -> None:
        await self.bar(quiet_candle(self.history[-1], **shape))

    async def signal(self) -> None:
        candle = signal_candle(self.history[-1])
        await self.to_close_of(candle)
        await self.price(candle.close)
        await self.bar(candle)

    # --- whole episodes ------------------------------------------------------------------------------

    async def ready(self) -> None:
        await self.until(lambda: self.state.phase.value == "RUNNING", "running")
        await self.until(lambda: not self.state.impairments, "nothing impaired")

    async def enter(self) -> Position:
        """From a signal to a position whose stop rests."""
        await self.ready()
        await self.signal()
        await self.until(lambda: bool(self.state.open_positions()), "bought")
        await self.until(lambda: bool(self.resting(Purpose.PROTECT)), "protected")
        return self.state.open_positions()[-1]

    async def listed(self) -> tuple[Order, Order]:
        """Until stop and target rest as a list, in the bar after the entry bar."""
        await self.quiet_bar()
        await self.price(float(self.state.positions[max(self.state.positions)].entry_price or 0) + 0.001)
        await self.until(lambda: bool(self.resting(Purpose.TARGET)), "listed")
        [stop], [target] = self.resting(Purpose.PROTECT), self.resting(Purpose.TARGET)
        return stop, target

    def serious(self) -> list[str]:
        """Alerts a trader would worry about."""
        return [line for line in self.alerts if line.startswith(("ERROR", "CRITICAL"))]

    def resting(self, purpose: Purpose) -> list[Order]:
        return [o for o in self.state.orders.values() if o.intent.purpose is purpose and o.is_working]

    async def passing(self, holds: Callable[[], bool], what: str, *, step_ms: int = 500) -> None:
        """Until something holds while the exchange's time goes on, the price where it is."""
        for _ in range(240):
            with contextlib.suppress(AssertionError):
                await self.until(holds, patience_s=0.05)
                return
            await self.a.advance(step_ms)
            await self.quote()
        raise AssertionError(f"{what}: {self.told()}")

    async def closed(self) -> Position:
        over = (PositionState.CLOSED, PositionState.MONITORING)
        await self.passing(
            lambda: bool(self.state.positions) and all(p.state in over for p in self.positions()), "closed"
        )
        return self.positions()[-1]

    def positions(self) -> list[Position]:
        return list(self.state.positions.values())

    # --- both ledgers ----------------------------------------------------------------------------------

    async def agree(self) -> None:
        """Nothing is open or unknown, and both ledgers are the same to the last digit."""
        await self.passing(
            lambda: all(o.is_settled or o.intent.rests for o in self.state.orders.values()), "settled"
        )
        theirs = await self.a.ledger()
        ours = {(f.trade_id, f.client_id): f for o in self.state.orders.values() for f in o.fills}
        mine = [f for f in theirs["fills"] if f["client_id"].startswith(self.setup.tag)]
        assert {(str(f["trade_id"]), f["client_id"]) for f in mine} == set(ours), self.told()
        for row in mine:
            fill = ours[str(row["trade_id"]), row["client_id"]]
            told = (D(row["price"]), D(row["quantity"]), D(row["fee"]), row["fee_currency"])
            assert told == (fill.price, fill.qty, fill.fee, fill.fee_currency)
        placed = {o["client_id"] for o in theirs["orders"] if o["client_id"].startswith(self.setup.tag)}
        assert placed <= set(self.state.orders), "no orphan"
        usdt = theirs["balances"]["USDT"]
        assert self.state.durable.account.cash == D(usdt["free"]) + D(usdt["locked"])
        open_there = {o["client_id"] for o in theirs["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")}
        working = {o.intent.client_id for o in self.state.orders.values() if o.is_working}
        assert {c for c in open_there if c.startswith(self.setup.tag)} == working, self.told()

    async def held_there(self, asset: str = "ADA") -> Decimal:
        balance = (await self.a.ledger())["balances"].get(asset, {"free": "0", "locked": "0"})
        return D(balance["free"]) + D(balance["locked"])


@contextlib.asynccontextmanager
async def trading_agent(
    *, funds: dict[str, Decimal] | None = None, start: bool = True, exchange: dict[str, Any] | None = None,
    order_types: frozenset[str] | None = None, **setup: Any,
) -> AsyncIterator[Agent]:  # fmt: skip
    """An agent with 10,000 USDT, started."""
    chosen = make_setup(
        **{"mode": "testnet", "exits": replace(EXITS, max_hold=40), "fee_rate": D("0.001"), **setup}
    )
    async with account(balances=funds or {"USDT": D(10_000)}, **(exchange or {})) as a:
        await a.price(f"{float(a.last()):.4f}")
        agent = Agent(a, chosen, order_types)
        if start:
            await agent.start()
        try:
            yield agent
        finally:
            await agent.stop()


__all__ = ["Agent", "holdings_total", "trading_agent"]
