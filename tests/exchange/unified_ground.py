"""A signed connection through ccxt to the local exchange's Kraken side, and what it told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, TypeVar

from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core.events import Event, Healed, Impaired, Impairment
from agent.core.money import Price, Qty
from agent.core.order import Intent, OrderType, Purpose, Side, TimeInForce, client_order_id
from agent.exchange.addresses import Addresses
from agent.exchange.signed.patience import Patience
from agent.exchange.unified.account import UnifiedAccount
from agent.exchange.unified.client_ids import as_hex
from agent.exchange.weight_gate import WeightGate
from agent.localexchange.serve import Running, Settings, serve
from agent.localexchange.venue.order import Order
from tests.clocks import VenueTime
from tests.exchange.kraken_ground import KEY, NOON_MS, PAIR, SECRET

E = TypeVar("E")

PATIENCE_S = 20.0
QUICK = Patience(request_ms=15_000, admit_ms=15_000, look_every_ms=50.0)
#: For the one answer that does not come.
IMPATIENT = Patience(request_ms=2_000, admit_ms=15_000, look_every_ms=50.0)


class UnifiedGround:
    def __init__(self, running: Running, patience: Patience, stream: bool, key: str) -> None:
        self.running = running
        self.clock = VenueTime(running.exchange.clock, 0)
        self.gate = WeightGate(self.clock)
        self.latched = False
        self.exchange = UnifiedAccount(
            Addresses.replaced("kraken", running.rest, running.ws),
            ExchangeKeys(Secret(key), Secret(SECRET), None),
            PAIR,
            self.gate,
            self.clock,
            halted=lambda: self.latched,
            use_stream=stream,
            patience=patience,
        )
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._made = 0

    # -- the exchange ------------------------------------------------------------------------------------

    @property
    def tick(self) -> Decimal:
        return self.running.exchange.market.main.pair.tick

    def last(self) -> Decimal:
        trade = self.running.exchange.market.main.tape.last_trade(self.clock.now_ms())
        assert trade is not None
        return trade.price * self.tick

    def theirs(self) -> list[Order]:
        """Every order there ever was."""
        return list(self.running.exchange.desk.venue.registry.all_orders())

    def fault(self, kind: str, name: str, **more: Any) -> None:
        entry = {"id": kind, "fault": kind, "match": {"path": f"/0/private/{name}"}, "count": 1, **more}
        self.running.exchange.faults.add(entry)

    def fired(self, kind: str) -> int:
        faults = self.running.exchange.faults.described()
        return next(int(fault["fired"]) for fault in faults if fault["id"] == kind)

    def asked(self, name: str) -> int:
        path = f"/0/private/{name}"
        return sum(request.path == path for request in self.running.exchange.requests)

    def looks(self) -> int:
        """How often the exchange was asked about orders."""
        return sum(self.asked(name) for name in ("QueryOrders", "OpenOrders", "ClosedOrders"))

    def fill_counter(self) -> list[str]:
        """Somebody else uses up the account's calls. Returns those of ours that are refused from now on."""
        counters = self.running._kraken.answers.counters
        counters.use_up(self.clock.now_ms())
        admits, refused = counters.admits_call, list[str]()

        def counted(name: str, now_ms: int) -> bool:
            if admitted := admits(name, now_ms):
                return admitted
            refused.append(name)
            return False

        counters.admits_call = counted  # type: ignore[method-assign]
        return refused

    async def followed(self) -> None:
        """Return when nothing more is asked about what was accepted."""
        while following := tuple(self.exchange._following):
            await asyncio.gather(*following)

    # -- orders ------------------------------------------------------------------------------------------

    def intent(
        self,
        type_: OrderType = OrderType.MARKET,
        side: Side = Side.BUY,
        purpose: Purpose = Purpose.ENTRY,
        qty: str = "100",
        *,
        price: Decimal | None = None,
        stop: Decimal | None = None,
        tif: TimeInForce | None = None,
    ) -> Intent:
        self._made += 1
        return Intent(
            client_id=client_order_id("stest", self.clock.now_ms(), 7, self._made),
            position_id=1,
            purpose=purpose,
            side=side,
            type=type_,
            qty=Qty(Decimal(qty)),
            price=None if price is None else Price(price),
            stop_price=None if stop is None else Price(stop),
            time_in_force=tif,
            created_ms=self.clock.now_ms(),
            reason="test",
        )

    def stop(self, qty: str = "100") -> Intent:
        level = (self.last() / 2).quantize(self.tick)
        return self.intent(OrderType.STOP_LOSS, Side.SELL, Purpose.PROTECT, qty, stop=level)

    def exit(self, qty: str = "100") -> Intent:
        return self.intent(OrderType.MARKET, Side.SELL, Purpose.EXIT, qty)

    def at_exchange(self, intent: Intent) -> list[Order]:
        wire_id = as_hex(intent.client_id)
        return [order for order in self.theirs() if order.terms.client_id == wire_id]

    # -- what is told --------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def impaired(self, by: Impairment) -> bool:
        words = [e for e in self.events if isinstance(e, Impaired | Healed) and e.by is by]
        return bool(words) and isinstance(words[-1], Impaired)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._news.wait()

    @contextlib.asynccontextmanager
    async def running_beside(self) -> AsyncIterator[None]:
        """Hints are listened to, and the account was read once."""
        task = asyncio.create_task(self.exchange.run(self.hear))
        try:
            await self.until(lambda: not self.impaired(Impairment.USER_STREAM) and bool(self.events))
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def unified(
    *, patience: Patience = QUICK, stream: bool = False, key: str = KEY, **settings: Any
) -> AsyncIterator[UnifiedGround]:
    ours = {"seed": 7, "start_ms": NOON_MS, "key": KEY, "secret": SECRET, "speed": 1.0, **settings}
    running = await serve(Settings(**ours))
    ground = UnifiedGround(running, patience, stream, key)
    try:
        yield ground
    finally:
        await ground.exchange.close()
        await running.close()
