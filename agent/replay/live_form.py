"""The live form over recorded candles: the engine itself, stepped through every bar's price path.

Each bar is walked open, low, high, close (or along finer candles, each walked the same way) as quotes one
tick wide, then reported as closed; orders meet the paper account with a book of unlimited depth at the
price of that moment. So everything the live agent does differently from the bar form (no room, entry bar,
levels seen only at a close, costs inside the fill prices) happens here too, and is named in the remarks.

Recorded candles know nothing of an exchange's grid: the instrument here has steps of 1e-8 and no minimum.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from agent.core import events as e
from agent.core.boot import boot
from agent.core.commands import (
    CancelOrder,
    Command,
    Keep,
    LookUpOrder,
    PlaceOrder,
    ReadAccount,
    ReadBook,
    ReadFills,
    ReadQuote,
    ReplaceOrder,
)
from agent.core.engine import step, wake_at_ms
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote, bar_ms
from agent.core.money import ZERO
from agent.core.phase import Phase
from agent.core.position import Position, PositionState
from agent.core.records import DecisionRow, Outcome
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Setup
from agent.exchange.paper import account as paper
from agent.exchange.paper.state import Moved, PaperState, Refusal, Ticket, open_account, report_of
from agent.exchange.paper.terms import Terms
from agent.replay.bar_form import Progress, ReplayTrade
from agent.replay.command import LiveReplayed
from agent.replay.setup import ReplaySetup

TICK: Final = Decimal("0.00000001")
#: More than any position; recorded candles say nothing about depth.
DEEP: Final = Decimal(10) ** 15


def live_form(setup: Setup, balance: Decimal, slippage_bp: Decimal) -> Callable[..., LiveReplayed]:
    """A runner of the engine with `setup`, starting with `balance` of the quote currency."""

    def run(
        replayed: ReplaySetup, candles: CandleSeries, path: CandleSeries | None, progress: Progress
    ) -> LiveReplayed:
        exact = replace(
            setup, seller=replayed.seller, exits=replayed.exits, bar_ms=bar_ms(replayed.timeframe)
        )
        return _Replay(exact, balance, slippage_bp, candles, path).run(progress)

    return run


class _Replay:
    """One run: the engine's state, the paper account, and the price of the moment."""

    def __init__(
        self,
        setup: Setup,
        balance: Decimal,
        slippage_bp: Decimal,
        candles: CandleSeries,
        path: CandleSeries | None,
    ) -> None:
        self._setup = setup
        self._instrument = _instrument(setup)
        self._terms = Terms(self._instrument, setup.fee_rate * 10_000, slippage_bp)
        self._candles = candles
        self._finer = _by_bar(path, setup.bar_ms)
        self._now_ms = int(candles.open_ms[0])
        self._account: PaperState = open_account(self._instrument, balance, self._now_ms)
        self._bid = self._instrument.price(float(candles.open[0]), "nearest")
        self._state: AgentState = boot(setup, None, (), (), self._now_ms, None)
        self._waiting: deque[e.Event] = deque()
        self._seq = 0
        self._booked: set[int] = set()
        self._trades: list[tuple[Position, ReplayTrade]] = []
        self._outcomes: Counter[Outcome] = Counter()
        self._halted_days: list[str] = []

    def run(self, progress: Progress) -> LiveReplayed:
        first = self._candles.candle(0)
        self._learn(e.InstrumentSeen(self._instrument))
        window = SignalWindow.empty(self._setup.seller, self._setup.exits)
        self._learn(e.WarmedUp(window, first.open_ms - self._setup.bar_ms, first.open))
        self._learn(e.FeedReported(DataSource.REST, fresh=True))
        self._learn(e.StartRequested("replay"))
        total = len(self._candles)
        for i, candle in enumerate(self._candles):
            for at_ms, price in self._prices(candle):
                self._trade_at(at_ms, price)
            following = self._candles.candle(i + 1).open if i + 1 < total else None
            self._close(candle, following)
            if i % 200 == 0:
                progress(i, total)
        progress(total, total)
        trades = tuple(trade for _, trade in self._trades)
        return LiveReplayed(trades, tuple(self._remarks()))

    # --- the market --------------------------------------------------------------------------------

    def _prices(self, candle: Candle) -> Iterator[tuple[int, float]]:
        """(venue time, price) along the bar, evenly spread, the open first."""
        steps = self._finer.get(candle.open_ms) or [candle]
        points = [p for s in steps for p in (s.open, s.low, s.high, s.close)]
        for i, price in enumerate(points):
            yield candle.open_ms + 1 + i * (self._setup.bar_ms - 2) // len(points), price

    def _trade_at(self, at_ms: int, price: float) -> None:
        self._now_ms = at_ms
        self._bid = self._instrument.price(price, "nearest")
        self._let_orders_fill()
        self._learn(e.QuoteSeen(self._quote(DataSource.REST), trusted=True))
        if wake_at_ms(self._state) <= at_ms:
            self._learn(e.Woke())
        self._restart_after_halt()

    def _close(self, candle: Candle, following: float | None) -> None:
        """The bar ends. What is decided now trades at the next bar's open, which is the same moment."""
        self._now_ms = candle.open_ms + self._setup.bar_ms
        if following is not None:
            self._bid = self._instrument.price(following, "nearest")
        self._learn(e.BarClosed(candle, e.ClosedBy.FLAG))

    def _quote(self, source: DataSource) -> Quote:
        return Quote(self._bid, DEEP, self._bid + TICK, DEEP, self._now_ms, source)

    def _book(self) -> Book:
        return Book((BookLevel(self._bid, DEEP),), (BookLevel(self._bid + TICK, DEEP),), self._now_ms)

    def _let_orders_fill(self) -> None:
        if self._account.open_orders:
            self._deliver(paper.tick(self._account, self._book(), self._terms, self._now_ms))

    # --- the engine --------------------------------------------------------------------------------

    def _learn(self, event: e.Event) -> None:
        """Step one event and everything that follows from it."""
        self._waiting.append(event)
        while self._waiting:
            self._seq += 1
            stamped = e.Stamped(self._seq, self._now_ms, self._seq, self._waiting.popleft())
            self._state, commands = step(self._state, stamped)
            for command in commands:
                self._carry_out(command)
        self._book_trades()

    def _carry_out(self, command: Command) -> None:
        answer = self._waiting.append
        match command:
            case PlaceOrder(approved=approved):
                ticket = Ticket.of(approved.intent)
                result = paper.place(self._account, ticket, self._book(), self._terms, self._now_ms)
                self._answer_placed(ticket, result)
            case ReplaceOrder():
                self._replace(command)
            case CancelOrder(client_id=client_id):
                canceled = paper.cancel(self._account, client_id, self._terms, self._now_ms)
                if isinstance(canceled, Refusal):
                    answer(e.CancelFailed(client_id, canceled.code, canceled.detail))
                else:
                    self._deliver(canceled)
            case ReadBook(asked_by=asked_by):
                answer(e.BookSeen(self._book(), asked_by))
            case ReadQuote():
                answer(e.QuoteSeen(self._quote(DataSource.REST), trusted=True))
            case ReadAccount(fills_since_ms=since):
                open_orders = tuple(report_of(o) for o in self._account.open_orders)
                answer(e.AccountSeen(dict(self._account.balances), open_orders, (), since))
            case LookUpOrder(client_id=client_id):
                order = self._account.open_order(client_id)
                answer(e.OrderReported(report_of(order)) if order else e.LookupFoundNothing(client_id))
            case ReadFills():
                raise AssertionError("every answer of the paper account carries its fills")
            case Keep(row=DecisionRow(outcome=outcome)):
                self._outcomes[outcome] += 1
            case _:
                pass

    def _replace(self, command: ReplaceOrder) -> None:
        intent = command.approved.intent
        ticket = Ticket.of(intent)
        result = paper.replace(
            self._account, command.cancel_client_id, ticket, self._book(), self._terms, self._now_ms
        )
        if isinstance(result.canceled, Refusal):
            failed = result.canceled
            self._waiting.append(e.CancelFailed(command.cancel_client_id, failed.code, failed.detail))
            self._waiting.append(e.PlacingBlocked(intent.client_id, "the stop could not be canceled"))
            return
        self._deliver(result.canceled)
        assert result.placed is not None, "a cancel that succeeded is followed by a try to place"
        self._answer_placed(ticket, result.placed)

    def _answer_placed(self, ticket: Ticket, result: Moved | Refusal) -> None:
        if isinstance(result, Refusal):
            self._waiting.append(e.OrderRefused(ticket.client_id, result.code, result.detail))
        else:
            self._deliver(result)

    def _deliver(self, moved: Moved) -> None:
        self._account = moved.state
        self._waiting += [e.OrderReported(report_of(order, moved.fills)) for order in moved.orders]

    def _restart_after_halt(self) -> None:
        """A daily loss ends the day, not the replay: an operator clears the halt the next day."""
        state = self._state
        halt, day = state.durable.halt, state.durable.day
        if halt is None or state.phase is not Phase.HALTED or day is None or day.loss_limit_hit:
            return
        self._learn(e.ClearHaltRequested("replay"))
        if self._state.durable.halt is None:
            self._halted_days.append(day.date)
            self._learn(e.StartRequested("replay"))

    # --- what came of it ---------------------------------------------------------------------------

    def _book_trades(self) -> None:
        for position in self._state.positions.values():
            if position.state is PositionState.CLOSED and position.id not in self._booked:
                self._booked.add(position.id)
                self._trades.append((position, _trade(position)))

    def _remarks(self) -> Iterator[str]:
        signals = sum(n for outcome, n in self._outcomes.items() if outcome is not Outcome.NO_SIGNAL)
        kinds = ", ".join(
            f"{n} {o.value}" for o, n in self._outcomes.most_common() if o is not Outcome.NO_SIGNAL
        )
        yield f"live form: {signals} signals ({kinds or 'none'}), {len(self._trades)} trades closed"
        notes = Counter(note for position, _ in self._trades for note in position.notes if note != "dust")
        if notes:
            yield "differences to the bar form: " + ", ".join(
                f"{n} {note}" for note, n in notes.most_common()
            )
        if self._state.open_positions():
            yield "a position was open at the end and is not a trade"
        if self._halted_days:
            yield "daily loss limit reached the day before: " + ", ".join(self._halted_days)


