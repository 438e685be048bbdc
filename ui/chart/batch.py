"""Many rectangles or line segments in one call.

Law: numbers stay in numpy. Qt draws an array of `QRectF` or `QLineF` from a pointer, and both are four
doubles, so a numpy array of shape (n, 4) is handed over as it is, without a Python object per primitive.
The buffer lives as long as the batch, hence longer than the call that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import shiboken6
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QPainter

Column = NDArray[np.float64] | list[float]


class Batch:
    """A reusable buffer of primitives of four doubles each."""

    def __init__(self) -> None:
        self._buffer: NDArray[np.float64] = np.empty((256, 4))

    def rects(self, painter: QPainter, x: Column, y: ArrayLike, w: ArrayLike, h: ArrayLike) -> None:
        """Fill a rectangle for each left edge `x` (top, width, height: each or the same for all)."""
        count = self._fill(x, y, w, h)
        if count:
            first = cast(QRectF, shiboken6.wrapInstance(self._buffer.ctypes.data, QRectF))
            painter.drawRects(first, count)

    def lines(self, painter: QPainter, x1: Column, y1: ArrayLike, x2: ArrayLike, y2: ArrayLike) -> None:
        """Draw a segment from each `x1` with the painter's pen."""
        count = self._fill(x1, y1, x2, y2)
        if count:
            first = cast(QLineF, shiboken6.wrapInstance(self._buffer.ctypes.data, QLineF))
            painter.drawLines(first, count)

    def _fill(self, a: Column, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> int:
        count = len(a)
        if count > len(self._buffer):
            self._buffer = np.empty((2 * count, 4))
        target = self._buffer[:count]
        if count:
            target[:, 0], target[:, 1], target[:, 2], target[:, 3] = a, b, c, d
        return count


@contextmanager
def device_pixels(painter: QPainter, ratio: float) -> Iterator[None]:
    """Draw in device pixels for a while: batches of whole numbers stay exactly where they are put."""
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.scale(1 / ratio, 1 / ratio)
    yield
    painter.restore()
