"""Small shapes drawn once and stamped many times: triangles up and down, diamonds.

Law: stamping n marks is one call. A stamp is drawn in device pixels, so it is as sharp at 150 % as at 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

from ui.chart.batch import Buffer, device_pixels
from ui.chart.candles import Floats

HALF_PX = 6.0
TALL_PX = 9.0
_SIDE_PX = 16.0


class Shape(Enum):
    """Corners of a shape of full size around its middle."""

    UP = ((0, -TALL_PX / 2), (-HALF_PX, TALL_PX / 2), (HALF_PX, TALL_PX / 2))
    DOWN = ((0, TALL_PX / 2), (-HALF_PX, -TALL_PX / 2), (HALF_PX, -TALL_PX / 2))
    DIAMOND = ((0, -4.5), (-4.5, 0), (0, 4.5), (4.5, 0))


@dataclass(frozen=True, slots=True)
class Look:
    """A stamp's look: hollow ones are filled with `ground`, filled ones edged with it."""

    shape: Shape
    colour: str
    ground: str
    filled: bool
    size: float = 1.0


class Stamps:
    def __init__(self) -> None:
        self._drawn: dict[tuple[Look, float], QPixmap] = {}
        self._fragments = Buffer(QPainter.PixmapFragment, 10, np.float64)

    def stamp(self, painter: QPainter, look: Look, ratio: float, x: Floats, y: Floats) -> None:
        """Stamp a look with its middle at each (x, y), in logical pixels."""
        count = len(x)
        if not count:
            return
        pixmap = self._drawn.get((look, ratio))
        if pixmap is None:
            pixmap = self._drawn[look, ratio] = _drawn(look, ratio)
        # Qt's order: middle x, y, source left, top, width, height, scale x, y, rotation, opacity.
        rows = self._fragments.rows(count)
        rows[:, 0], rows[:, 1] = np.round(x * ratio) + 0.5, np.round(y * ratio) + 0.5
        rows[:, 4:6], rows[:, 6:8], rows[:, 9] = float(pixmap.width()), 1.0, 1.0
        with device_pixels(painter, ratio):
            painter.drawPixmapFragments(self._fragments.first, count, pixmap)


def _drawn(look: Look, ratio: float) -> QPixmap:
    """The antialiased shape on a square of odd device pixels, its middle in the square's middle."""
    side = int(_SIDE_PX * ratio) | 1
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(side / 2, side / 2)
    painter.scale(look.size * ratio, look.size * ratio)
    painter.setPen(QPen(QColor(look.ground if look.filled else look.colour), 1.4 if look.size == 1 else 1.0))
    painter.setBrush(QColor(look.colour if look.filled else look.ground))
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in look.shape.value]))
    painter.end()
    return pixmap
