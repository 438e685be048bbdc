"""What lies over and under the candles: shaded positions, the ladder, lines of stop and target.

Law: all of it stands still between two changes of view or data and belongs to the still layer. Each kind
of line has its own dash and its own words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter

from ui.chart.batch import Batch
from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import price
from ui.chart.overlays import Ladder, Level, OpenPosition
from ui.chart.palette import LADDER_COLOURS, ink, mix
from ui.chart.scene import Scene

_SHADE = 0.11
_LABEL_PX = 13.0
#: A level with its colour and height.
_Seen = tuple[Level, str, float]


class OverlayPainter:
    def __init__(self) -> None:
        self._batch = Batch()

    def under(self, painter: QPainter, frame: Frame, scene: Scene) -> None:
        """Selected bar and shaded positions: below grid lines and candles."""
        painter.setClipRect(frame.plot)
        if scene.selected_ms is not None:
            x = frame.x_of(scene.x_of_ms(scene.selected_ms))
            wide = max(frame.bar_px, 5.0)
            band = QRectF(frame.snap(x - wide / 2), frame.plot.top(), frame.snap(wide), frame.plot.height())
            painter.fillRect(band, ink(scene.palette.selection))
        if scene.shown.positions and len(scene.candles):
            for position in scene.positions:
                self._shade(painter, frame, scene, position)
        painter.setClipping(False)

    def over(self, painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts) -> None:
        """Ladder and lines."""
        painter.setClipRect(frame.plot)
        ladders = scene.ladders if scene.shown.ladder else ()
        levels = [_visible(frame, scene, ladder) for ladder in ladders]
        for ladder, seen in zip(ladders, levels, strict=True):
            self._ladder(painter, frame, scene, ladder, seen)
        if scene.shown.positions:
            for position in scene.positions:
                self._lines(painter, frame, scene, position)
        if ladders:
            # Of several ladders the newest has words: those of all could not be read.
            newest = max(range(len(ladders)), key=lambda index: ladders[index].from_ms)
            self._words(painter, frame, scene, fonts, ladders[newest], levels[newest])
        painter.setClipping(False)

    def _shade(self, painter: QPainter, frame: Frame, scene: Scene, position: OpenPosition) -> None:
        palette = scene.palette
        left = frame.snap(max(frame.x_of(scene.x_of_ms(position.entry_ms)), frame.plot.left()))
        right = frame.snap(min(frame.x_of(scene.candles.last_x + 0.5), frame.plot.right()))
        if right <= left:
            return
        entry = frame.y_of(position.entry_price)
        goal = position.target if position.target is not None else position.take_profit
        drawn = False
        for edge, colour in ((goal, palette.up), (position.stop, palette.down)):
            if edge is not None:
                other = frame.y_of(edge)
                box = QRectF(left, min(entry, other), right - left, abs(entry - other))
                painter.fillRect(box, ink(palette.faded(colour, _SHADE)))
                drawn = True
        if not drawn:
            box = QRectF(left, frame.plot.top(), right - left, frame.plot.height())
            painter.fillRect(box, ink(palette.faded(palette.neutral, _SHADE / 1.5)))

    def _ladder(
        self, painter: QPainter, frame: Frame, scene: Scene, ladder: Ladder, levels: Sequence[_Seen]
    ) -> None:
        left, right = _reach(frame, scene, ladder)
        if right > left:
            for _, colour, y in levels:
                line = QRectF(left, y, right - left, frame.hairline)
                painter.fillRect(line, ink(scene.palette.faded(colour, 0.6)))

    def _words(
        self,
        painter: QPainter,
        frame: Frame,
        scene: Scene,
        fonts: Fonts,
        ladder: Ladder,
        levels: Sequence[_Seen],
    ) -> None:
        """Ratios and prices, over every line, at the right end of their own."""
        left, right = _reach(frame, scene, ladder)
        palette = scene.palette
        painter.setFont(fonts.small.font)
        bases = _spread([y - 4 for _, _, y in levels], frame.plot.top() + 11, frame.plot.bottom() - 3)
        for (level, colour, _), base in zip(levels, bases, strict=True):
            words = level_words(level, scene.instrument.price_decimals)
            start = right - fonts.small.width(words) - 6
            if start >= left:
                plate = QRectF(start - 3, base - 10, right - start + 3, 13)
                painter.fillRect(plate, ink(palette.background))
                painter.setPen(ink(mix(colour, palette.text, 0.8)))
                painter.drawText(QPointF(start, base), words)

    def _lines(self, painter: QPainter, frame: Frame, scene: Scene, position: OpenPosition) -> None:
        palette = scene.palette
        left = max(frame.x_of(scene.x_of_ms(position.entry_ms)), frame.plot.left())
        for value, colour, dash in (
            (position.stop, palette.down, 3.0),
            (position.take_profit, palette.up, 3.0),
            (position.target, palette.up, 8.0),
            (position.entry_price, palette.entry, 0.0),
        ):
            if value is not None:
                self.level_line(painter, frame, left, value, colour, dash)

    def level_line(
        self, painter: QPainter, frame: Frame, left: float, value: float, colour: str, dash: float
    ) -> None:
        """A crisp horizontal line from `left` to the axis; `dash` in pixels, 0 for solid."""
        y, right = frame.snap(frame.y_of(value)), frame.plot.right()
        if not frame.plot.top() <= y <= frame.plot.bottom() or right <= left:
            return
        if not dash:
            painter.fillRect(QRectF(left, y, right - left, frame.hairline), ink(colour))
            return
        starts = left + np.arange(int((right - left) / (dash * 1.75)) + 1, dtype=np.float64) * dash * 1.75
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink(colour))
        self._batch.rects(painter, starts, y, dash, frame.hairline)


def _reach(frame: Frame, scene: Scene, ladder: Ladder) -> tuple[float, float]:
    """Where its lines begin and end."""
    left = max(frame.x_of(scene.x_of_ms(ladder.from_ms)), frame.plot.left())
    right = frame.plot.right()
    if ladder.until_ms is not None:
        right = min(right, frame.x_of(scene.x_of_ms(ladder.until_ms) + 0.5))
    return left, right


def _visible(frame: Frame, scene: Scene, ladder: Ladder) -> list[_Seen]:
    """Levels within the plot with colour and height, the lowest price first."""
    found = []
    for level in sorted(ladder.levels, key=lambda item: item.price):
        y = frame.snap(frame.y_of(level.price))
        if frame.plot.top() <= y <= frame.plot.bottom():
            found.append((level, level.colour or LADDER_COLOURS.get(level.ratio, scene.palette.neutral), y))
    return found


def _spread(wished: list[float], top: float, bottom: float) -> list[float]:
    """Heights of labels, lowest on the screen first, moved apart as little as their order allows."""
    if not wished:
        return []
    if (len(wished) - 1) * _LABEL_PX > bottom - top:
        return wished
    # As a whole they move up or down by half of what the pushing apart would add.
    pushed = _upwards(wished, bottom)
    half = sum(wish - base for wish, base in zip(wished, pushed, strict=True)) / len(wished)
    pushed = _upwards([wish + half for wish in wished], bottom)
    short = top - pushed[-1]
    return [base + short for base in pushed] if short > 0 else pushed


def _upwards(wished: list[float], bottom: float) -> list[float]:
    edge, bases = bottom, []
    for wish in wished:
        bases.append(min(wish, edge))
        edge = bases[-1] - _LABEL_PX
    return bases


def level_words(level: Level, decimals: int) -> str:
    """Ratio and price: `0.618  0.5175`."""
    ratio = f"{level.ratio:g}" if level.ratio % 1 else f"{level.ratio:.1f}"
    return f"{ratio}  {price(level.price, decimals)}"
