"""Does the exchange answer, how fast, and do the clocks agree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.core.events import Event, ExchangeReported, Healed, Impaired, Impairment, InstrumentSeen
from agent.core.instrument import Instrument
from agent.core.ports import MarketDataError
from agent.exchange.health import SIGNED_OFFSET_MS, HealthProbe
from agent.exchange.probe import Probe
from agent.exchange.weight_gate import WeightGate
from tests.clocks import ManualClock

UNREACHABLE, OFFSET = Impairment.EXCHANGE_UNREACHABLE, Impairment.CLOCK_OFFSET


class Exchange:
    """Answers probes as told: with its own clock, or not at all."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.down = False
        self.silent = False
        self.ahead_ms = 0
        self.round_trip_ms = 0.0
        self.tells_time = True
        self.probes = 0

    async def probe(self) -> Probe:
        self.probes += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.down:
            raise MarketDataError("the exchange's time: cannot be reached")
        if self.round_trip_ms:
            await self.clock.sleep_machine(self.round_trip_ms / 2)
        told = self.clock.now_ms() + self.ahead_ms if self.tells_time else None
        if self.round_trip_ms:
            await self.clock.sleep_machine(self.round_trip_ms / 2)
        return Probe(told, 12.5)

    async def instrument(self) -> Instrument:
        if self.down:
            raise MarketDataError("the rules: cannot be reached")
        return RULES


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gate = WeightGate(self.clock)
        self.exchange = Exchange(self.clock)
        self.events: list[Event] = []

    def reports(self) -> list[ExchangeReported]:
        return [e for e in self.events if isinstance(e, ExchangeReported)]

    def ailments(self) -> list[Event]:
        return [e for e in self.events if isinstance(e, Impaired | Healed)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        probe = HealthProbe(self.exchange, self.gate, self.clock, self.events.append)
        task = asyncio.create_task(probe.run())
        try:
            await self.clock.advance(0)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_healthy_exchange_is_reported_every_half_minute(scene: Scene) -> None:
    async with scene.running():
        assert scene.events == [ExchangeReported(True, 12.5, 0, 0)]
        await scene.clock.advance(60_000)
        assert len(scene.reports()) == 3
        assert scene.ailments() == []


async def test_unreachable_is_told_after_all_steps_and_healed_by_the_first_answer(scene: Scene) -> None:
    scene.exchange.down = True
    async with scene.running():
        assert scene.reports() == [ExchangeReported(False, None, None, 0)]
        await scene.clock.advance(30_999)
        assert scene.ailments() == []
        await scene.clock.advance(1)
        (told,) = scene.ailments()
        assert isinstance(told, Impaired)
        assert (told.by, told.permanent) == (UNREACHABLE, False)
        assert "cannot be reached" in told.detail
        await scene.clock.advance(600_000)
        assert len(scene.ailments()) == 1
        assert scene.exchange.probes == 6 + 600 // 16, "it goes on trying, every 16 s"
        scene.exchange.down = False
        await scene.clock.advance(16_000)
        assert scene.ailments()[1:] == [Healed(UNREACHABLE)]
        assert scene.reports()[-1].reachable


async def test_an_answer_that_never_comes_is_a_failure(scene: Scene) -> None:
    scene.exchange.silent = True
    async with scene.running():
        await scene.clock.advance(14_999)
        assert scene.reports() == []
        await scene.clock.advance(1)
        assert scene.reports() == [ExchangeReported(False, None, None, 0)]


@pytest.mark.parametrize(("ahead_ms", "words"), [(5_000, "5.0 s behind"), (-5_000, "5.0 s ahead of")])
async def test_a_wrong_clock_is_told_with_its_direction(scene: Scene, ahead_ms: int, words: str) -> None:
    scene.exchange.ahead_ms = ahead_ms
    async with scene.running():
        (told,) = scene.ailments()
        assert isinstance(told, Impaired)
        assert told.by is OFFSET
        assert words in told.detail
        assert scene.reports()[-1].clock_offset_ms == -ahead_ms
        scene.exchange.ahead_ms = 0
        await scene.clock.advance(30_000)
        assert scene.ailments()[1:] == [Healed(OFFSET)]


async def test_up_to_a_second_and_what_the_round_trip_explains_is_no_offset(scene: Scene) -> None:
    scene.exchange.ahead_ms = 2_900
    scene.exchange.round_trip_ms = 4_000.0
    async with scene.running():
        await scene.clock.advance(20_000)
        assert scene.reports() != []
        assert scene.ailments() == []
    other = Scene()
    other.exchange.ahead_ms = 1_000
    async with other.running():
        assert other.ailments() == []


async def test_where_requests_carry_our_time_half_a_second_is_too_much(scene: Scene) -> None:
    for ahead_ms, wrong in ((490, False), (510, True)):
        scene.events.clear()
        scene.exchange.ahead_ms = ahead_ms
        probe = HealthProbe(
            scene.exchange, scene.gate, scene.clock, scene.events.append, offset_ms=SIGNED_OFFSET_MS
        )
        task = asyncio.create_task(probe.run())
        await scene.clock.advance(100)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert scene.reports()[-1].clock_offset_ms == -ahead_ms
        assert [type(e) for e in scene.ailments()] == [Impaired] * wrong


async def test_an_exchange_that_tells_no_time_has_no_offset(scene: Scene) -> None:
    scene.exchange.tells_time = False
    async with scene.running():
        assert scene.events == [ExchangeReported(True, 12.5, None, 0)]


async def test_silence_asked_for_is_told_at_once_and_kept(scene: Scene) -> None:
    async with scene.running():
        scene.gate.answered(429, {"Retry-After": "100"})
        await scene.clock.advance(30_000)
        (told,) = scene.ailments()
        assert isinstance(told, Impaired)
        assert told.by is UNREACHABLE
        assert "too many requests" in told.detail
        probes = scene.exchange.probes
        await scene.clock.advance(70_000)
        assert scene.exchange.probes == probes, "not one request before the deadline"
        await scene.clock.advance(2_000)
        assert scene.ailments()[1:] == [Healed(UNREACHABLE)]


async def test_the_pairs_rules_are_read_again_every_hour(scene: Scene) -> None:
    async with scene.running():
        await scene.clock.advance(3_590_000)
        assert InstrumentSeen(RULES) not in scene.events
        await scene.clock.advance(60_000)
        assert scene.events.count(InstrumentSeen(RULES)) == 1


def _rules() -> Instrument:
    from decimal import Decimal

    one = Decimal(1)
    return Instrument(
        symbol="ADA/USDT",
        base="ADA",
        quote="USDT",
        tick=one,
        step=one,
        min_qty=one,
        max_qty=one,
        market_max_qty=one,
        min_notional=one,
        max_notional=one,
        min_price=one,
        max_price=one,
        order_types=frozenset({"LIMIT"}),
        trading=True,
        taker_fee_rate=one,
    )


RULES = _rules()
