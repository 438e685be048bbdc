"""Lines across the window for what needs attention, one per cause."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ui.panels.pieces import Text, button, set_property
from ui.present.banners import Act, Banner


class _Line(QFrame):
    acted = Signal(object)
    closed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "banner")
        self._act: Act | None = None
        self._key = ""
        self.text = Text("Notice")
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.button: QPushButton = button("", lambda: self.acted.emit(self._act))
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 4, 6, 4)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self.close_button = button("✕", lambda: self.closed.emit(self._key), tone="flat", name="Dismiss")
        row.addWidget(self.close_button)

    def show_banner(self, banner: Banner) -> None:
        mark = {"danger": "✖", "warning": "⚠", "info": "●"}.get(banner.tone, "●")
        self.text.show_text(f"{mark}  {banner.text}")
        set_property(self, "tone", banner.tone)
        set_property(self.text, "tone", banner.tone)
        self._act, self._key = banner.act, banner.key
        self.close_button.setVisible(banner.closes)
        self.button.setVisible(banner.act is not None)
        if banner.act_text != self.button.text():
            self.button.setText(banner.act_text)
            self.button.setAccessibleName(banner.act_text)


class BannerStack(QWidget):
    """Shows the banners it is given, in their order; at most four. `closed(key)`: one was put away."""

    acted = Signal(object)
    closed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[_Line] = []
        self._shown: tuple[Banner, ...] = ()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.hide()

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(banner.text for banner in self._shown)

    def show_banners(self, banners: tuple[Banner, ...]) -> None:
        banners = banners[:4]
        if banners == self._shown:
            return
        self._shown = banners
        while len(self._lines) < len(banners):
            line = _Line()
            line.acted.connect(self.acted)
            line.closed.connect(self.closed)
            self._lines.append(line)
            self._column.addWidget(line)
        for line, banner in zip(self._lines, banners, strict=False):
            line.show_banner(banner)
            line.show()
        for line in self._lines[len(banners) :]:
            line.hide()
        self.setVisible(bool(banners))
