"""Candles, volume and moving averages.

Law: everything is a batch: one call for each colour, whatever the number of bars. History goes to the
still layer, the last bucket to the live one; both are drawn by the same functions. Rising bodies are
hollow when they are wide enough, so direction does not hang on colour.
"""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPen

from ui.chart.batch import Batch, cells, device_pixels
from ui.chart.candles import CLOSE, EMA_FAST, EMA_SLOW, OPEN, VOLUME, Bars, Floats
from ui.chart.frame import Frame
from ui.chart.palette import Palette, ink
from ui.chart.scene import Scene

_BODY_SHARE = 0.8
_HOLLOW_FROM = 5
_HOLLOW_TINT = 0.22
_VOLUME_TINT = 0.38


class CandlePainter:
    def __init__(self) -> None:
        self._batch = Batch()

    def history(self, painter: QPainter, frame: Frame, scene: Scene) -> None:
        """All visible bars but those of the last bucket."""
        past = scene.candles.history(frame.bars_per_column)
        seen = visible(past, frame, 0)
        self.volume(painter, frame, scene, seen)
        painter.setClipRect(frame.plot)
        self.bars(painter, frame, scene.palette, seen)
        self._averages(painter, frame, scene, visible(past, frame, 1))
        painter.setClipping(False)

    def latest(self, painter: QPainter, frame: Frame, scene: Scene) -> None:
        """The last bucket and the tips of the averages."""
        k = frame.bars_per_column
        last = scene.candles.latest(k)
        if frame.left - k <= last.x[0] <= frame.right + k:
            self.volume(painter, frame, scene, last)
            painter.setClipRect(frame.plot)
            self.bars(painter, frame, scene.palette, last)
            past = scene.candles.history(k)
            joined = Bars(
                np.concatenate([past.x[-1:], last.x]),
                np.concatenate([past.columns[:, -1:], last.columns], axis=1),
            )
            self._averages(painter, frame, scene, joined)
            painter.setClipping(False)

    def bars(self, painter: QPainter, frame: Frame, palette: Palette, bars: Bars) -> None:
        if not len(bars.x):
            return
        ratio = frame.pixel_ratio
        line, body = _widths(frame)
        rising = bars.columns[CLOSE] >= bars.columns[OPEN]
        wick_x = np.round(frame.x_of(bars.x) * ratio) - line // 2
        opened, high, low, closed = np.round(frame.y_of(bars.columns[OPEN : CLOSE + 1]) * ratio)
        top, height = np.minimum(opened, closed), np.maximum(np.abs(opened - closed), line)
        body_x = wick_x - (body - line) // 2
        parts = [cells(wick_x, high, line, np.maximum(low - high, line))]
        if body > line:
            parts.append(cells(body_x, top, body, height))
        with device_pixels(painter, ratio):
            for side, colour in ((rising, palette.up), (~rising, palette.down)):
                painter.setBrush(ink(colour))
                self._batch.cells(painter, np.concatenate([part[side] for part in parts]))
            if body >= _HOLLOW_FROM * line:
                hollow = rising & (height > 2 * line)
                painter.setBrush(ink(palette.faded(palette.up, _HOLLOW_TINT)))
                inner = parts[1][hollow]
                inner[:, :2] += line
                inner[:, 2:] -= line
                self._batch.cells(painter, inner)

    def volume(self, painter: QPainter, frame: Frame, scene: Scene, bars: Bars) -> None:
        area = frame.volume
        if area is None or not len(bars.x):
            return
        ratio, palette = frame.pixel_ratio, scene.palette
        line, body = _widths(frame)
        rising = bars.columns[CLOSE] >= bars.columns[OPEN]
        left = np.round(frame.x_of(bars.x) * ratio) - line // 2 - (body - line) // 2
        full = (area.height() - 2) * ratio
        most = math.ceil(full - 0.51)  # half a pixel is none, at whatever scale of the screen
        volume = bars.columns[VOLUME]
        height = np.clip(np.round(volume / frame.volume_top * full), volume > 0, most)
        columns = cells(left, round(area.bottom() * ratio) - height, body, height)
        painter.setClipRect(area)
        with device_pixels(painter, ratio):
            for side, colour in ((rising, palette.up), (~rising, palette.down)):
                painter.setBrush(ink(palette.faded(colour, _VOLUME_TINT)))
                self._batch.cells(painter, columns[side])
        painter.setClipping(False)

    def _averages(self, painter: QPainter, frame: Frame, scene: Scene, bars: Bars) -> None:
        shown, palette = scene.shown, scene.palette
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = frame.x_of(bars.x)
        if shown.ema_slow:
            self._curve(painter, x, frame.y_of(bars.columns[EMA_SLOW]), palette.ema_slow)
        if shown.ema_fast:
            self._curve(painter, x, frame.y_of(bars.columns[EMA_FAST]), palette.ema_fast)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _curve(self, painter: QPainter, x: Floats, y: Floats, colour: str) -> None:
        known = np.isfinite(y)
        if not known.all():
            x, y = x[known], y[known]
        if len(x) < 2:
            return
        pen = QPen(ink(colour), 0)
        painter.setPen(pen)
        self._batch.lines(painter, x[:-1], y[:-1], x[1:], y[1:])
        self._batch.lines(painter, x[:-1], y[:-1] + 0.5, x[1:], y[1:] + 0.5)
        painter.setPen(Qt.PenStyle.NoPen)


def visible(bars: Bars, frame: Frame, margin: int) -> Bars:
    """The bars in view, and `margin` more on either side."""
    reach = frame.bars_per_column
    begin = max(0, int(np.searchsorted(bars.x, frame.left - reach)) - margin)
    end = int(np.searchsorted(bars.x, frame.right + reach, side="right")) + margin
    return Bars(bars.x[begin:end], bars.columns[:, begin:end])


def _widths(frame: Frame) -> tuple[int, int]:
    """Device pixels of a wick and of a body; both odd or both even, so that the wick is in the middle."""
    line = max(1, round(frame.pixel_ratio))
    bar = frame.bar_px * frame.bars_per_column * frame.pixel_ratio
    body = int(bar * _BODY_SHARE)
    body -= (body - line) % 2
    return line, max(body, 3 * line if bar >= 2.5 * line else line)
