"""Why it did or did not trade, bar by bar."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from ui import theme
from ui.panels.pieces import Text
from ui.panels.table import Table, TableCell, TableRow
from ui.present.decisions import Decision
from ui.present.tone import Tone

_NONE = "No bar was decided yet."


class DecisionsPanel(QWidget):
    """`bar_chosen(open_ms)`: show it on the chart. `telling_changed(bool)`: only bars with a signal."""

    bar_chosen = Signal(object)
    telling_changed = Signal(bool)

    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._headings: tuple[str, ...] = ()
        self.table = Table("Decisions, newest first", colours)
        self.table.chosen.connect(self.bar_chosen)
        self.telling = QCheckBox("only signals")
        self.telling.setAccessibleName("Show only bars with a signal")
        self.telling.toggled.connect(self.telling_changed)
        self.note = Text("Why", role="quiet")
        self.note.show_text(_NONE)
        row = QHBoxLayout()
        row.setContentsMargins(6, 4, 6, 0)
        row.addWidget(self.note, 1)
        row.addWidget(self.telling)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.table, 1)

    def put_first(self, decision: Decision) -> None:
        """A bar that was just decided; nothing when the table is empty or has it already."""
        rows = self.table.rows
        if rows and rows[0].key < decision.bar_open_ms:
            self._show(self._headings, [_row(decision), *rows])

    def show_decisions(self, columns: tuple[str, ...], decisions: Sequence[Decision], zone: str) -> None:
        self._headings = (f"Bar ({zone})", "Outcome", *columns, "Why")
        self._show(self._headings, [_row(decision) for decision in decisions])

    def _show(self, headings: tuple[str, ...], rows: Sequence[TableRow]) -> None:
        self.table.show_rows(headings, rows)
        if not rows:
            self.note.show_text(_NONE)
            return
        counted = f"{len(rows):,} bar{'' if len(rows) == 1 else 's'}"
        self.note.show_text(
            f"{counted}, newest first. A row shows its bar on the chart; a click on a bar finds its row."
        )

    def select_bar(self, open_ms: int) -> bool:
        return self.table.select_key(open_ms)


def _row(decision: Decision) -> TableRow:
    tones = {True: Tone.GOOD, False: Tone.LABEL, None: Tone.QUIET}
    return TableRow(
        decision.bar_open_ms,
        (
            TableCell(decision.time),
            TableCell(decision.outcome, decision.tone),
            *(TableCell(f"{c.mark} {c.text}", tones[c.met]) for c in decision.conditions),
            TableCell(decision.why, Tone.PLAIN),
        ),
    )
