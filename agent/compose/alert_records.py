"""The ledger as alerts read it: trades, decisions and the day's figures, beside the writer, on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from agent.alerts.summary import ClosedTrade, DayRecord
from agent.alerts.wording import Explained, TradeLine
from agent.core.instant import iso_utc
from agent.core.market import DAY_MS
from agent.insight.why import Explanation
from agent.store.batch import Scope
from agent.store.reading import Reader
from agent.store.reading_story import away_reports, why_bar
from agent.store.trouble import StoreTrouble

T = TypeVar("T")
_MOST_TRADES_A_DAY = 500
_MOST_EVENTS_A_DAY = 2_000
_BALANCE_ROWS = 5_000
_BARS_EXPLAINED = 3


class LedgerRecords:
    """Every method raises OSError, in words, when the ledger cannot be read."""

    def __init__(self, database: Path, scope: Scope) -> None:
        self._database = database
        self._scope = scope

    async def trades(self, limit: int) -> Sequence[TradeLine]:
        rows = await self._read(lambda reader: reader.trades(self._scope.selection, limit=limit))
        return [
            TradeLine(r.id, iso_utc(r.opened_ms), r.is_open, r.entry, r.exit, r.pnl_quote, r.r, r.reason)
            for r in rows
        ]

    async def explained(self, now_ms: int) -> Explained:
        """The last bars, and the newest absence if the agent came back from it within a day."""
        return await self._read(lambda reader: self._explained(reader, now_ms))

    def _explained(self, reader: Reader, now_ms: int) -> Explained:
        decided = reader.decisions(self._scope.selection, limit=_BARS_EXPLAINED)
        newest = why_bar(reader, self._scope, None, now_ms)
        earlier = [why_bar(reader, self._scope, row.bar_open_ms, now_ms) for row in decided[1:]]
        absent = away_reports(reader, self._scope, now_ms, since_ms=now_ms - DAY_MS)
        return Explained(
            bar=newest.lines() if isinstance(newest, Explanation) else newest,
            before=tuple(one.headline for one in earlier if isinstance(one, Explanation)),
            away=absent[0].lines() if absent else (),
        )

    async def day(self, day: int) -> DayRecord:
        """The UTC day counted from 1970-01-01."""
        return await self._read(lambda reader: self._day(reader, day))

    def _day(self, reader: Reader, day: int) -> DayRecord:
        begin_ms, end_ms, of = day * DAY_MS, (day + 1) * DAY_MS, self._scope.selection
        trades = reader.trades(of, limit=_MOST_TRADES_A_DAY)
        closed = tuple(
            ClosedTrade(t.pnl_quote, t.r)
            for t in trades
            if t.pnl_quote is not None and t.exit_ms is not None and begin_ms <= t.exit_ms < end_ms
        )
        events = reader.events(of, limit=_MOST_EVENTS_A_DAY, before_ms=end_ms)
        first, last = self._equities(reader, begin_ms, end_ms)
        return DayRecord(
            date=iso_utc(begin_ms)[:10],
            closed=closed,
            opened=sum(begin_ms <= t.opened_ms < end_ms for t in trades),
            first_equity=first,
            last_equity=last,
            warnings=sum(e.at_ms >= begin_ms and e.level not in ("DEBUG", "INFO") for e in events),
        )

    def _equities(self, reader: Reader, begin_ms: int, end_ms: int) -> tuple[Decimal | None, Decimal | None]:
        rows = reader.balances(self._scope.selection, limit=_BALANCE_ROWS, since_ms=begin_ms)
        within = [row.equity for row in rows if row.at_ms < end_ms]
        return (within[0], within[-1]) if within else (None, None)

    async def _read(self, ask: Callable[[Reader], T]) -> T:
        def work() -> T:
            reader = Reader.open(self._database)
            try:
                return ask(reader)
            finally:
                reader.close()

        try:
            return await asyncio.to_thread(work)
        except StoreTrouble as trouble:
            raise OSError(str(trouble)) from None
