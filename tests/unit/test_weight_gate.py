"""The request limit: who goes first, what is reserved, and the silence the exchange asks for."""

from __future__ import annotations

import asyncio

import pytest

from agent.core.market import MINUTE_MS
from agent.exchange.weight_gate import Urgency, WeightGate
from tests.clocks import ManualClock, settle


def used_header(weight: int) -> dict[str, str]:
    return {"X-MBX-USED-WEIGHT-1M": str(weight)}


class Queue:
    """Requests that wait at a gate, and the order in which they left."""

    def __init__(self, gate: WeightGate) -> None:
        self.gate = gate
        self.left: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def join(self, name: str, urgency: Urgency, weight: int = 1) -> None:
        async def pass_through() -> None:
            await self.gate.admit(urgency, weight)
            self.left.append(name)

        self.tasks.append(asyncio.create_task(pass_through()))
        await settle()

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_request_passes_at_once_while_there_is_room() -> None:
    gate = WeightGate(ManualClock())
    await gate.admit(Urgency.WATCH, 20)
    await gate.admit(Urgency.LEAVE, 1)
    assert gate.used_weight == 21


async def test_ordinary_requests_stop_at_their_share_until_the_next_venue_minute() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.WATCH, 40)
    await queue.join("candles", Urgency.WATCH)
    await clock.advance(MINUTE_MS - 1)
    assert queue.left == []
    await clock.advance(1)
    assert queue.left == ["candles"]
    assert gate.used_weight == 1


async def test_the_reserve_is_for_cancels_and_exits_alone() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.WATCH, 40)
    await queue.join("entry", Urgency.ENTER)
    await queue.join("exit", Urgency.LEAVE, 50)
    assert queue.left == ["exit"]
    await queue.join("second exit", Urgency.LEAVE, 10)
    assert queue.left == ["exit"], "never beyond the exchange's limit"
    await clock.advance(MINUTE_MS)
    assert queue.left == ["exit", "second exit", "entry"]


async def test_the_more_urgent_goes_first_whenever_it_came() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    gate.answered(200, used_header(99))
    for name, urgency in (
        ("candles", Urgency.WATCH),
        ("more candles", Urgency.WATCH),
        ("account", Urgency.RECONCILE),
        ("entry", Urgency.ENTER),
        ("cancel", Urgency.LEAVE),
    ):
        await queue.join(name, urgency)
    await clock.advance(MINUTE_MS)
    assert queue.left == ["cancel", "entry", "account", "candles", "more candles"]


async def test_history_leaves_room_for_prices_and_orders() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.HISTORY, 25)
    await queue.join("page", Urgency.HISTORY, 2)
    await queue.join("price", Urgency.RECONCILE, 2)
    await queue.join("bars", Urgency.WATCH, 2)
    assert queue.left == ["price", "bars"], "nobody waits behind history"
    await queue.join("bars", Urgency.WATCH, 12)
    await queue.leave()
    assert queue.left == ["price", "bars"]


async def test_minutes_are_venue_minutes() -> None:
    clock = ManualClock(speed=60.0)
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.WATCH, 40)
    await queue.join("candles", Urgency.WATCH)
    await clock.advance(999)
    assert queue.left == []
    await clock.advance(1)
    assert queue.left == ["candles"]


async def test_what_the_exchange_counted_counts_more_than_what_we_did() -> None:
    clock = ManualClock()
    gate = WeightGate(clock)
    await gate.admit(Urgency.WATCH, 2)
    gate.answered(200, used_header(777))
    assert gate.used_weight == 777
    gate.answered(200, used_header(5))
    assert gate.used_weight == 777, "an answer that was overtaken"
    await clock.advance(MINUTE_MS)
    assert gate.used_weight == 0


async def test_the_stated_limit_replaces_the_assumed_one() -> None:
    clock = ManualClock()
    gate = WeightGate(clock)
    gate.set_limit(100)
    await gate.admit(Urgency.WATCH, 40)
    queue = Queue(gate)
    await queue.join("candles", Urgency.WATCH)
    assert queue.left == []
    await queue.leave()


@pytest.mark.parametrize(("status", "header", "seconds"), [(429, "7", 7), (418, "300", 300)])
async def test_retry_after_stops_everything_even_exits(status: int, header: str, seconds: int) -> None:
    clock = ManualClock()
    told: list[int] = []
    gate = WeightGate(clock, on_blocked=told.append)
    queue = Queue(gate)
    until_ms = clock.now_ms() + (seconds + 1) * 1_000
    gate.answered(status, {"Retry-After": header})
    assert told == [until_ms]
    assert gate.is_blocked
    await queue.join("candles", Urgency.WATCH)
    await queue.join("exit", Urgency.LEAVE)
    await clock.advance(seconds * 1_000)
    assert queue.left == [], "not a second too early"
    await clock.advance(1_000)
    assert queue.left == ["exit", "candles"]
    assert not gate.is_blocked


