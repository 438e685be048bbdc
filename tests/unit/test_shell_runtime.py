"""The loop around the core: what waits for the disk, what does not, and what happens when things break."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from agent.core import events as e
from agent.core.commands import Alert, Answer, Command, SetLatch
from agent.core.engine import step, wake_at_ms
from agent.core.market import Book, BookLevel, DataSource, Quote
from agent.core.order import Fact, Fill, Intent, OrderReport, OrderStatus, Purpose
from agent.core.phase import Phase
from agent.core.position import PositionState
from agent.core.state import AgentState
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import ENDED, Runtime
from tests.playbook import BAR, MINUTE, Playbook, signal_candle
from tests.shell_ground import HandClock, HandDisk, HandExchange, HandLatch, HandMarket, Mishaps, settle

D = Decimal
PLENTY = D(1_000_000)


class Room:
    """A runtime between hand-made parts, beginning where a conversation with the core stands."""

    def __init__(self, play: Playbook | None = None) -> None:
        self.play = play or Playbook().ready()
        self.clock = HandClock(self.play.now_ms)
        self.disk = HandDisk()
        self.latch = HandLatch()
        self.exchange = HandExchange(place=self.fills_whole, cancel=canceled)
        self.market = HandMarket(self.play.instrument)
        self.runtime = Runtime(self.play.state, self.clock, self.disk, self.latch, random.Random(1))
        self.dispatcher = Dispatcher(
            self.exchange, self.market, self.latch, self.runtime.sink, self.runtime.intent_of
        )
        self.runtime.connect(self.dispatcher)
        self.seen: list[tuple[AgentState, tuple[Command, ...]]] = []
        self.runtime.observe(lambda state, commands: self.seen.append((state, commands)))
        self.trades = 0

    @property
    def state(self) -> AgentState:
        return self.runtime.state

    @asynccontextmanager
    async def running(self) -> Any:
        loop = asyncio.ensure_future(self.runtime.run())
        await settle()
        try:
            yield loop
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await self.dispatcher.close(0)
            self.disk.release()
            await self.runtime.settle_writes()

    async def learn(self, *events: e.Event) -> None:
        for event in events:
            self.runtime.sink(event)
        await settle()

    def quote(self, bid: float) -> e.QuoteSeen:
        b = self.play.instrument.price(bid, "nearest")
        a = b + self.play.instrument.tick
        levels = (BookLevel(D(b), PLENTY),), (BookLevel(a, PLENTY),)
        self.market.book_now = Book(*levels, self.clock.at_ms)
        return e.QuoteSeen(Quote(b, PLENTY, a, PLENTY, self.clock.at_ms, DataSource.REST), trusted=True)

    async def signal(self) -> None:
        """A bar closes as a signal, with a price and a book at its close."""
        candle = signal_candle(self.play.last_bar)
        await self.clock.to(candle.open_ms + BAR + 200)
        await self.learn(self.quote(candle.close), e.BarClosed(candle, e.ClosedBy.FLAG))

    def fills_whole(self, intent: Intent) -> e.OrderReported:
        """Market orders and limits fill at once at the best price, stops rest."""
        book = self.market.book_now
        assert book is not None
        price = (book.asks if intent.side.value == "BUY" else book.bids)[0].price
        fills: tuple[Fill, ...] = ()
        if intent.purpose is not Purpose.PROTECT:
            self.trades += 1
            fills = (
                Fill(
                    str(self.trades), intent.client_id, intent.side, price, intent.qty, D(0), "USDT",
                    self.clock.at_ms,
                ),
            )  # fmt: skip
        return e.OrderReported(
            OrderReport(
                intent.client_id, "7", intent.side, intent.type.value,
                Fact.FULLY_FILLED if fills else Fact.WORKING, intent.qty, D(0),
                intent.qty if fills else D(0), self.clock.at_ms, fills,
            )
        )  # fmt: skip

    def purposes(self) -> list[Purpose]:
        return [intent.purpose for intent in self.exchange.placed]

    def impairments(self) -> set[e.Impairment]:
        return set(self.state.impairments)


def noted(room: Room, monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> list[int]:
    """At which times an event of this kind is queued from now on."""
    times: list[int] = []
    put = room.runtime.inbox.put

    def noting(event: e.Event) -> None:
        if isinstance(event, kind):
            times.append(room.clock.at_ms)
        put(event)

    monkeypatch.setattr(room.runtime.inbox, "put", noting)
    return times


def canceled(intent: Intent) -> e.OrderReported:
    return e.OrderReported(
        OrderReport(
            intent.client_id,
            "7",
            intent.side,
            intent.type.value,
            Fact.WAS_CANCELED,
            intent.qty,
            D(0),
            D(0),
            5,
        )
    )


def holding() -> Playbook:
    play = Playbook().ready()
    play.enter()
    return play


# --- order of things -----------------------------------------------------------------------------


async def test_from_signal_to_position_and_its_resting_stop() -> None:
    room = Room()
    async with room.running():
        await room.signal()
    assert room.purposes() == [Purpose.ENTRY, Purpose.PROTECT]
    (position,) = room.state.open_positions()
    assert position.state is PositionState.IN_POSITION
    assert room.disk.state(room.play.setup, room.clock.at_ms).open_positions() == (position,)


async def test_order_commands_wait_for_the_commit() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.signal()
        (position,) = room.state.in_flight()
        assert position.state is PositionState.ENTERING, "the core has asked for the order"
        assert not room.exchange.placed
        room.disk.release()
        await settle()
        assert room.purposes()[0] is Purpose.ENTRY


async def test_everything_but_orders_leaves_before_the_commit() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.signal()
        assert room.state.in_flight(), "the book was read while the disk stood still"
        await room.clock.later(2 * MINUTE)
        assert ("account", "") in room.exchange.asked
        assert not room.exchange.placed
        room.disk.release()


async def test_orders_leave_in_the_order_of_their_steps() -> None:
    room = Room(holding())
    async with room.running():
        room.disk.hold()
        await room.learn(e.CloseRequested("test", None))
        await room.learn(e.EmergencyRequested("test"))
        room.disk.release()
        await settle()
    assert [request for request, _ in room.exchange.asked] == ["replace"]


async def test_events_are_stamped_in_sequence_with_the_clocks_time_and_chance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stamps: list[e.Stamped] = []

    def stepping(state: AgentState, stamped: e.Stamped) -> Any:
        stamps.append(stamped)
        return step(state, stamped)

    monkeypatch.setattr("agent.shell.runtime.step", stepping)
    room = Room()
    async with room.running():
        await room.learn(e.Woke(), e.Woke())
        room.clock.at_ms += 1_500
        await room.learn(e.PauseRequested("test"))
    assert [s.seq for s in stamps] == [1, 2, 3]
    assert [s.at_ms for s in stamps] == [room.play.now_ms] * 2 + [room.play.now_ms + 1_500]
    chance = random.Random(1)
    assert [s.entropy for s in stamps] == [chance.getrandbits(64) for _ in range(3)]


async def test_other_tasks_have_their_turn_between_steps() -> None:
    room = Room()
    for _ in range(1_000):
        room.runtime.sink(e.Woke())
    async with room.running() as loop:
        assert not loop.done()
        assert 1 <= len(room.seen) < 200, "a full queue is worked off, but not in one go"
        answer = await room.runtime.ask(e.PauseRequested("test"))
    assert answer.ok


# --- operators -----------------------------------------------------------------------------------


async def test_ask_returns_the_cores_answer() -> None:
    room = Room()
    async with room.running():
        answer = await room.runtime.ask(e.PauseRequested("test"))
        assert answer.ok
        assert "paused" in answer.text
        again = await room.runtime.ask(e.CloseRequested("test", 99))
        assert again == Answer(False, "no open position has the id 99")
    assert room.state.phase is Phase.PAUSED


async def test_an_emergency_latches_on_the_call_itself_and_overtakes_the_queue() -> None:
    room = Room(holding())
    for _ in range(100):
        room.runtime.sink(e.BarClosed(signal_candle(room.play.last_bar), e.ClosedBy.FLAG))
    asking = asyncio.ensure_future(room.runtime.emergency("test"))
    await asyncio.sleep(0)
    assert room.latch.reason == "emergency", "set before the loop has done anything"
    assert room.latch.set_at_ms == [room.clock.at_ms]
    async with room.running():
        answer = await asking
        await settle()
    assert answer.ok
    assert "emergency stop by test" in answer.text
    _, first = room.seen[0]
    assert any(isinstance(c, SetLatch) for c in first), "it was stepped before everything that waited"
    assert room.state.phase is Phase.HALTED
    assert ("replace", room.play.stop().client_id) in room.exchange.asked


async def test_an_emergency_does_not_wait_for_the_disk() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        answer = await room.runtime.emergency("test")
        assert answer.ok
        assert room.latch.is_set()
        assert not room.disk.steps
        room.disk.release()


async def test_an_emergency_whose_latch_cannot_be_written_sells_all_the_same() -> None:
    room = Room(holding())
    room.latch.broken = OSError("no space left on device")
    loop = asyncio.ensure_future(room.runtime.run())
    with pytest.raises(OSError, match="no space"):
        await room.runtime.emergency("test")
    await settle()
    assert room.state.phase is Phase.HALTED
    assert [request for request, _ in room.exchange.asked] == ["replace"]
    with pytest.raises(OSError, match="no space"):
        await loop
    await room.dispatcher.close(0)


async def test_the_cores_own_halt_sets_and_clears_the_latch() -> None:
    room = Room()
    async with room.running():
        await room.learn(e.EmergencyRequested("test"))
        assert room.latch.reason == "emergency"
        cash = room.state.durable.account.cash
        assert cash is not None
        room.clock.at_ms += 1_000
        await room.learn(e.AccountSeen({"USDT": e.Holding(cash, D(0))}, (), (), 0))
        answer = await room.runtime.ask(e.ClearHaltRequested("test"))
        assert answer.ok, answer.text
        assert not room.latch.is_set()


async def test_the_latch_stops_an_entry_that_waited_for_its_commit() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.signal()
        # Another process (the stand-alone emergency stop) writes the same latch file.
        room.latch.set("emergency", room.clock.at_ms)
        room.disk.release()
        await settle()
        assert not room.exchange.placed
        (order,) = room.state.orders.values()
        assert order.status is OrderStatus.REJECTED
        assert not room.state.in_flight()


# --- the disk fails ------------------------------------------------------------------------------


async def test_an_entry_that_cannot_be_stored_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.signal()
        room.disk.failing = "disk full"
        room.disk.release()
        await settle()
        assert not room.exchange.placed
        (order,) = room.state.orders.values()
        assert order.status is OrderStatus.REJECTED
        assert "disk full" in order.detail
        assert room.impairments() == {e.Impairment.STORE_FAILING}
        assert room.state.impairments[e.Impairment.STORE_FAILING] == "disk full"
        # Once is enough: a disk that goes on failing is not news.
        impaired = noted(room, monkeypatch, e.Impaired)
        await room.clock.later(5 * MINUTE)
        alerts = [c for _, commands in room.seen for c in commands if isinstance(c, Alert)]
        assert [a.text for a in alerts if a.kind == "store failing"] == [
            "store failing: disk full; entries are blocked"
        ]
        assert not impaired


@pytest.mark.parametrize("with_stop", [True, False])
async def test_leaving_and_canceling_do_not_wait_for_a_disk_that_fails(with_stop: bool) -> None:
    play = holding()
    if not with_stop:
        play.canceled(play.stop())
    room = Room(play)
    room.quote(0.5)
    async with room.running():
        room.disk.failing = "disk full"
        answer = await room.runtime.ask(e.CloseRequested("test", None))
        await settle()
        assert answer.ok
        assert [request for request, _ in room.exchange.asked] == ["replace" if with_stop else "place"]
        assert room.purposes() == [Purpose.EXIT]
        assert room.impairments() == {e.Impairment.STORE_FAILING}


async def test_a_protective_stop_is_placed_although_the_disk_fails() -> None:
    room = Room()

    def fills_and_takes_the_disk_along(intent: Intent) -> e.OrderReported:
        room.disk.failing = "disk full"
        return room.fills_whole(intent)

    room.exchange.put_down("place", fills_and_takes_the_disk_along)
    async with room.running():
        await room.signal()
        assert room.purposes() == [Purpose.ENTRY, Purpose.PROTECT]
        assert room.impairments() == {e.Impairment.STORE_FAILING}


async def test_a_disk_that_does_not_answer_holds_entries_back_and_nothing_else() -> None:
    room = Room(holding())
    room.quote(0.5)
    async with room.running():
        room.disk.hold()
        room.runtime.sink(e.CloseRequested("test", None))
        await settle()
        assert not room.exchange.asked, "a moment's patience"
        await room.clock.later(1_000)
        assert [request for request, _ in room.exchange.asked] == ["replace"]
        assert room.state.impairments[e.Impairment.STORE_FAILING] == "the disk does not answer"
        assert not room.disk.steps
        room.disk.release()
        await settle()
        assert room.impairments() == set()
        assert room.disk.steps, "what was slow is written all the same"


async def test_an_entry_whose_intent_is_written_too_late_is_not_sent() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.signal()
        await room.clock.later(1_000)
        room.disk.release()
        await settle()
        assert not room.exchange.placed
        (order,) = room.state.orders.values()
        assert order.status is OrderStatus.REJECTED
        assert "the disk does not answer" in order.detail
        assert room.impairments() == set(), "and entries go on"


async def test_entries_go_on_once_the_disk_works_again() -> None:
    room = Room()
    async with room.running():
        room.disk.failing = "disk full"
        await room.learn(e.PauseRequested("test"))
        assert room.impairments() == {e.Impairment.STORE_FAILING}
        room.disk.failing = None
        await room.learn(e.ResumeRequested("test"))
        assert room.impairments() == set()
        await room.signal()
        assert room.purposes()[0] is Purpose.ENTRY


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_journal_that_breaks_is_a_failing_disk_and_an_error_for_everybody(at_once: bool) -> None:
    mishaps = Mishaps()
    room = Room(holding())
    mistake = RuntimeError("a mistake of our own")
    room.disk.breaks, room.disk.breaks_at_once = (None, mistake) if at_once else (mistake, None)
    loop = asyncio.ensure_future(room.runtime.run())
    room.runtime.sink(e.CloseRequested("test", None))
    await settle()
    assert [request for request, _ in room.exchange.asked] == ["replace"], "leaving waits for nobody"
    if at_once:
        with pytest.raises(RuntimeError, match="our own"):
            await loop
        room.disk.breaks_at_once = None
        loop = asyncio.ensure_future(room.runtime.run())
        await settle()
    else:
        assert mishaps.errors[0] is mistake
    alerts = [c.text for _, commands in room.seen for c in commands if isinstance(c, Alert)]
    assert "store failing: RuntimeError('a mistake of our own'); entries are blocked" in alerts
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    await room.dispatcher.close(0)


# --- time ----------------------------------------------------------------------------------------


async def test_the_core_is_woken_when_it_wants_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    times = noted(room, monkeypatch, e.Woke)
    async with room.running():
        await room.learn(e.Woke())
        times.clear()
        expected = []
        for _ in range(5):
            wanted = wake_at_ms(room.state)
            expected.append(wanted)
            await room.clock.to(wanted - 1)
            assert times == expected[:-1], "not a millisecond early"
            await room.clock.to(wanted)
            assert times == expected
            assert wake_at_ms(room.state) > wanted


async def test_a_nearer_deadline_replaces_a_farther_one(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    room.exchange = HandExchange()  # answers nothing
    room.runtime.connect(
        Dispatcher(room.exchange, room.market, room.latch, room.runtime.sink, room.runtime.intent_of)
    )
    async with room.running():
        await room.signal()
        (order,) = room.state.orders.values()
        timeout_ms = room.play.setup.limits.order_timeout_ms
        times = noted(room, monkeypatch, e.Woke)
        await room.clock.later(timeout_ms - 1)
        assert room.state.orders[order.intent.client_id].status is OrderStatus.PENDING_NEW
        await room.clock.later(1)
        assert times[-1] == order.intent.created_ms + timeout_ms
        assert room.state.orders[order.intent.client_id].status is OrderStatus.UNKNOWN


async def test_before_the_first_step_nobody_is_woken_and_nothing_spins() -> None:
    room = Room()
    async with room.running():
        await settle(500)
        assert room.clock.waits == 0
        assert not room.seen


async def test_a_clock_that_breaks_ends_the_loop_loudly() -> None:
    room = Room()

    async def broken(venue_ms: int) -> None:
        raise RuntimeError("the clock broke")

    room.clock.sleep_until = broken  # type: ignore[method-assign]
    room.runtime.sink(e.Woke())
    with pytest.raises(RuntimeError, match="the clock broke"):
        await asyncio.wait_for(room.runtime.run(), 5)


# --- who looks on --------------------------------------------------------------------------------


async def test_observers_see_every_step_and_one_that_fails_stops_nothing() -> None:
    mishaps = Mishaps()
    room = Room()
    seen_after: list[Phase] = []

    def failing(state: AgentState, commands: tuple[Command, ...]) -> None:
        raise RuntimeError("painted over")

    room.runtime.observe(failing)
    room.runtime.observe(lambda state, commands: seen_after.append(state.phase))
    async with room.running():
        await room.learn(e.PauseRequested("test"), e.ResumeRequested("test"))
        assert len(room.seen) == len(seen_after) == 2
        assert seen_after == [Phase.PAUSED, Phase.RUNNING]
        assert any(isinstance(c, Answer) for c in room.seen[0][1])
    assert [str(error) for error in mishaps.errors] == ["painted over"] * 2


async def test_alerts_and_changes_of_state_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    with caplog.at_level(logging.INFO, "agent"):
        async with room.running():
            await room.learn(e.PauseRequested("test"), e.EmergencyRequested("test"))
    by_level = {record.levelname: record.getMessage() for record in caplog.records}
    assert by_level["CRITICAL"].startswith("emergency: emergency stop by test")
    assert "PAUSED | Paper Trading | ADA/USDT 15m | Balance: 10,000.00 USDT" in caplog.text


# --- mistakes and the end ------------------------------------------------------------------------


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that fails on pauses."""

    def stepping(state: AgentState, stamped: e.Stamped) -> Any:
        if isinstance(stamped.event, e.PauseRequested):
            raise AssertionError("a mistake in the core")
        return step(state, stamped)

    monkeypatch.setattr("agent.shell.runtime.step", stepping)


