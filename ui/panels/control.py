"""The control panel: state, mode, money, and the buttons that are always there."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.panels.pieces import Elided, Text, button, set_property
from ui.present.header import Action, Header, Progress

_FLASH_MS = 600
#: Below this width less is told, so that everything told can be read.
_NARROW_PX = 1200
_LEAST_PX = 1000
#: So wide that the longest state is whole, and no wider: what stands beside it must not move with the state.
_STATE_PX = 152
_STATE_MOST_PX = 184


class ControlPanel(QFrame):
    """Emits `start`, `pause`, `stop`, `emergency`, `menu` when asked; decides nothing."""

    start = Signal()
    pause = Signal()
    stop = Signal()
    emergency = Signal()
    menu = Signal()
    keys = Signal()

    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self._header: Header | None = None
        self.setProperty("role", "panel")
        self.state = Text("Agent state")
        self.words = Elided("What the agent is doing", role="quiet")
        self.demo = Text("Demo market")
        self.badge = Text("Trading mode")
        self.market = Text("Market", role="quiet")
        self.balance, balance = _figure("Balance")
        self.equity, equity = _figure("Equity")
        self.pnl, pnl = _figure("Today's PnL")
        self._equity_box = equity
        self.start_button = button("Start", self.start.emit, tone="primary", hint="Ctrl+S")
        self.pause_button = button("Pause", self.pause.emit, hint="Ctrl+P")
        self.stop_button = button("Stop", self.stop.emit, hint="Ctrl+T")
        self.menu_button = button(
            "☰",
            self.menu.emit,
            tone="flat",
            name="Menu and settings",
            hint="Doctor, absences, drill, settings (Ctrl+,)",
        )
        self.keys_button = button("?", self.keys.emit, tone="flat", name="Shortcuts", hint="Shortcuts (F1)")
        self.emergency_button = _emergency(self.emergency)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the start")
        self.progress.hide()
        self._flash = QTimer(self)
        self._flash.setInterval(_FLASH_MS)
        self._flash.timeout.connect(self._blink)
        self._lay_out((balance, equity, pnl))

    def _lay_out(self, figures: tuple[QVBoxLayout, ...]) -> None:
        place = QWidget()
        place.setMaximumWidth(_STATE_MOST_PX)
        place.setProperty("role", "place")
        state = QVBoxLayout(place)
        state.setContentsMargins(0, 0, 0, 0)
        state.setSpacing(0)
        state.addWidget(self.state)
        state.addWidget(self.words)
        badges = QHBoxLayout()
        badges.setSpacing(4)
        for badge in (self.demo, self.badge):
            badges.addWidget(badge)
        badges.addStretch()
        mode = QVBoxLayout()
        mode.setSpacing(1)
        mode.addLayout(badges)
        mode.addWidget(self.market)
        row = self._row = QHBoxLayout()
        row.setContentsMargins(10, 6, 8, 6)
        row.setSpacing(theme.SPACE)
        row.addWidget(place, 100)
        row.addLayout(mode)
        row.addSpacing(4)
        for figure in figures:
            row.addLayout(figure)
            row.addSpacing(4)
        row.addStretch(1)
        for control in (self.start_button, self.pause_button, self.stop_button):
            row.addWidget(control)
        row.addWidget(self.menu_button)
        row.addWidget(self.keys_button)
        row.addWidget(self.emergency_button)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(row)
        whole.addWidget(self.progress)
        self.state.setMinimumWidth(_STATE_PX)

    def minimumSizeHint(self) -> QSize:
        """What is told at full width must not keep the window from being made narrower."""
        return QSize(_LEAST_PX, super().minimumSizeHint().height())

    def show_header(self, header: Header) -> None:
        self._header = header
        self.state.say(header.state, self._colours.of(header.state_tone), bold=True, pixels=theme.HUGE_PX)
        self.words.show_text(header.state_words)
        # Beside the widest badge there is no room for another one: then the line below says it.
        rehearsal = header.is_demo and header.is_live
        self.demo.setVisible(header.is_demo and not rehearsal)
        _badge(self.demo, "DEMO", theme.YELLOW)
        self.badge.setVisible(bool(header.badge))
        _badge(self.badge, header.badge, self._colours.of(header.badge_tone), filled=header.is_live)
        set_property(self, "money", "real" if header.is_live else "")
        wide = self.width() >= _NARROW_PX
        market = f"{header.market}  {header.venue}" if wide and not rehearsal else header.market
        colour = theme.YELLOW if rehearsal else theme.MUTED
        self.market.say(f"DEMO  {market}" if rehearsal else market, colour, pixels=theme.SMALL_PX)
        self.balance.say(header.balance, theme.TEXT, bold=True)
        self.equity.say(header.equity, theme.TEXT, bold=True)
        share = f" ({header.pnl_share})" if wide and header.pnl_share else ""
        self.pnl.say(header.pnl + share, self._colours.of(header.pnl_tone), bold=True)
        for control, action in (
            (self.start_button, header.start),
            (self.pause_button, header.pause),
            (self.stop_button, header.stop),
        ):
            _apply(control, action)
        if header.flashing != self._flash.isActive():
            if header.flashing:
                self._flash.start()
            else:
                self._flash.stop()
                self.state.setVisible(True)

    def show_progress(self, progress: Progress | None) -> None:
        self.progress.setVisible(progress is not None)
        if progress is not None:
            self.progress.setMaximum(progress.total)
            self.progress.setValue(progress.done)
            self.progress.setFormat(progress.text)
            self.progress.setAccessibleDescription(progress.text)

    def resizeEvent(self, event: object) -> None:
        wide = self.width() >= _NARROW_PX
        set_property(self, "size", "wide" if wide else "narrow")
        self._row.setSpacing(theme.SPACE if wide else theme.SPACE // 2)
        self.keys_button.setVisible(wide)  # F1 and the menu are still there
        for i in range(self._equity_box.count()):
            item = self._equity_box.itemAt(i)
            widget = item.widget() if item else None
            if widget is not None:
                widget.setVisible(wide)
        if self._header is not None:
            self.show_header(self._header)

    def _blink(self) -> None:
        """ERROR flashes below once a second, between two shades so that it can always be read."""
        dim = self.state.property("dim") is True
        self.state.setProperty("dim", not dim)
        shade = theme.DANGER_TEXT if dim else theme.RED
        self.state.paint(shade, bold=True, pixels=theme.HUGE_PX)


def _figure(label: str) -> tuple[Text, QVBoxLayout]:
    value = Text(label)
    box = QVBoxLayout()
    box.setSpacing(1)
    caption = QLabel(label)
    caption.setProperty("role", "quiet")
    box.addWidget(value)
    box.addWidget(caption)
    return value, box


def _badge(label: Text, text: str, colour: str, *, filled: bool = False) -> None:
    label.show_text(text)
    look = f"color: {colour};"
    if filled:
        look = f"color: #ffffff; background: {theme.STOP_RED}; font-weight: bold;"
    sheet = f"{look} border: 1px solid {colour}; border-radius: 3px; padding: 1px 6px;"
    if label.styleSheet() != sheet:
        label.setStyleSheet(sheet)


def _apply(control: QPushButton, action: Action) -> None:
    if control.text() != action.text:
        control.setText(action.text)
        control.setAccessibleName(action.text)
    if control.isEnabled() != action.enabled:
        control.setEnabled(action.enabled)
    if action.hint and control.statusTip() != action.hint:
        control.setStatusTip(action.hint)
        control.setToolTip(f"{action.hint} ({control.property('key') or ''})".replace(" ()", ""))


def _emergency(signal: object) -> QPushButton:
    made = button("■ EMERGENCY STOP ALL", signal.emit, tone="stop", name="Emergency stop all")  # type: ignore[attr-defined]
    made.setToolTip("Cancel the agent's orders, sell what it owns, halt (Ctrl+Shift+X)")
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)  # whatever else has to give way
    return made