@pytest.mark.parametrize(("status", "seconds"), [(429, 60), (418, 120)])
async def test_without_retry_after_the_silence_is_assumed(status: int, seconds: int) -> None:
    clock = ManualClock()
    gate = WeightGate(clock)
    gate.answered(status, {"Retry-After": "soon"})
    assert gate.blocked_until_ms == clock.now_ms() + (seconds + 1) * 1_000


async def test_a_ban_is_read_from_the_message_where_it_says_more() -> None:
    clock = ManualClock()
    gate = WeightGate(clock)
    banned_until_ms = clock.now_ms() + 3 * 86_400_000
    gate.answered(418, {"Retry-After": "120"}, f"Way too much; IP banned until {banned_until_ms}. Please")
    assert gate.blocked_until_ms == banned_until_ms + 1_000


async def test_the_longest_silence_holds_and_is_told_once() -> None:
    clock = ManualClock()
    told: list[int] = []
    gate = WeightGate(clock, on_blocked=told.append)
    gate.answered(429, {"Retry-After": "60"})
    gate.answered(429, {"Retry-After": "5"})
    assert len(told) == 1
    assert gate.blocked_until_ms == told[0]


async def test_a_silence_survives_a_restart() -> None:
    clock = ManualClock()
    kept: list[int] = []
    WeightGate(clock, on_blocked=kept.append).answered(418, {"Retry-After": "600"})
    gate = WeightGate(clock, blocked_until_ms=kept[-1])
    queue = Queue(gate)
    await queue.join("first request", Urgency.LEAVE)
    await clock.advance(600_000)
    assert queue.left == []
    await clock.advance(1_000)
    assert queue.left == ["first request"]


async def test_a_silence_that_begins_while_others_wait_holds_them_too() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.WATCH, 40)
    await queue.join("candles", Urgency.WATCH)
    gate.answered(429, {"Retry-After": "90"})
    await clock.advance(MINUTE_MS)
    assert queue.left == []
    await clock.advance(31_000)
    assert queue.left == ["candles"]


async def test_who_gives_up_waiting_does_not_hold_the_others() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, limit_per_minute=100)
    queue = Queue(gate)
    await gate.admit(Urgency.WATCH, 40)
    await queue.join("given up", Urgency.WATCH, 30)
    await queue.join("patient", Urgency.WATCH, 30)
    queue.tasks[0].cancel()
    await clock.advance(MINUTE_MS)
    assert queue.left == ["patient"]
    assert gate.used_weight == 30


async def test_where_no_weights_are_counted_requests_keep_a_distance() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, spacing_ms=500)
    queue = Queue(gate)
    for name in ("first", "second", "third"):
        await queue.join(name, Urgency.WATCH)
    await queue.join("exit", Urgency.LEAVE)
    assert queue.left == ["first", "exit"]
    await clock.advance(499)
    assert queue.left == ["first", "exit"]
    await clock.advance(1)
    assert queue.left == ["first", "exit", "second"]
    await clock.advance(500)
    assert queue.left == ["first", "exit", "second", "third"]


async def test_a_request_that_could_never_pass_is_our_mistake() -> None:
    gate = WeightGate(ManualClock(), limit_per_minute=100)
    with pytest.raises(AssertionError, match="never be sent"):
        await gate.admit(Urgency.WATCH, 41)


async def test_where_requests_keep_a_distance_nobody_waits_for_ever() -> None:
    """A price asked for again and again is before a closed bar only so many times."""
    clock = ManualClock()
    gate = WeightGate(clock, spacing_ms=1_000)
    queue = Queue(gate)
    await queue.join("price 0", Urgency.RECONCILE)
    await queue.join("bar", Urgency.WATCH)
    for turn in range(1, 6):
        await queue.join(f"price {turn}", Urgency.RECONCILE)
        await clock.advance(1_000)
        await settle()
    assert "bar" in queue.left[:5]
    await queue.leave()


async def test_a_clock_that_is_set_back_makes_nobody_wait_twice() -> None:
    clock = ManualClock()
    gate = WeightGate(clock, spacing_ms=1_000)
    queue = Queue(gate)
    await queue.join("first", Urgency.WATCH)
    clock.jump(-3_600_000)
    await queue.join("second", Urgency.WATCH)
    await clock.advance(1_000)
    assert queue.left == ["first", "second"]
