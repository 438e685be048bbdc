"""The live form over recorded candles: the engine itself, stepped through every bar's price path.

Each bar is walked open, low, high, close (or along finer candles, each walked the same way), then reported
as closed; orders meet the recorded venue's paper account. So everything the live agent does differently
from the bar form (no room, entry bar, levels seen only at a close, costs inside the fill prices) happens
here too, and is named in the remarks. While nothing is held or on its way, the prices inside a bar can
change nothing: then one a day is told, which marks where the day began.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from agent.core import events as e
from agent.core.account import day_of
from agent.core.boot import boot
from agent.core.commands import Command, Keep, ReadAccount
from agent.core.engine import step
from agent.core.market import Candle, DataSource, bar_ms
from agent.core.money import Price
from agent.core.phase import Phase
from agent.core.position import Position, PositionState
from agent.core.records import DecisionRow
from agent.core.series import CandleSeries
from agent.core.signal import SignalWindow
from agent.core.state import AgentState, Setup
from agent.exchange.paper.state import PaperState
from agent.replay.bar_form import Progress, ReplayTrade, run_bar_form
from agent.replay.command import LiveReplayed
from agent.replay.difference import Comparison, LiveTrade, Market, compare
from agent.replay.recorded_venue import RecordedVenue
from agent.replay.setup import ReplaySetup


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
    """One run: the engine's state and the venue, walked through the candles."""

    def __init__(
        self,
        setup: Setup,
        balance: Decimal,
        slippage_bp: Decimal,
        candles: CandleSeries,
        path: CandleSeries | None,
    ) -> None:
        self._setup = setup
        self._candles = candles
        self._finer = _by_bar(path, setup.bar_ms)
        first = candles.candle(0)
        self._venue = RecordedVenue(setup, balance, slippage_bp, first.open_ms, first.open)
        self._state: AgentState = boot(setup, None, (), (), first.open_ms, None)
        self._seq = 0
        self._agreed: PaperState | None = None
        self._booked: set[int] = set()
        self._trades: list[LiveTrade] = []
        self._decided: dict[int, DecisionRow] = {}
        self._halted_days: list[str] = []
        self._compared: Comparison | None = None

    def run(self, progress: Progress) -> LiveReplayed:
        first = self._candles.candle(0)
        self._learn(e.InstrumentSeen(self._venue.instrument))
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

    def compared(self) -> Comparison:
        """The run, once it is over, beside the bar form of the same candles."""
        if self._compared is None:
            self._compared = self._compare()
        return self._compared

    def _compare(self) -> Comparison:
        setup = self._setup
        return compare(
            run_bar_form(self._candles, setup.seller, setup.exits).trades,
            self._trades,
            self._decided,
            frozenset(p.plan.signal_open_ms for p in self._state.open_positions()),
            Market.of(self._candles, setup.bar_ms, setup.exits),
        )

    # --- the market --------------------------------------------------------------------------------

    def _walk(self, candle: Candle) -> None:
        """Along the bar, evenly spread in time: open, low, high, close of each of its steps.

        Inside a step the price passes everything on its way, so it also stands still on each level.
        """
        idle = self._is_idle
        if idle and self._has_priced_day_of(candle):
            return
        steps = self._finer.get(candle.open_ms) or [candle]
        points = [p for s in steps for p in (s.open, s.low, s.high, s.close)]
        first = len(points) - 1 if idle else 0
        for i, point in enumerate(points[first:], first):
            at_ms = candle.open_ms + 1 + i * (self._setup.bar_ms - 2) // len(points)
            price = self._venue.instrument.price(point, "nearest")
            if i % 4:
                for level in self._levels_before(price):
                    self._trade_at(at_ms, level)
            self._trade_at(at_ms, price)

    def _levels_before(self, price: Price) -> list[Price]:
        """Prices at which somebody waits, strictly between the last price and `price`, in passing order."""
        last, exact = self._venue.bid, self._venue.instrument.price
        waiting = self._venue.waiting_prices()
        for position in self._state.open_positions():
            levels = position.levels
            waiting |= {exact(p, "up") for p in (levels.target, levels.take_profit) if p is not None}
            waiting |= {exact(levels.stop, "down")} if levels.stop_enforced else set()
        low, high = min(last, price), max(last, price)
        return sorted((p for p in waiting if low < p < high), reverse=price < last)

    @property
    def _is_idle(self) -> bool:
        state = self._state
        return not (self._venue.account.open_orders or state.in_flight() or state.open_positions())

    def _has_priced_day_of(self, candle: Candle) -> bool:
        """Whether trading goes on and the engine was told a price on the day of `candle`."""
        quote = self._state.prices.trusted
        running = self._state.phase is Phase.RUNNING
        return running and quote is not None and day_of(quote.at_ms) == day_of(candle.open_ms)

    def _trade_at(self, at_ms: int, bid: Price) -> None:
        self._venue.now_ms, self._venue.bid = at_ms, bid
        self._learn(*self._venue.fills(), e.QuoteSeen(self._venue.quote(), trusted=True))
        self._restart_after_halt()

    def _close(self, candle: Candle, following: Candle | None) -> None:
        """The bar ends. What is decided now trades at the next bar's open, which is the same moment.

        Where that bar is missing it trades at the close, also when nobody was told the prices in between.
        """
        closes_ms = candle.open_ms + self._setup.bar_ms
        self._venue.now_ms = closes_ms
        joins = following is not None and following.open_ms == closes_ms
        price = following.open if following is not None and joins else candle.close
        self._venue.bid = self._venue.instrument.price(price, "nearest")
        self._learn(e.BarClosed(candle, e.ClosedBy.FLAG))

    # --- the engine --------------------------------------------------------------------------------

    def _learn(self, *events: e.Event) -> None:
        """Step events and everything that follows from them."""
        waiting, now_ms = deque(events), self._venue.now_ms
        while waiting:
            self._seq += 1
            self._state, commands = step(
                self._state, e.Stamped(self._seq, now_ms, self._seq, waiting.popleft())
            )
            if self._state.reconciled_ms == now_ms:
                self._agreed = self._venue.account
            for command in commands:
                self._note(command)
                if not isinstance(command, ReadAccount) or self._has_news:
                    waiting += self._venue.answers(command)
        self._book_trades()

    @property
    def _has_news(self) -> bool:
        """Whether a reading of the account could tell the engine something that it does not know."""
        state = self._state
        agreed = self._agreed is self._venue.account and state.doubted_cash is None
        return not agreed or state.durable.halt is not None

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

    def _note(self, command: Command) -> None:
        if isinstance(command, Keep) and isinstance(command.row, DecisionRow) and command.row.exhaustion:
            self._decided[command.row.bar_open_ms] = command.row

    def _book_trades(self) -> None:
        for position in self._state.positions.values():
            if position.state is PositionState.CLOSED and position.id not in self._booked:
                self._booked.add(position.id)
                self._trades.append(LiveTrade(_trade(position), position.notes))

    def _remarks(self) -> Iterator[str]:
        outcomes = Counter(row.outcome for row in self._decided.values())
        kinds = ", ".join(f"{n} {outcome.value}" for outcome, n in outcomes.most_common())
        closed = len(self._trades)
        signals = f"{len(self._decided)} signals ({kinds or 'none'})"
        yield f"live form: {signals}, {closed} trade{'' if closed == 1 else 's'} closed"
        yield from self.compared().report()
        if self._state.open_positions():
            yield "a position was open at the end and is not a trade"
        if self._halted_days:
            yield "daily loss limit reached the day before: " + ", ".join(self._halted_days)


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
