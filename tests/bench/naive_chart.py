"""The chart most programs have, to compare with: one QPicture of all candles, drawn anew at each change.

The scene is that of `chart_scene.full_view`: candles, volume, two averages, ladder, lines, marks, last
price, and pyqtgraph's own translucent grid.
"""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPicture
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from tests.ui.chart_scene import Market, position, trades
from ui.chart import GREEN_RED, LADDER_COLOURS


class NaiveCandles(pg.GraphicsObject):  # type: ignore[misc]
    """Every candle by a line and a rectangle."""

    def __init__(self, seen: Market) -> None:
        super().__init__()
        self._seen = seen
        self.close = seen.close.copy()
        self.draw()

    def draw(self) -> None:
        self._picture = QPicture()
        painter = QPainter(self._picture)
        seen = self._seen
        pens = {colour: pg.mkPen(colour) for colour in (GREEN_RED.up, GREEN_RED.down)}
        brushes = {colour: pg.mkBrush(colour) for colour in pens}
        for index in range(len(self.close)):
            opened, closed = float(seen.open[index]), float(self.close[index])
            colour = GREEN_RED.up if closed >= opened else GREEN_RED.down
            painter.setPen(pens[colour])
            painter.setBrush(brushes[colour])
            painter.drawLine(QPointF(index, float(seen.low[index])), QPointF(index, float(seen.high[index])))
            painter.drawRect(QRectF(index - 0.35, opened, 0.7, closed - opened))
        painter.end()
        self.prepareGeometryChange()
        self.update()

    def paint(self, painter: QPainter, _: QStyleOptionGraphicsItem, __: QWidget | None = None) -> None:
        painter.drawPicture(0, 0, self._picture)

    def boundingRect(self) -> QRectF:
        return QRectF(self._picture.boundingRect())


class NaiveChart:
    """The whole scene in a plot widget."""

    def __init__(self, seen: Market, trades_count: int) -> None:
        self.widget = pg.PlotWidget()
        self.widget.setBackground(GREEN_RED.background)
        self.widget.resize(900, 600)
        self.widget.showGrid(x=True, y=True, alpha=0.3)
        self.candles = NaiveCandles(seen)
        self.widget.addItem(self.candles)
        self._last = len(seen.close) - 1
        for values, colour in ((seen.ema_fast, GREEN_RED.ema_fast), (seen.ema_slow, GREEN_RED.ema_slow)):
            self.widget.plot(range(len(values)), values, pen=pg.mkPen(colour))
        held, ladder = position(seen)
        for level in ladder.levels:
            self._line(level.price, LADDER_COLOURS[level.ratio])
        for price in (held.stop, held.target, held.entry_price):
            self._line(float(price or 0.0), GREEN_RED.text)
        first, bar = int(seen.open_ms[0]), int(seen.open_ms[1] - seen.open_ms[0])
        closed = trades(seen, trades_count)
        spots = [((t.entry_ms - first) / bar, t.entry_price) for t in closed]
        spots += [((t.exit_ms - first) / bar, t.exit_price) for t in closed]
        self.widget.addItem(pg.ScatterPlotItem(pos=spots, symbol="t", size=9))
        self._price = self._line(float(seen.close[-1]), GREEN_RED.down, Qt.PenStyle.DashLine)
        self.show(200)

    def show(self, bars: int) -> None:
        seen = slice(max(0, self._last - bars), None)
        low, high = self.candles._seen.low[seen].min(), self.candles._seen.high[seen].max()
        self.widget.setXRange(self._last - bars, self._last + bars * 0.07, padding=0)
        self.widget.setYRange(float(low), float(high))

    def tick(self, price: float) -> None:
        self.candles.close[-1] = price
        self.candles.draw()
        self._price.setValue(price)

    def pan(self, bars: float) -> None:
        self.widget.getViewBox().translateBy(x=bars)

    def _line(self, price: float, colour: str, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> pg.InfiniteLine:
        line = pg.InfiniteLine(price, angle=0, pen=pg.mkPen(colour, style=style))
        self.widget.addItem(line)
        return line
