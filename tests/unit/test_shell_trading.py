"""Loop, dispatcher and paper broker as one agent: from a signal to a booked trade, whatever happens.

Between runs nothing survives but the disk (text that went through the codec) and the paper account. In the
end two books that never meet must agree: the core's, made of fills it was told, and the account's.
"""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from agent.core import events as e
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.order import Intent, Purpose
from agent.core.phase import Phase
from agent.core.position import Position, PositionState
from agent.core.records import BalanceRow, DecisionRow, Outcome, VerdictRow
from agent.core.signal import SignalWindow
from agent.core.state import AgentState
from agent.exchange.paper.broker import PaperBroker
from agent.exchange.paper.misbehaviour import Misbehaviour, Rule, well_behaved
from agent.exchange.paper.store import MemoryPaperStore
from agent.shell.dispatch import Dispatcher
from agent.shell.runtime import Runtime
from tests.playbook import BAR, falling_history, make_instrument, make_setup, quiet_candle, signal_candle
from tests.shell_ground import HandClock, HandDisk, HandLatch, HandMarket, settle

D = Decimal
CASH = D(10_000)
PLENTY = D(1_000_000)


class World:
    """A market, an account and a disk that outlive the agent; `start` and `kill` make one and end it."""

    def __init__(self, rule: Rule = well_behaved) -> None:
        self.setup = make_setup()
        self.instrument = make_instrument()
        self.history = falling_history()
        self.clock = HandClock(self.history[-1].open_ms + BAR + 500)
        self.market = HandMarket(self.instrument)
        self.account = MemoryPaperStore()
        self.disk = HandDisk()
        self.latch = HandLatch()
        self.rule = rule
        self.bid = D(0)
        self.move(self.history[-1].close)

    # --- the agent -------------------------------------------------------------------------------

    async def start(self) -> None:
        self.broker = PaperBroker(
            market=self.market, instrument=self.instrument, fee_bp=D(5), slippage_bp=D(5),
            initial_balance=CASH, bar_ms=BAR, store=self.account, clock=self.clock,
            misbehave=lambda intent: self.rule(intent),
        )  # fmt: skip
        state = self.disk.state(self.setup, self.clock.at_ms)
        self.runtime = Runtime(state, self.clock, self.disk, self.latch, random.Random(self.clock.at_ms))
        self.dispatcher = Dispatcher(
            self.broker, self.market, self.latch, self.runtime.sink, self.runtime.intent_of
        )
        self.runtime.connect(self.dispatcher)
        self.tasks = [
            asyncio.ensure_future(self.runtime.run()),
            asyncio.ensure_future(self.broker.run(self.runtime.sink)),
        ]
        await self.learn(e.InstrumentSeen(self.instrument), e.StartRequested("test"))
        decided = self.runtime.state.durable.decided_open_ms
        known = [c for c in self.history if decided is None or c.open_ms <= decided]
        window = SignalWindow.warm(self.setup.seller, self.setup.exits, known)
        await self.learn(e.WarmedUp(window, known[-1].open_ms, known[-1].close))
        await self.learn(e.FeedReported(DataSource.REST, fresh=True))
        for candle in self.history[len(known) :]:
            await self.learn(e.BarClosed(candle, e.ClosedBy.BACKFILL))
        await self.tell_price()

    async def kill(self) -> None:
        """Nothing gets the time to finish, and nobody hears of it."""
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settle()
        assert len(asyncio.all_tasks()) == 1
        asyncio.get_running_loop().set_exception_handler(None)
        self.clock.waiting.clear()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    async def learn(self, *events: e.Event) -> None:
        for event in events:
            self.broker.observe(event)
            self.runtime.sink(event)
        await settle()
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.result()

    @property
    def state(self) -> AgentState:
        return self.runtime.state

    # --- the market ------------------------------------------------------------------------------

    def move(self, price: float) -> None:
        self.bid = self.instrument.price(price, "nearest")
        ask = self.bid + self.instrument.tick
        book = Book((BookLevel(self.bid, PLENTY),), (BookLevel(ask, PLENTY),), self.clock.at_ms)
        quote = Quote(self.bid, PLENTY, ask, PLENTY, self.clock.at_ms, DataSource.REST)
        self.market.book_now, self.market.quote_now = book, quote

    async def tell_price(self) -> None:
        self.move(float(self.bid))
        assert self.market.quote_now is not None
        await self.learn(e.QuoteSeen(self.market.quote_now, trusted=True))

    async def trade_at(self, price: float, after_ms: int = 1_000) -> None:
        """Time passes, the price moves, and the agent hears of it when there is one."""
        await self.clock.later(after_ms)
        self.move(price)
        await self.tell_price()

    async def bar(self, candle: Candle, *, watched: bool = True) -> None:
        """A bar passes with its prices: open, low, high, close. Unwatched, nobody is there to see it."""
        if watched:
            for part, price in enumerate((candle.open, candle.low, candle.high, candle.close)):
                at_ms = candle.open_ms + 1_000 + part * BAR // 4
                await self.clock.later(max(0, at_ms - self.clock.at_ms))
                self.move(price)
                await self.tell_price()
        await self.clock.later(max(0, candle.open_ms + BAR + 200 - self.clock.at_ms))
        self.move(candle.close)
        self.history.append(candle)
        if watched:
            await self.tell_price()
            await self.learn(e.BarClosed(candle, e.ClosedBy.FLAG))

    async def signal(self) -> None:
        await self.bar(signal_candle(self.history[-1]))

    async def quiet(self, bars: int = 1, *, watched: bool = True) -> None:
        for _ in range(bars):
            await self.bar(quiet_candle(self.history[-1]), watched=watched)

    async def rise_to_target(self) -> None:
        """A bar after the entry bar reaches the target of the open position."""
        (position,) = self.state.open_positions()
        target = position.levels.target
        assert target is not None
        await self.bar(quiet_candle(self.history[-1], close=target + 0.001))

    async def get_over_it(self) -> None:
        """Time enough for every look-up and retry, and for the account to be read again."""
        for _ in range(8):
            await self.trade_at(float(self.bid), after_ms=15_000)

    # --- the books -------------------------------------------------------------------------------

    def position(self) -> Position:
        return max(self.state.positions.values(), key=lambda p: p.id)

    def rows(self, kind: type[DecisionRow]) -> list[DecisionRow]:
        return [row for row in self.disk.rows if isinstance(row, kind)]

    def check_books(self) -> None:
        """The core's books say what the account's say."""
        account, state = self.account.state, self.state
        assert account is not None
        assert state.durable.account.cash == account.balances["USDT"].total
        held = sum((p.held_qty for p in state.open_positions()), D(0))
        dust = sum((p.dust_qty for p in state.positions.values()), D(0))
        assert held + dust == account.balances["ADA"].total
        ours = {f.trade_id for o in state.orders.values() for f in o.fills}
        assert ours == set(self.account.fills)
        assert state.durable.account.foreign.get("ADA", D(0)) in (0, dust)
        assert not state.impairments, state.impairments

    def check_flat(self) -> None:
        self.check_books()
        assert not self.state.open_positions()
        assert all(o.is_settled for o in self.state.orders.values())
        account = self.account.state
        assert account is not None
        assert not account.open_orders, "nothing of ours is left on the exchange"


