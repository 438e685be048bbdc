"""What is stored, read for the window: candles, decisions, trades, the log's end. On one thread of its own.

Law: read-only, in short pages; a file that is missing or cannot be read shows as nothing, with the reason in
the log. Nothing here runs on the window's loop.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from agent.core.records import DecisionRow
    from agent.core.series import CandleSeries
    from agent.insight.away import AwayReport
    from agent.store.reading import Reader, TradeRow
    from agent.store.statistics import Statistics
    from ui.picture import Picture

T = TypeVar("T")

LOADED: Final = 20_000
_LOG_TAIL_BYTES: Final = 262_144


@dataclass(frozen=True, slots=True)
class Market:
    """Whose rows: venue, pair and timeframe, and the mode they were traded in."""

    venue: str
    pair: str
    timeframe: str
    mode: str


def market_of(picture: Picture) -> Market:
    status = picture.status
    return Market(status.venue or "", status.pair, status.timeframe, status.mode)


@dataclass(frozen=True, slots=True)
class Averages:
    """Both exponential averages, one value per candle."""

    fast: list[float]
    slow: list[float]


class Records:
    """One data directory. Every method is a coroutine; `close` ends the thread."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._pool = ThreadPoolExecutor(1, "records")
        self._candles: object | None = None
        self._log_at: tuple[int, int] | None = None
        self.trouble = ""

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    # --- candles ---------------------------------------------------------------------------------

    async def candles(self, market: Market, bars: int = LOADED, before_ms: int = 1 << 62) -> CandleSeries:
        """The last `bars` before a time, oldest first."""

        def work() -> CandleSeries:
            reader = self._candle_reader()
            return reader.last(_key(market, reader), bars, before_ms)

        return await self._on_thread(work)

    async def candles_since(self, market: Market, since_ms: int) -> CandleSeries:
        def work() -> CandleSeries:
            reader = self._candle_reader()
            return reader.read(_key(market, reader), since_ms, 1 << 62)

        return await self._on_thread(work)

    async def averages(self, close: list[float], fast: int, slow: int) -> Averages:
        """alpha = 2 / (span + 1), recursive from the first candle, as the strategy computes them."""
        return await self._on_thread(lambda: Averages(ema(close, fast), ema(close, slow)))

    def _candle_reader(self) -> CandleReaderType:
        from agent.store.candles import CandleReader

        if not isinstance(self._candles, CandleReader):
            self._candles = CandleReader(self._data_dir / "candles.db")
        return self._candles

    # --- rows ------------------------------------------------------------------------------------

    async def decisions(self, market: Market, limit: int, telling: bool) -> tuple[DecisionRow, ...]:
        """Newest first; `telling`: only bars on which something happened."""

        def work(reader: Reader) -> tuple[DecisionRow, ...]:
            return reader.decisions(_selection(market), limit=limit, telling=telling)

        return await self._read(work) or ()

    async def decision_at(self, market: Market, bar_open_ms: int) -> tuple[DecisionRow, ...]:
        """The bar's own row and those before it, newest first; empty when it was not decided."""

        def work(reader: Reader) -> tuple[DecisionRow, ...]:
            return reader.decisions(_selection(market), limit=200, before_ms=bar_open_ms + 1)

        return await self._read(work) or ()

    async def trades(self, market: Market, limit: int) -> tuple[TradeRow, ...]:
        """Newest first."""

        def work(reader: Reader) -> tuple[TradeRow, ...]:
            return reader.trades(_selection(market), limit=limit)

        return await self._read(work) or ()

    async def statistics(self, market: Market, now_ms: int, day_pnl: Decimal | None) -> Statistics | None:
        """All figures of the newest scope of this market; `now_ms` is venue time."""

        def work(reader: Reader) -> Statistics | None:
            from agent.store.statistics import read_statistics

            ours = (market.venue, market.mode, market.pair)
            for scope in reader.scopes():
                if (scope.venue, scope.mode, scope.pair) == ours:
                    return read_statistics(reader, scope, now_ms, day_pnl=day_pnl)
            return None

        return await self._read(work)

    async def absences(self, market: Market, now_ms: int, limit: int) -> tuple[AwayReport, ...]:
        """What happened during the last absences, newest first; `now_ms` is venue time."""

        def work(reader: Reader) -> tuple[AwayReport, ...]:
            from agent.store.reading_story import away_reports

            ours = (market.venue, market.mode, market.pair)
            for scope in reader.scopes():
                if (scope.venue, scope.mode, scope.pair) == ours:
                    return away_reports(reader, scope, now_ms, limit=limit)
            return ()

        return await self._read(work) or ()

    async def _read(self, work: Callable[[Reader], T]) -> T | None:
        def guarded() -> T | None:
            from agent.store.reading import Reader
            from agent.store.trouble import StoreTrouble

            path = self._data_dir / "trades.db"
            if not path.exists():
                return None
            try:
                reader = Reader.open(path)
                try:
                    return work(reader)
                finally:
                    reader.close()
            except StoreTrouble as trouble:
                self.trouble = str(trouble)
                return None

        return await self._on_thread(guarded)

    async def last_status(self) -> Picture | None:
        """The state stored last, None when there is none or it is of another version."""

        def work() -> Picture | None:
            from agent.command_line.stored import stored_status
            from agent.control.status_fields import StatusUnreadable
            from agent.store.trouble import StoreTrouble
            from ui.picture import Picture

            try:
                document = stored_status(self._data_dir)
                return None if document is None else Picture.read(document)
            except (StoreTrouble, StatusUnreadable) as trouble:
                self.trouble = str(trouble)
                return None

        return await self._on_thread(work)

    # --- log -------------------------------------------------------------------------------------

    @property
    def log_file(self) -> Path:
        return self._data_dir / "logs" / "agent.log"

    async def new_log(self) -> str:
        """Whole lines written since the last call; the first time the end of the file."""
        return await self._on_thread(self._new_log)

    def _new_log(self) -> str:
        try:
            with self.log_file.open("rb") as file:
                status = os.fstat(file.fileno())
                inode, at = self._log_at or (status.st_ino, max(0, status.st_size - _LOG_TAIL_BYTES))
                if inode != status.st_ino or status.st_size < at:
                    inode, at = status.st_ino, 0
                cut = self._log_at is None and at > 0
                file.seek(at)
                fresh = file.read(4 * _LOG_TAIL_BYTES)
        except OSError:
            return ""
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._log_at = (inode, at + len(whole))
        text = whole.decode("utf-8", "replace")
        return text.partition("\n")[2] if cut else text


def ema(close: list[float], span: int) -> list[float]:
    alpha = 2.0 / (span + 1.0)
    return list(itertools.accumulate(close, lambda before, now: before + alpha * (now - before)))


def _key(market: Market, reader: CandleReaderType) -> SeriesKeyType:
    """The market's own candles, or Polygon's where signals are made of those: whichever go on."""
    from agent.store.candles import SeriesKey

    own = SeriesKey(market.venue, market.pair, market.timeframe)
    venues = reader.venues(market.pair, market.timeframe)
    keys = [own, *(SeriesKey(v, market.pair, market.timeframe) for v in venues if v.startswith("polygon@"))]
    if len(keys) == 1:
        return own
    newest = [(last.open_ms[-1] if len(last := reader.last(key, 1)) else 0, key) for key in keys]
    return max(newest, key=lambda found: found[0])[1]


def _selection(market: Market) -> SelectionType:
    from agent.store.batch import Selection

    return Selection(venue=market.venue, mode=market.mode, pair=market.pair)


if TYPE_CHECKING:
    from agent.store.batch import Selection as SelectionType
    from agent.store.candles import CandleReader as CandleReaderType
    from agent.store.candles import SeriesKey as SeriesKeyType
