"""The widget that shows the picture and moves it: painting, mouse, wheel, keys, the way back.

Law: ticks never move a view the user has panned; a button and the End key lead back. Everything a mouse
does here a key does too, and the last price is there as text for those who cannot see the picture.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.chart.candles import CLOSE
from ui.chart.cursor_painter import Cursor, read_out
from ui.chart.gestures import Gestures, Zone, zone_at
from ui.chart.palette import Palette
from ui.chart.picture import Picture
from ui.chart.scene import Scene
from ui.chart.way_back import WayBack

_SHAPES = {
    Zone.PLOT: Qt.CursorShape.CrossCursor,
    Zone.PRICES: Qt.CursorShape.SizeVerCursor,
    Zone.TIMES: Qt.CursorShape.SizeHorCursor,
}


class ChartCanvas(QWidget):
    """A picture of candles under the user's hand.

    Signals: `bar_activated(open_ms)` for a click or Enter on a bar; `older_wanted(oldest_open_ms)` once
    for each oldest bar when its left is about to be seen; `following_changed(bool)`.
    """

    bar_activated = Signal(object)
    older_wanted = Signal(object)
    following_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = Scene(message="No candles yet")
        self._picture = Picture(self._scene, self.font())
        self._gestures = Gestures(self._picture)
        self._pointer: QPointF | None = None
        self._bar_by_keys: int | None = None
        self._focus_by_keys = False
        self._placed = self._seen = False
        self._more_history = True
        self._asked_at: int | None = None
        self._was_following = True
        self.setObjectName("chart")
        self.setAccessibleName("Price chart")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 240)
        self._way_back = WayBack(self, self.jump_to_latest, self.fit_prices)
        self.set_palette(self._scene.palette)

    def set_palette(self, palette: Palette) -> None:
        self._scene.palette = palette
        self._way_back.style(palette)
        self._redraw()

    # Where the view is.

    @property
    def following(self) -> bool:
        return self._picture.time.following

    @property
    def automatic_price_scale(self) -> bool:
        return self._picture.price.automatic

    def visible_ms(self) -> tuple[int, int]:
        """The visible stretch of time, UTC ms."""
        bar = self._scene.instrument.bar_ms
        return round(self._picture.time.left * bar), round(self._picture.time.right * bar)

    def visible_prices(self) -> tuple[float, float]:
        frame = self._picture.frame
        return frame.low, frame.high

    def jump_to_latest(self) -> None:
        """Follow the newest bar again, at the present zoom, with its price in view."""
        if len(self._scene.candles):
            self._picture.time.follow(self._scene.candles.last_x)
            last = float(self._scene.candles.columns[CLOSE, -1])
            price = self._picture.price
            price.automatic = price.automatic or not price.low < last < price.high
            self._redraw(moved=True)

    def fit_prices(self) -> None:
        """Back to the automatic price scale."""
        self._picture.price.automatic = True
        self._redraw(moved=True)

    def reset_view(self) -> None:
        """Usual zoom, automatic price scale, newest bar."""
        if len(self._scene.candles):
            self._gestures.reset()
            self._redraw(moved=True)

    def show_bars(self, bars: float) -> None:
        """Zoom until so many bars are in view (as far as limits allow), keeping the right end."""
        if len(self._scene.candles):
            time = self._picture.time
            self._gestures.zoom(bars / time.bars, time.right)
            self._redraw(moved=True)

    def pan(self, bars: float) -> None:
        """Move the view towards newer (positive) or older bars, as a hand would."""
        if len(self._scene.candles):
            self._gestures.pan(bars)
            self._redraw(moved=True)

    def show_bar(self, open_ms: int) -> bool:
        """Bring the bar into view and mark it; False if it is older than what is loaded."""
        candles = self._scene.candles
        if not len(candles) or not candles.open_ms[0] <= open_ms <= candles.open_ms[-1]:
            return False
        self._scene.selected_ms = open_ms
        self._picture.time.centre(open_ms / candles.bar_ms, candles.first_x, candles.last_x)
        self._redraw(moved=True)
        return True

    def clear_selection(self) -> None:
        if self._scene.selected_ms is not None:
            self._scene.selected_ms = None
            self._redraw()

    def point_of(self, open_ms: int, price: float) -> QPointF:
        """Where a bar's centre and a price are, in the widget's pixels."""
        frame = self._picture.frame
        return QPointF(frame.x_of(open_ms / self._scene.instrument.bar_ms), frame.y_of(price))

    def read_out(self) -> str:
        """The read-out's numbers as one sentence: the bar under the cursor, else the latest."""
        if not len(self._scene.candles):
            return self._scene.message
        cursor = self._cursor()
        return read_out(self._scene, self._scene.candles.candle(cursor.index if cursor else -1)).sentence()

    def summary(self) -> str:
        """Market and latest bar as text."""
        scene = self._scene
        title = f"{scene.instrument.symbol} {scene.instrument.timeframe}".strip()
        if not len(scene.candles):
            return f"{title}: {scene.message}" if title else scene.message
        state = "" if scene.live else ", not live"
        return f"{title}{state}, {read_out(scene, scene.candles.candle(-1)).sentence()}"

    def hovered_note(self) -> str:
        """The tooltip that is shown, empty if none."""
        found = self._picture.note_at(self._pointer) if self._pointer is not None else None
        return found[1] if found else ""

    def sizeHint(self) -> QSize:
        return QSize(900, 560)

    # Qt's events.

    def paintEvent(self, event: QPaintEvent) -> None:
        self._picture.resize(QSizeF(self.size()), self.devicePixelRatioF())
        painter = QPainter(self)
        note = None
        if self._pointer is not None and not self._gestures.dragging:
            note = self._picture.note_at(self._pointer)
        self._picture.paint(painter, event.region(), self._cursor(), note)
        if self._focus_by_keys:
            painter.setPen(QColor(self._scene.palette.text_dim))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._picture.resize(QSizeF(self.size()), self.devicePixelRatioF())
        if len(self._scene.candles) and event.oldSize().width() > 0 and event.size().width() > 0:
            time = self._picture.time
            time.left = time.right - time.bars * event.size().width() / event.oldSize().width()
        self._redraw(moved=True)

    def showEvent(self, event: QShowEvent) -> None:
        if len(self._scene.candles) and not (self._placed and self._seen):
            self._place()  # the size so far was nobody's choice
        self._seen = True
        self._redraw(moved=True)

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._focus_by_keys = event.reason() in (
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
            Qt.FocusReason.ShortcutFocusReason,
        )
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._focus_by_keys, self._bar_by_keys = False, None
        self.update()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.FontChange:
            self._picture.set_font(self.font())
            self.update()
        super().changeEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and len(self._scene.candles):
            self._gestures.press(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer, self._bar_by_keys = event.position(), None
        if not event.buttons() & Qt.MouseButton.LeftButton:
            self._gestures.release()  # the release went elsewhere
        if len(self._scene.candles) and self._gestures.move(event.position()):
            self._redraw()
        shape = _SHAPES[zone_at(self._picture.frame, event.position())]
        self.setCursor(Qt.CursorShape.ClosedHandCursor if self._gestures.dragging else shape)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._pointer = event.position()
        clicked = self._gestures.release()
        self.setCursor(_SHAPES[zone_at(self._picture.frame, event.position())])
        cursor = self._cursor()
        if clicked and cursor is not None:
            self._activate(cursor.index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and len(self._scene.candles):
            self._gestures.release()
            self._gestures.double_click(event.position())
            self._redraw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if not len(self._scene.candles):
            event.ignore()
            return
        turn, held = event.angleDelta(), event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        sideways = turn.x() / 120 or (turn.y() / 120 if held else 0.0)
        if self._gestures.wheel(event.position(), turn.y() / 120, sideways):
            self._redraw()
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        candles, key, modifiers = self._scene.candles, event.key(), event.modifiers()
        if not len(candles):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Escape and (
            self._bar_by_keys is not None or self._scene.selected_ms is not None
        ):
            self._bar_by_keys = None
            self.clear_selection()
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and (cursor := self._cursor()) is not None:
            self._activate(cursor.index)
        elif modifiers & Qt.KeyboardModifier.ShiftModifier and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step_cursor(1 if key == Qt.Key.Key_Right else -1)
        elif key == Qt.Key.Key_End:
            self.jump_to_latest()
        elif key == Qt.Key.Key_A and not modifiers:
            self.fit_prices()
        elif self._gestures.key(key, fine=bool(modifiers & Qt.KeyboardModifier.ControlModifier)):
            self._redraw()
        else:
            super().keyPressEvent(event)

    # Inside.

    def _place(self) -> None:
        self._picture.resize(QSizeF(self.size()), self.devicePixelRatioF())
        self._picture.time.reset(self._scene.candles.last_x, self._picture.frame.plot.width())
        self._placed = True

    def _redraw(self, *, moved: bool = False) -> None:
        if moved:
            self._picture.moved()
        else:
            self._picture.changed()
        self._picture.keep_blank()
        away = not self.following and len(self._scene.candles) > 0
        self._way_back.settle(self._picture.frame, panned=away, scaled=not self.automatic_price_scale)
        if self.following != self._was_following:
            self._was_following = self.following
            self.following_changed.emit(self.following)
        self._ask_for_older()
        self.update()

    def _refresh(self, lived: QRegion, *, whole: bool = False) -> None:
        """Repaint what lives: where it was and where it is now."""
        if whole:
            self.update()
        else:
            self.update(lived | self._picture.living())

    def _ask_for_older(self) -> None:
        candles, time = self._scene.candles, self._picture.time
        if not self._placed or not self._more_history or not len(candles):
            return
        oldest = int(candles.open_ms[0])
        if time.left < candles.first_x + 0.5 * time.bars and self._asked_at != oldest:
            self._asked_at = oldest
            self.older_wanted.emit(oldest)

    def _cursor(self) -> Cursor | None:
        candles, frame = self._scene.candles, self._picture.frame
        if not len(candles):
            return None
        if self._bar_by_keys is not None:
            index = min(int(candles.open_ms.searchsorted(self._bar_by_keys)), len(candles) - 1)
            return Cursor(frame.x_of(float(candles.open_ms[index]) / candles.bar_ms), None, index)
        at = self._pointer
        if at is None or zone_at(frame, at) is not Zone.PLOT or at.y() < frame.plot.top():
            return None
        return Cursor(at.x(), at.y(), candles.index_at(frame.bar_at(at.x())))

    def _step_cursor(self, step: int) -> None:
        candles, time = self._scene.candles, self._picture.time
        cursor = self._cursor()
        start = cursor.index if cursor else len(candles) - 1 + (1 if step < 0 else 0)
        index = min(max(start + step, 0), len(candles) - 1)
        self._bar_by_keys = int(candles.open_ms[index])
        x = self._bar_by_keys / candles.bar_ms
        if not time.left <= x <= time.right:
            time.centre(x, candles.first_x, candles.last_x)
            self._redraw(moved=True)
        self.setAccessibleDescription(self.read_out())
        self.update()

    def _activate(self, index: int) -> None:
        self.bar_activated.emit(int(self._scene.candles.open_ms[index]))