async def world(rule: Rule = well_behaved) -> World:
    made = World(rule)
    await made.start()
    assert made.state.phase is Phase.RUNNING
    return made


# --- a trade -------------------------------------------------------------------------------------


async def test_from_a_signal_to_a_booked_trade() -> None:
    w = await world()
    await w.signal()
    entered = w.position()
    assert entered.state is PositionState.IN_POSITION
    (stop,) = [o for o in w.state.orders.values() if o.intent.purpose is Purpose.PROTECT]
    assert stop.is_working
    w.check_books()
    await w.quiet()
    await w.rise_to_target()
    sold = w.position()
    assert (sold.state, sold.exit_reason) == (PositionState.CLOSED, "FIB_61.8")
    assert entered.entry_price is not None
    assert sold.exit_price is not None
    assert sold.pnl_quote > 0
    bought_for = sold.bought_qty * entered.entry_price
    received = sold.sold_qty * sold.exit_price * (1 - D("0.0005"))
    assert 0 <= received - bought_for - sold.pnl_quote < D("1e-8"), "fees are rounded up to eight decimals"
    w.check_flat()
    assert w.state.durable.day is not None
    assert (w.state.durable.day.trades, w.state.durable.day.wins) == (1, 1)
    assert CASH + sold.pnl_quote == w.state.durable.account.cash
    kept = w.disk.rows
    assert [r.outcome for r in kept if isinstance(r, DecisionRow)] == [
        Outcome.ENTERED, Outcome.NO_SIGNAL, Outcome.NO_SIGNAL,
    ]  # fmt: skip
    verdicts = {r.client_id: r.approved for r in kept if isinstance(r, VerdictRow)}
    assert verdicts == dict.fromkeys(w.state.orders, True), "every order has its verdict on record"
    assert [r for r in kept if isinstance(r, BalanceRow)][-1].balance == w.state.durable.account.cash
    await w.kill()


async def test_a_stop_that_rests_sells_while_the_agent_watches() -> None:
    w = await world()
    await w.signal()
    await w.quiet()
    stop = w.position().levels.stop
    await w.trade_at(stop - 0.0005)
    assert (w.position().state, w.position().exit_reason) == (PositionState.CLOSED, "STOP")
    w.check_flat()
    await w.kill()


