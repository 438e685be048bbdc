"""Many rectangles or line segments in one call.

Law: numbers stay in numpy. Qt draws an array of `QRectF` or `QLineF` (four doubles each) or of `QRect` (four
32 bit corners) from a pointer, so a numpy array of shape (n, 4) is handed over as it is, without a Python
object per primitive. A buffer lives as long as its batch, hence longer than the call that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
import shiboken6
from numpy.typing import ArrayLike, DTypeLike, NDArray
from PySide6.QtCore import QLineF, QRect, QRectF, Qt
from PySide6.QtGui import QPainter

Floats = NDArray[np.float64]
Cells = NDArray[np.int32]
Primitive = TypeVar("Primitive")

_LEAST: Final = 256


class Buffer(Generic[Primitive]):
    """Room for primitives of Qt, one a row, and Qt's view of the first of them."""

    def __init__(self, kind: type[Primitive], columns: int, dtype: DTypeLike) -> None:
        self._kind, self._columns, self._dtype = kind, columns, dtype
        self._make(_LEAST)

    def rows(self, count: int) -> NDArray[Any]:
        """The first `count` rows, to be written to; `first` is theirs until the next call."""
        if count > len(self._rows):
            self._make(2 * count)
        return self._rows[:count]

    def _make(self, count: int) -> None:
        # Asking numpy for an address and Qt for a view of it costs more than drawing a few rectangles.
        self._rows = np.zeros((count, self._columns), self._dtype)
        self.first = cast(Primitive, shiboken6.wrapInstance(self._rows.ctypes.data, self._kind))


class Batch:
    """Reusable buffers for what is drawn in one call each."""

    def __init__(self) -> None:
        self._rects = Buffer(QRectF, 4, np.float64)
        self._lines = Buffer(QLineF, 4, np.float64)
        self._cells = Buffer(QRect, 4, np.int32)

    def rects(self, painter: QPainter, x: Floats, y: ArrayLike, w: ArrayLike, h: ArrayLike) -> None:
        """Fill a rectangle for each left edge `x` (top, width, height: each or the same for all)."""
        if len(x):
            rows = self._rects.rows(len(x))
            rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = x, y, w, h
            painter.drawRects(self._rects.first, len(x))

    def lines(self, painter: QPainter, x1: Floats, y1: ArrayLike, x2: ArrayLike, y2: ArrayLike) -> None:
        """Draw a segment from each `x1` with the painter's pen."""
        if len(x1):
            rows = self._lines.rows(len(x1))
            rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3] = x1, y1, x2, y2
            painter.drawLines(self._lines.first, len(x1))

    def cells(self, painter: QPainter, cells: Cells) -> None:
        """Fill rectangles of whole pixels, made by `cells`: without any edge to compute."""
        if len(cells):
            self._cells.rows(len(cells))[:] = cells
            painter.drawRects(self._cells.first, len(cells))


def cells(x: Floats, y: Floats, w: int, h: Floats) -> Cells:
    """Rectangles of whole numbers as Qt has them: left, top, and the last column and row inside."""
    made = np.empty((len(x), 4), np.int32)
    made[:, 0], made[:, 1] = x, y
    made[:, 2] = made[:, 0] + w - 1
    made[:, 3] = made[:, 1] + h - 1
    return made


@contextmanager
def device_pixels(painter: QPainter, ratio: float) -> Iterator[None]:
    """Draw in device pixels for a while: batches of whole numbers stay exactly where they are put."""
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.scale(1 / ratio, 1 / ratio)
    yield
    painter.restore()
