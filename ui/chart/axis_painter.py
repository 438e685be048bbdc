"""The grid and both axes: opaque hairlines and round numbers."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import compact, price
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
    grid, dim, text = QColor(palette.grid), QColor(palette.text_dim), QColor(palette.text)
    bar_ms = scene.instrument.bar_ms
    ticks = time_ticks(
        frame.left * bar_ms, frame.right * bar_ms, frame.plot.width(), _TIME_APART_PX, scene.zone
    )
    floor = frame.volume.bottom() if frame.volume is not None else frame.plot.bottom()
    painter.setFont(fonts.small.font)
    baseline = frame.times.top() + 16
    for tick in ticks:
        x = frame.snap(frame.x_of(tick.ms / bar_ms))
        painter.fillRect(QRectF(x, frame.plot.top(), line, floor - frame.plot.top()), grid)
        width = fonts.small.width(tick.text)
        if known and x - width / 2 >= 2 and x + width / 2 <= frame.times.right() - 2:
            painter.setPen(text if tick.major else dim)
            painter.drawText(QPointF(x - width / 2, baseline), tick.text)
    decimals = scene.instrument.price_decimals
    painter.setPen(dim)
    labels = []
    for value in price_ticks(frame.low, frame.high, int(frame.plot.height() / _PRICE_APART_PX), decimals):
        y = frame.snap(frame.y_of(value))
        painter.fillRect(QRectF(frame.plot.left(), y, frame.plot.width(), line), grid)
        if known and frame.plot.top() + 8 <= y <= frame.plot.bottom() - 8:
            painter.drawText(QPointF(frame.prices.left() + AXIS_PAD_PX, y + 4), price(value, decimals))
            labels.append(y)
    if frame.volume is not None and known:
        top = frame.volume.top() + 12
        painter.drawText(QPointF(frame.prices.left() + AXIS_PAD_PX, top), compact(frame.volume_top))
        labels.append(top - 4)
    edge = QColor(palette.faded(palette.frame, 0.7))
    painter.fillRect(QRectF(frame.prices.left(), 0, line, frame.times.bottom()), edge)
    painter.fillRect(QRectF(0, frame.times.top(), frame.prices.right(), line), edge)
    painter.fillRect(QRectF(0, frame.plot.top() - line, frame.prices.left(), line), grid)
    if frame.volume is not None:
        painter.fillRect(QRectF(0, frame.volume.top(), frame.volume.width(), line), edge)
    words = zone_words((frame.left + frame.right) / 2 * bar_ms, scene.zone)
    painter.drawText(frame.corner, Qt.AlignmentFlag.AlignCenter, words)
    return labels
