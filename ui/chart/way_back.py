"""The two buttons that lead back: to the latest bar, to the automatic price scale.

Law: each is there only while there is something to go back from, near what it changes.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from ui.chart.frame import Frame
from ui.chart.palette import Palette

_EDGE_PX = 10


class WayBack:
    def __init__(self, parent: QWidget, latest: Callable[[], None], automatic: Callable[[], None]) -> None:
        self._latest = _button(parent, "jumpToLatest", "Latest ▸", "Jump to the latest bar", "End")
        self._latest.clicked.connect(latest)
        self._automatic = _button(parent, "automaticPrices", "Auto ↕", "Fit the price scale again", "A")
        self._automatic.clicked.connect(automatic)
        self._place: tuple[object, ...] | None = None

    def style(self, palette: Palette) -> None:
        sheet = (
            f"QPushButton {{ background: {palette.tag}; color: {palette.text};"
            f" border: 1px solid {palette.frame}; border-radius: 3px; padding: 4px 10px; }}"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {palette.text_dim}; }}"
        )
        self._latest.setStyleSheet(sheet)
        self._automatic.setStyleSheet(sheet.replace("4px 10px", "2px 6px"))
        self._place = None

    def settle(self, frame: Frame, *, panned: bool, scaled: bool) -> None:
        """Show what is needed, where it belongs; nothing is touched while that stays the same."""
        place = (panned, scaled, frame.plot.right(), frame.plot.bottom(), frame.prices.right())
        if place == self._place:
            return
        self._place = place
        self._latest.setVisible(panned)
        if panned:
            self._latest.adjustSize()
            self._latest.move(
                round(frame.plot.right()) - self._latest.width() - _EDGE_PX,
                round(frame.plot.bottom()) - self._latest.height() - _EDGE_PX,
            )
        self._automatic.setVisible(scaled)
        if scaled:
            self._automatic.adjustSize()
            self._automatic.move(
                round(frame.prices.right()) - self._automatic.width() - 4,
                round(frame.plot.bottom()) - self._automatic.height() - 4,
            )


def _button(parent: QWidget, name: str, text: str, meaning: str, key: str) -> QPushButton:
    button = QPushButton(text, parent)
    button.setObjectName(name)
    button.setAccessibleName(meaning)
    button.setToolTip(f"{meaning} ({key})")
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    button.hide()
    return button
