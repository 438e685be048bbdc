"""The live form over recorded candles: the engine itself, stepped through every bar's price path.

Each bar is walked open, low, high, close (or along finer candles, each walked the same way) as quotes one
tick wide, then reported as closed; orders meet the paper account with a book of unlimited depth at the
price of that moment. So everything the live agent does differently from the bar form (no room, entry bar,
levels seen only at a close, costs inside the fill prices) happens here too, and is named in the remarks.
While nothing is held or on its way, the prices inside a bar can change nothing and only its last is told.

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
from agent.core.engine import step
from agent.core.instrument import Instrument
from agent.core.market import Book, BookLevel, Candle, DataSource, Quote, bar_ms
from agent.core.money import ZERO, Price
from agent.core.phase import Phase
from agent.core.position import Position, PositionState
from agent.core.records import DecisionRow
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Setup
from agent.exchange.paper import account as paper
from agent.exchange.paper.state import Moved, PaperState, Refusal, Ticket, open_account, report_of
from agent.exchange.paper.terms import Terms
from agent.replay.bar_form import Progress, ReplayTrade, run_bar_form
from agent.replay.command import LiveReplayed
from agent.replay.difference import Comparison, LiveTrade, Market, compare
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
            setup,
            mode="paper",
            seller=replayed.seller,
            exits=replayed.exits,
            timeframe=replayed.timeframe,
            bar_ms=bar_ms(replayed.timeframe),
        )
        return LiveReplay(exact, balance, slippage_bp, candles, path).run(progress)

    return run


class LiveReplay:
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
        self._agreed: PaperState | None = None
        self._booked: set[int] = set()
        self._trades: list[LiveTrade] = []
        self._decided: dict[int, DecisionRow] = {}
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
            self._walk(candle)
            self._close(candle, self._candles.candle(i + 1) if i + 1 < total else None)
            if i % 200 == 0:
                progress(i, total)
        progress(total, total)
        return LiveReplayed(tuple(live.trade for live in self._trades), tuple(self._remarks()))

    # --- the market --------------------------------------------------------------------------------

    def _walk(self, candle: Candle) -> None:
        """Along the bar, evenly spread in time: open, low, high, close of each of its steps.

        Inside a step the price passes everything on its way, so it also stands still on each level.
        """
        steps = self._finer.get(candle.open_ms) or [candle]
        points = [p for s in steps for p in (s.open, s.low, s.high, s.close)]
        first = len(points) - 1 if self._is_idle else 0
        for i, point in enumerate(points[first:], first):
            at_ms = candle.open_ms + 1 + i * (self._setup.bar_ms - 2) // len(points)
            price = self._instrument.price(point, "nearest")
            if i % 4:
                for level in self._levels_before(price):
                    self._trade_at(at_ms, level)
            self._trade_at(at_ms, price)

    def _levels_before(self, price: Price) -> list[Price]:
        """Prices at which somebody waits, strictly between the last price and `price`, in passing order."""
        exact, waiting = self._instrument.price, set[Price]()
        for position in self._state.open_positions():
            levels = position.levels
            waiting |= {exact(p, "up") for p in (levels.target, levels.take_profit) if p is not None}
            waiting |= {exact(levels.stop, "down")} if levels.stop_enforced else set()
        waiting |= {Price(o.ticket.stop_price) for o in self._account.open_orders if o.ticket.stop_price}
        low, high = min(self._bid, price), max(self._bid, price)
        return sorted((p for p in waiting if low < p < high), reverse=price < self._bid)

    @property
    def _is_idle(self) -> bool:
        state = self._state
        return not (self._account.open_orders or state.in_flight() or state.open_positions())

    def _trade_at(self, at_ms: int, bid: Price) -> None:
        self._now_ms = at_ms
        self._bid = bid
        self._let_orders_fill()
        self._learn(e.QuoteSeen(self._quote(), trusted=True))
        self._restart_after_halt()

    def _close(self, candle: Candle, following: Candle | None) -> None:
        """The bar ends. What is decided now trades at the next bar's open, which is the same moment."""
        self._now_ms = candle.open_ms + self._setup.bar_ms
        if following is not None and following.open_ms == self._now_ms:
            self._bid = self._instrument.price(following.open, "nearest")
        self._learn(e.BarClosed(candle, e.ClosedBy.FLAG))

    def _quote(self) -> Quote:
        return Quote(self._bid, DEEP, self._bid + TICK, DEEP, self._now_ms, DataSource.REST)

    def _book(self) -> Book:
        return Book((BookLevel(self._bid, DEEP),), (BookLevel(self._bid + TICK, DEEP),), self._now_ms)

    def _let_orders_fill(self) -> None:
        if self._account.open_orders and paper.reached_by(self._account, self._quote()):
            self._deliver(paper.tick(self._account, self._book(), self._terms, self._now_ms))

    # --- the engine --------------------------------------------------------------------------------

    def _learn(self, event: e.Event) -> None:
        """Step one event and everything that follows from it."""
        self._waiting.append(event)
        while self._waiting:
            self._seq += 1
            stamped = e.Stamped(self._seq, self._now_ms, self._seq, self._waiting.popleft())
            self._state, commands = step(self._state, stamped)
            if self._state.reconciled_ms == self._now_ms:
                self._agreed = self._account
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
                answer(e.QuoteSeen(self._quote(), trusted=True))
            case ReadAccount(fills_since_ms=since):
                if self._has_news:
                    open_orders = tuple(report_of(o) for o in self._account.open_orders)
                    answer(e.AccountSeen(dict(self._account.balances), open_orders, (), since))
            case LookUpOrder(client_id=client_id):
                order = self._account.open_order(client_id)
                answer(e.OrderReported(report_of(order)) if order else e.LookupFoundNothing(client_id))
            case ReadFills():
                raise AssertionError("every answer of the paper account carries its fills")
            case Keep(row=DecisionRow(exhaustion=True) as row):
                self._decided[row.bar_open_ms] = row
            case _:
                pass

    @property
    def _has_news(self) -> bool:
        """Whether a reading of the account could tell the engine something that it does not know."""
        state = self._state
        agreed = self._agreed is self._account and state.doubted_cash is None and state.durable.halt is None
        return not agreed

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
                self._trades.append(LiveTrade(_trade(position), position.notes))

    def _remarks(self) -> Iterator[str]:
        outcomes = Counter(row.outcome for row in self._decided.values())
        kinds = ", ".join(f"{n} {outcome.value}" for outcome, n in outcomes.most_common())
        yield (
            f"live form: {len(self._decided)} signals ({kinds or 'none'}), {len(self._trades)} trades closed"
        )
        yield from self.compared().report()
        if self._halted_days:
            yield "daily loss limit reached the day before: " + ", ".join(self._halted_days)

    def compared(self) -> Comparison:
        """The run beside the bar form of the same candles."""
        setup = self._setup
        return compare(
            run_bar_form(self._candles, setup.seller, setup.exits).trades,
            self._trades,
            self._decided,
            frozenset(p.plan.signal_open_ms for p in self._state.open_positions()),
            Market.of(self._candles, setup.bar_ms, setup.exits),
        )


def _trade(position: Position) -> ReplayTrade:
    """Per unit of base, like the bar form: pnl after fees; slippage is inside the fill prices."""
    entry, left, entry_bar = position.entry_price, position.exit_price, position.entry_bar_open_ms
    assert entry is not None, "a closed position was bought"
    assert entry_bar is not None
    assert left is not None, "a closed position was sold"
    per_unit = left - entry - position.fees_quote / position.bought_qty
    return ReplayTrade(
        entry_ms=position.plan.signal_open_ms,
        exit_ms=entry_bar + position.bars_held * position.plan.bar_ms,
        entry=float(entry),
        exit=float(left),
        pnl=float(per_unit),
        R=float(per_unit) / position.levels.risk,
        reason=position.exit_reason or "",
        bars_held=position.bars_held,
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