def _trade(position: Position) -> ReplayTrade:
    """Per unit of base, like the bar form: pnl after fees; slippage is inside the fill prices."""
    entry, left = position.entry_price, position.exit_price
    assert entry is not None, "a closed position was bought"
    assert position.entry_bar_open_ms is not None
    assert position.last_fill_ms is not None
    assert left is not None, "a closed position was sold"
    plan = position.plan
    per_unit = left - entry - position.fees_quote / position.bought_qty
    # An exit at the very end of a bar belongs to that bar, as in the backtest.
    held = max((position.last_fill_ms - 1 - position.entry_bar_open_ms) // plan.bar_ms, 0)
    return ReplayTrade(
        entry_ms=plan.signal_open_ms,
        exit_ms=position.entry_bar_open_ms + held * plan.bar_ms,
        entry=float(entry),
        exit=float(left),
        pnl=float(per_unit),
        R=float(per_unit) / position.levels.risk,
        reason=position.exit_reason or "",
        bars_held=held,
    )


def _by_bar(path: CandleSeries | None, bar_length_ms: int) -> dict[int, list[Candle]]:
    bars: dict[int, list[Candle]] = {}
    for candle in path if path is not None else ():
        bars.setdefault(candle.open_ms // bar_length_ms * bar_length_ms, []).append(candle)
    return bars


def _instrument(setup: Setup) -> Instrument:
    return Instrument(
        symbol=setup.pair,
        base=setup.base,
        quote=setup.quote,
        tick=TICK,
        step=TICK,
        min_qty=TICK,
        max_qty=ZERO,
        market_max_qty=ZERO,
        min_notional=ZERO,
        max_notional=ZERO,
        min_price=TICK,
        max_price=ZERO,
        order_types=frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"}),
        trading=True,
        taker_fee_rate=setup.fee_rate,
    )
