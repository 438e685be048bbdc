"""A signed connection to the stub, and what it told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from agent.config.credentials import ExchangeKeys
from agent.config.secret import Secret
from agent.core.events import Event, Healed, Impaired, Impairment
from agent.core.money import Price, Qty
from agent.core.order import Intent, OrderType, Purpose, Side, TimeInForce
from agent.core.verdict import Approved
from agent.exchange.addresses import Addresses
from agent.exchange.signed.binance import SignedBinance
from agent.exchange.signed.patience import Patience
from agent.exchange.weight_gate import WeightGate
from tests.exchange.signed_stub import KEY, SECRET, Stub, serving

E = TypeVar("E")

PATIENCE_S = 10.0
#: Long enough for a loaded machine; what a test waits for is short.
QUICK = Patience(
    request_ms=4_000,
    admit_ms=150,
    look_every_ms=20.0,
    keep_warm_ms=60_000.0,
    refresh_every_ms=100.0,
    poll_every_ms=100.0,
)
#: For answers that do not come.
IMPATIENT = replace(QUICK, request_ms=500)


class Time:
    """Machine time as it is; venue time `speed` times as fast and `ahead_ms` ahead of the exchange's."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self.ahead_ms = 0
        self._start = time.monotonic()

    def exchange_ms(self) -> int:
        return 1_750_000_000_000 + int((time.monotonic() - self._start) * 1_000 * self.speed)

    def now_ms(self) -> int:
        return self.exchange_ms() + self.ahead_ms

    def machine_ms(self) -> float:
        return time.monotonic() * 1_000

    async def sleep_until(self, venue_ms: int) -> None:
        await asyncio.sleep(max(0, venue_ms - self.now_ms()) / 1_000 / self.speed)

    async def sleep_machine(self, ms: float) -> None:
        await asyncio.sleep(ms / 1_000)


class Ground:
    def __init__(self, stub: Stub, clock: Time, patience: Patience, stream: bool, keys: ExchangeKeys) -> None:
        self.stub, self.clock = stub, clock
        self.blocked: list[int] = []
        self.gate = WeightGate(clock, on_blocked=self.blocked.append)
        self.latched = False
        self.overtaken_by: str | None = None
        self.exchange = SignedBinance(
            Addresses.replaced("binance", stub.rest, stub.ws),
            keys,
            "ADA/USDT",
            self.gate,
            clock,
            chance=random.Random(5),
            halted=lambda: self.latched,
            overtaken=lambda client_id: self.overtaken_by,
            use_stream=stream,
            patience=patience,
        )
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def intent(
        self,
        type_: OrderType = OrderType.MARKET,
        side: Side = Side.BUY,
        purpose: Purpose = Purpose.ENTRY,
        qty: str = "10",
        *,
        price: str | None = None,
        stop: str | None = None,
        tif: TimeInForce | None = None,
    ) -> Intent:
        return Intent(
            client_id=f"tst{next(self._numbers):05d}",
            position_id=1,
            purpose=purpose,
            side=side,
            type=type_,
            qty=Qty(Decimal(qty)),
            price=Price(Decimal(price)) if price else None,
            stop_price=Price(Decimal(stop)) if stop else None,
            time_in_force=tif,
            created_ms=self.clock.now_ms(),
            reason="test",
        )

    def stop(self, qty: str = "10") -> Intent:
        return self.intent(OrderType.STOP_LOSS, Side.SELL, Purpose.PROTECT, qty, stop="0.4")

    def impaired(self, by: Impairment) -> bool:
        """Whether the last word on it was that it is so."""
        words = [e for e in self.events if isinstance(e, Impaired | Healed) and e.by is by]
        return bool(words) and isinstance(words[-1], Impaired)

    def told(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(patience_s):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.02)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The stream is followed, and was caught up with once."""
        task = asyncio.create_task(self.exchange.run(self.hear))
        try:
            await self.until(lambda: Healed(Impairment.USER_STREAM) in self.events)
            yield
        finally:
            task.cancel()
            results = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError), results


def approved(intent: Intent) -> Approved:
    return Approved(intent, ())


def some_keys(key: str = KEY, secret: str = SECRET) -> ExchangeKeys:
    return ExchangeKeys(Secret(key), Secret(secret), None)


@contextlib.asynccontextmanager
async def ground(
    *, speed: float = 1.0, patience: Patience = QUICK, stream: bool = True, keys: ExchangeKeys | None = None
) -> AsyncIterator[Ground]:
    clock = Time(speed)
    async with serving(Stub(clock.exchange_ms, recv_tolerance=int(speed))) as stub:
        here = Ground(stub, clock, patience, stream, keys or some_keys())
        try:
            yield here
        finally:
            await here.exchange.close()
