"""A card with a verdict and lines under it, each with a word beside its colour and a fix if there is one."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QProgressBar, QScrollArea, QSizePolicy, QWidget

from ui import theme
from ui.panels.cards import Card
from ui.panels.pieces import Text, button
from ui.present.doctor import Entry, Findings, as_text

_WIDTH_PX = 760
#: Title, verdict and buttons around the lines.
_AROUND_PX = 150
_LEAST_PX = 240


class ReportCard(Card):
    """`again` when its first button is pressed; `show_findings` may come as often as there is news."""

    again = Signal()

    def __init__(self, parent: QWidget, colours: theme.Colours, title: str, again: str = "") -> None:
        super().__init__(parent, title, _WIDTH_PX)
        self._colours = colours
        self._entries: tuple[Entry, ...] = ()
        self.verdict = Text("Verdict", selectable=True)
        self.verdict.setWordWrap(True)
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.setTextVisible(False)
        self.busy.setAccessibleName("Under way")
        self.busy.hide()
        inside = _Page()
        self._grid = QGridLayout(inside)
        self._grid.setContentsMargins(4, 4, 8, 4)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setAccessibleName(f"{title}: lines")
        self.area.setWidget(inside)
        self.again_button = button(again or "Again", self.again.emit, tone="primary")
        self.again_button.setVisible(bool(again))
        self.copy_button = button("Copy", self._copy, name="Copy the lines")
        row = QHBoxLayout()
        row.addWidget(self.again_button)
        row.addWidget(self.copy_button)
        row.addStretch(1)
        self.column.addWidget(self.verdict)
        self.column.addWidget(self.busy)
        self.column.addWidget(self.area, 1)
        self.column.addLayout(row)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._entries

    def show_findings(self, found: Findings, *, busy: bool) -> None:
        self.verdict.say(found.verdict, self._colours.of(found.tone), bold=True)
        self.busy.setVisible(busy)
        self.again_button.setEnabled(not busy)
        if found.entries != self._entries:
            before, self._entries = len(self._entries), found.entries
            self._fill(found.entries)
            if self.isVisible():
                self.place()
            if busy and len(found.entries) > before:
                bar = self.area.verticalScrollBar()
                bar.setValue(bar.maximum())

    def place(self) -> None:
        """As tall as what is told, and no taller than the window lets it be."""
        super().place()
        parent = self.parentWidget()
        assert parent is not None
        inside = self._grid
        inside.activate()
        room = self.width() - 60
        # The hint of a text that wraps is that of a square, far taller than it is at this width.
        wraps = inside.hasHeightForWidth()
        told = inside.totalHeightForWidth(room) if wraps else inside.totalSizeHint().height()
        self.resize(self.width(), max(_LEAST_PX, min(told + _AROUND_PX, parent.height() - 96)))
        self.move((parent.width() - self.width()) // 2, 76 if parent.height() > 400 else 10)

    def _fill(self, entries: tuple[Entry, ...]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        line = 0
        for entry in entries:
            mark, text = Text("Light"), Text("Finding", selectable=True)
            mark.say(entry.mark, self._colours.of(entry.tone), bold=True)
            text.setWordWrap(True)
            text.say(entry.text, theme.TEXT, bold=entry.mark == "●")
            self._grid.addWidget(mark, line, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(text, line, 1)
            made = [mark, text]
            line += 1
            if entry.fix:
                fix = Text("Fix", selectable=True)
                fix.setWordWrap(True)
                fix.say(f"Fix: {entry.fix}", theme.SECONDARY)
                self._grid.addWidget(fix, line, 1)
                made.append(fix)
                line += 1
            for part in made:
                part.show()  # a layout does not count what was never shown
        for empty in range(self._grid.rowCount()):
            self._grid.setRowStretch(empty, 0)
        self._grid.setRowStretch(line, 1)

    def _copy(self) -> None:
        text = "\n".join(part for part in (self.verdict.text(), as_text(self._entries)) if part)
        QGuiApplication.clipboard().setText(text)


class _Page(QWidget):
    """Wraps its lines to the width of the card instead of asking for more."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())