async def test_a_time_limit_sells_at_the_close_of_its_last_bar() -> None:
    w = await world()
    await w.signal()
    await w.quiet(1 + w.setup.exits.max_hold)
    assert (w.position().state, w.position().exit_reason) == (PositionState.CLOSED, "TIME")
    assert w.position().bars_held == w.setup.exits.max_hold
    w.check_flat()
    await w.kill()


# --- answers get lost ----------------------------------------------------------------------------


def losing(*purposes: Purpose) -> Rule:
    """Every request for these orders is executed and its answer lost."""

    def rule(intent: Intent) -> Misbehaviour:
        return Misbehaviour(lose_answer=intent.purpose in purposes)

    return rule


@pytest.mark.parametrize(
    "purposes",
    [(Purpose.ENTRY,), (Purpose.PROTECT,), (Purpose.EXIT,), (Purpose.ENTRY, Purpose.PROTECT, Purpose.EXIT)],
)
async def test_a_lost_answer_is_found_out_and_changes_no_money(purposes: tuple[Purpose, ...]) -> None:
    undisturbed = await a_trade(well_behaved)
    found_out = await a_trade(losing(*purposes))
    assert found_out.exit_reason == undisturbed.exit_reason == "FIB_61.8"
    assert found_out.pnl_quote == undisturbed.pnl_quote
    assert found_out.notes == undisturbed.notes


async def a_trade(rule: Rule) -> Position:
    """From a signal to the target, with time for every look-up on the way."""
    w = await world(rule)
    await w.signal()
    await w.get_over_it()
    assert w.position().state is PositionState.IN_POSITION
    w.check_books()
    await w.quiet()
    await w.rise_to_target()
    await w.get_over_it()
    w.check_flat()
    await w.kill()
    return w.position()


def thin(purpose: Purpose, qty: str, times: int = 1_000) -> Rule:
    """Orders of this purpose meet a book with no more than `qty` on each side, `times` times."""
    left = [times]

    def rule(intent: Intent) -> Misbehaviour:
        if intent.purpose is not purpose or left[0] == 0:
            return Misbehaviour()
        left[0] -= 1
        return Misbehaviour(book_qty=D(qty))

    return rule


async def test_what_was_filled_of_an_entry_is_the_position() -> None:
    w = await world(thin(Purpose.ENTRY, "100"))
    await w.signal()
    assert w.position().state is PositionState.IN_POSITION
    assert w.position().bought_qty == 100
    (stop,) = [o for o in w.state.orders.values() if o.intent.purpose is Purpose.PROTECT]
    assert stop.intent.qty == D("99.9"), "no more than is held after the fee"
    w.check_books()
    await w.quiet()
    await w.rise_to_target()
    w.check_flat()
    await w.kill()


async def test_an_exit_into_a_thin_book_goes_on_until_flat() -> None:
    w = await world(thin(Purpose.EXIT, "200", times=3))
    await w.signal()
    await w.quiet()
    await w.rise_to_target()
    await w.get_over_it()
    sales = [o for o in w.state.orders.values() if o.intent.purpose is Purpose.EXIT]
    assert len(sales) == 4
    assert [o.filled for o in sales[:3]] == [200] * 3
    w.check_flat()
    assert w.position().exit_reason == "FIB_61.8"
    await w.kill()


async def test_requests_that_take_their_time_change_nothing_but_time() -> None:
    w = await world(lambda intent: Misbehaviour(delay_ms=700))
    await w.signal()
    assert w.position().state is PositionState.ENTERING
    await w.get_over_it()
    assert w.position().state is PositionState.IN_POSITION
    await w.quiet()
    await w.rise_to_target()
    await w.get_over_it()
    w.check_flat()
    await w.kill()


# --- the process dies ----------------------------------------------------------------------------


async def test_a_restart_in_position_keeps_position_levels_counters_and_account() -> None:
    w = await world()
    await w.signal()
    await w.quiet(2)
    before = w.state
    await w.restart()
    after = w.state
    (kept,) = after.open_positions()
    (held,) = before.open_positions()
    assert kept == held
    assert after.durable.day == before.durable.day
    assert after.durable.account == before.durable.account
    assert after.durable.next_position_id == before.durable.next_position_id
    assert after.durable.decided_open_ms == before.durable.decided_open_ms
    assert {k: o.intent for k, o in after.orders.items()} == {k: o.intent for k, o in before.orders.items()}
    assert after.phase is Phase.RUNNING
    w.check_books()
    await w.rise_to_target()
    assert w.position().exit_reason == "FIB_61.8"
    w.check_flat()
    await w.kill()


