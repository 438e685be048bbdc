"""Cards over the window: shortcuts, settings, the steps of an emergency stop. None blocks anything."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QFrame, QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.panels.pieces import Text, button, click_focused, next_inside, set_property
from ui.settings import Settings

#: So many steps of an emergency stop are shown, the newest last.
_STEPS: Final = 12


class Card(QFrame):
    """A titled card in the middle of its parent; Escape or its button closes it."""

    closed = Signal()

    def __init__(self, parent: QWidget, title: str, width_px: int = 460) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self._width_px = width_px
        self.title = Text("Title")
        self.title.say(title, theme.TEXT, bold=True, pixels=theme.LARGE_PX)
        self.close_button = button("Close", self.leave, hint="Escape")
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.close_button)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 14, 16, 14)
        self.column.setSpacing(10)
        self.column.addLayout(head)
        parent.installEventFilter(self)
        self.hide()

    def appear(self) -> None:
        self.show()
        self.raise_()
        self.place()
        self.close_button.setFocus(Qt.FocusReason.PopupFocusReason)

    def toggle(self) -> None:
        if self.isVisible():
            self.leave()
        else:
            self.appear()

    def leave(self) -> None:
        self.hide()
        self.closed.emit()

    def place(self) -> None:
        parent = self.parentWidget()
        assert parent is not None
        width = min(self._width_px, parent.width() - 24)
        self.setFixedWidth(width)
        layout = self.layout()
        assert layout is not None
        layout.activate()
        height = max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())
        self.resize(width, min(height, parent.height() - 20))
        self.move((parent.width() - width) // 2, max(10, min(76, parent.height() - self.height() - 10)))

    def focusNextPrevChild(self, next: bool) -> bool:
        inside = [w for w in self.findChildren(QWidget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
        return next_inside([*inside[1:], *inside[:1]], forward=next)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            click_focused(self)
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.place()
        return super().eventFilter(watched, event)


class ShortcutsCard(Card):
    def __init__(self, parent: QWidget, shortcuts: Sequence[tuple[str, str]]) -> None:
        super().__init__(parent, "Keyboard", 560)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(3)
        half = (len(shortcuts) + 1) // 2
        for number, (keys, does) in enumerate(shortcuts):
            place = (number % half, 2 * (number // half))
            label, words = Text("Keys"), Text("What they do")
            label.say(keys, theme.YELLOW)
            words.say(does, theme.TEXT)
            grid.addWidget(label, place[0], place[1])
            grid.addWidget(words, place[0], place[1] + 1)
        self.column.addLayout(grid)


class SettingsCard(Card):
    """What can be looked into (`wanted`), and what the window does by itself, remembered at once."""

    wanted = Signal(str)

    _ENTRIES = (
        ("doctor", "Doctor", "Check everything, with the fix for each (Ctrl+R)"),
        ("away", "While I was away", "What happened while the agent was off or cut off (Ctrl+B)"),
        ("drill", "Fire drill", "Disasters on purpose, in a scratch directory; paper and demo only"),
    )

    _ROWS = (
        ("sounds", "Sounds for errors"),
        ("toasts", "Notes in the corner for warnings"),
        ("local_time", "Local time instead of UTC (axis, tables, log)"),
        ("blue_orange", "Blue and orange instead of green and red"),
        ("overlay_volume", "Chart: volume"),
        ("overlay_ema", "Chart: moving averages"),
        ("overlay_ladder", "Chart: Fibonacci ladder"),
        ("overlay_trades", "Chart: entries and exits"),
        ("overlay_position", "Chart: open position"),
    )

    def __init__(self, parent: QWidget, settings: Settings) -> None:
        super().__init__(parent, "Menu", 460)
        entries = QHBoxLayout()
        self.entries: dict[str, QPushButton] = {}
        for name, label, hint in self._ENTRIES:
            self.entries[name] = button(f"{label}…", partial(self._want, name), hint=hint)
            entries.addWidget(self.entries[name])
        entries.addStretch(1)
        self.column.addLayout(entries)
        heading = Text("Settings")
        heading.say("Settings of this window", theme.TEXT, bold=True, pixels=theme.LARGE_PX)
        self.column.addWidget(heading)
        self.boxes: dict[str, QCheckBox] = {}
        for name, label in self._ROWS:
            box = QCheckBox(label)
            box.setAccessibleName(label)
            box.setChecked(settings.is_on(name))
            box.toggled.connect(lambda on, name=name: settings.set_on(name, on))
            self.boxes[name] = box
            self.column.addWidget(box)
        note = Text("Note", role="quiet")
        note.setWordWrap(True)
        note.show_text("What the agent trades is in its config.json, and nowhere else.")
        self.column.addWidget(note)

    def _want(self, name: str) -> None:
        self.leave()
        self.wanted.emit(name)


class EmergencyCard(Card):
    """Each step as it is done, with the seconds since the click; the newest last."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "Emergency stop", 560)
        set_property(self, "tone", "danger")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self.column.addLayout(self._grid)
        self._cells: list[tuple[Text, Text]] = []
        self._lines: list[str] = []
        self._times: list[float] = []
        self._began_s = 0.0

    def begin(self) -> None:
        self._lines.clear()
        self._times.clear()
        self._began_s = time.monotonic()
        self._show_steps()
        self.title.say("Emergency stop: under way", theme.RED, bold=True, pixels=theme.LARGE_PX)
        self.appear()

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def step(self, text: str, over: bool) -> None:
        if self._lines and self._lines[-1] == text:
            return
        self._lines.append(text)
        self._times.append(time.monotonic() - self._began_s)
        self._show_steps()
        if over:
            self.title.say("Emergency stop: over", theme.RED, bold=True, pixels=theme.LARGE_PX)
        if self.isVisible():
            self.place()

    def _show_steps(self) -> None:
        told = list(zip(self._times, self._lines, strict=True))[-_STEPS:]
        while len(self._cells) < len(told):
            at, line = Text("Seconds since the click"), Text("Step done", selectable=True)
            at.setProperty("role", "label")
            line.setWordWrap(True)
            place = len(self._cells)
            self._grid.addWidget(at, place, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(line, place, 1)
            self._cells.append((at, line))
        for place, (at, line) in enumerate(self._cells):
            is_told = place < len(told)
            at.setVisible(is_told)
            line.setVisible(is_told)
            if is_told:
                at.show_text(f"{told[place][0]:.2f} s")
                line.show_text(told[place][1])
