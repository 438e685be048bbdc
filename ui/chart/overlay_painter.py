"""What lies over and under the candles: shaded positions, ladder, lines, marks of trades.

Law: all of it is still between two changes of view or data and belongs to the still layer. A mark's tip is
at its price. A gain's connector is solid and its exit filled, a loss's is dashed and hollow: colour is
never the only signal.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from ui.chart.batch import Batch
from ui.chart.frame import Fonts, Frame
from ui.chart.numbers import price
from ui.chart.overlays import ClosedTrade, Ladder, OpenPosition
from ui.chart.palette import LADDER_COLOURS, mix
from ui.chart.scene import Scene

MARK_PX = 6.0
_MARK_TALL_PX = 9.0
_MARK_OFF_PX = 3.0
_SHADE = 0.11


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn entry or exit: the middle of its triangle and its tooltip."""

    x: float
    y: float
    note: str


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
            painter.fillRect(band, QColor(scene.palette.selection))
        if scene.shown.positions and len(scene.candles):
            for position in scene.positions:
                self._shade(painter, frame, scene, position)
        painter.setClipping(False)

    def over(self, painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts) -> list[Mark]:
        """Ladder, lines and marks; answers the marks that are in view."""
        painter.setClipRect(frame.plot)
        if scene.shown.ladder:
            for ladder in scene.ladders:
                self._ladder(painter, frame, scene, fonts, ladder)
        marks: list[Mark] = []
        if scene.shown.positions:
            for position in scene.positions:
                self._lines(painter, frame, scene, position)
                x, y = frame.x_of(scene.x_of_ms(position.entry_ms)), frame.y_of(position.entry_price)
                self._entry(painter, scene, x, y)
                marks.append(Mark(x, y + _MARK_OFF_PX + _MARK_TALL_PX / 2, position.note))
        if scene.shown.trades:
            for trade in scene.trades:
                marks += self._trade(painter, frame, scene, trade)
        painter.setClipping(False)
        reach = frame.plot.adjusted(-MARK_PX, -MARK_PX, MARK_PX, MARK_PX)
        return [mark for mark in marks if reach.contains(QPointF(mark.x, mark.y))]

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
                painter.fillRect(box, QColor(palette.faded(colour, _SHADE)))
                drawn = True
        if not drawn:
            box = QRectF(left, frame.plot.top(), right - left, frame.plot.height())
            painter.fillRect(box, QColor(palette.faded(palette.neutral, _SHADE / 1.5)))

    def _ladder(self, painter: QPainter, frame: Frame, scene: Scene, fonts: Fonts, ladder: Ladder) -> None:
        left = max(frame.x_of(scene.x_of_ms(ladder.from_ms)), frame.plot.left())
        right = frame.plot.right()
        if ladder.until_ms is not None:
            right = min(right, frame.x_of(scene.x_of_ms(ladder.until_ms) + 0.5))
        if right <= left:
            return
        painter.setFont(fonts.small)
        free_below = frame.plot.bottom()
        for level in sorted(ladder.levels, key=lambda item: item.price):
            colour = level.colour or LADDER_COLOURS.get(level.ratio, scene.palette.neutral)
            y = frame.snap(frame.y_of(level.price))
            if not frame.plot.top() <= y <= frame.plot.bottom():
                continue
            painter.fillRect(
                QRectF(left, y, right - left, frame.hairline), QColor(scene.palette.faded(colour, 0.6))
            )
            words = f"{level.ratio:g}   {price(level.price, scene.instrument.price_decimals)}"
            if y <= free_below:
                painter.setPen(QColor(mix(colour, scene.palette.text, 0.8)))
                painter.drawText(QPointF(left + 8, y - 4), words)
                free_below = y - 14

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
            painter.fillRect(QRectF(left, y, right - left, frame.hairline), QColor(colour))
            return
        count = int((right - left) / (dash * 1.75)) + 1
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        self._batch.rects(
            painter, [left + index * dash * 1.75 for index in range(count)], y, dash, frame.hairline
        )

    def _trade(self, painter: QPainter, frame: Frame, scene: Scene, trade: ClosedTrade) -> list[Mark]:
        x1, x2 = frame.x_of(scene.x_of_ms(trade.entry_ms)), frame.x_of(scene.x_of_ms(trade.exit_ms))
        if x2 < frame.plot.left() - MARK_PX or x1 > frame.plot.right() + MARK_PX:
            return []
        y1, y2 = frame.y_of(trade.entry_price), frame.y_of(trade.exit_price)
        colour = QColor(scene.palette.up if trade.won else scene.palette.down)
        pen = QPen(colour, 0, Qt.PenStyle.SolidLine if trade.won else Qt.PenStyle.DashLine)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(pen)
        painter.drawLine(QLineF(x1, y1, x2, y2))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._entry(painter, scene, x1, y1)
        self._exit(painter, scene, x2, y2, trade.won)
        middle = _MARK_OFF_PX + _MARK_TALL_PX / 2
        return [Mark(x1, y1 + middle, trade.entry_note), Mark(x2, y2 - middle, trade.exit_note)]

    def _entry(self, painter: QPainter, scene: Scene, x: float, y: float) -> None:
        self._triangle(painter, scene, x, y + _MARK_OFF_PX, _MARK_TALL_PX, scene.palette.up, filled=True)

    def _exit(self, painter: QPainter, scene: Scene, x: float, y: float, won: bool) -> None:
        colour = scene.palette.up if won else scene.palette.down
        self._triangle(painter, scene, x, y - _MARK_OFF_PX, -_MARK_TALL_PX, colour, filled=won)

    @staticmethod
    def _triangle(
        painter: QPainter, scene: Scene, x: float, tip: float, tall: float, colour: str, *, filled: bool
    ) -> None:
        shape = QPolygonF(
            [QPointF(x, tip), QPointF(x - MARK_PX, tip + tall), QPointF(x + MARK_PX, tip + tall)]
        )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(scene.palette.background if filled else colour), 1.4))
        painter.setBrush(QColor(colour if filled else scene.palette.background))
        painter.drawPolygon(shape)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
