"""The tags on the price axis: last price with its countdown, and the open positions' lines.

Law: the last price stays where it is, other tags make room for it and for each other. Every tag says in
words or by arrow what its colour says. A price that is not live is grey and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from ui.chart.axis_painter import AXIS_PAD_PX
from ui.chart.batch import Batch
from ui.chart.candles import CLOSE, OPEN
from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import arrow, percent, price, remaining
from ui.chart.palette import ink
from ui.chart.scene import Scene

_LINE_PX = 14.0
_PAD_PX = 3.0
# Entry, stop, target, take-profit: what a tag says before its price.
WORDS = ("Entry", "Stop", "Target", "TP")


@dataclass(slots=True)
class Tag:
    """Lines of text at a height on the axis; the first line is at that height."""

    y: float
    lines: list[str]
    colour: str
    filled: bool

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE_PX + 2 * _PAD_PX


class TagPainter:
    def __init__(self) -> None:
        self._batch = Batch()

    def paint(self, painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, labels: list[float]) -> None:
        """The last price's line and all tags; axis labels that would stick out from under one go."""
        if not len(scene.candles):
            return
        last = self._last(scene, frame)
        if frame.plot.top() <= last.y <= frame.plot.bottom():
            y, step = frame.snap(last.y), 6.0
            starts = frame.plot.left() + step * np.arange(
                int(frame.plot.width() / step) + 1, dtype=np.float64
            )
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(ink(last.colour))
            self._batch.rects(painter, starts, y, 2.0, frame.hairline)
        tags = self._positions(frame, scene) if scene.shown.positions else []
        last.y = min(max(last.y, frame.plot.top() + _LINE_PX / 2), frame.plot.bottom() - _LINE_PX / 2)
        _make_room(tags, last)
        for tag in (*tags, last):
            top = tag.y - _LINE_PX / 2 - _PAD_PX
            for y in labels:
                if top - 8 < y < top + tag.height + 8:
                    painter.fillRect(
                        QRectF(frame.prices.left() + 2, y - 8, frame.prices.width() - 2, 16),
                        ink(scene.palette.background),
                    )
        for tag in (*tags, last):
            self._draw(painter, frame, scene, fonts, tag, tag.y - _LINE_PX / 2 - _PAD_PX)

    def _last(self, scene: Scene, frame: Frame) -> Tag:
        candles, palette = scene.candles, scene.palette
        opened, closed = float(candles.columns[OPEN, -1]), float(candles.columns[CLOSE, -1])
        day = scene.change_of_day()
        change = day if day is not None else (closed / opened - 1) * 100 if opened else 0.0
        lines = [f"{arrow(closed - opened)} {price(closed, scene.instrument.price_decimals)}"]
        lines.append(percent(change) + (" 24h" if day is not None else ""))
        if not scene.live:
            return Tag(frame.y_of(closed), [lines[0], lines[1], scene.age], palette.neutral, True)
        if scene.shown.countdown and scene.now_ms is not None:
            closes_ms = int(candles.open_ms[-1]) + scene.instrument.bar_ms
            lines.append(remaining(closes_ms - scene.now_ms))
        return Tag(frame.y_of(closed), lines, palette.up if closed >= opened else palette.down, True)

    def _positions(self, frame: Frame, scene: Scene) -> list[Tag]:
        """Entry, stop, target, take-profit; of more than two positions only what would be reached next."""
        palette, positions = scene.palette, scene.positions
        few = len(positions) <= 2
        tags = []
        for position in positions:
            colour = palette.entry
            if position.gain is not None:
                colour = palette.up if position.gain else palette.down
            result = [words.strip() for words in position.text.split("\n") if words.strip()]
            tags.append((position.entry_price, WORDS[0], colour, result if few else []))
        stops = [position.stop for position in positions if position.stop is not None]
        targets = [position.target for position in positions if position.target is not None]
        profits = [position.take_profit for position in positions if position.take_profit is not None]
        for values, word, colour in (
            (stops if few else stops and [max(stops)], WORDS[1], palette.down),
            (targets if few else targets and [min(targets)], WORDS[2], palette.up),
            (profits if few else profits and [min(profits)], WORDS[3], palette.up),
        ):
            tags += [(value, word, colour, []) for value in values]
        decimals = scene.instrument.price_decimals
        return [
            Tag(frame.y_of(value), [f"{word} {price(value, decimals)}", *more], colour, False)
            for value, word, colour, more in tags
            if frame.low <= value <= frame.high
        ]

    def _draw(
        self, painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, tag: Tag, top: float
    ) -> None:
        palette = scene.palette
        left = frame.prices.left() + frame.hairline
        box = QRectF(left, frame.snap(top), frame.prices.right() - left, tag.height)
        draw_plate(painter, box, tag.colour, palette.background, filled=tag.filled)
        painter.setFont(fonts.small.font)
        painter.setPen(ink(palette.text_on_colour if tag.filled else tag.colour))
        base, room = box.top() + _PAD_PX + 11, box.width() - AXIS_PAD_PX
        for index, words in enumerate(tag.lines):
            if fonts.small.width(words) > room:
                words = fonts.small.metrics.elidedText(words, Qt.TextElideMode.ElideRight, room)
            painter.drawText(QPointF(box.left() + AXIS_PAD_PX - 2, base + index * _LINE_PX), words)


def draw_plate(painter: QPainter, box: QRectF, colour: str, background: str, *, filled: bool) -> None:
    """A filled or an outlined box, without antialiasing."""
    painter.fillRect(box, ink(colour))
    if not filled:
        painter.fillRect(box.adjusted(1, 1, -1, -1), ink(background))


def _make_room(tags: list[Tag], last: Tag) -> None:
    """Push overlapping tags apart: those at or above the last price upwards, the others downwards."""
    offset, gap = _LINE_PX / 2 + _PAD_PX, 1.0
    edge = last.y - offset - gap
    for tag in sorted((tag for tag in tags if tag.y <= last.y), key=lambda tag: -tag.y):
        top = min(tag.y - offset, edge - tag.height)
        tag.y, edge = top + offset, top - gap
    edge = last.y - offset + last.height + gap
    for tag in sorted((tag for tag in tags if tag.y > last.y), key=lambda tag: tag.y):
        top = max(tag.y - offset, edge)
        tag.y, edge = top + offset, top + tag.height + gap
