"""A conversation with `step`: given a setup, when something is learned, then something is asked for.

    play = Playbook()
    play.ready()
    play.signal()
    assert play.asked(ReadBook)

Time moves only when told to (`play.at`, `play.later`), randomness counts up, and nothing is mocked: the
state is the real one and every command the core asks for is kept in `play.commands`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from agent.core import events as e
from agent.core.boot import boot
from agent.core.commands import Alert, Command, Keep, PlaceOrder
from agent.core.engine import step, wake_at_ms
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote
from agent.core.order import Fact, Fill, Intent, OrderReport
from agent.core.parameters import ExitParams, SellerParams
from agent.core.position import Position
from agent.core.records import DecisionRow
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Durable, RiskLimits, Setup

MINUTE = 60_000
BAR = 15 * MINUTE
START = 1_700_006_400_000 // BAR * BAR

C = TypeVar("C")

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


class Playbook:
    def __init__(self, setup: Setup | None = None, instrument: Instrument | None = None) -> None:
        self.setup = setup or make_setup()
        self.instrument = instrument or make_instrument()
        self.history = falling_history()
        self.now_ms = self.history[-1].open_ms + BAR + 500
        self.state: AgentState = boot(self.setup, None, (), (), self.now_ms, None)
        self.commands: list[Command] = []
        self.last: tuple[Command, ...] = ()
        self.last_bar = self.history[-1]
        self._seq = 0
        self._trade = 0

    # --- when ------------------------------------------------------------------------------------

    def learn(self, event: e.Event) -> tuple[Command, ...]:
        self._seq += 1
        stamped = e.Stamped(self._seq, self.now_ms, self._seq * 7919, event)
        self.state, commands = step(self.state, stamped)
        self.last = commands
        self.commands += commands
        return commands

    def at(self, ms: int) -> None:
        assert ms >= self.now_ms, "time goes forward"
        self.now_ms = ms

    def later(self, ms: int) -> tuple[Command, ...]:
        """Let venue time pass, waking the core whenever it wants to be."""
        end, collected = self.now_ms + ms, []
        while (wake := wake_at_ms(self.state)) <= end:
            self.at(max(wake, self.now_ms))
            collected += self.learn(e.Woke())
        self.at(end)
        return tuple(collected)

    def ready(self, cash: str = "10000") -> None:
        """Instrument, account, history and a price are known, and the operator has started."""
        self.learn(e.InstrumentSeen(self.instrument))
        self.account(USDT=cash)
        window = SignalWindow.warm(self.setup.seller, self.setup.exits, self.history)
        self.learn(e.WarmedUp(window, self.history[-1].open_ms, self.history[-1].close))
        self.quote(self.history[-1].close)
        self.learn(e.StartRequested("test"))
        self.learn(e.FeedReported(DataSource.WEBSOCKET, fresh=True))

    def quote(
        self,
        bid: float,
        *,
        trusted: bool = True,
        source: DataSource = DataSource.WEBSOCKET,
        ask: float | None = None,
    ) -> tuple[Command, ...]:
        b = self.instrument.price(bid, "nearest")
        a = self.instrument.price(ask, "nearest") if ask is not None else Decimal(b) + self.instrument.tick
        return self.learn(
            e.QuoteSeen(Quote(b, Decimal(1000), a, Decimal(1000), self.now_ms, source), trusted)
        )

    def bar(
        self, candle: Candle, by: e.ClosedBy = e.ClosedBy.FLAG, delay_ms: int = 200
    ) -> tuple[Command, ...]:
        self.at(max(self.now_ms, candle.open_ms + BAR + delay_ms))
        self.last_bar = candle
        return self.learn(e.BarClosed(candle, by))

    def signal(self, **kw: Any) -> tuple[Command, ...]:
        candle = signal_candle(self.last_bar)
        self.at(max(self.now_ms, candle.open_ms + BAR))
        for price in self._path(self.last_bar.close, candle.close):
            self.quote(price)
        return self.bar(candle, **kw)

    @staticmethod
    def _path(start: float, end: float) -> Iterable[float]:
        steps = 8
        return [start + (end - start) * i / steps for i in range(1, steps + 1)]

    def walk_quotes(self, end: float) -> list[Command]:
        """Move the bid to `end` in steps too small to be suspicious."""
        bid = float(self.state.prices.trusted.bid) if self.state.prices.trusted else end
        collected: list[Command] = []
        for price in self._path(bid, end):
            collected += self.quote(price)
        return collected

    def book(
        self, ask: float | None = None, qty: str = "1000000", asked_by: int | None = None
    ) -> tuple[Command, ...]:
        trusted = self.state.prices.trusted
        best = (
            self.instrument.price(ask, "nearest")
            if ask is not None
            else trusted.ask
            if trusted
            else Decimal(1)
        )
        asked = asked_by if asked_by is not None else max(self.state.pending, default=0)
        levels = (BookLevel(best, Decimal(qty)),)
        bids = (BookLevel(best - self.instrument.tick, Decimal(qty)),)
        return self.learn(e.BookSeen(Book(bids, levels, self.now_ms), asked))

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
        total = Decimal(executed) if executed is not None else sum((f.qty for f in made), Decimal(0))
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
        self._trade += 1
        p, q = Decimal(price), Decimal(qty)
        buying = intent.side.value == "BUY"
        currency = fee_currency or ("ADA" if buying else "USDT")
        fee = q * Decimal("0.0005") if currency == "ADA" else p * q * Decimal("0.0005")
        return Fill(str(self._trade), intent.client_id, intent.side, p, q, fee, currency, self.now_ms)

    def account(self, **totals: str) -> tuple[Command, ...]:
        holdings = {c: e.Holding(Decimal(t), Decimal(0)) for c, t in totals.items()}
        return self.learn(e.AccountSeen(holdings, (), (), 0))

    def enter(self, price: str | None = None) -> Position:
        """From a signal to a filled position, with a protective stop resting if one is wanted."""
        self.signal()
        self.book()
        entry = self.placed()[-1]
        fill_price = price or str(self.state.prices.trusted.ask if self.state.prices.trusted else "0.5")
        self.report(entry, Fact.FULLY_FILLED, (fill_price, str(entry.qty)))
        for intent in self.placed():
            if intent.client_id != entry.client_id:
                self.report(intent, Fact.WORKING)
        return self.position()

    def restart(self) -> None:
        """The process died: only what is stored comes back."""
        s = self.state
        durable: Durable = s.durable
        self.state = boot(self.setup, durable, s.positions.values(), s.orders.values(), self.now_ms, None)

    # --- then ------------------------------------------------------------------------------------

    def asked(self, kind: type[C], within: Iterable[Command] | None = None) -> list[C]:
        return [c for c in (self.last if within is None else within) if isinstance(c, kind)]

    def placed(self, within: Iterable[Command] | None = None) -> list[Intent]:
        return [c.approved.intent for c in self.asked(PlaceOrder, within)]

    def decisions(self) -> list[DecisionRow]:
        return [c.row for c in self.commands if isinstance(c, Keep) and isinstance(c.row, DecisionRow)]

    def alerts(self) -> list[str]:
        return [f"{a.level.value} {a.kind}: {a.text}" for a in self.commands if isinstance(a, Alert)]

    def position(self) -> Position:
        return max(self.state.positions.values(), key=lambda p: p.id)