@pytest.mark.usefixtures("stumbling")
async def test_a_step_that_fails_answers_ends_the_loop_and_leaves_the_state() -> None:
    room = Room()
    before = room.state
    loop = asyncio.ensure_future(room.runtime.run())
    answer = await room.runtime.ask(e.PauseRequested("test"))
    assert not answer.ok
    with pytest.raises(AssertionError, match="mistake in the core"):
        await loop
    assert room.state is before
    async with room.running():
        answer = await room.runtime.ask(e.StopRequested("test", flatten=False))
        assert answer.ok, "begun again it goes on"


async def test_whoever_waits_when_the_loop_is_stopped_gets_an_answer() -> None:
    room = Room()
    async with room.running() as loop:
        asking = [asyncio.ensure_future(room.runtime.ask(e.PauseRequested("test")))]
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        assert await asking[0] in (ENDED, Answer(True, "paused: no entries; open positions keep their exits"))
        assert await room.runtime.ask(e.PauseRequested("later")) == ENDED
        assert await room.runtime.emergency("later") == ENDED
        assert room.latch.is_set(), "the latch falls all the same"


async def test_settle_writes_waits_for_what_was_stepped_so_far() -> None:
    room = Room()
    async with room.running():
        room.disk.hold()
        await room.learn(e.PauseRequested("test"))
        settling = asyncio.ensure_future(room.runtime.settle_writes())
        await settle()
        assert not settling.done()
        await room.runtime.settle_writes(0.001)  # who has waited long enough goes on
        assert not room.disk.steps
        room.disk.release()
        await settling
        assert room.disk.steps
        room.disk.failing = "disk full"
        await room.learn(e.ResumeRequested("test"))
        await room.runtime.settle_writes()  # failed is settled too


async def test_a_runtime_without_a_dispatcher_is_our_mistake() -> None:
    room = Room()
    bare = Runtime(room.play.state, room.clock, room.disk, room.latch, random.Random(1))
    bare.sink(e.Woke())
    with pytest.raises(AssertionError, match="connect a dispatcher"):
        await bare.run()
