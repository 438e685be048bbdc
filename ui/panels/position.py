"""Open positions, one card each, with the way to close it by hand."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.panels.pieces import Elided, Text, button
from ui.present.positions import PositionCard


class _Card(QFrame):
    """All of a position, or two lines of it where several are shown; `unfold` shows the rest."""

    close_wanted = Signal(int)

    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self._id = 0
        self._folded = False
        self._result_colour = theme.TEXT
        self._results = ("", "")
        self.setProperty("role", "panel")
        self.title = Elided("Position")
        self.result = Text("Unrealised result")
        self.brief_protection = Elided("Protection")
        self.brief_protection.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.protection = Text("Protection")
        self.protection.setWordWrap(True)
        self.notes = Text("Notes", role="quiet")
        self.notes.setWordWrap(True)
        self.close_button = button("Close…", lambda: self.close_wanted.emit(self._id), tone="small")
        self.unfold = button("▸", self._toggle, tone="flat")
        self._inside = QWidget()
        self._grid = QGridLayout(self._inside)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, Text]] = []
        self._lay_out()

    def _lay_out(self) -> None:
        head = QGridLayout()
        head.setHorizontalSpacing(5)
        head.setVerticalSpacing(1)
        head.setColumnStretch(1, 1)
        head.addWidget(self.title, 0, 0, 1, 2)
        head.addWidget(self.result, 1, 0)
        head.addWidget(self.brief_protection, 1, 1)
        head.addWidget(self.unfold, 0, 2, 2, 1, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.close_button, 0, 3, 2, 1, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setSpacing(3)
        column.addLayout(head)
        for part in (self._inside, self.protection, self.notes):
            column.addWidget(part)

    def show_card(self, card: PositionCard, *, one_of_several: bool) -> None:
        if card.id != self._id or one_of_several is self.unfold.isHidden():
            self._folded = one_of_several
            self.unfold.setVisible(one_of_several)
        self._id = card.id
        self.title.say(card.title, theme.SECONDARY, bold=True)
        self._result_colour = self._colours.of(card.result_tone)
        self._results = (card.result, card.brief_result)
        while len(self._rows) < len(card.fields):
            label, value = QLabel(), Text(selectable=True)
            label.setProperty("role", "label")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            self._grid.addWidget(label, len(self._rows), 0)
            self._grid.addWidget(value, len(self._rows), 1)
            self._rows.append((label, value))
        for (label, value), field in zip(self._rows, card.fields, strict=False):
            if label.text() != field.label:
                label.setText(field.label)
                value.setAccessibleName(field.label)
            value.say(field.text, self._colours.of(field.tone))
            if value.toolTip() != field.hint:
                value.setToolTip(field.hint)
        tone = self._colours.of(card.protection_tone)
        if self.toolTip() != card.brief:
            self.setToolTip(card.brief)
        self.brief_protection.say(card.brief_protection, tone, pixels=theme.SMALL_PX)
        self.protection.say(card.protection, tone, pixels=theme.SMALL_PX)
        self.notes.show_text(card.notes)
        self.close_button.setEnabled(card.can_close)
        self.close_button.setAccessibleName(f"Close position {card.id}")
        self._fold()

    def _toggle(self) -> None:
        self._folded = not self._folded
        self._fold()

    def _fold(self) -> None:
        folded = self._folded
        layout = self.layout()
        assert layout is not None
        layout.setContentsMargins(10, *((3, 6, 3) if folded else (7, 8, 7)))
        self.unfold.setText("▸" if folded else "▾")
        self.unfold.setAccessibleName(f"{'Show' if folded else 'Hide'} details of position {self._id}")
        self.brief_protection.setVisible(folded)
        pixels = theme.TEXT_PX if folded else theme.LARGE_PX
        self.result.say(self._results[folded], self._result_colour, bold=True, pixels=pixels)
        self._inside.setVisible(not folded)
        self.protection.setVisible(not folded)
        self.notes.setVisible(not folded and bool(self.notes.text()))


class PositionPanel(QScrollArea):
    """Emits `close_wanted(position id)`."""

    close_wanted = Signal(int)

    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self._cards: list[_Card] = []
        self._shown: tuple[PositionCard, ...] | None = None
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Open positions")
        inside = QWidget()
        self._column = QVBoxLayout(inside)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.empty = QLabel()
        self.empty.setProperty("role", "label")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setMinimumHeight(90)
        self._column.addWidget(self.empty)
        self._column.addStretch(1)
        self.setWidget(inside)

    @property
    def cards(self) -> tuple[_Card, ...]:
        return tuple(card for card in self._cards if not card.isHidden())

    def show_cards(self, cards: tuple[PositionCard, ...], empty: str) -> None:
        if self.empty.text() != empty:
            self.empty.setText(empty)
        if cards == self._shown:
            return
        self._shown = cards
        while len(self._cards) < len(cards):
            card = _Card(self._colours)
            card.close_wanted.connect(self.close_wanted)
            self._column.insertWidget(len(self._cards), card)
            self._cards.append(card)
        for widget, content in zip(self._cards, cards, strict=False):
            widget.show_card(content, one_of_several=len(cards) > 1)
            widget.show()
        for widget in self._cards[len(cards) :]:
            widget.hide()
        self.empty.setVisible(not cards)
