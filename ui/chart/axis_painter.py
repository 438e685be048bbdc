"""The grid and both axes: opaque hairlines and round numbers."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import compact, price
from ui.chart.palette import ink
from ui.chart.scene import Scene
from ui.chart.ticks import price_ticks, time_ticks, zone_words

_PRICE_APART_PX = 36.0
_TIME_APART_PX = 84.0
AXIS_PAD_PX = 8.0


def paint_axes(painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts) -> list[float]:
    """Grid and labels, candles lie above; answers the heights of the price labels.

    Without candles there is no scale: then nothing is written, because it would be made up.
    """
    known = len(scene.candles) > 0
    palette, line = scene.palette, frame.hairline
    grid, dim, text = ink(palette.grid), ink(palette.text_dim), ink(palette.text)
    bar_ms = scene.instrument.bar_ms
    ticks = time_ticks(
        frame.left * bar_ms, frame.right * bar_ms, frame.plot.width(), _TIME_APART_PX, scene.zone
    )
    left, top, across, bottom = frame.plot.left(), frame.plot.top(), frame.plot.width(), frame.plot.bottom()
    floor = frame.volume.bottom() if frame.volume is not None else bottom
    painter.setFont(fonts.small.font)
    baseline, most = frame.times.top() + 16, frame.times.right() - 2
    for tick in ticks:
        x = frame.snap(frame.x_of(tick.ms / bar_ms))
        painter.fillRect(QRectF(x, top, line, floor - top), grid)
        width = fonts.small.width(tick.text)
        if known and x - width / 2 >= 2 and x + width / 2 <= most:
            painter.setPen(text if tick.major else dim)
            painter.drawText(QPointF(x - width / 2, baseline), tick.text)
    decimals = scene.instrument.price_decimals
    painter.setPen(dim)
    labels = []
    text_left = frame.prices.left() + AXIS_PAD_PX
    for value in price_ticks(frame.low, frame.high, int(frame.plot.height() / _PRICE_APART_PX), decimals):
        y = frame.snap(frame.y_of(value))
        painter.fillRect(QRectF(left, y, across, line), grid)
        if known and top + 8 <= y <= bottom - 8:
            painter.drawText(QPointF(text_left, y + 4), price(value, decimals))
            labels.append(y)
    if frame.volume is not None and known:
        above = frame.volume.top() + 12
        painter.drawText(QPointF(text_left, above), compact(frame.volume_top))
        labels.append(above - 4)
    edge = ink(palette.faded(palette.frame, 0.7))
    painter.fillRect(QRectF(frame.prices.left(), 0, line, frame.times.bottom()), edge)
    painter.fillRect(QRectF(0, frame.times.top(), frame.prices.right(), line), edge)
    painter.fillRect(QRectF(0, frame.plot.top() - line, frame.prices.left(), line), grid)
    if frame.volume is not None:
        painter.fillRect(QRectF(0, frame.volume.top(), frame.volume.width(), line), edge)
    words = zone_words((frame.left + frame.right) / 2 * bar_ms, scene.zone)
    painter.drawText(frame.corner, Qt.AlignmentFlag.AlignCenter, words)
    return labels
