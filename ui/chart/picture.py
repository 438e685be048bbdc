"""The picture in two layers: what stands still is kept as a pixmap, what lives is drawn over it.

Law: a tick draws the pixmap, the last candle, tags, read-out and crosshair: its cost does not depend on
how many candles are loaded or seen. The still layer is drawn again only when view, history, overlays,
size or style change. x is never moved here; y only in automatic scale (see viewport).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

import numpy as np
from PySide6.QtCore import QPointF, QRect, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPixmap, QRegion

from ui.chart.axis_painter import AXIS_PAD_PX, paint_axes
from ui.chart.candle_painter import CandlePainter, visible
from ui.chart.candles import CLOSE, EMA_FAST, EMA_SLOW, HIGH, LOW, VOLUME, Bars
from ui.chart.cursor_painter import HEADER_PX, Cursor, paint_cursor, paint_header, paint_note
from ui.chart.frame import Fonts, Frame
from ui.chart.mark_painter import NO_MARKS, MarkPainter
from ui.chart.numbers import price
from ui.chart.overlay_painter import OverlayPainter, level_words
from ui.chart.scene import Scene
from ui.chart.tag_painter import WORDS, TagPainter
from ui.chart.viewport import GAP_SHARE, PriceRange, TimeRange

_SQUASH_MOST = 2.2
_VOLUME_ROOM = 1.25
_BLANK_MOST = 0.3
_NOTE_REACH_PX = 11.0


class Picture:
    """Draws a scene; `time` and `price` are the view's ranges."""

    def __init__(self, scene: Scene, font: QFont) -> None:
        self.scene = scene
        self.time = TimeRange()
        self.price = PriceRange()
        self.marks = NO_MARKS
        self.still_drawn = 0
        self._fonts = Fonts(font)
        self._size = QSizeF(100, 100)
        self._ratio = 1.0
        self._frame: Frame | None = None
        self._still: QPixmap | None = None
        self._spare: QPixmap | None = None
        self._spare_for: tuple[QSizeF, float] | None = None
        self._exact = True
        self._volume_top = 0.0
        self._wished: list[float] = []
        self._labels: list[float] = []
        self._fresh_marks = False
        self._past_low, self._past_high = math.inf, -math.inf
        self._candles = CandlePainter()
        self._overlays = OverlayPainter()
        self._marks = MarkPainter()
        self._tags = TagPainter()

    def set_font(self, font: QFont) -> None:
        self._fonts = Fonts(font)
        self.moved()

    def resize(self, size: QSizeF, pixel_ratio: float) -> None:
        if size != self._size or pixel_ratio != self._ratio:
            self._size, self._ratio = size, pixel_ratio
            self.moved()

    def moved(self) -> None:
        """The view changed by the user's hand: fit prices exactly."""
        self._exact = True
        self.changed()

    def changed(self) -> None:
        """Something of the still layer changed: prices stay as long as they fit."""
        self._frame = self._still = None

    def ticked(self) -> bool:
        """The last candle changed; True if the still layer has to change with it."""
        if self._frame is None:
            return True
        low, high = self._content()
        top = self._volume_top
        last = self.scene.candles.latest(self._frame.bars_per_column)
        seen = self._frame.left <= last.x[0] <= self._frame.right
        louder = seen and bool(last.columns[VOLUME].max() > top > 0)
        if louder or (self.price.automatic and math.isfinite(low) and self.price.hold(low, high)):
            self.changed()
            return True
        return False

    def keep_blank(self) -> None:
        """Keep room right of the newest bar, more of it for the labels of an open ladder."""
        scene, face = self.scene, self._fonts.small
        words = [
            level_words(level, scene.instrument.price_decimals)
            for ladder in scene.ladders
            if ladder.until_ms is None and scene.shown.ladder
            for level in ladder.levels
        ]
        needed = max((face.width(text) + 16 for text in words), default=0.0)
        blank = max(GAP_SHARE, min(_BLANK_MOST, needed / max(1.0, self.frame.plot.width())))
        if blank != self.time.blank:
            self.time.blank = blank
            if self.time.following and len(scene.candles):
                self.time.follow(scene.candles.last_x)
            self.moved()

    def living(self) -> QRegion:
        """Where a tick may change pixels: read-out, price axis, last bars, the last price's line."""
        frame, scene = self.frame, self.scene
        region = QRegion(frame.header.toAlignedRect()) | QRegion(frame.prices.toAlignedRect())
        if len(scene.candles):
            bars = scene.candles.history(frame.bars_per_column).x[-1:]
            left = frame.x_of(float(bars[0]) if len(bars) else scene.candles.last_x) - frame.bar_px - 8
            left = min(max(left, frame.plot.left()), frame.plot.right())
            down = frame.times.top() - frame.plot.top()
            region |= QRect(int(left), int(frame.plot.top()), int(frame.plot.right() - left) + 2, int(down))
            y = frame.y_of(float(scene.candles.columns[CLOSE, -1]))
            region |= QRect(int(frame.plot.left()), int(y) - 2, int(frame.plot.width()) + 1, 5)
        return region

    @property
    def frame(self) -> Frame:
        if self._frame is None:
            self._frame = self._arrange()
        return self._frame

    def note_at(self, at: QPointF) -> tuple[QPointF, str] | None:
        """The mark under the pointer: where it is and what it says."""
        index = self.marks.at(at.x(), at.y())
        if index is None:
            return None
        return QPointF(self.marks.x[index], self.marks.y[index]), self.marks.notes[index]

    def paint(
        self,
        painter: QPainter,
        region: QRegion,
        cursor: Cursor | None,
        note: tuple[QPointF, str] | None,
    ) -> None:
        """Paint `region`: the still layer box by box, as a clip of many is slow, and the rest over it."""
        frame = self.frame
        if self._still is None:
            self._still = self._draw_still(frame)
        for rect in cast(Iterable[QRect], region):
            painter.setClipRect(rect)
            painter.drawPixmap(0, 0, self._still)
        painter.setClipping(False)
        scene = self.scene
        if not len(scene.candles):
            paint_header(painter, frame, scene, self._fonts, -1)
            painter.setPen(QColor(scene.palette.text_dim))
            painter.drawText(
                frame.plot, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, scene.message
            )
            return
        self._candles.latest(painter, frame, scene)
        if self._fresh_marks:
            painter.setClipRect(frame.plot)
            self._marks.paint(painter, frame, scene)
            painter.setClipping(False)
        paint_header(painter, frame, scene, self._fonts, cursor.index if cursor else -1)
        self._tags.paint(painter, frame, scene, self._fonts, self._labels)
        if cursor is not None:
            paint_cursor(painter, frame, scene, self._fonts, cursor)
        if note is not None:
            paint_note(painter, frame, scene, self._fonts, *note)

    def _draw_still(self, frame: Frame) -> QPixmap:
        self.still_drawn += 1
        pixmap = self._spare
        if pixmap is None or self._spare_for != (self._size, self._ratio):
            pixmap = QPixmap((self._size * self._ratio).toSize())
            pixmap.setDevicePixelRatio(self._ratio)
            self._spare, self._spare_for = pixmap, (self._size, self._ratio)
        pixmap.fill(QColor(self.scene.palette.background))
        painter = QPainter(pixmap)
        self._overlays.under(painter, frame, self.scene)
        self._labels = paint_axes(painter, frame, self.scene, self._fonts)
        self.marks = NO_MARKS
        if len(self.scene.candles):
            self._candles.history(painter, frame, self.scene)
            self._overlays.over(painter, frame, self.scene, self._fonts)
            painter.setClipRect(frame.plot)
            self.marks = self._marks.paint(painter, frame, self.scene)
            edge = frame.x_of(self.scene.candles.last_x - frame.bars_per_column)
            self._fresh_marks = bool((self.marks.x >= edge).any())
        painter.end()
        return pixmap

    def _arrange(self) -> Frame:
        scene = self.scene
        if len(scene.candles):
            self._measure(self._frame_of(None))
            low, high = self._content()
            if self.price.automatic and math.isfinite(low):
                if self._exact:
                    self.price.fit(low, high)
                else:
                    self.price.hold(low, high)
            self._exact = False
        return self._frame_of(self._volume_top if scene.shown.volume else None)

    def _frame_of(self, volume_top: float | None) -> Frame:
        size = (self._size.width(), self._size.height())
        return Frame.arrange(size, HEADER_PX, self._axis_px(), self.time, self.price, volume_top, self._ratio)

    def _axis_px(self) -> float:
        scene, face = self.scene, self._fonts.small
        highest = scene.candles.highest if len(scene.candles) else 1.0
        widest = price(max(highest, self.price.high), scene.instrument.price_decimals)
        words = ["▲ " + "0" * len(widest), "+00.00 % 24h"]
        if scene.positions and scene.shown.positions:
            words.append(f"{max(WORDS, key=len)} {'0' * len(widest)}")
        return float(math.ceil(max(face.width(text) for text in words) + 2 * AXIS_PAD_PX))

    def _measure(self, frame: Frame) -> None:
        """Extremes of the visible history and of what should be seen with it."""
        scene = self.scene
        past = visible(scene.candles.history(frame.bars_per_column), frame, 0)
        self._wished = self._wishes(frame, past)
        last = scene.candles.latest(frame.bars_per_column)
        self._past_low, self._past_high = math.inf, -math.inf
        loudest = 0.0
        if len(past.x):
            self._past_low = float(past.columns[LOW].min())
            self._past_high = float(past.columns[HIGH].max())
            loudest = float(past.columns[VOLUME].max())
        if frame.left <= last.x[0] <= frame.right:
            live = float(last.columns[VOLUME].max())
            loudest = max(loudest, live * _VOLUME_ROOM if live > loudest else live)
        self._volume_top = loudest or 1.0

    def _wishes(self, frame: Frame, past: Bars) -> list[float]:
        """Prices to be seen too, unless the candles would become flat: open positions, ladders, averages."""
        scene, prices = self.scene, []
        if scene.shown.positions and scene.candles.last_x >= frame.left:
            for position in scene.positions:
                levels = (position.entry_price, position.stop, position.target, position.take_profit)
                prices += [level for level in levels if level is not None]
        if scene.shown.ladder and scene.candles.last_x >= frame.left:
            prices += [
                level.price for ladder in scene.ladders if ladder.until_ms is None for level in ladder.levels
            ]
        for row, wanted in ((EMA_FAST, scene.shown.ema_fast), (EMA_SLOW, scene.shown.ema_slow)):
            if wanted and len(past.x):
                extremes = float(np.fmin.reduce(past.columns[row])), float(np.fmax.reduce(past.columns[row]))
                prices += [value for value in extremes if math.isfinite(value)]
        return prices

    def _content(self) -> tuple[float, float]:
        candles = self.scene.candles
        low, high = self._past_low, self._past_high
        if self.time.left - 1 <= candles.last_x <= self.time.right + 1:
            low = min(low, float(candles.columns[LOW, -1]))
            high = max(high, float(candles.columns[HIGH, -1]))
        if not math.isfinite(low):
            return low, high
        most = (high - low) * _SQUASH_MOST
        for wish in sorted(self._wished, key=lambda value: max(low - value, value - high)):
            if max(high, wish) - min(low, wish) <= most:
                low, high = min(low, wish), max(high, wish)
        return low, high
