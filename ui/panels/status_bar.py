"""The bottom line: connection, feed, exchange, lag, next candle, clock."""

from __future__ import annotations

from dataclasses import fields

from PySide6.QtWidgets import QFrame, QHBoxLayout

from ui import theme
from ui.panels.pieces import Text
from ui.present.footer import Footer

_NAMES = {
    "link": "Connection to the engine",
    "feed": "Market data feed",
    "exchange": "Exchange",
    "lag": "Lag of the window",
    "next_candle": "Next candle",
    "clock": "Clock",
}


class StatusBar(QFrame):
    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self.setObjectName("statusBar")
        self.cells = {field.name: Text(_NAMES[field.name]) for field in fields(Footer)}
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 3, 10, 3)
        row.setSpacing(18)
        for name in ("link", "feed", "exchange"):
            row.addWidget(self.cells[name])
        row.addStretch(1)
        for name in ("lag", "next_candle", "clock"):
            row.addWidget(self.cells[name])

    def show_footer(self, footer: Footer) -> None:
        for name, label in self.cells.items():
            cell = getattr(footer, name)
            label.say(cell.text, self._colours.of(cell.tone))
            if label.toolTip() != cell.hint:
                label.setToolTip(cell.hint)
