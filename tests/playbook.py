"""A conversation with `step`: given a setup, when something is learned, then something is asked for.

    play = Playbook()
    play.ready()
    play.signal()
    assert play.asked(ReadBook)
    play.book()
    play.fills(play.entry())
    assert play.position().state is PositionState.IN_POSITION

Time moves only when told to (`play.at`, `play.later`), randomness counts up, and nothing is mocked: the
state is the real one and every command the core asks for is kept in `play.commands`. What a restart gets
back is what the journal would have written, after a journey through the store's own text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from agent.core import events as e
from agent.core.boot import boot
from agent.core.commands import Alert, Answer, Command, Keep, PlaceOrder, ReplaceOrder
from agent.core.engine import step, wake_at_ms
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.order import Fact, Fill, Intent, Order, OrderReport, Purpose, Side
from agent.core.parameters import ExitParams, SellerParams
from agent.core.position import Position, PositionState
from agent.core.records import DecisionRow, VerdictRow
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Durable, Halt, RiskLimits, Setup
from agent.shell.journal import Changes, changes
from agent.store.codec import decode, encode, from_text, to_text

MINUTE = 60_000
BAR = 15 * MINUTE
START = 1_700_006_400_000 // BAR * BAR

C = TypeVar("C")
D = Decimal

SELLER = SellerParams(ema_fast=3, ema_slow=8, z_window=8, atr_window=4, vol_z=1.0, tr_z=0.5, cloc_min=0.5)
EXITS = ExitParams(
    use_fib_exits=True,
    use_stop_loss=True,
    use_time_exit=True,
    use_traditional_tp=False,
    fib_swing_lookback=10,
    fib_swing_lookahead=2,
    fib_target_level=0.618,
    atr_stop_mult=0.7,
    reward_r=2.0,
    max_hold=6,
    fee_bp=5.0,
    slippage_bp=5.0,
    policy="target",
)
LIMITS = RiskLimits(
    risk_per_trade_percent=Decimal("1"),
    max_position_size_percent=Decimal("10"),
    max_daily_loss_percent=Decimal("5"),
    max_daily_trades=10,
    max_open_positions=1,
    slippage_tolerance_percent=Decimal("0.5"),
    order_timeout_ms=30_000,
)


def make_setup(**changes: Any) -> Setup:
    setup = Setup(
        seller=SELLER,
        exits=EXITS,
        limits=LIMITS,
        mode="paper",
        venue="binance:paper",
        pair="ADA/USDT",
        base="ADA",
        quote="USDT",
        timeframe="15m",
        bar_ms=BAR,
        config_hash="c0ffee",
        tag="tst0",
        entry_bar_exits="stop_only",
        enter_without_room=False,
        entry_order="limit",
        protective_stop=True,
        disaster_stop_percent=None,
        capital=None,
        late_signal="skip",
        late_after_ms=30_000,
        auto_resume=True,
        fee_rate=Decimal("0.0005"),
    )
    return replace(setup, **changes)


def make_instrument(**changes: Any) -> Instrument:
    instrument = Instrument(
        symbol="ADA/USDT",
        base="ADA",
        quote="USDT",
        tick=Decimal("0.0001"),
        step=Decimal("0.1"),
        min_qty=Decimal("0.1"),
        max_qty=Decimal("900000"),
        market_max_qty=Decimal("500000"),
        min_notional=Decimal("5"),
        max_notional=Decimal("9000000"),
        min_price=Decimal("0.0001"),
        max_price=Decimal("1000"),
        order_types=frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"}),
        trading=True,
        taker_fee_rate=Decimal("0.0005"),
    )
    return replace(instrument, **changes)


def falling_history(bars: int = 120, start_ms: int = START, top: float = 0.60) -> list[Candle]:
    """A slow decline with an ordinary volume, ending right before `start_ms + bars * BAR`."""
    candles, price = [], top
    for i in range(bars):
        # A bump a while before the end leaves a swing high worth a ladder.
        bump = 0.004 if i == bars - 7 else 0.0
        step_down = 0.0006 + 0.0002 * (i % 3)
        candles.append(
            Candle(
                start_ms + i * BAR,
                price,
                price + 0.0005 + bump,
                price - step_down - 0.0003,
                price - step_down,
                1000.0 + 10 * (i % 5),
            )
        )
        price -= step_down
    return candles


def signal_candle(after: Candle) -> Candle:
    """A capitulation bar: far down, huge volume, closing near the top of its range."""
    low = after.close - 0.02
    return Candle(after.open_ms + BAR, after.close, after.close + 0.0002, low, low + 0.014, 50_000.0)


def quiet_candle(after: Candle, close: float | None = None, high: float = 0.0, low: float = 0.0) -> Candle:
    c = after.close if close is None else close
    return Candle(
        after.open_ms + BAR,
        after.close,
        max(after.close, c, high) if high else max(after.close, c) + 0.0001,
        min(after.close, c, low) if low else min(after.close, c) - 0.0001,
        c,
        1000.0,
    )


class Disk:
    """What outlives the process: what the journal writes, as the text the store keeps."""

    def __init__(self) -> None:
        self._durable: str | None = None
        self._positions: dict[int, str] = {}
        self._orders: dict[str, str] = {}

    def write(self, step_changes: Changes) -> None:
        if step_changes.durable is not None:
            self._durable = to_text(encode(step_changes.durable))
        for position in step_changes.positions:
            self._positions[position.id] = to_text(encode(position))
        for order in step_changes.orders:
            self._orders[order.intent.client_id] = to_text(encode(order))

    @property
    def order_ids(self) -> set[str]:
        return set(self._orders)

    def read(self) -> tuple[Durable | None, list[Position], list[Order]]:
        durable = decode(Durable, from_text(self._durable)) if self._durable else None
        positions = [decode(Position, from_text(text)) for text in self._positions.values()]
        return durable, positions, [decode(Order, from_text(text)) for text in self._orders.values()]


class Playbook:
    def __init__(self, setup: Setup | None = None, instrument: Instrument | None = None) -> None:
        self.setup = setup or make_setup()
        self.instrument = instrument or make_instrument()
        self.history = falling_history()
        self.now_ms = self.history[-1].open_ms + BAR + 500
        self.disk = Disk()
        self.state: AgentState = boot(self.setup, None, (), (), self.now_ms, None)
        self.commands: list[Command] = []
        self.last: tuple[Command, ...] = ()
        self.last_bar = self.history[-1]
        self.foreign = Decimal(0)
        self._seq = 0
        self._trade = 0

    # --- when: time and market -----------------------------------------------------------------------

    def learn(self, event: e.Event) -> tuple[Command, ...]:
        self._seq += 1
        before = self.state
        self.state, commands = step(before, e.Stamped(self._seq, self.now_ms, self._seq * 7919, event))
        self.disk.write(changes(before, self.state, commands))
        self.last = commands
        self.commands += commands
        return commands

    def at(self, ms: int) -> None:
        assert ms >= self.now_ms, "time goes forward"
        self.now_ms = ms

    def later(self, ms: int) -> tuple[Command, ...]:
        """Let venue time pass, waking the core whenever it wants to be. Nobody answers meanwhile."""
        end, collected = self.now_ms + ms, list[Command]()
        while (wake := wake_at_ms(self.state)) <= end:
            self.at(max(wake, self.now_ms))
            collected += self.learn(e.Woke())
            assert len(collected) < 100_000, "the core wants to be woken without end"
        self.at(end)
        self.last = tuple(collected)
        return self.last

    def ready(self, cash: str = "10000") -> Playbook:
        """Instrument, account, history and a price are known, and the operator has started."""
        self.learn(e.InstrumentSeen(self.instrument))
        self.account(USDT=cash)
        self.warm_up()
        self.learn(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
        self.quote(self.history[-1].close)
        self.learn(e.StartRequested("test"))
        return self

    def warm_up(self) -> tuple[Command, ...]:
        window = SignalWindow.warm(self.setup.seller, self.setup.exits, self.history)
        return self.learn(e.WarmedUp(window, self.history[-1].open_ms, self.history[-1].close))

    def make_quote(
        self, bid: float, source: DataSource = DataSource.WEBSOCKET, ask: float | None = None
    ) -> Quote:
        b = self.instrument.price(bid, "nearest")
        a = self.instrument.price(ask, "nearest") if ask is not None else Decimal(b) + self.instrument.tick
        return Quote(b, Decimal(1000), a, Decimal(1000), self.now_ms, source)

    def quote(
        self,
        bid: float,
        *,
        trusted: bool = True,
        source: DataSource = DataSource.WEBSOCKET,
        ask: float | None = None,
    ) -> tuple[Command, ...]:
        return self.learn(e.QuoteSeen(self.make_quote(bid, source, ask), trusted))

    def traded(self, price: float) -> tuple[Command, ...]:
        """The bar in progress trades at `price`, and the bid follows."""
        open_ms = self.now_ms // BAR * BAR
        self.learn(e.BarUpdated(Candle(open_ms, price, price, price, price, 10.0)))
        return self.quote(price)

    def walk(self, end: float) -> tuple[Command, ...]:
        """Trades and bids move to `end` in steps too small to be suspicious."""
        bid = float(self.state.prices.trusted.bid) if self.state.prices.trusted else end
        collected: list[Command] = []
        for price in _path(bid, end):
            collected += self.traded(price)
        self.last = tuple(collected)
        return self.last

    def bar(
        self, candle: Candle, by: e.ClosedBy = e.ClosedBy.FLAG, delay_ms: int = 200
    ) -> tuple[Command, ...]:
        self.at(max(self.now_ms, candle.open_ms + BAR + delay_ms))
        self.last_bar = candle
        self.history.append(candle)
        return self.learn(e.BarClosed(candle, by))

    def quiet_bar(self, close: float | None = None, **kw: Any) -> tuple[Command, ...]:
        """A bar without a signal, around the last close unless told otherwise."""
        shape = {k: kw.pop(k) for k in ("high", "low") if k in kw}
        return self.bar(quiet_candle(self.last_bar, close, **shape), **kw)

    def signal(self, **kw: Any) -> tuple[Command, ...]:
        candle = signal_candle(self.last_bar)
        self.at(max(self.now_ms, candle.open_ms + BAR))
        self.walk(candle.close)
        return self.bar(candle, **kw)

    def book(
        self, ask: float | None = None, qty: str = "1000000", asked_by: int | None = None
    ) -> tuple[Command, ...]:
        best = self._ask() if ask is None else self.instrument.price(ask, "nearest")
        return self.deep_book([(str(best), qty)], asked_by)

    def deep_book(self, asks: Iterable[tuple[str, str]], asked_by: int | None = None) -> tuple[Command, ...]:
        """A book of (price, quantity) asks, with plenty to buy one tick below the best."""
        levels = tuple(BookLevel(Decimal(p), Decimal(q)) for p, q in asks)
        bids = (BookLevel(levels[0].price - self.instrument.tick, Decimal(1_000_000)),)
        asked = asked_by if asked_by is not None else max(self.state.pending, default=0)
        return self.learn(e.BookSeen(Book(bids, levels, self.now_ms), asked))

    def _ask(self) -> Decimal:
        trusted = self.state.prices.trusted
        return trusted.ask if trusted else Decimal("0.5")

    # --- when: orders --------------------------------------------------------------------------------

    def report(
        self,
        intent: Intent,
        fact: Fact,
        *fills: tuple[str, str],
        executed: str | None = None,
        reason: str = "",
        fee_currency: str | None = None,
    ) -> tuple[Command, ...]:
        """An answer about `intent` with (price, quantity) fills, fees like the exchange takes them."""
        made = tuple(self.fill(intent, p, q, fee_currency=fee_currency) for p, q in fills)
        known = sum((f.qty for f in self.order(intent).fills), Decimal(0))
        total = known + sum((f.qty for f in made), Decimal(0)) if executed is None else Decimal(executed)
        return self.learn(e.OrderReported(self.make_report(intent, fact, total, made, reason)))

    def make_report(
        self, intent: Intent, fact: Fact, executed: Decimal, fills: tuple[Fill, ...] = (), reason: str = ""
    ) -> OrderReport:
        price = intent.price or Decimal(0)
        return OrderReport(
            intent.client_id, "77", intent.side, intent.type.value, fact, intent.qty, price, executed,
            self.now_ms, fills, reason,
        )  # fmt: skip

    def fill(self, intent: Intent, price: str, qty: str, *, fee_currency: str | None = None) -> Fill:
        """A new execution, not yet told to the core. The fee leaves what was received, 5 bp."""
        self._trade += 1
        p, q = Decimal(price), Decimal(qty)
        currency = fee_currency or ("ADA" if intent.side is Side.BUY else "USDT")
        fee = q * Decimal("0.0005") if currency == "ADA" else p * q * Decimal("0.0005")
        return Fill(str(self._trade), intent.client_id, intent.side, p, q, fee, currency, self.now_ms)

    def fills(self, intent: Intent, price: str | None = None, **kw: Any) -> tuple[Command, ...]:
        """All that is left of `intent` is executed, at the market unless told otherwise."""
        trusted = self.state.prices.trusted
        assert trusted is not None or price is not None, "no price to fill at"
        if price is None and trusted is not None:
            price = str(trusted.ask if intent.side is Side.BUY else trusted.bid)
        left = intent.qty - self.order(intent).filled
        return self.report(intent, Fact.FULLY_FILLED, (str(price), str(left)), **kw)

    def partly(self, intent: Intent, price: str, qty: str, **kw: Any) -> tuple[Command, ...]:
        return self.report(intent, Fact.PART_FILLED, (price, qty), **kw)

    def works(self, intent: Intent) -> tuple[Command, ...]:
        return self.report(intent, Fact.WORKING)

    def expires(self, intent: Intent, *fills: tuple[str, str], **kw: Any) -> tuple[Command, ...]:
        return self.report(intent, Fact.HAS_EXPIRED, *fills, **kw)

    def canceled(self, intent: Intent, *fills: tuple[str, str], **kw: Any) -> tuple[Command, ...]:
        return self.report(intent, Fact.WAS_CANCELED, *fills, **kw)

    def refuses(
        self, intent: Intent, code: int = -2010, detail: str = "insufficient balance"
    ) -> tuple[Command, ...]:
        return self.learn(e.OrderRefused(intent.client_id, code, detail))

    def loses_answer(self, intent: Intent) -> tuple[Command, ...]:
        return self.learn(e.OutcomeUnknown(intent.client_id, "read timed out"))

    def finds_nothing(self, intent: Intent) -> tuple[Command, ...]:
        return self.learn(e.LookupFoundNothing(intent.client_id))

    def account(self, **totals: str) -> tuple[Command, ...]:
        """A reading of the balances, with the orders open that the ledger believes open, and its trades."""
        fills = tuple(f for o in self.state.orders.values() for f in o.fills)
        holdings = {c: e.Holding(Decimal(t), Decimal(0)) for c, t in totals.items()}
        reports = tuple(
            self.make_report(o.intent, Fact.PART_FILLED if o.filled else Fact.WORKING, o.filled)
            for o in self.state.orders.values()
            if o.is_working
        )
        return self.learn(e.AccountSeen(holdings, reports, fills, 0))

    def account_agrees(self, **more: str) -> tuple[Command, ...]:
        """A reading that says exactly what the ledger says."""
        held = sum((p.held_qty for p in self.state.open_positions()), self.foreign)
        return self.account(**{"USDT": str(self.cash), "ADA": str(held), **more})

    # --- when: whole episodes --------------------------------------------------------------------------

    def enter(self, price: str | None = None) -> Position:
        """From a signal to a filled position, with a protective stop resting if one is wanted."""
        self.signal()
        self.book()
        self.fills(self.entry(), price)
        for intent in self.sent():
            if intent.purpose is Purpose.PROTECT:
                self.works(intent)
        return self.position()

    def leave(self) -> Position:
        """The last sale asked for is executed, and the stop it replaced is canceled."""
        for stop in self.resting_stops():
            self.canceled(stop)
        self.fills(self.sale())
        return self.position()

    def restart(self, setup: Setup | None = None, latched: Halt | None = None) -> Playbook:
        """The process died and starts again; only what is on disk comes back."""
        self.setup = setup or self.setup
        durable, positions, orders = self.disk.read()
        self.state = boot(self.setup, durable, positions, orders, self.now_ms, latched)
        return self

    def come_back(self) -> Playbook:
        """After `restart`: the exchange, the history and a price are there again; orders are not yet."""
        self.learn(e.InstrumentSeen(self.instrument))
        self.warm_up()
        self.learn(e.FeedReported(DataSource.WEBSOCKET, fresh=True))
        return self

    # --- then ------------------------------------------------------------------------------------

    def asked(self, kind: type[C], within: Iterable[Command] | None = None) -> list[C]:
        return [c for c in (self.last if within is None else within) if isinstance(c, kind)]

    def placed(self, within: Iterable[Command] | None = None) -> list[Intent]:
        """Intents of orders to place, without those that replace another."""
        return [c.approved.intent for c in self.asked(PlaceOrder, within)]

    def sent(self, within: Iterable[Command] | None = None) -> list[Intent]:
        """Intents of all orders that leave, alone or replacing another."""
        commands = self.last if within is None else within
        return [c.approved.intent for c in commands if isinstance(c, PlaceOrder | ReplaceOrder)]

    def entry(self) -> Intent:
        return self._latest(Purpose.ENTRY)

    def sale(self) -> Intent:
        return self._latest(Purpose.EXIT)

    def stop(self) -> Intent:
        return self._latest(Purpose.PROTECT)

    def _latest(self, purpose: Purpose) -> Intent:
        found = [i for i in self.sent(self.commands) if i.purpose is purpose]
        assert found, f"no {purpose} was ever sent"
        return found[-1]

    def resting_stops(self) -> list[Intent]:
        orders = self.state.orders.values()
        return [o.intent for o in orders if o.intent.purpose is Purpose.PROTECT and o.is_working]

    def order(self, intent: Intent) -> Order:
        return self.state.orders[intent.client_id]

    def position(self) -> Position:
        return max(self.state.positions.values(), key=lambda p: p.id)

    @property
    def cash(self) -> Decimal:
        assert self.state.durable.account.cash is not None
        return self.state.durable.account.cash

    @property
    def is_flat(self) -> bool:
        return not self.state.open_positions() and not self.state.in_flight()

    def decisions(self) -> list[DecisionRow]:
        return [c.row for c in self.commands if isinstance(c, Keep) and isinstance(c.row, DecisionRow)]

    def verdicts(self) -> list[VerdictRow]:
        return [c.row for c in self.commands if isinstance(c, Keep) and isinstance(c.row, VerdictRow)]

    def answer(self) -> Answer:
        answers = self.asked(Answer)
        assert len(answers) == 1, "one request, one answer"
        return answers[0]

    def alerts(self, within: Iterable[Command] | None = None) -> list[str]:
        told = self.commands if within is None else within
        return [f"{a.level.value} {a.kind}: {a.text}" for a in told if isinstance(a, Alert)]


def _path(start: float, end: float) -> Iterable[float]:
    steps = 8
    return [start + (end - start) * i / steps for i in range(1, steps + 1)]


__all__ = [
    "BAR",
    "EXITS",
    "LIMITS",
    "MINUTE",
    "SELLER",
    "START",
    "D",
    "Disk",
    "Playbook",
    "PositionState",
    "falling_history",
    "make_instrument",
    "make_setup",
    "quiet_candle",
    "signal_candle",
]  # fmt: skip
