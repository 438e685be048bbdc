"""A card for keys: typed unseen, given to the engine for this run, kept nowhere."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLineEdit, QWidget

from ui.panels.cards import Card
from ui.panels.pieces import Text, button

_FIELDS = (
    ("EXCHANGE_API_KEY", "API key"),
    ("EXCHANGE_API_SECRET", "API secret"),
    ("EXCHANGE_API_PASSPHRASE", "Passphrase (where the exchange has one)"),
)


class KeysCard(Card):
    """`given(dict)`: what was typed, by name of its variable."""

    given = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "Keys for the exchange", 520)
        grid = QGridLayout()
        self.fields: dict[str, QLineEdit] = {}
        for line, (name, label) in enumerate(_FIELDS):
            field = QLineEdit()
            field.setEchoMode(QLineEdit.EchoMode.Password)
            field.setAccessibleName(label)
            field.textChanged.connect(lambda _text: self._gate())
            field.returnPressed.connect(self._give)
            grid.addWidget(QLabel(label), line, 0)
            grid.addWidget(field, line, 1)
            self.fields[name] = field
        self.column.addLayout(grid)
        note = Text("Note", role="quiet")
        note.setWordWrap(True)
        note.show_text(
            "For this run of the engine only: the window stores nothing. To keep them, run "
            "`python -m agent.cli credentials set`. A key for trading needs no right to withdraw."
        )
        self.column.addWidget(note)
        row = QHBoxLayout()
        row.addStretch(1)
        self.use = button("Start with these keys", self._give, tone="primary")
        row.addWidget(self.use)
        self.column.addLayout(row)
        self._gate()

    def appear(self) -> None:
        super().appear()
        self.fields["EXCHANGE_API_KEY"].setFocus(Qt.FocusReason.PopupFocusReason)

    def leave(self) -> None:
        for field in self.fields.values():
            field.clear()
        super().leave()

    def _gate(self) -> None:
        needed = ("EXCHANGE_API_KEY", "EXCHANGE_API_SECRET")
        if hasattr(self, "use"):
            self.use.setEnabled(all(self.fields[name].text().strip() for name in needed))

    def _give(self) -> None:
        if self.use.isEnabled():
            typed = {
                name: field.text().strip() for name, field in self.fields.items() if field.text().strip()
            }
            self.leave()
            self.given.emit(typed)
