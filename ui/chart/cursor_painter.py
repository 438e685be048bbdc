"""Crosshair, read-out and tooltip.

Law: the read-out has its own strip above the candles and never covers one; it shows the bar under the
cursor and falls back to the latest. Its time, the time tag and the axis are in the same zone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainter

from ui.chart.axis_painter import AXIS_PAD_PX
from ui.chart.candles import Candle
from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import arrow, compact, percent, price
from ui.chart.palette import ink
from ui.chart.scene import Scene
from ui.chart.tag_painter import draw_plate
from ui.chart.ticks import time_words

HEADER_PX = 44.0
_DASH_PX = 4.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the crosshair is: pixels, and the bar it snaps to. `y` is None when it stands by keys."""

    x: float
    y: float | None
    index: int


@dataclass(frozen=True, slots=True)
class ReadOut:
    """The texts of the strip: label and value pairs, and whether the bar rose."""

    time: str
    pairs: tuple[tuple[str, str], ...]
    change: str
    rising: bool

    def sentence(self) -> str:
        """The same for a screen reader."""
        return (
            f"{self.time}: " + ", ".join(f"{name} {value}" for name, value in self.pairs) + f", {self.change}"
        )


def read_out(scene: Scene, candle: Candle) -> ReadOut:
    decimals = scene.instrument.price_decimals
    move = (candle.close / candle.open - 1) * 100 if candle.open else 0.0
    return ReadOut(
        time=time_words(candle.open_ms, scene.zone),
        pairs=(
            ("O", price(candle.open, decimals)),
            ("H", price(candle.high, decimals)),
            ("L", price(candle.low, decimals)),
            ("C", price(candle.close, decimals)),
            ("Vol", compact(candle.volume)),
        ),
        change=f"{arrow(candle.close - candle.open)} {percent(move)}",
        rising=candle.close >= candle.open,
    )


def paint_header(painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, index: int) -> None:
    """Two lines: market and bar time with the averages, then the bar's numbers."""
    palette, left = scene.palette, 10.0
    text, dim = ink(palette.text), ink(palette.text_dim)
    instrument = scene.instrument
    title = " · ".join(part for part in (instrument.symbol, instrument.timeframe, instrument.market) if part)
    painter.setFont(fonts.bold.font)
    painter.setPen(text)
    painter.drawText(QPointF(left, 17), title)
    if not len(scene.candles):
        return
    candle = scene.candles.candle(index)
    shown = read_out(scene, candle)
    x = left + fonts.bold.width(title) + 18
    room = frame.plot.right() - 6
    painter.setFont(fonts.normal.font)
    for name, value, colour, wanted in (
        (instrument.ema_fast_name, candle.ema_fast, palette.ema_fast, scene.shown.ema_fast),
        (instrument.ema_slow_name, candle.ema_slow, palette.ema_slow, scene.shown.ema_slow),
    ):
        if wanted and math.isfinite(value):
            words = f"{name}  {price(value, instrument.price_decimals)}"
            width = fonts.normal.width(words)
            if x + width > room:
                break
            painter.setPen(ink(colour))
            painter.drawText(QPointF(x, 17), words)
            x += width + 16
    end_of_title = x
    x = left
    tone = ink(palette.up if shown.rising else palette.down)
    for label, words in (*shown.pairs[:4], ("", shown.change), shown.pairs[4]):
        step = fonts.normal.width(label)
        if label:
            painter.setPen(dim)
            painter.drawText(QPointF(x, 35), label)
            x += step + 5
        painter.setPen(tone)
        painter.drawText(QPointF(x, 35), words)
        x += fonts.normal.width(words) + 12
    painter.setPen(dim)
    for words in (shown.time, time_words(candle.open_ms, scene.zone, brief=True)):
        width = fonts.normal.width(words)
        if x + 4 + width <= room:
            painter.drawText(QPointF(x + 4, 35), words)
            return
        if end_of_title + width <= room:
            painter.drawText(QPointF(room - width, 17), words)
            return


def paint_cursor(painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, cursor: Cursor) -> None:
    """Dashed lines through the bar and the pointer, with their tags on both axes."""
    palette = scene.palette
    colour, line = ink(palette.crosshair), frame.hairline
    open_ms = int(scene.candles.open_ms[cursor.index])
    x = frame.snap(frame.x_of(open_ms / scene.instrument.bar_ms))
    bottom = frame.times.top()
    if frame.plot.left() <= x <= frame.plot.right():
        y = frame.plot.top()
        while y < bottom:
            painter.fillRect(QRectF(x, y, line, min(_DASH_PX, bottom - y)), colour)
            y += 2 * _DASH_PX
    painter.setFont(fonts.small.font)
    words = time_words(open_ms, scene.zone, with_zone=False)
    width = fonts.small.width(words) + 14
    left = min(max(x - width / 2, 0.0), max(0.0, frame.times.right() - width))
    box = QRectF(frame.snap(left), frame.times.top() + 1, width, frame.times.height() - 3)
    painter.fillRect(box, ink(palette.tag))
    painter.setPen(ink(palette.text))
    painter.drawText(QPointF(box.left() + 7, box.top() + 15), words)
    if cursor.y is None:
        return
    y = frame.snap(cursor.y)
    x = frame.plot.left()
    while x < frame.plot.right():
        painter.fillRect(QRectF(x, y, min(_DASH_PX, frame.plot.right() - x), line), colour)
        x += 2 * _DASH_PX
    if frame.volume is not None and frame.volume.contains(QPointF(frame.volume.left(), cursor.y)):
        share = (frame.volume.bottom() - cursor.y) / (frame.volume.height() - 2)
        words = compact(max(0.0, share * frame.volume_top))
    else:
        words = price(frame.price_at(cursor.y), scene.instrument.price_decimals)
    box = QRectF(frame.prices.left() + 1, y - 10, frame.prices.width() - 1, 20)
    painter.fillRect(box, ink(palette.tag))
    painter.drawText(QPointF(box.left() + AXIS_PAD_PX - 1, box.top() + 14), words)


def paint_note(painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, at: QPointF, note: str) -> None:
    """A box with the note's lines beside `at`, kept inside the plot."""
    lines = note.split("\n")
    width = max(fonts.normal.width(words) for words in lines) + 20
    height = len(lines) * 17 + 12
    left = at.x() + 14 if at.x() + 14 + width <= frame.plot.right() else at.x() - 14 - width
    top = min(max(at.y() - height / 2, frame.plot.top() + 2), frame.plot.bottom() - height - 2)
    box = QRectF(round(max(left, 2.0)), round(max(top, 2.0)), round(width), height)
    draw_plate(painter, box, scene.palette.frame, scene.palette.tag, filled=False)
    painter.setFont(fonts.normal.font)
    for index, words in enumerate(lines):
        painter.setPen(ink(scene.palette.text if index == 0 else scene.palette.text_dim))
        painter.drawText(QPointF(box.left() + 10, box.top() + 19 + index * 17), words)
