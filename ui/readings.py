"""When stored rows are read again: a bar closed, a position changed, a tab was opened.

Law: one reading of a kind at a time; what happens meanwhile causes one more, never a queue. Nothing is read
for a panel that nobody sees, except what the chart needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QTimer

from ui.link import LinkKind
from ui.log_tail import LogTail
from ui.panels.table import TableCell, TableRow
from ui.picture import Picture
from ui.present import decisions, log_lines, numbers, trades
from ui.present.stats import Recorded
from ui.records import Market, market_of

if TYPE_CHECKING:
    from agent.store.reading import TradeRow
    from ui.controller import Controller

#: How often the log's file is looked at while no engine tells its lines; and while one does, to be sure.
LOG_EVERY_MS: Final = 500
LOG_CHECKED_EVERY: Final = 60
STATISTICS_EVERY_S: Final = 10.0
DECISIONS: Final = 300
TRADES: Final = 500
SIGNALS: Final = 500


class Readings(QObject):
    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._of = controller
        self._wanted = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._log_timer = QTimer(self)
        self._log_timer.setInterval(LOG_EVERY_MS)
        self._log_timer.timeout.connect(self._log_due)
        self._log_busy = False
        self._log_tail = LogTail()
        self._log_looks = 0
        self._log_begun = False
        self._told_meanwhile: list[str] = []
        self._statistics_due_s = 0.0
        self._around: int | None = None
        #: Machine time at which rows of a kind were last read, or a line of the log came.
        self.read_s: dict[str, float] = {}
        window = controller.window
        window.decisions.bar_chosen.connect(self._show_bar)
        window.decisions.telling_changed.connect(lambda _on: self.wake())
        window.trades.chosen.connect(self._show_trade)
        window.lower_tabs.currentChanged.connect(lambda _i: self.wake())
        self._signal_bars: dict[int, int] = {}

    def begin(self) -> None:
        self.end()
        self._running = asyncio.ensure_future(self._run())
        self._running.add_done_callback(self._of._over)
        self._log_timer.start()

    def end(self) -> asyncio.Task[None] | None:
        """Stop reading; the task that was canceled, to be waited for."""
        self._log_timer.stop()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        return running

    def wake(self) -> None:
        self._wanted.set()

    def saw(self, before: Picture | None, now: Picture) -> None:
        """Read again when a bar closed, a position came or went, or the market is another one."""
        if before is None or _marks(before) != _marks(now):
            self.wake()
        if before is None or _results(before) != _results(now):
            self._statistics_due_s = 0.0
        if before is not None and market_of(before) != market_of(now):
            # What another market or mode earned stands beside this one for not a moment.
            self._of.recorded, self._of.last_decision = Recorded(), ""

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            picture = self._of.picture
            if picture is None:
                continue
            await self._read(picture)

    async def _read(self, picture: Picture) -> None:
        of = self._of
        status, market = picture.status, market_of(picture)
        if of.chart is not None:
            came = await of.chart.load(of.records, picture)
            rows = await of.records.trades(market, TRADES)
            of.chart.show_trades(rows, picture)
            of.chart.show_signals(await of.records.decisions(market, SIGNALS, True), picture)
            if not came and status.feed.last_closed_bar is None:
                # History is still loading: look again soon, without counting bars.
                QTimer.singleShot(1_000, self, self._wanted.set)
        await self._read_statistics(market, picture)
        newest = await of.records.decisions(market, 1, False)
        of.last_decision = decisions.newest(newest, picture.strategy, of.settings.is_on("local_time"))
        tabs = of.window.lower_tabs
        if tabs.isVisible() and tabs.currentWidget() is of.window.decisions:
            await self._read_decisions(market, picture)
        elif tabs.isVisible() and tabs.currentWidget() is of.window.trades:
            self._show_trades(await of.records.trades(market, TRADES), picture)
        of.render_soon()

    async def _read_statistics(self, market: Market, picture: Picture) -> None:
        """At most every few seconds: they walk over everything that was ever traded."""
        from ui.present.recorded import recorded

        now_s = asyncio.get_running_loop().time()
        if now_s < self._statistics_due_s or picture.status.at is None:
            return
        self._statistics_due_s = now_s + STATISTICS_EVERY_S
        QTimer.singleShot(round(STATISTICS_EVERY_S * 1000) + 50, self, self._wanted.set)
        now_ms = round(picture.status.at.timestamp() * 1000)
        statistics = await self._of.records.statistics(market, now_ms, picture.status.day.pnl)
        self._was_read("statistics")
        if statistics is not None and self._of.picture is not None and market_of(self._of.picture) == market:
            self._of.recorded = recorded(statistics)

    def _was_read(self, what: str) -> None:
        self.read_s[what] = asyncio.get_running_loop().time()

    async def _read_decisions(self, market: Market, picture: Picture) -> None:
        of = self._of
        panel = of.window.decisions
        if self._around is not None:
            rows = await of.records.decision_at(market, self._around)
        else:
            rows = await of.records.decisions(market, DECISIONS, panel.telling.isChecked())
        local = of.settings.is_on("local_time")
        digits = numbers.digits_of(picture.tick) if picture.tick else 4
        shown = [decisions.decision(row, picture.strategy, digits, local) for row in rows]
        self._was_read("decisions")
        panel.show_decisions(decisions.columns(picture.strategy), shown, numbers.zone_name(local))

    def _show_trades(self, rows: tuple[TradeRow, ...], picture: Picture) -> None:
        local = self._of.settings.is_on("local_time")
        shown = [trades.trade(row, picture.tick, picture.quote, local) for row in rows]
        self._was_read("trades")
        self._signal_bars = {trade.id: trade.signal_ms for trade in shown}
        self._of.window.trades.show_rows(trades.COLUMNS, [_trade_row(trade) for trade in shown])

    # --- jumping between chart and rows ----------------------------------------------------------

    def bar_chosen(self, open_ms: int) -> None:
        """A bar on the chart: show its decision, reading further back when it is not listed."""
        window = self._of.window
        window.lower_tabs.show()
        window.lower_tabs.setCurrentWidget(window.decisions)
        if not window.decisions.select_bar(open_ms):
            self._of.do(self._find(open_ms))

    async def _find(self, open_ms: int) -> None:
        picture = self._of.picture
        if picture is None:
            return
        self._around = open_ms
        await self._read_decisions(market_of(picture), picture)
        self._around = None
        if not self._of.window.decisions.select_bar(open_ms):
            self._of.window.toasts.show_toast("INFO", "This bar was not decided by the agent.")
            self.wake()

    def _show_bar(self, open_ms: int) -> None:
        if self._of.chart is not None and not self._of.chart.view.show_bar(open_ms):
            self._of.window.toasts.show_toast("INFO", "That bar is older than the loaded candles: pan left.")

    def _show_trade(self, trade_id: int) -> None:
        if trade_id in self._signal_bars:
            self._show_bar(self._signal_bars[trade_id])

    def older_wanted(self, oldest_ms: int) -> None:
        of = self._of
        if of.chart is not None:
            of.do(of.chart.load_older(of.records, oldest_ms))

    # --- log -------------------------------------------------------------------------------------

    def _log_due(self) -> None:
        """The end of the file: while nobody tells it, and now and then all the same."""
        self._log_looks += 1
        told = self._of.link.kind is LinkKind.ATTACHED
        if told and self._log_looks % LOG_CHECKED_EVERY:
            return
        if self._log_busy or not self._of.window.is_seen:
            return
        if not told and not self._of.window.log.isVisible():
            return
        self.read_log()

    def read_log(self) -> None:
        """What the file has more than is shown."""
        if not self._log_busy:
            self._log_busy = True
            self._of.do(self._read_log())

    async def _read_log(self) -> None:
        try:
            self._of.window.log.file = str(self._of.records.log_file)
            text = await self._of.records.new_log()
            self._show_log(self._log_tail.read(text.splitlines()), news=self._log_begun)
            self._log_begun = self._log_begun or bool(text)
        finally:
            self._log_busy = False
            waited, self._told_meanwhile = self._told_meanwhile, []
            self._show_log(self._log_tail.told(waited))

    def told_log(self, body: Mapping[str, Any]) -> None:
        """Lines as the engine writes them."""
        told = body.get("lines")
        lines = [part for line in told for part in str(line).splitlines()] if isinstance(told, list) else []
        if self._log_busy:  # older lines are on their way from the file
            self._told_meanwhile += lines
        else:
            self._show_log(self._log_tail.told(lines))
        if body.get("left_out"):
            self.read_log()

    def _show_log(self, lines: list[str], *, news: bool = True) -> None:
        if lines:
            self._was_read("log")
            self._of.window.log.add(log_lines.parse("\n".join(lines)), news=news)

    # --- decisions as they are made --------------------------------------------------------------

    def told_decision(self, body: Mapping[str, Any]) -> None:
        """A bar was decided: its row stands above the others before the next reading."""
        picture = self._of.picture
        row = decisions.row_of(body)
        self._was_read("decisions")
        if picture is None or row is None:
            return
        local = self._of.settings.is_on("local_time")
        self._of.last_decision = decisions.newest((row,), picture.strategy, local)
        panel = self._of.window.decisions
        if self._around is None and (row.exhaustion or not panel.telling.isChecked()):
            digits = numbers.digits_of(picture.tick) if picture.tick else 4
            panel.put_first(decisions.decision(row, picture.strategy, digits, local))
        self._of.render_soon()


def _results(picture: Picture) -> tuple[object, ...]:
    """What the trader sees change at once, so that all figures beside it have to follow."""
    status = picture.status
    return (status.day.trades, picture.wins, picture.losses, tuple(p.id for p in status.positions))


def _marks(picture: Picture) -> tuple[object, ...]:
    """What the stored rows depend on."""
    status = picture.status
    return (
        status.feed.last_closed_bar,
        status.day.trades,
        picture.wins,
        picture.losses,
        tuple((p.id, p.leaving) for p in status.positions),
        market_of(picture),
        picture.tick,
        picture.strategy,
    )


def _trade_row(trade: trades.Trade) -> TableRow:
    right = {3, 4, 5, 6, 7, 9, 10}
    return TableRow(
        trade.id,
        tuple(
            TableCell(text, trade.tone if place in (6, 7) else _PLAIN, place in right)
            for place, text in enumerate(trade.texts)
        ),
    )


_PLAIN: Final = TableCell("").tone
