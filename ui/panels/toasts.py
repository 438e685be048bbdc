"""Short notes in the corner for what happened: they leave by themselves and take no focus."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QLabel, QWidget

from ui import theme

_SHOWN_MS = {"INFO": 4_000, "WARNING": 8_000, "ERROR": 15_000, "CRITICAL": 30_000}
_MOST = 4
_WIDTH_PX = 340
_MOST_CHARS = 200
_COLOURS = {
    "INFO": (theme.BUTTON, theme.SECONDARY, theme.BORDER),
    "WARNING": (theme.WARNING, theme.WARNING_TEXT, theme.WARNING_BORDER),
    "ERROR": (theme.DANGER, theme.DANGER_TEXT, theme.RED),
    "CRITICAL": (theme.STOP_RED, "#ffffff", "#ffffff"),
}
_MARKS = {"INFO": "●", "WARNING": "⚠", "ERROR": "✖", "CRITICAL": "✖"}


class _Toast(QLabel):
    dismissed = Signal()

    def __init__(self, parent: QWidget, level: str, text: str) -> None:
        super().__init__(parent)
        back, front, edge = _COLOURS.get(level, _COLOURS["INFO"])
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(f"{_MARKS.get(level, '●')} {level}  {_brief(text)}")
        self.setToolTip(text)
        self.setAccessibleName(f"{level}: {text}")
        self.setWordWrap(True)
        self.setFixedWidth(min(_WIDTH_PX, parent.width() - 24))
        self.setStyleSheet(
            f"background: {back}; color: {front}; border: 1px solid {edge}; border-radius: 4px; padding: 8px;"
        )
        self.adjustSize()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.hide()
        self.dismissed.emit()


def _brief(text: str) -> str:
    """The first line, and not all of a long one: the whole is in the tooltip and in the log."""
    first, _, more = text.partition("\n")
    if len(first) > _MOST_CHARS:
        return first[: _MOST_CHARS - 1] + "…"
    return f"{first} …" if more else first


class Toasts(QObject):
    """Stacks toasts in the lower right corner of `area`; the newest is lowest."""

    def __init__(self, area: QWidget) -> None:
        super().__init__(area)
        self._area = area
        self._toasts: list[_Toast] = []
        area.installEventFilter(self)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(toast.text() for toast in self._toasts)

    def show_toast(self, level: str, text: str) -> None:
        if self._toasts and self._toasts[-1].toolTip() == text:
            return
        toast = _Toast(self._area, level, text)
        toast.dismissed.connect(lambda: self.drop(toast))
        self._toasts.append(toast)
        while len(self._toasts) > _MOST:
            self.drop(self._toasts[0])
        QTimer.singleShot(_SHOWN_MS.get(level, 6_000), toast, lambda: self.drop(toast))
        toast.show()
        toast.raise_()
        self._place()

    def drop(self, toast: _Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            toast.hide()
            toast.deleteLater()
            self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        bottom = self._area.height() - 36
        for toast in reversed(self._toasts):
            bottom -= toast.height()
            toast.move(self._area.width() - toast.width() - 12, bottom)
            bottom -= 6