async def test_a_stop_reached_while_the_agent_was_down_is_booked_from_the_bars_it_missed() -> None:
    w = await world()
    await w.signal()
    await w.quiet()
    held = w.position()
    await w.kill()
    fallen = quiet_candle(w.history[-1], close=held.levels.stop - 0.01)
    await w.bar(fallen, watched=False)
    await w.quiet(3, watched=False)
    await w.start()
    await w.get_over_it()
    position = w.position()
    assert position.id == held.id
    assert (position.state, position.exit_reason) == (PositionState.CLOSED, "STOP")
    assert position.exit_price is not None
    assert position.last_fill_ms == fallen.open_ms + BAR - 1, "sold when the bar did it, not when it was seen"
    worst = D(str(held.levels.stop)) * (1 - D("0.0005"))
    assert position.exit_price == pytest.approx(worst, rel=D("0.001"))
    w.check_flat()
    missed = [r for r in w.rows(DecisionRow) if r.closed_by == "backfill"]
    assert [r.bar_open_ms for r in missed] == [c.open_ms for c in w.history[-4:]], (
        "each missed bar is decided"
    )
    await w.kill()


async def test_a_target_passed_while_the_agent_was_down_is_sold_at_the_restart() -> None:
    w = await world()
    await w.signal()
    await w.quiet()
    target = w.position().levels.target
    assert target is not None
    await w.kill()
    last = w.history[-1]
    await w.bar(quiet_candle(last, high=target + 0.001), watched=False)
    await w.quiet(1, watched=False)
    await w.start()
    await w.get_over_it()
    assert (w.position().state, w.position().exit_reason) == (PositionState.CLOSED, "FIB_61.8")
    assert "seen_at_close" in w.position().notes
    assert w.position().bars_held == 1, "the bar that reached it, as in the backtest"
    w.check_flat()
    await w.kill()


async def test_a_signal_missed_while_the_agent_was_down_is_late_and_not_entered() -> None:
    w = await world()
    await w.kill()
    await w.bar(signal_candle(w.history[-1]), watched=False)
    await w.quiet(1, watched=False)
    await w.start()
    assert [r.outcome for r in w.rows(DecisionRow)] == [Outcome.LATE, Outcome.NO_SIGNAL]
    assert not w.state.positions
    w.check_flat()
    await w.kill()


async def until_killed(w: World, rounds: int) -> bool:
    """Let the agent go on for so many turns of the loop, then kill it. True when it had come to rest."""
    quiet = 0
    for _ in range(rounds):
        before = len(w.disk.steps), len(w.account.fills), w.state
        await asyncio.sleep(0)
        quiet = quiet + 1 if before == (len(w.disk.steps), len(w.account.fills), w.state) else 0
    await w.kill()
    return quiet > 12


async def test_killed_at_any_moment_of_an_entry_nothing_is_lost_and_nothing_is_bought_twice() -> None:
    entered, missed, rounds, at_rest = 0, 0, 0, False
    while not at_rest:
        w = await world()
        signal = signal_candle(w.history[-1])
        await w.clock.later(signal.open_ms + BAR + 200 - w.clock.at_ms)
        w.move(signal.close)
        await w.tell_price()
        w.history.append(signal)
        w.runtime.sink(e.BarClosed(signal, e.ClosedBy.FLAG))
        at_rest = await until_killed(w, rounds)
        await w.clock.later(5_000)
        await w.start()
        await w.get_over_it()
        w.check_books()
        held = w.state.open_positions()
        assert len(held) <= 1
        entries = [o for o in w.state.orders.values() if o.intent.purpose is Purpose.ENTRY]
        assert len(entries) <= 1, "an entry is never repeated"
        if held:
            entered += 1
            (stop,) = [o for o in w.state.orders.values() if o.is_working]
            assert stop.intent.purpose is Purpose.PROTECT, "what is held is protected"
            await w.quiet()
            await w.rise_to_target()
            assert w.position().exit_reason == "FIB_61.8"
        else:
            missed += 1
        await w.get_over_it()
        w.check_flat()
        await w.kill()
        rounds += 1
    assert entered > 5
    assert missed > 3


async def test_killed_at_any_moment_of_an_exit_it_is_sold_once() -> None:
    rounds, at_rest = 0, False
    while not at_rest:
        w = await world()
        await w.signal()
        await w.quiet()
        target = w.position().levels.target
        assert target is not None
        await w.clock.later(60_000)
        w.move(target + 0.001)
        assert w.market.quote_now is not None
        quote = e.QuoteSeen(w.market.quote_now, trusted=True)
        w.broker.observe(quote)
        w.runtime.sink(quote)
        at_rest = await until_killed(w, rounds)
        await w.clock.later(5_000)
        await w.start()
        await w.get_over_it()
        assert w.position().state is PositionState.CLOSED
        assert w.position().exit_reason == "FIB_61.8"
        w.check_flat()
        await w.kill()
        rounds += 1
    assert rounds > 10
