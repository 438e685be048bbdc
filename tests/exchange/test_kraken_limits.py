"""Kraken's counters of calls and orders: enforced by the front-end, kept by us, survived when both differ."""

from __future__ import annotations

import asyncio

import ccxt
import pytest

from agent.core.events import AccountSeen, AccountUnreadable, LookupFoundNothing, OrderRefused, OrderReported
from agent.exchange.unified.call_counter import CallCounter, CallLimit, Need
from agent.exchange.unified.refusals import Kind
from agent.localexchange.kraken.counters import Counters, Falling
from tests.clocks import ManualClock
from tests.exchange.kraken_ground import PAIR, kraken
from tests.exchange.signed_ground import approved
from tests.exchange.unified_ground import unified

MINUTE_MS = 60_000


async def test_one_call_too_many_is_refused_until_enough_are_forgotten() -> None:
    async with kraken(paused=True) as (client, running):
        await client.load_markets()
        for _ in range(15):
            await client.fetch_balance()
        with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
            await client.fetch_balance()
        await client.create_order(PAIR, "market", "buy", 30)
        running.exchange.clock.advance(4_000)
        await client.fetch_balance()
        with pytest.raises(ccxt.DDoSProtection):
            await client.fetch_my_trades(PAIR)
        await client.fetch_ticker(PAIR)


async def test_one_order_too_many_is_refused_and_cancels_count_by_their_age() -> None:
    async with kraken(paused=True) as (client, running):
        await client.load_markets()
        for _ in range(6):
            made = await client.create_order(PAIR, "limit", "buy", 30, 0.2)
            await client.cancel_order(made["id"], PAIR)
        for _ in range(6):
            await client.create_order(PAIR, "limit", "buy", 30, 0.2)
        with pytest.raises(ccxt.DDoSProtection, match="EOrder:Rate limit exceeded"):
            await client.create_order(PAIR, "limit", "buy", 30, 0.2)
        running.exchange.clock.advance(2_000)
        await client.create_order(PAIR, "limit", "buy", 30, 0.2)


def test_what_is_refused_counts_nothing_and_an_old_order_is_canceled_for_nothing() -> None:
    falling = Falling(10, 1.0)
    assert falling.admits(10, 0)
    assert not falling.admits(2, 1_000)
    assert falling.admits(1, 1_000)
    counters = Counters()
    for _ in range(60):
        counters.canceled(400_000, 0)
    assert all(counters.admits_order(0) for _ in range(60))
    assert not counters.admits_order(0)


async def test_readings_one_after_the_other_are_never_refused() -> None:
    async with unified(speed=2_000) as ground:
        await ground.exchange.loaded()
        for _ in range(8):
            assert isinstance(await ground.exchange.account(0), AccountSeen)
        assert ground.asked("TradesHistory") == 8


async def test_a_full_counter_keeps_readings_waiting_and_no_order() -> None:
    """Somebody else uses the account."""
    async with unified(speed=60) as ground:
        await ground.exchange.loaded()
        calls = ground.running._kraken.answers.counters._calls
        calls.add(100, ground.clock.now_ms())
        seen = await ground.exchange.account(0)
        assert isinstance(seen, AccountUnreadable)
        assert not seen.permanent
        assert "Rate limit exceeded" in seen.detail
        entry = ground.intent()
        assert isinstance(await ground.exchange.place(approved(entry)), OrderReported)
        asked_ms = ground.clock.now_ms()
        assert isinstance(await ground.exchange.account(0), AccountSeen)
        assert ground.clock.now_ms() - asked_ms > 15_000, "the reading came after the reserve was free again"


async def test_an_order_too_many_is_a_refusal_and_not_an_unknown_outcome() -> None:
    async with unified(speed=1) as ground:
        await ground.exchange.loaded()
        ground.running._kraken.answers.counters._orders.add(1_000, ground.clock.now_ms())
        refused = await ground.exchange.place(approved(ground.intent()))
        assert isinstance(refused, OrderRefused)
        assert refused.code == Kind.LIMIT
        assert ground.theirs() == []
        assert isinstance(await ground.exchange.look_up(ground.intent()), LookupFoundNothing), "calls go on"


async def test_what_may_wait_leaves_room_for_what_an_order_needs() -> None:
    clock = ManualClock(1_000_000)
    counter = CallCounter(clock, CallLimit(15.0, 0.33, reserve=6.0))
    for _ in range(9):
        await counter.admit(1, Need.SPARE)
    assert clock.now_ms() == 1_000_000
    for _ in range(3):
        await counter.admit(2)
    assert clock.now_ms() == 1_000_000, "the reserve"
    assert counter._now() == 15.0


async def test_what_a_sale_waits_for_goes_before_what_waited_longer() -> None:
    clock = ManualClock(1_000_000)
    counter = CallCounter(clock, CallLimit(15.0, 0.33, reserve=6.0))
    counter.refused()
    admitted: list[str] = []

    async def asks(name: str, need: Need) -> None:
        await counter.admit(1, need)
        admitted.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(asks("what may wait", Need.SPARE))
        group.create_task(asks("an entry's look", Need.USUAL))
        group.create_task(asks("another one's", Need.USUAL))
        group.create_task(asks("a look at an exit", Need.SALE))
        group.create_task(asks("the look between cancel and sale", Need.NEXT_SALE))
        await clock.advance(90_000)
    assert admitted[:2] == ["the look between cancel and sale", "a look at an exit"]
    assert (admitted[-1], len(admitted)) == ("what may wait", 5)


async def test_a_clock_set_back_meanwhile_keeps_nobody_waiting_for_as_long() -> None:
    clock = ManualClock(10_000_000)
    counter = CallCounter(clock, CallLimit(15.0, 0.33, reserve=6.0))
    counter.refused()
    waiting = asyncio.create_task(counter.admit(1))
    await clock.advance(100)
    clock.jump(-3_600_000)
    await clock.advance(10_000)
    assert waiting.done()


async def test_an_exchange_that_counts_nothing_keeps_nobody_waiting() -> None:
    counter = CallCounter(ManualClock(1), None)
    for _ in range(100):
        await counter.admit(2, Need.SPARE)
    counter.refused()
