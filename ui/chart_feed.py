"""What the chart is given: candles from the store, the live bar and overlays from the picture.

Law: history is read once, then grows by what was stored since; a tick costs one candle. Older candles are
read when the chart asks for them. Averages begin at the oldest loaded candle.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from agent.core.market import bar_ms
from ui import chart, charted
from ui.records import LOADED, Averages, Market, Records, ema

if TYPE_CHECKING:
    from agent.core.records import DecisionRow
    from agent.core.series import CandleSeries
    from agent.store.reading import TradeRow
    from ui.picture import LiveBar, Picture
    from ui.settings import Settings

OLDER: Final = 5_000
#: Beyond this many candles nothing older is fetched.
MOST: Final = 120_000


class ChartFeed:
    def __init__(self, view: chart.ChartView, settings: Settings) -> None:
        self.view = view
        self._settings = settings
        self._market: Market | None = None
        self._spans = (96, 672)
        self._closes: list[float] = []
        self._last_open_ms: int | None = None
        self._tips = (float("nan"), float("nan"))
        self._live: LiveBar | None = None
        self.apply_settings()

    def apply_settings(self) -> None:
        on = self._settings.is_on
        self.view.set_palette(chart.BLUE_ORANGE if on("blue_orange") else chart.GREEN_RED)
        self.view.set_zone(chart.local_zone() if on("local_time") else charted.UTC)
        self.view.set_shown(
            chart.Shown(
                volume=on("overlay_volume"),
                ema_fast=on("overlay_ema"),
                ema_slow=on("overlay_ema"),
                ladder=on("overlay_ladder"),
                trades=on("overlay_trades"),
                signals=on("overlay_trades"),
                positions=on("overlay_position"),
            )
        )

    # --- history ---------------------------------------------------------------------------------

    async def load(self, records: Records, picture: Picture) -> bool:
        """Read what is missing. True when candles came."""
        market = market_of(picture)
        spans = (picture.strategy.ema_fast, picture.strategy.ema_slow)
        if market != self._market or spans != self._spans:
            self._market, self._spans = market, spans
            self._closes, self._last_open_ms, self._live = [], None, None
            self.view.set_instrument(charted.instrument(picture))
            self.view.set_message("Loading candles")
        if self._last_open_ms is None:
            return await self._load_all(records, market)
        return await self._load_new(records, market, self._last_open_ms)

    async def _load_all(self, records: Records, market: Market) -> bool:
        series = await records.candles(market)
        if not len(series):
            self.view.set_message("No candles stored yet: they appear while history loads")
            return False
        closes = series.close.tolist()
        averages = await records.averages(closes, *self._spans)
        if market != self._market:
            return False
        self._closes = closes
        self._take(series, averages)
        self.view.set_candles(
            series.open_ms, series.open, series.high, series.low, series.close, series.volume,
            averages.fast, averages.slow,
        )  # fmt: skip
        self.view.set_more_history(len(series) >= LOADED)
        if self._live is not None:
            self._show_live(self._live)
        return True

    async def _load_new(self, records: Records, market: Market, last_ms: int) -> bool:
        series = await records.candles_since(market, last_ms + 1)
        if market != self._market or self._last_open_ms != last_ms or not len(series):
            return False
        if len(series) > 500:
            self._last_open_ms = None
            return await self._load_all(records, market)
        rows = zip(
            series.open_ms.tolist(), series.open.tolist(), series.high.tolist(), series.low.tolist(),
            series.close.tolist(), series.volume.tolist(), strict=True,
        )  # fmt: skip
        for open_ms, open_, high, low, close, volume in rows:
            fast, slow = self._next_averages(close)
            self.view.append(chart.Candle(open_ms, open_, high, low, close, volume, fast, slow))
            self._closes.append(close)
            self._tips, self._last_open_ms = (fast, slow), open_ms
        if self._live is not None:
            self._show_live(self._live)
        return True

    async def load_older(self, records: Records, oldest_ms: int) -> None:
        market = self._market
        if market is None or len(self._closes) >= MOST:
            self.view.set_more_history(False)
            return
        series = await records.candles(market, OLDER, oldest_ms)
        if market != self._market:
            return
        if not len(series):
            self.view.set_more_history(False)
            return
        closes = [*series.close.tolist(), *self._closes]
        averages = await records.averages(closes, *self._spans)
        added = len(closes) - len(self._closes)
        if market != self._market or len(closes) - added != len(self._closes):
            self.view.set_more_history(True)
            return
        self._closes = closes
        count = len(series)
        came = self.view.prepend(
            series.open_ms, series.open, series.high, series.low, series.close, series.volume,
            averages.fast[:count], averages.slow[:count],
        )  # fmt: skip
        self.view.set_more_history(came == count == OLDER)

    def _take(self, series: CandleSeries, averages: Averages) -> None:
        self._last_open_ms = int(series.open_ms[-1])
        self._tips = (averages.fast[-1], averages.slow[-1])

    def _next_averages(self, close: float) -> tuple[float, float]:
        first, second = (
            ema([before, close], span)[1] for before, span in zip(self._tips, self._spans, strict=True)
        )
        return first, second

    # --- now -------------------------------------------------------------------------------------

    def show(self, picture: Picture, now_ms: int | None) -> None:
        """The picture of this moment; cheap when little is different."""
        if self._market is None or market_of(picture) != self._market:
            return
        if picture.tick is not None:  # it may have been unknown when the history came
            self.view.set_decimals(charted.instrument(picture).price_decimals)
        self.view.set_ladders(charted.ladders(picture))
        self.view.set_positions(charted.positions(picture))
        if picture.bar is not None and picture.bar != self._live:
            self._live = picture.bar
            self._show_live(picture.bar)
        if now_ms is not None:
            self.view.set_now(now_ms)

    def _show_live(self, bar: LiveBar) -> None:
        """The open bar, once every bar before it is there: none could be put in between any more."""
        last = self._last_open_ms
        if last is None or self._market is None:
            return
        if bar.open_ms != last + bar_ms(self._market.timeframe):
            return
        fast, slow = self._next_averages(bar.close)
        self.view.append(
            chart.Candle(bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, fast, slow)
        )

    def show_trades(self, trades: tuple[TradeRow, ...], picture: Picture) -> None:
        finished = itertools.filterfalse(lambda trade: trade.is_open, trades)
        marks = [charted.closed_trade(trade, picture) for trade in finished]
        self.view.set_trades([mark for mark in marks if mark is not None])

    def show_signals(self, rows: tuple[DecisionRow, ...], picture: Picture) -> None:
        """Decisions on which something happened: a signal, whatever became of it."""
        self.view.set_signals([charted.signal(row, picture) for row in rows if row.exhaustion])


def market_of(picture: Picture) -> Market:
    status = picture.status
    return Market(status.venue or "", status.pair, status.timeframe, status.mode)
