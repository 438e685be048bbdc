"""What mouse, wheel and keys do to the view.

Law: the wheel zooms around the cursor, a drag pans, a drag on an axis scales it, a double click resets; each
has a key. A press that does not travel is a click on a bar. Only these move a view the user has panned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from PySide6.QtCore import QPointF, Qt

from ui.chart.frame import Frame
from ui.chart.picture import Picture

ZOOM_STEP = 0.82
_CLICK_PX = 4.0
_KEY_PAN = 0.1


class Zone(Enum):
    """The part of the chart under the pointer."""

    PLOT = auto()
    PRICES = auto()
    TIMES = auto()


def zone_at(frame: Frame, at: QPointF) -> Zone:
    if at.x() >= frame.prices.left():
        return Zone.PRICES
    return Zone.TIMES if at.y() >= frame.times.top() else Zone.PLOT


@dataclass(slots=True)
class _Drag:
    zone: Zone
    start: QPointF
    last: QPointF
    travelled: bool = False


class Gestures:
    """Turns input into changes of the picture's ranges; every method answers whether the view moved."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._drag: _Drag | None = None

    @property
    def dragging(self) -> bool:
        return self._drag is not None and self._drag.travelled

    def press(self, at: QPointF) -> None:
        self._drag = _Drag(zone_at(self._picture.frame, at), at, at)

    def move(self, at: QPointF) -> bool:
        drag = self._drag
        if drag is None:
            return False
        if not drag.travelled and (at - drag.start).manhattanLength() < _CLICK_PX:
            return False
        drag.travelled = True
        step = at - drag.last
        drag.last = at
        if drag.zone is Zone.PLOT:
            return self._drag_plot(step)
        if drag.zone is Zone.TIMES:
            return self.zoom(1.006 ** -step.x(), self._keep_x())
        return self._scale(1.006 ** step.y())

    def release(self) -> bool:
        """Ends a drag; True if it was a click on the plot."""
        drag, self._drag = self._drag, None
        return drag is not None and not drag.travelled and drag.zone is Zone.PLOT

    def wheel(self, at: QPointF, notches: float, sideways: float) -> bool:
        """`notches` up zoom in; `sideways` (or with Shift) pans."""
        frame = self._picture.frame
        if sideways:
            return self.pan(-sideways * _KEY_PAN * self._picture.time.bars)
        if zone_at(frame, at) is Zone.PRICES:
            return self._scale(ZOOM_STEP**notches)
        return self.zoom(ZOOM_STEP**notches, frame.bar_at(at.x()))

    def double_click(self, at: QPointF) -> bool:
        """Reset: the price axis to automatic, elsewhere the whole view."""
        zone = zone_at(self._picture.frame, at)
        if zone is Zone.PRICES:
            self._picture.price.automatic = True
        else:
            self.reset(prices=zone is Zone.PLOT)
        self._picture.moved()
        return True

    def reset(self, *, prices: bool = True) -> None:
        picture = self._picture
        picture.time.reset(picture.scene.candles.last_x, picture.frame.plot.width())
        picture.price.automatic = picture.price.automatic or prices
        picture.moved()

    def key(self, key: int, *, fine: bool) -> bool:
        """Moves for a key; `fine` (Control) moves by single bars."""
        time, price = self._picture.time, self._picture.price
        step = 1.0 if fine else max(1.0, _KEY_PAN * time.bars)
        candles = self._picture.scene.candles
        match key:
            case Qt.Key.Key_Left:
                return self.pan(-step)
            case Qt.Key.Key_Right:
                return self.pan(step)
            case Qt.Key.Key_PageUp:
                return self.pan(-0.9 * time.bars)
            case Qt.Key.Key_PageDown:
                return self.pan(0.9 * time.bars)
            case Qt.Key.Key_Home:
                return self.pan(candles.first_x - 0.5 - time.left)
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                return self.zoom(ZOOM_STEP, self._keep_x())
            case Qt.Key.Key_Minus | Qt.Key.Key_Underscore:
                return self.zoom(1 / ZOOM_STEP, self._keep_x())
            case Qt.Key.Key_Up | Qt.Key.Key_Down if fine:
                return self._scale(ZOOM_STEP if key == Qt.Key.Key_Up else 1 / ZOOM_STEP)
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                price.automatic = False
                price.pan(price.height * _KEY_PAN * (1 if key == Qt.Key.Key_Up else -1))
            case Qt.Key.Key_0:
                self.reset()
            case _:
                return False
        self._picture.moved()
        return True

    def pan(self, bars: float) -> bool:
        candles = self._picture.scene.candles
        self._picture.time.pan(bars, candles.first_x, candles.last_x)
        self._picture.moved()
        return True

    def zoom(self, factor: float, anchor: float) -> bool:
        candles = self._picture.scene.candles
        self._picture.time.zoom(factor, anchor, candles.first_x, candles.last_x)
        self._picture.moved()
        return True

    def _keep_x(self) -> float:
        """The newest bar while following, else the middle: what zooming without a pointer keeps still."""
        time = self._picture.time
        return self._picture.scene.candles.last_x if time.following else (time.left + time.right) / 2

    def _drag_plot(self, step: QPointF) -> bool:
        frame = self._picture.frame
        self._picture.price.pan(step.y() / frame.plot.height() * self._picture.price.height)
        return self.pan(-step.x() / frame.bar_px) if step.x() else self._moved()

    def _scale(self, factor: float) -> bool:
        self._picture.price.scale(factor)
        return self._moved()

    def _moved(self) -> bool:
        self._picture.moved()
        return True
