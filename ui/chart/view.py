"""The chart as the window knows it: what it is given.

Law: it is fed finished values and reads no store, socket or clock. It can be built without data, and what
is given again without change costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import tzinfo

from numpy.typing import ArrayLike

from ui.chart.candles import Candle, Candles
from ui.chart.canvas import ChartCanvas
from ui.chart.overlays import ClosedTrade, Instrument, Ladder, OpenPosition, Shown, Signal


class ChartView(ChartCanvas):
    """Candles with everything over them; signals and movements are those of the canvas."""

    # What the window gives.

    def set_instrument(self, instrument: Instrument) -> None:
        """Another market or timeframe: candles and overlays of the former one go.

        Other names or decimals for the same market keep everything.
        """
        scene, former = self._scene, self._scene.instrument
        if instrument == former:
            return
        scene.instrument = instrument
        if all(
            getattr(instrument, name) == getattr(former, name)
            for name in ("symbol", "market", "timeframe", "bar_ms")
        ):
            self._redraw()
            return
        scene.candles = Candles(instrument.bar_ms)
        scene.ladders, scene.positions, scene.trades, scene.signals = (), (), (), ()
        scene.selected_ms = self._asked_at = None
        self._placed, self._more_history = False, True
        self._picture.price.automatic = True
        self._redraw(moved=True)

    def set_decimals(self, price_decimals: int) -> None:
        """The exchange's precision, once it is known."""
        if price_decimals != self._scene.instrument.price_decimals:
            self.set_instrument(replace(self._scene.instrument, price_decimals=price_decimals))

    def set_candles(
        self,
        open_ms: ArrayLike,
        open: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
        ema_fast: ArrayLike | None = None,
        ema_slow: ArrayLike | None = None,
    ) -> None:
        """Replace all candles (open times UTC ms, increasing); a panned view stays where it is.

        Raises ValueError for columns of different lengths, times that do not increase, not finite numbers.
        """
        candles, time = self._scene.candles, self._picture.time
        candles.replace(open_ms, [open, high, low, close, volume, ema_fast, ema_slow])
        self._asked_at = None
        if len(candles):
            inside = time.left <= candles.last_x and time.right >= candles.first_x
            if not self._placed or not inside:
                self._place()
            elif time.following:
                time.follow(candles.last_x)
        self._redraw(moved=True)

    def prepend(
        self,
        open_ms: ArrayLike,
        open: ArrayLike,
        high: ArrayLike,
        low: ArrayLike,
        close: ArrayLike,
        volume: ArrayLike,
        ema_fast: ArrayLike | None = None,
        ema_slow: ArrayLike | None = None,
    ) -> int:
        """Older candles before those loaded; answers how many were new. The view does not move."""
        came = self._scene.candles.prepend(open_ms, [open, high, low, close, volume, ema_fast, ema_slow])
        if came:
            self._redraw()
            self._ask_for_older()
        return came

    def update_last(self, candle: Candle) -> None:
        """The last candle as it is now, or a newer one: see `append`."""
        self.append(candle)

    def append(self, candle: Candle) -> None:
        """Take a candle by its open time: a newer one is added, one that is loaded is replaced."""
        candles, picture = self._scene.candles, self._picture
        before, version = (candles.last_x if len(candles) else None), candles.version
        lived = picture.living()
        if candles.put(candle):
            if before is None or not self._placed:
                self._place()
            else:
                picture.time.advance(candles.last_x - before)
            self._redraw()
        elif candles.version != version:
            self._redraw()
        else:
            self._refresh(lived, whole=picture.ticked())

    def set_emas(self, fast: ArrayLike, slow: ArrayLike) -> None:
        """Both averages anew, one value for each loaded candle."""
        self._scene.candles.set_emas(fast, slow)
        self._redraw()

    def set_ladders(self, ladders: Sequence[Ladder]) -> None:
        if tuple(ladders) != self._scene.ladders:
            self._scene.ladders = tuple(ladders)
            self._redraw()

    def set_positions(self, positions: Sequence[OpenPosition]) -> None:
        """Open positions; a change of their result's text alone costs a tick, not a new picture."""
        new = tuple(positions)
        if new == self._scene.positions:
            return
        same_lines = [_lines(p) for p in new] == [_lines(p) for p in self._scene.positions]
        self._scene.positions = new
        if same_lines:
            self._refresh(self._picture.living())
        else:
            self._redraw()

    def set_trades(self, trades: Sequence[ClosedTrade]) -> None:
        if tuple(trades) != self._scene.trades:
            self._scene.trades = tuple(trades)
            self._redraw()

    def set_signals(self, signals: Sequence[Signal]) -> None:
        """Bars on which the strategy saw its signal; those not loaded are left out."""
        if tuple(signals) != self._scene.signals:
            self._scene.signals = tuple(signals)
            self._redraw()

    def set_now(self, now_ms: int) -> None:
        """Venue time, for the countdown; about once a second."""
        if now_ms // 1000 != (self._scene.now_ms or 0) // 1000 and self._bar_by_keys is None:
            self.setAccessibleDescription(self.summary())
        self._scene.now_ms = now_ms
        self._refresh(self._picture.living())

    def set_live(self, live: bool, age: str = "not live") -> None:
        """False: the last price is old (no fresh data, no engine) and must not look alive; `age` says so."""
        if (live, age) != (self._scene.live, self._scene.age):
            self._scene.live, self._scene.age = live, age
            self._refresh(self._picture.living())

    def set_message(self, text: str) -> None:
        """What stands in the middle while there are no candles."""
        if text != self._scene.message:
            self._scene.message = text
            self.update()

    def set_more_history(self, available: bool) -> None:
        """False: there is nothing older, stop asking. True: ask (again) when the user pans left."""
        self._more_history, self._asked_at = available, None

    # Settings.

    def set_zone(self, zone: tzinfo) -> None:
        """The zone of axis, crosshair and read-out."""
        if zone != self._scene.zone:
            self._scene.zone = zone
            self._redraw()

    def set_shown(self, shown: Shown) -> None:
        if shown != self._scene.shown:
            self._scene.shown = shown
            self._redraw(moved=True)


def _lines(position: OpenPosition) -> tuple[object, ...]:
    return (
        position.id,
        position.entry_ms,
        position.entry_price,
        position.stop,
        position.target,
        position.take_profit,
        position.note,
    )
