"""Entries and exits of trades, and the line that joins them.

Law: all trades are columns of numpy and become a handful of calls, whatever their number: two of lines and
three of stamps (a small pixmap drawn once, stamped many times). A mark's tip is at its price: entries
point up from below, exits down from above. A gain's line is solid and its exit filled, a loss's is dashed
and hollow, so colour is never the only signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import shiboken6
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

from ui.chart.batch import Batch, device_pixels
from ui.chart.candles import Floats
from ui.chart.frame import Frame
from ui.chart.scene import Scene

_HALF_PX = 6.0
_TALL_PX = 9.0
_OFF_PX = 3.0
_REACH_PX = 11.0
_STAMP_PX = 16.0

# Colour, colour of the edge or the hollow, pointing up, filled, size.
_Look = tuple[str, str, bool, bool, float]


@dataclass(frozen=True, slots=True)
class Marks:
    """The drawn marks: middles of their triangles in pixels, and what each has to say."""

    x: Floats
    y: Floats
    notes: Sequence[str]

    def at(self, px: float, py: float) -> int | None:
        """The nearest mark with a note, if it is near enough to be meant."""
        distances = np.hypot(self.x - px, self.y - py)
        for index in np.argsort(distances)[:4]:
            if distances[index] > _REACH_PX:
                return None
            if self.notes[index]:
                return int(index)
        return None


NO_MARKS = Marks(np.empty(0), np.empty(0), ())


class MarkPainter:
    def __init__(self) -> None:
        self._batch = Batch()
        self._stamped: NDArray[np.float64] = np.empty((0, 10))
        self._stamps: dict[tuple[_Look, float], QPixmap] = {}
        self._source: object = None
        self._columns: tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]] | None = None

    def paint(self, painter: QPainter, frame: Frame, scene: Scene) -> Marks:
        """All trades and the entries of open positions that are in view."""
        trades = scene.trades if scene.shown.trades else ()
        positions = scene.positions if scene.shown.positions else ()
        palette, bar_ms = scene.palette, scene.instrument.bar_ms
        seen, entry_x, entry_y, exit_x, exit_y, won = self._trades(frame, scene)
        for side, colour, style in (
            (won, palette.up, Qt.PenStyle.SolidLine),
            (~won, palette.down, Qt.PenStyle.DashLine),
        ):
            painter.setPen(QPen(QColor(colour), 0, style))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, style == Qt.PenStyle.SolidLine)
            self._batch.lines(painter, entry_x[side], entry_y[side], exit_x[side], exit_y[side])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        held_x = frame.x_of(np.array([p.entry_ms // bar_ms for p in positions], np.float64))
        held_y = frame.y_of(np.array([p.entry_price for p in positions], np.float64))
        size = _size(frame, 2 * len(entry_x) + len(positions))
        up_x, up_y = np.concatenate([entry_x, held_x]), np.concatenate([entry_y, held_y])
        for colour, x, y, up, filled in (
            (palette.up, up_x, up_y, True, True),
            (palette.up, exit_x[won], exit_y[won], False, True),
            (palette.down, exit_x[~won], exit_y[~won], False, False),
        ):
            self._stamp(painter, frame, (colour, palette.background, up, filled, size), x, y)
        middle = _off(size)
        return Marks(
            np.concatenate([up_x, exit_x]),
            np.concatenate([up_y + middle, exit_y - middle]),
            [trades[index].entry_note for index in seen]
            + [position.note for position in positions]
            + [trades[index].exit_note for index in seen],
        )

    def _trades(
        self, frame: Frame, scene: Scene
    ) -> tuple[list[int], Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
        trades = scene.trades if scene.shown.trades else ()
        if self._columns is None or self._source is not trades:
            bar_ms = scene.instrument.bar_ms
            self._source = trades
            self._columns = (
                np.array([trade.entry_ms // bar_ms for trade in trades], np.float64),
                np.array([trade.entry_price for trade in trades], np.float64),
                np.array([trade.exit_ms // bar_ms for trade in trades], np.float64),
                np.array([trade.exit_price for trade in trades], np.float64),
                np.array([trade.won for trade in trades], np.bool_),
            )
        entry_at, entry, exit_at, exited, won = self._columns
        margin = _HALF_PX / frame.bar_px
        rows = np.flatnonzero((exit_at >= frame.left - margin) & (entry_at <= frame.right + margin))
        return (
            rows.tolist(),
            frame.x_of(entry_at[rows]),
            frame.y_of(entry[rows]),
            frame.x_of(exit_at[rows]),
            frame.y_of(exited[rows]),
            won[rows],
        )

    def _stamp(self, painter: QPainter, frame: Frame, look: _Look, x: Floats, y: Floats) -> None:
        count = len(x)
        if not count:
            return
        ratio = frame.pixel_ratio
        stamp, (_, _, up, _, size) = self._stamp_of(look, ratio), look
        if count > len(self._stamped):
            self._stamped = np.zeros((2 * count, 10))
        # Qt's order: middle x, y, source left, top, width, height, scale x, y, rotation, opacity.
        middle = _off(size) * (1 if up else -1)
        rows = self._stamped[:count]
        side = float(stamp.width())
        rows[:, 0], rows[:, 1] = np.round(x * ratio) + 0.5, np.round((y + middle) * ratio) + 0.5
        rows[:, 4], rows[:, 5], rows[:, 6:8], rows[:, 9] = side, side, 1.0, 1.0
        first = cast(
            QPainter.PixmapFragment,
            shiboken6.wrapInstance(self._stamped.ctypes.data, QPainter.PixmapFragment),
        )
        with device_pixels(painter, ratio):
            painter.drawPixmapFragments(first, count, stamp)

    def _stamp_of(self, look: _Look, ratio: float) -> QPixmap:
        key = (look, ratio)
        if key not in self._stamps:
            self._stamps[key] = _triangle(look, ratio)
        return self._stamps[key]


def _size(frame: Frame, count: int) -> float:
    """Marks shrink when many stand close, so that they do not hide what they mark."""
    apart = frame.plot.width() / max(1, count)
    return 1.0 if apart >= 16 else 0.75 if apart >= 8 else 0.5


def _off(size: float) -> float:
    """From a price to the middle of its mark."""
    return _OFF_PX + _TALL_PX / 2 * size


def _triangle(look: _Look, ratio: float) -> QPixmap:
    """An antialiased triangle on a square of odd device pixels, its middle in the square's middle."""
    colour, edge, up, filled, size = look
    side = int(_STAMP_PX * ratio) | 1
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(side / 2, side / 2)
    painter.scale(size * ratio, size * (ratio if up else -ratio))
    painter.setPen(QPen(QColor(edge if filled else colour), 1.4 if size == 1 else 1.0 / size))
    painter.setBrush(QColor(colour if filled else edge))
    top, bottom = -_TALL_PX / 2, _TALL_PX / 2
    painter.drawPolygon(QPolygonF([QPointF(0, top), QPointF(-_HALF_PX, bottom), QPointF(_HALF_PX, bottom)]))
    painter.end()
    return pixmap
