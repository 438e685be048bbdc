"""The smallest pieces all panels are made of: labels that change only when they must, and buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QTabWidget, QWidget

from ui import theme
from ui.present.tone import Tone


class Text(QLabel):
    """A label that repaints only when its text or colour is another one."""

    def __init__(self, name: str = "", *, role: str = "", selectable: bool = False) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self._look: tuple[str, bool, int | None] = ("", False, None)
        if role:
            self.setProperty("role", role)
        if name:
            self.setAccessibleName(name)
        if selectable:
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_text(self, text: str) -> None:
        if text != self.text():
            self.setText(text)

    def paint(self, colour: str, *, bold: bool = False, pixels: int | None = None) -> None:
        if (colour, bold, pixels) != self._look:
            self._look = (colour, bold, pixels)
            theme.colour(self, colour, bold=bold, pixels=pixels)

    def say(self, text: str, colour: str, *, bold: bool = False, pixels: int | None = None) -> None:
        self.show_text(text)
        self.paint(colour, bold=bold, pixels=pixels)


class Elided(Text):
    """One line that is never wider than its place: the middle of a long text becomes dots."""

    def __init__(self, name: str = "", *, role: str = "") -> None:
        super().__init__(name, role=role)
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        if text != self._whole:
            self._whole = text
            self.setToolTip(text)
            self._fit()

    def paint(self, colour: str, *, bold: bool = False, pixels: int | None = None) -> None:
        before = self._look
        super().paint(colour, bold=bold, pixels=pixels)
        if self._look != before:
            self.ensurePolished()
            self._fit()  # other letters have another width

    def resizeEvent(self, event: object) -> None:
        self._fit()

    def _fit(self) -> None:
        fitted = self.fontMetrics().elidedText(
            self._whole, Qt.TextElideMode.ElideRight, max(self.width(), 20)
        )
        if fitted != self.text():
            self.setText(fitted)


def button(
    text: str, clicked: Callable[[], object], *, tone: str = "", name: str = "", hint: str = ""
) -> QPushButton:
    made = QPushButton(text)
    made.setAutoDefault(False)
    if tone:
        made.setProperty("tone", tone)
    made.setAccessibleName(name or text)
    if hint:
        made.setToolTip(hint)
    made.clicked.connect(lambda _checked=False: clicked())
    return made


def click_focused(card: QWidget) -> None:
    """Enter presses the button that has the keyboard, as Space does."""
    focused = card.focusWidget()
    if isinstance(focused, QPushButton) and focused.isEnabled():
        focused.click()


def next_inside(widgets: Sequence[QWidget], *, forward: bool) -> bool:
    """Move the focus among the visible `widgets`, round and round: a card keeps the keyboard."""
    able = [widget for widget in widgets if widget.isVisible() and widget.isEnabled()]
    if not able:
        return False
    focused = next((place for place, widget in enumerate(able) if widget.hasFocus()), -1)
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    able[(focused + (1 if forward else -1)) % len(able)].setFocus(reason)
    return True


def corner(tabs: QTabWidget, name: str) -> Text:
    """A small text to the right of the tabs."""
    made = Text(name, role="quiet")
    made.setContentsMargins(0, 0, 4, 0)
    tabs.setCornerWidget(made)
    return made


def panel(role: str = "panel") -> QFrame:
    frame = QFrame()
    frame.setProperty("role", role)
    return frame


def set_property(widget: QWidget, name: str, value: str) -> None:
    """Change a property the style sheet looks at."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def tone_colour(tone: Tone, colours: theme.Colours) -> str:
    return colours.of(tone)
