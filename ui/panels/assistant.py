"""The first run: open a config.json, checked and explained, or start the demo market."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui import theme
from ui.panels.pieces import Text, button, click_focused, panel
from ui.present.assistant import Checked


class Assistant(QWidget):
    """`chosen(path)` asks for a check, `accepted(path)` runs a checked one, `demo` the demo market."""

    chosen = Signal(object)
    accepted = Signal(object)
    demo = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._path: Path | None = None
        self._dialog: QFileDialog | None = None
        card = panel("card")
        card.setMaximumWidth(680)
        title = Text("Welcome")
        title.say("Welcome to Seller Exhaustion", theme.TEXT, bold=True, pixels=theme.HUGE_PX)
        self.lead = Text("What is needed")
        self.lead.setWordWrap(True)
        self.open_button = button("Open a config.json…", self.choose, tone="primary")
        self.demo_button = button("Start the demo market", self.demo.emit)
        self.check_again = button("Check again", self._again)
        self.verdict = Text("Verdict")
        self.verdict.setWordWrap(True)
        self.findings = QPlainTextEdit()
        self.findings.setReadOnly(True)
        self.findings.setAccessibleName("What the check found")
        self.findings.setFont(theme.fixed_font(theme.SMALL_PX))
        self.findings.setMinimumHeight(180)
        self.run_button = button("Use this configuration", self._accept, tone="primary")
        note = Text("Demo", role="quiet")
        note.setWordWrap(True)
        note.show_text(
            "The demo market is an exchange on this machine: play money, no account, no network. It runs "
            "300 times faster than life and is labelled DEMO everywhere."
        )
        column = QVBoxLayout(card)
        column.setContentsMargins(22, 18, 22, 18)
        column.setSpacing(12)
        row = QHBoxLayout()
        row.addWidget(self.open_button)
        row.addWidget(self.demo_button)
        row.addStretch(1)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self.check_again)
        foot.addWidget(self.run_button)
        column.addWidget(title)
        column.addWidget(self.lead)
        column.addLayout(row)
        column.addWidget(note)
        column.addWidget(self.verdict)
        column.addWidget(self.findings)
        column.addLayout(foot)
        outer = QVBoxLayout(self)
        outer.addStretch(1)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(card, 8)
        middle.addStretch(1)
        outer.addLayout(middle)
        outer.addStretch(2)
        self._show_check(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            click_focused(self)
        else:
            super().keyPressEvent(event)

    def explain(self, missing: Path) -> None:
        self.lead.show_text(
            f"There is no configuration at {missing}. Export one from the backtesting tool and open it here, "
            "or look around in the demo market first."
        )

    def choose(self) -> None:
        """A file dialog that blocks nothing."""
        dialog = self._dialog = QFileDialog(self.window(), "Open a config.json")
        dialog.setNameFilters(["Configuration (*.json)", "All files (*)"])
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        dialog.setWindowModality(Qt.WindowModality.NonModal)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda name: self.chosen.emit(Path(name)))
        dialog.show()

    def show_checked(self, checked: Checked) -> None:
        self._path = checked.path
        colour = theme.GREEN if checked.valid else theme.RED
        self.verdict.say(checked.verdict, colour, bold=True)
        self.findings.setPlainText(checked.text)
        self._show_check(True)
        self.run_button.setEnabled(checked.valid)
        (self.run_button if checked.valid else self.open_button).setFocus()

    def _show_check(self, on: bool) -> None:
        for part in (self.verdict, self.findings, self.run_button, self.check_again):
            part.setVisible(on)

    def _accept(self) -> None:
        if self._path is not None:
            self.accepted.emit(self._path)

    def _again(self) -> None:
        if self._path is not None:
            self.chosen.emit(self._path)
