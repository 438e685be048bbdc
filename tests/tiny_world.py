"""The agent's core, its disk, a tiny exchange and an unreliable way between them. Nothing waits for real.

Every command the core asks for becomes a request on its way; a request reaches the exchange or is lost, its
answer reaches the core or is lost, what the user stream says comes late, twice, in another order or never.
A crash loses everything but the disk and the exchange. `check` holds after every single step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from agent.core import events as e
from agent.core.boot import boot
from agent.core.commands import (
    Alert,
    CancelOrder,
    Command,
    LookUpOrder,
    PlaceOrder,
    PlacePair,
    ReadAccount,
    ReadBook,
    ReadFeePrice,
    ReadFills,
    ReadQuote,
    ReplaceByPair,
    ReplaceOrder,
    SetLatch,
)
from agent.core.engine import step, wake_at_ms
from agent.core.instrument import Instrument
from agent.core.market import Candle, DataSource
from agent.core.order import TERMINAL, Intent, Order, OrderStatus, Purpose, Side
from agent.core.phase import Phase
from agent.core.position import Position
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Setup
from agent.shell.journal import changes
from tests.playbook import (
    BAR,
    Disk,
    falling_history,
    make_instrument,
    make_setup,
    quiet_candle,
    signal_candle,
)
from tests.tiny_exchange import TinyExchange

ZERO = Decimal(0)
BNB_PRICE = Decimal(600)
#: Requests under way, and answers, at any one time.
PATIENCE = 12
#: So long after it was given up a request may still be accepted: its receive window and the way there.
STILL_ACCEPTED_MS = 15_000
Request = (
    PlaceOrder
    | ReplaceOrder
    | PlacePair
    | ReplaceByPair
    | CancelOrder
    | LookUpOrder
    | ReadFills
    | ReadAccount
    | ReadBook
    | ReadQuote
    | ReadFeePrice
)


class Crash(Exception):  # noqa: N818 - it is what happens, not a mistake
    """The process died."""


@dataclass
class Witness:
    """What must never be forgotten between steps, whatever the core believes."""

    entries_sent_halted: int = 0
    ids_sent: set[str] = field(default_factory=set)
    bars_entered: set[int] = field(default_factory=set)
    given_up_ms: dict[str, int] = field(default_factory=dict)
    not_founds: dict[str, int] = field(default_factory=dict)


class TinyWorld:
    def __init__(
        self,
        setup: Setup | None = None,
        instrument: Instrument | None = None,
        cash: str = "10000",
        foreign: str = "0",
    ) -> None:
        self.setup = setup or make_setup()
        self.instrument = instrument or make_instrument()
        self.exchange = TinyExchange(self.instrument, Decimal(cash), Decimal(foreign))
        self.history = falling_history()
        self.now_ms = self.history[-1].open_ms + BAR + 500
        self.exchange.now_ms = self.now_ms
        self.exchange.bid = self.instrument.price(self.history[-1].close, "nearest")
        self.disk = Disk()
        self.latched = False
        self.requests: list[Request] = []
        self.answers: list[e.Event] = []
        self.delayed: list[tuple[int, Request]] = []
        self.flows = ZERO
        self.gone = ZERO
        self.witness = Witness()
        self.commands: list[Command] = []
        self.crash_in: int | None = None
        self.moments = 0
        self._seq = 0
        self._signals = 0
        self.state: AgentState = boot(self.setup, None, (), (), self.now_ms, None)
        self._arrive()
        self.learn(e.StartRequested("test"))
        self.calm()

    # --- steps -----------------------------------------------------------------------------------------

    def _moment(self) -> None:
        """A point at which the process may die."""
        self.moments += 1
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.crash_in = None
                raise Crash

    def learn(self, event: e.Event) -> None:
        self._seq += 1
        before = self.state
        self.exchange.now_ms = self.now_ms
        self._note(before, event)
        after, commands = step(before, e.Stamped(self._seq, self.now_ms, self._seq * 7919, event))
        self.state = after
        self.commands += commands
        self.latched |= any(isinstance(c, SetLatch) for c in commands)
        written = changes(before, after, commands)
        self.disk.write(written)
        check_step(self, before, commands)
        if commands or not written.is_empty:
            self._moment()
        self.requests += [c for c in commands if isinstance(c, Request)]

    def _note(self, before: AgentState, event: e.Event) -> None:
        if isinstance(event, e.LookupFoundNothing):
            order = before.orders.get(event.client_id)
            if order is not None and order.status is OrderStatus.UNKNOWN:
                counted = self.witness.not_founds.get(event.client_id, 0)
                self.witness.not_founds[event.client_id] = counted + 1

    def crash(self) -> None:
        """Everything on its way to or from the process is gone; the exchange keeps what it has."""
        self.requests.clear()
        self.answers.clear()
        self.exchange.stream.clear()
        self.witness.not_founds.clear()
        durable, positions, orders = self.disk.read()
        self.state = boot(self.setup, durable, positions, orders, self.now_ms, None)
        self._arrive()

    def _arrive(self) -> None:
        """The exchange is there, history up to the last decision is loaded, what closed since follows."""
        self.learn(e.InstrumentSeen(self.instrument))
        decided = self.state.durable.decided_open_ms
        known = [c for c in self.history if decided is None or c.open_ms <= decided]
        window = SignalWindow.warm(self.setup.seller, self.setup.exits, known)
        self.learn(e.WarmedUp(window, known[-1].open_ms, known[-1].close))
        self.learn(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
        self.learn(e.QuoteSeen(self.exchange.quote(DataSource.REST), trusted=True))
        for candle in self.history[len(known) :]:
            self.learn(e.BarClosed(candle, e.ClosedBy.BACKFILL))

    def pass_time(self, ms: int) -> None:
        end = self.now_ms + ms
        while (wake := wake_at_ms(self.state)) <= end:
            self.now_ms = max(wake, self.now_ms)
            self.learn(e.Woke())
            self._time_out()
        self.now_ms = end
        self.exchange.now_ms = end

    def _time_out(self) -> None:
        """Requests do not stay on their way for ever: the oldest of too many are given up."""
        while len(self.requests) > PATIENCE:
            self.lose()
        while len(self.answers) > PATIENCE:
            self.hear()

    # --- the way there and back --------------------------------------------------------------------------
    # Each takes the number of the thing meant, which may be larger than how many there are.

    def deliver(self, n: int = 0) -> None:
        """Request `n` reaches the exchange and its answer starts back."""
        self.answers += self._carried_out(self.requests.pop(n % len(self.requests)))
        self._moment()

    def deliver_silently(self, n: int = 0) -> None:
        """Request `n` reaches the exchange; its answer is lost. Of two requests in one, the second's."""
        request = self.requests.pop(n % len(self.requests))
        if isinstance(request, ReplaceByPair):
            self._second_half_silent(request)
            return
        self._carried_out(request)
        self.answers += _without_answer(request)

    def _second_half_silent(self, request: ReplaceByPair) -> None:
        self.exchange.now_ms = self.now_ms
        canceled, *placed = self._carried_out(request)
        told = [p if isinstance(p, e.PlacingBlocked) else None for p in placed]
        legs = request.pair.legs
        lost = [t or e.OutcomeUnknown(leg.client_id, "lost") for t, leg in zip(told, legs, strict=True)]
        self.answers += [canceled, *lost]

    def lose(self, n: int = 0) -> None:
        """Request `n` never arrives."""
        self.answers += _without_answer(self.requests.pop(n % len(self.requests)))

    def delay(self, n: int = 0) -> None:
        """Request `n` is given up, and may arrive all the same. Of two in one, that is the cancel."""
        request = self.requests.pop(n % len(self.requests))
        if isinstance(request, ReplaceByPair):
            self.answers += _without_answer(request)
            request = CancelOrder(request.cancel_client_id)
            self.delayed.append((self.now_ms, request))
            return
        self.delayed.append((self.now_ms, request))
        self.answers += _without_answer(request)

    def arrive_late(self, n: int = 0) -> None:
        """A request that was given up reaches the exchange, if it is not too old by now."""
        given_up_ms, request = self.delayed.pop(n % len(self.delayed))
        if self.now_ms <= given_up_ms + STILL_ACCEPTED_MS:
            # It had left before whatever happened since: no latch holds it any more.
            latched, self.latched = self.latched, False
            self._carried_out(request)
            self.latched = latched

    def hear(self, n: int = 0) -> None:
        self.learn(self.answers.pop(n % len(self.answers)))

    def hear_stream(self, n: int = 0) -> None:
        self.learn(e.OrderReported(self.exchange.stream.pop(n % len(self.exchange.stream))))

    def hear_stream_again(self, n: int = 0) -> None:
        """The stream says something now that it will say once more."""
        self.learn(e.OrderReported(self.exchange.stream[n % len(self.exchange.stream)]))

    def drop_from_stream(self, n: int = 0) -> None:
        self.exchange.stream.pop(n % len(self.exchange.stream))

    def _carried_out(self, request: Request) -> list[e.Event]:
        exchange = self.exchange
        exchange.now_ms = self.now_ms
        match request:
            case PlaceOrder(approved=approved):
                return [self._placed(approved.intent)]
            case ReplaceOrder(cancel_client_id=resting, approved=approved):
                canceled = exchange.cancel(resting)
                if isinstance(canceled, e.CancelFailed):
                    return [canceled, e.PlacingBlocked(approved.intent.client_id, "the cancel failed")]
                return [canceled, self._placed(approved.intent)]
            case PlacePair(pair=pair):
                return [*exchange.place_pair(*pair.legs)]
            case ReplaceByPair(cancel_client_id=resting, pair=pair):
                canceled = exchange.cancel(resting)
                if isinstance(canceled, e.CancelFailed) or canceled.report.executed_qty:
                    blocked = (e.PlacingBlocked(leg.client_id, "the cancel failed") for leg in pair.legs)
                    return [canceled, *blocked]
                return [canceled, *exchange.place_pair(*pair.legs)]
            case CancelOrder(client_id=client_id):
                return [exchange.cancel(client_id)]
            case LookUpOrder(client_id=client_id):
                return [exchange.look_up(client_id)]
            case ReadFills(client_id=client_id):
                return [e.FillsSeen(exchange.fills_of(client_id))]
            case ReadAccount(fills_since_ms=since):
                return [exchange.account(since)]
            case ReadBook(asked_by=asked_by):
                return [e.BookSeen(exchange.book(), asked_by)]
            case ReadFeePrice(currency=currency):
                return [e.FeePriceSeen(currency, BNB_PRICE)]
            case ReadQuote():
                return [e.QuoteSeen(exchange.quote(DataSource.REST), trusted=True)]

    def _placed(self, intent: Intent) -> e.Event:
        if intent.purpose is Purpose.ENTRY and self.latched:
            return e.PlacingBlocked(intent.client_id, "the halt latch is set")
        return self.exchange.place(intent)

    # --- the market ----------------------------------------------------------------------------------------

    def price(self, bid: Decimal) -> None:
        """Trades and quotes go to `bid`; whatever rests at the exchange may trigger."""
        self.exchange.now_ms = self.now_ms
        self.exchange.move(bid)
        last = float(bid)
        self.learn(e.BarUpdated(Candle(self.now_ms // BAR * BAR, last, last, last, last, 1.0)))
        self.learn(e.QuoteSeen(self.exchange.quote(), trusted=True))

    def walk(self, bid: float) -> None:
        to, start = self.instrument.price(bid, "nearest"), self.exchange.bid
        for n in range(1, 9):
            self.price(self.instrument.price(start + (to - start) * n / 8, "nearest"))

    def close_bar(self, candle: Candle) -> None:
        self.history.append(candle)
        self.pass_time(max(0, candle.open_ms + BAR + 200 - self.now_ms))
        self.learn(e.BarClosed(candle, e.ClosedBy.FLAG))

    def quiet_bar(self) -> None:
        self.close_bar(quiet_candle(self.history[-1]))

    def signal(self) -> None:
        """A capitulation with more volume than the one before."""
        self._signals += 1
        candle = signal_candle(self.history[-1])
        candle = replace(candle, volume=candle.volume * self._signals)
        self.pass_time(max(0, candle.open_ms + BAR - self.now_ms))
        self.walk(candle.close)
        self.close_bar(candle)

    def flow(self, amount: Decimal) -> None:
        """Somebody deposits or withdraws quote currency."""
        amount = max(amount, -self.exchange.quote_total)
        self.exchange.quote_total += amount
        self.flows += amount

    def coins_are_taken(self, qty: Decimal, *, sold: bool) -> None:
        """Somebody cancels what rests and withdraws coins, or sells them by hand."""
        for client_id, order in self.exchange.orders.items():
            if order.is_open and order.intent.side is Side.SELL:
                self.exchange.cancel(client_id)
        taken = self.exchange.take_coins(qty)
        self.gone += taken
        if sold and taken:
            self.exchange.quote_total += taken * self.exchange.bid
            self.flows += taken * self.exchange.bid

    def could_sell_twice(self, order: Order) -> bool:
        """Whether the account holds enough beside the position for a lost order to sell that as well."""
        position = self.state.positions[order.intent.position_id]
        return self.exchange.base_total - position.held_qty >= order.intent.qty

    # --- quiet ---------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Everything under way arrives, in order, until nothing moves any more."""
        for _ in range(2_000):
            if self.requests:
                self.deliver()
            elif self.answers:
                self.hear()
            elif self.exchange.stream:
                self.hear_stream()
            else:
                return
        raise AssertionError("the agent and the exchange never come to rest")

    def take_up(self) -> None:
        """What a signal asks for is answered until its entry order is about to leave."""
        for _ in range(20):
            books = [n for n, r in enumerate(self.requests) if isinstance(r, ReadBook)]
            if not books:
                return
            self.deliver(books[0])
            self.hear(len(self.answers) - 1)

    def settle(self) -> None:
        """Heal: nothing is lost any more, and enough time passes for everything to be found out."""
        self.exchange.refusing, self.exchange.depth = None, Decimal(1_000_000)
        start = self.now_ms
        for _ in range(200):
            self.learn(e.QuoteSeen(self.exchange.quote(DataSource.REST), trusted=True))
            self.calm()
            if self._is_settled(start):
                return
            self.pass_time(5_000)
        raise AssertionError(f"not settled: {describe(self.state)}")

    def _is_settled(self, start: int) -> bool:
        state = self.state
        waiting = [o for o in state.orders.values() if not o.is_settled and not o.is_working]
        waiting += [o for o in state.orders.values() if o.is_working and not o.intent.rests]
        leaving = [p for p in state.open_positions() if p.exit_reason is not None]
        after_all = max((p.last_fill_ms or 0 for p in state.positions.values()), default=start)
        agreed = state.reconciled_ms is not None and state.reconciled_ms > max(start, after_all)
        doubts = (state.doubted_cash, state.missing_base, state.lost_history_ms)
        if waiting or leaving or state.pending or not agreed or any(d is not None for d in doubts):
            return False
        return all(self._is_guarded(p) for p in state.open_positions())

    def _is_guarded(self, position: Position) -> bool:
        """Whether a stop rests at the exchange for all that is held, where one is wanted and can."""
        stop_wanted = self.setup.exits.use_stop_loss and self.setup.protective_stop
        if not (stop_wanted or self.setup.disaster_stop_percent) or "no_resting_stop" in position.notes:
            return True
        rest = [o for o in self.state.orders_of(position.id) if o.intent.purpose is Purpose.PROTECT]
        lies = [self.exchange.orders[o.intent.client_id] for o in rest if o.is_working]
        return sum((o.leaves for o in lies if o.is_open), ZERO) == self.instrument.qty(position.held_qty)


def _without_answer(request: Request) -> list[e.Event]:
    """What the shell makes of a request whose answer never came."""
    why = "read timed out"
    match request:
        case PlaceOrder(approved=approved):
            return [e.OutcomeUnknown(approved.intent.client_id, why)]
        case ReplaceOrder(cancel_client_id=resting, approved=approved):
            return [e.CancelFailed(resting, None, why), e.OutcomeUnknown(approved.intent.client_id, why)]
        case PlacePair(pair=pair):
            return [e.OutcomeUnknown(leg.client_id, why) for leg in pair.legs]
        case ReplaceByPair(cancel_client_id=resting, pair=pair):
            # Two requests: the first without an answer means that the second never leaves.
            blocked = (e.PlacingBlocked(leg.client_id, why) for leg in pair.legs)
            return [e.CancelFailed(resting, None, why), *blocked]
        case CancelOrder(client_id=client_id):
            return [e.CancelFailed(client_id, None, why)]
        case LookUpOrder(client_id=client_id) | ReadFills(client_id=client_id):
            return [e.LookupFailed(client_id, why)]
        case ReadAccount():
            return [e.AccountUnreadable(why)]
        case ReadBook(asked_by=asked_by):
            return [e.BookUnreadable(asked_by, why)]
        case ReadQuote() | ReadFeePrice():
            return []


# --- what must hold --------------------------------------------------------------------------------------


def check_step(world: TinyWorld, before: AgentState, commands: tuple[Command, ...]) -> None:
    """After every single step, whatever the exchange and the network do."""
    after, witness = world.state, world.witness
    for command in commands:
        if isinstance(command, PlacePair | ReplaceByPair):
            _check_pair(world, after, command)
        if not isinstance(command, PlaceOrder | ReplaceOrder):
            continue
        intent = command.approved.intent
        assert intent.client_id not in witness.ids_sent, "one intent, one order"
        witness.ids_sent.add(intent.client_id)
        assert after.orders[intent.client_id].intent == intent, "nothing leaves without a row"
        assert all(check.passed for check in command.approved.checks)
        if intent.purpose is Purpose.ENTRY:
            _check_entry(world, after, intent)
        else:
            _check_sale(world, after, intent, command)
    _check_orders(world, before, after)
    limit = after.setup.limits.max_open_positions
    late = [p for p in after.open_positions() if "late_fill" in p.notes]
    assert len(after.open_positions()) - len(late) <= limit, "at most so many positions"
    assert (after.durable.halt is None) == (after.phase is not Phase.HALTED)
    held = sum((p.held_qty for p in after.open_positions()), ZERO)
    taken = world.gone - sum((p.external_qty for p in after.positions.values()), ZERO)
    unknown = sum((f.qty for f in _unknown_sales(world)), ZERO)
    assert held <= world.exchange.base_total + unknown + max(taken, ZERO)
    assert sum((p.external_qty for p in after.positions.values()), ZERO) <= world.gone


def _check_entry(world: TinyWorld, after: AgentState, intent: Intent) -> None:
    assert after.durable.halt is None, "no entry after a halt, ever"
    assert after.phase is Phase.RUNNING
    assert not after.unknown_orders(), "no entry beside an unknown outcome"
    assert not after.impairments
    bar = after.positions[intent.position_id].plan.signal_open_ms
    assert bar not in world.witness.bars_entered, "one bar, one entry"
    world.witness.bars_entered.add(bar)
    day = after.durable.day
    assert day is not None
    assert day.trades < after.setup.limits.max_daily_trades
    assert not day.loss_limit_hit


def _check_pair(world: TinyWorld, after: AgentState, command: PlacePair | ReplaceByPair) -> None:
    for leg in command.pair.legs:
        assert leg.client_id not in world.witness.ids_sent, "one intent, one order"
        world.witness.ids_sent.add(leg.client_id)
        assert after.orders[leg.client_id].intent == leg, "nothing leaves without a row"
    stop, target = command.pair.legs
    position = after.positions[stop.position_id]
    assert stop.stop_price is not None
    assert target.price is not None
    assert stop.stop_price < target.price
    entry_bar = position.entry_bar_open_ms
    assert entry_bar is not None
    if position.plan.entry_bar_exits == "stop_only":
        assert world.now_ms >= entry_bar + position.plan.bar_ms, "no target rests in the entry bar"
    _check_sale(world, after, stop, command)


def _check_sale(world: TinyWorld, after: AgentState, intent: Intent, command: Command) -> None:
    position = after.positions[intent.position_id]
    replaced = getattr(command, "cancel_client_id", None)
    given_up = after.orders[replaced].intent if replaced else None
    gone = {given_up.client_id, given_up.list_id} if given_up else set()
    selling: dict[str, Decimal] = {}
    for order in after.orders_of(position.id):
        name = order.intent.list_id or order.intent.client_id
        if order.status is OrderStatus.UNKNOWN and order.not_found and not world.could_sell_twice(order):
            continue
        if order.intent.side is Side.SELL and name not in gone:
            known = selling.setdefault(name, ZERO)
            selling[name] = max(known, order.leaves_qty)
    total = sum(selling.values(), ZERO)
    assert total <= position.held_qty, "never more for sale than is owned"


def _check_orders(world: TinyWorld, before: AgentState, after: AgentState) -> None:
    for client_id, order in after.orders.items():
        earlier = before.orders.get(client_id)
        if earlier is order:
            continue
        known = {f.trade_id for f in order.fills}
        truth = {f.trade_id for f in world.exchange.fills_of(client_id)}
        assert len(known) == len(order.fills), "a fill counts once"
        assert known <= truth, "no fill is invented"
        if earlier is None:
            continue
        assert {f.trade_id for f in earlier.fills} <= known, "no fill is forgotten"
        assert order.intent == earlier.intent
        if earlier.status in TERMINAL and order.status not in TERMINAL:
            assert earlier.status in (OrderStatus.NOT_PLACED, OrderStatus.REJECTED)
        if order.status is OrderStatus.UNKNOWN and earlier.status is not OrderStatus.UNKNOWN:
            world.witness.given_up_ms[client_id] = world.now_ms
        if order.status is OrderStatus.NOT_PLACED and earlier.status is OrderStatus.UNKNOWN:
            since = world.witness.given_up_ms.get(client_id, order.intent.created_ms)
            assert world.now_ms >= since + 18_000, "unknown is honest"
            if world.witness.not_founds.get(client_id, 0) < 3:
                assert order.intent.rests, "only readings of the account showed it"
                at_exchange = world.exchange.orders.get(client_id)
                assert at_exchange is None or not (at_exchange.is_open or at_exchange.fills)


def _unknown_sales(world: TinyWorld) -> list[object]:
    """Executions of our sales that the ledger has not heard of yet."""
    known = {f.trade_id for o in world.state.orders.values() for f in o.fills}
    return [f for f in world.exchange.all_fills() if f.side is Side.SELL and f.trade_id not in known]


def check_books(world: TinyWorld) -> None:
    """At rest the two ledgers are the same, to the last digit."""
    state, exchange = world.state, world.exchange
    ours = {(f.trade_id, f.qty, f.price, f.fee) for o in state.orders.values() for f in o.fills}
    theirs = {(f.trade_id, f.qty, f.price, f.fee) for f in exchange.all_fills()}
    forgotten = {f for f in theirs - ours if f[0] not in world_fill_ids(world)}
    assert not ours - theirs
    assert not forgotten, f"fills nobody booked: {forgotten}"
    assert state.durable.account.cash == exchange.quote_total
    for position in state.positions.values():
        fills = [f for o in state.orders_of(position.id) for f in o.fills if f.fee_currency == "BNB"]
        if fills and state.positions and not position.unvalued_fees:
            assert position.cash_fees_quote >= sum((f.fee for f in fills), ZERO) * BNB_PRICE
    assert _flows_told(world) == world.flows, "what came from outside, and nothing else, is a flow"
    assert set(exchange.orders) <= world.disk.order_ids, "no orphan: every order has its row"
    held = sum((p.held_qty for p in state.open_positions()), ZERO)
    foreign = state.durable.account.foreign.get(world.instrument.base, ZERO)
    assert held + foreign == exchange.base_total
    resting = {i for i, o in exchange.orders.items() if o.is_open}
    assert resting == {o.intent.client_id for o in state.orders.values() if o.is_working}
    assert exchange.selling() <= held, "what rests never sells more than is owned"


def _flows_told(world: TinyWorld) -> Decimal:
    told = (c.text.split() for c in world.commands if isinstance(c, Alert) and c.kind == "account")
    return sum((Decimal(w[2]) if w[0] == "deposit" else -Decimal(w[2]) for w in told), ZERO)


def world_fill_ids(world: TinyWorld) -> set[str]:
    """Fills whose orders were let go of after their position had long been booked."""
    return {
        f.trade_id for i, o in world.exchange.orders.items() if i not in world.state.orders for f in o.fills
    }


def describe(state: AgentState) -> str:
    orders = [
        f"{o.intent.purpose.value} {o.intent.client_id[-6:]} {o.status.value} {o.filled}/{o.intent.qty}"
        f" reported {o.reported_qty} next {o.next_lookup_ms} cancel {o.cancel_sent_ms}"
        for o in state.orders.values()
        if not o.is_settled
    ]
    positions = [
        f"{p.id} {p.state.value} held {p.held_qty} {p.exit_reason}" for p in state.positions.values()
    ]
    return (
        f"{state.phase} positions {positions} orders {orders} doubt {state.doubted_cash} {state.impairments}"
    )


__all__ = ["BAR", "Crash", "TinyWorld", "check_books", "describe"]
