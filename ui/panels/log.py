"""The log: filtered by level, searched, followed while its end is in view.

Law: lines come in batches and are written in one edit, and only while somebody looks; the view holds as many
lines as the model, and both are capped, so that a noisy night costs a fixed amount of memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QColor, QDesktopServices, QKeySequence, QShortcut, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from ui import theme
from ui.panels.pieces import Text, button
from ui.present import numbers
from ui.present.log_lines import LEVELS, LogLine, matches

CAP = 5_000
_COLOURS = {
    "DEBUG": theme.GREEN,
    "INFO": theme.BLUE,
    "WARNING": theme.YELLOW,
    "ERROR": theme.RED,
    "CRITICAL": theme.RED,
}


class LogPanel(QWidget):
    """`errors_changed(n)`: errors that came while nobody looked at the log."""

    errors_changed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=CAP)
        self._unseen = 0
        self._stale = False
        self.local_time = False
        self.file: str = ""
        self.level = QComboBox()
        self.level.addItems([f"{name} and up" for name in LEVELS])
        self.level.setCurrentIndex(1)
        self.level.setAccessibleName("Least level shown")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search (Ctrl+F)")
        self.search.setAccessibleName("Search the log")
        self.search.setClearButtonEnabled(True)
        self.follow = button("Follow", self.follow_end, tone="flat", hint="Follow new lines")
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self.found = Text("Lines shown", role="quiet")
        self.copy = button("Copy", self._copy, tone="flat", name="Copy the shown lines")
        self.open = button("Open file", self._open, tone="flat", name="Open the log file")
        self.view = QPlainTextEdit()
        self.view.setReadOnly(True)
        self.view.setUndoRedoEnabled(False)
        self.view.setMaximumBlockCount(CAP)
        self.view.setFont(theme.fixed_font(theme.SMALL_PX))
        self.view.setAccessibleName("Log lines")
        self.view.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self._lay_out()
        self.level.currentIndexChanged.connect(lambda _i: self._rewrite())
        self.search.textChanged.connect(lambda _t: self._rewrite())
        self.view.verticalScrollBar().valueChanged.connect(self._scrolled)
        leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.search)
        leave.setContext(Qt.ShortcutContext.WidgetShortcut)
        leave.activated.connect(self.search.clear)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(6, 4, 6, 0)
        for part in (self.level, self.search, self.found):
            row.addWidget(part)
        row.addStretch(1)
        for control in (self.follow, self.copy, self.open):
            row.addWidget(control)
        self.search.setMinimumWidth(220)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.view, 1)

    # --- lines -----------------------------------------------------------------------------------

    def add(self, lines: Iterable[LogLine], *, news: bool = True) -> None:
        """In one edit, however many there are. Errors count as unseen when they are `news`."""
        new = list(lines)
        if not new:
            return
        self._lines.extend(new)
        if self.isVisible():
            self._write([line for line in new if self._shows(line)])
            return
        self._stale = True
        errors = sum(line.is_error for line in new) if news else 0
        if errors:
            self._unseen += errors
            self.errors_changed.emit(self._unseen)

    @property
    def lines(self) -> tuple[LogLine, ...]:
        """All that is held, shown or not."""
        return tuple(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        self.view.clear()

    def set_local_time(self, local: bool) -> None:
        if local != self.local_time:
            self.local_time = local
            self._rewrite()

    def showEvent(self, event: object) -> None:
        if self._stale:
            self._rewrite()
        self._unseen = 0
        self.errors_changed.emit(0)

    def focus_search(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def follow_end(self) -> None:
        self.follow.setChecked(True)
        bar = self.view.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _shows(self, line: LogLine) -> bool:
        return matches(line, LEVELS[self.level.currentIndex()], self.search.text())

    def _rewrite(self) -> None:
        self._stale = False
        self.view.clear()
        self._write([line for line in self._lines if self._shows(line)])

    def _write(self, lines: list[LogLine]) -> None:
        bar = self.view.verticalScrollBar()
        kept = bar.value()
        following = self.follow.isChecked()
        cursor = QTextCursor(self.view.document())
        cursor.beginEditBlock()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        for line in lines[-CAP:]:
            if not self.view.document().isEmpty():
                cursor.insertBlock()
            style = QTextCharFormat()
            style.setForeground(QColor(_COLOURS.get(line.level, theme.TEXT)))
            cursor.insertText(line.head(self.local_time), style)
            style.setForeground(QColor(theme.DANGER_TEXT if line.is_error else theme.TEXT))
            cursor.insertText(line.text, style)
        cursor.endEditBlock()
        bar.setValue(bar.maximum() if following else kept)
        zone = numbers.zone_name(self.local_time)
        whole = f"{self.view.blockCount() if not self.view.document().isEmpty() else 0:,} lines, {zone}"
        self.found.show_text(whole)

    def _scrolled(self, value: int) -> None:
        at_end = value >= self.view.verticalScrollBar().maximum() - 2
        if self.view.verticalScrollBar().isSliderDown() or not at_end or not self.follow.isChecked():
            self.follow.setChecked(at_end)

    def _copy(self) -> None:
        from PySide6.QtWidgets import QApplication

        QApplication.clipboard().setText(self.view.toPlainText())

    def _open(self) -> None:
        if self.file:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self.file))
