"""The window: it arranges the panels, remembers its shape, and has no logic.

Law: first paint needs Qt alone. The chart comes later into the place kept for it.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QLabel,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.panels.assistant import Assistant
from ui.panels.banner import BannerStack
from ui.panels.cards import EmergencyCard, SettingsCard, ShortcutsCard
from ui.panels.control import ControlPanel
from ui.panels.decisions import DecisionsPanel
from ui.panels.keys import KeysCard
from ui.panels.log import LogPanel
from ui.panels.pieces import corner
from ui.panels.position import PositionPanel
from ui.panels.question import QuestionCard
from ui.panels.report import ReportCard
from ui.panels.stats import StatsPanel
from ui.panels.status_bar import StatusBar
from ui.panels.table import Table
from ui.panels.toasts import Toasts
from ui.settings import Settings

SHORTCUTS: Final = (
    ("Ctrl+S", "start, resume"),
    ("Ctrl+P", "pause"),
    ("Ctrl+T", "stop trading"),
    ("Ctrl+Shift+X", "EMERGENCY STOP"),
    ("Ctrl+Shift+C", "clear a halt"),
    ("Ctrl+W", "close the first position"),
    ("Ctrl+D", "decisions"),
    ("Ctrl+H", "trades"),
    ("Ctrl+L", "log"),
    ("Ctrl+F", "search the log"),
    ("Ctrl+G", "chart"),
    ("Ctrl+U", "UTC or local time"),
    ("Ctrl+M", "mute sounds"),
    ("Ctrl+R", "doctor: check everything"),
    ("Ctrl+B", "while I was away"),
    ("Ctrl+,", "menu and settings"),
    ("F1  ?", "this list"),
    ("Ctrl+Q", "close the window"),
    ("← →  + −", "chart: move, zoom"),
    ("Shift+← →", "chart: bar by bar"),
    ("End  Home", "chart: latest, oldest"),
    ("Enter", "chart: decision of the bar"),
    ("Escape", "the safe answer"),
    ("Tab", "next control"),
)
_KEYS: Final = {
    "start": "Ctrl+S", "pause": "Ctrl+P", "stop": "Ctrl+T", "emergency": "Ctrl+Shift+X",
    "clear_halt": "Ctrl+Shift+C", "close_first": "Ctrl+W", "decisions": "Ctrl+D", "trades": "Ctrl+H",
    "log": "Ctrl+L", "search": "Ctrl+F", "chart": "Ctrl+G", "zone": "Ctrl+U", "mute": "Ctrl+M",
    "doctor": "Ctrl+R", "away": "Ctrl+B", "settings": "Ctrl+,", "keys": "F1", "quit": "Ctrl+Q",
}  # fmt: skip


class MainWindow(QMainWindow):
    """`pressed(name)` for every shortcut; `closing(event)` decides whether the window may go."""

    pressed = Signal(str)
    closing = Signal(object)
    shown = Signal()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._framed = False
        self.colours = theme.Colours(settings.is_on("blue_orange"))
        self.setWindowTitle("Seller Exhaustion")
        self.control = ControlPanel(self.colours)
        self.banners = BannerStack()
        self.positions = PositionPanel(self.colours)
        self.stats = StatsPanel(self.colours)
        self.decisions = DecisionsPanel(self.colours)
        self.trades = Table("Trades, newest first", self.colours)
        self.log = LogPanel()
        self.bar = StatusBar(self.colours)
        self.assistant = Assistant()
        self.chart_place = QStackedWidget()
        self._waiting = QLabel("The chart appears with the first candles.")
        self._waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._waiting.setProperty("role", "label")
        self.chart_place.addWidget(self._waiting)
        self._lay_out()
        self.toasts = Toasts(self._root)
        self.question = QuestionCard(self._root)
        self.shortcuts = ShortcutsCard(self._root, SHORTCUTS)
        self.settings_card = SettingsCard(self._root, settings)
        self.emergency_card = EmergencyCard(self._root)
        self.keys_card = KeysCard(self._root)
        self.doctor_card = ReportCard(self._root, self.colours, "Doctor", "Run again")
        self.away_card = ReportCard(self._root, self.colours, "While I was away", "Look again")
        self.drill_card = ReportCard(self._root, self.colours, "Fire drill", "Play again…")
        self.settings_card.wanted.connect(self.pressed)
        for name, keys in _KEYS.items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.activated.connect(lambda name=name: self.pressed.emit(name))
            if name == "emergency":  # whatever window of ours has the keyboard
                shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
        question_mark = QShortcut(QKeySequence("Shift+?"), self)
        question_mark.activated.connect(lambda: self.pressed.emit("keys"))
        self.control.menu.connect(lambda: self.pressed.emit("settings"))
        self.control.keys.connect(lambda: self.pressed.emit("keys"))
        self._restore()

    def _lay_out(self) -> None:
        self.side = QSplitter(Qt.Orientation.Vertical)
        self.side.addWidget(self.positions)
        self.side.addWidget(self.stats)
        self.side.setStretchFactor(0, 0)
        self.side.setStretchFactor(1, 1)
        self.upper = QSplitter(Qt.Orientation.Horizontal)
        self.upper.addWidget(self.chart_place)
        self.upper.addWidget(self.side)
        self.upper.setStretchFactor(0, 1)
        self.upper.setStretchFactor(1, 0)
        self.lower_tabs = QTabWidget()
        self.lower_tabs.setAccessibleName("Decisions, trades and log")
        self.lower_age = corner(self.lower_tabs, "Age of what is listed")
        self.lower_tabs.addTab(self.decisions, "Decisions")
        self.lower_tabs.addTab(self.trades, "Trades")
        self.lower_tabs.addTab(self.log, "Log")
        self.whole = QSplitter(Qt.Orientation.Vertical)
        self.whole.addWidget(self.upper)
        self.whole.addWidget(self.lower_tabs)
        self.whole.setStretchFactor(0, 1)
        self.whole.setStretchFactor(1, 0)
        for splitter in (self.side, self.upper, self.whole):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(6)
        self.side.setMinimumWidth(300)
        self.positions.setMinimumHeight(190)
        self.stats.setMinimumHeight(120)
        self.lower_tabs.setMinimumHeight(96)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.whole)
        self.pages.addWidget(self.assistant)
        self._root = QWidget()
        column = QVBoxLayout(self._root)
        column.setContentsMargins(8, 8, 8, 0)
        column.setSpacing(6)
        column.addWidget(self.control)
        column.addWidget(self.banners)
        column.addWidget(self.pages, 1)
        column.addWidget(self.bar)
        self.setCentralWidget(self._root)

    def set_chart(self, chart: QWidget) -> None:
        self.chart_place.addWidget(chart)
        self.chart_place.setCurrentWidget(chart)

    # --- shape -----------------------------------------------------------------------------------

    def _restore(self) -> None:
        self.resize(1280, 800)
        geometry = self._settings.bytes("geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        self._clamp()
        for name, splitter in (("side", self.side), ("upper", self.upper), ("whole", self.whole)):
            state = self._settings.bytes(f"splitter_{name}")
            if state is not None:
                splitter.restoreState(state)
            else:
                sizes = {"side": [208, 342], "upper": [936, 328], "whole": [534, 140]}[name]
                splitter.setSizes(sizes)

    def _clamp(self) -> None:
        """Whatever screen this is now: wholly on it with its frame, and not larger than it."""
        screen = QGuiApplication.screenAt(self.frameGeometry().center()) or QGuiApplication.primaryScreen()
        area, frame = screen.availableGeometry(), self.frameGeometry()
        wide, high = frame.width() - self.width(), frame.height() - self.height()
        self.resize(min(self.width(), area.width() - wide), min(self.height(), area.height() - high))
        x = min(max(self.x(), area.left()), area.right() + 1 - self.width() - wide)
        y = min(max(self.y(), area.top()), area.bottom() + 1 - self.height() - high)
        if (max(x, area.left()), max(y, area.top())) != (self.x(), self.y()):
            self.move(max(x, area.left()), max(y, area.top()))

    def remember(self) -> None:
        self._settings.set_bytes("geometry", self.saveGeometry())
        for name, splitter in (("side", self.side), ("upper", self.upper), ("whole", self.whole)):
            self._settings.set_bytes(f"splitter_{name}", splitter.saveState())
        self._settings.write()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closing.emit(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        handle = self.windowHandle()
        if handle is not None:
            handle.removeEventFilter(self)
            handle.installEventFilter(self)
        self.shown.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A window that comes to light again is painted as things are now."""
        if event.type() == QEvent.Type.Expose and self.is_seen:
            if not self._framed:
                self._framed = True  # how wide a window manager's frame is shows only now
                if not self.isMaximized() and not self.isFullScreen():
                    self._clamp()
            self.shown.emit()
        return super().eventFilter(watched, event)

    @property
    def is_seen(self) -> bool:
        """Whether anything painted would be looked at: shown, not minimised, not on another desktop."""
        handle = self.windowHandle()
        return self.isVisible() and not self.isMinimized() and handle is not None and handle.isExposed()
