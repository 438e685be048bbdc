"""A table of finished rows: cells with text and tone, newest first, replaced only when they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from ui import theme
from ui.present.tone import Tone

_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class TableCell:
    text: str
    tone: Tone = Tone.PLAIN
    right: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """`key` identifies the row, such as a bar's open time or a trade's id."""

    key: int
    cells: tuple[TableCell, ...]


class _Model(QAbstractTableModel):
    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self.headings: tuple[str, ...] = ()
        self.rows: Sequence[TableRow] = ()

    def replace(self, headings: tuple[str, ...], rows: Sequence[TableRow]) -> None:
        self.beginResetModel()
        self.headings, self.rows = headings, rows
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.headings)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        cell = self.rows[index.row()].cells[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.ToolTipRole:
                return cell.text
            case Qt.ItemDataRole.ForegroundRole:
                return QColor(self._colours.of(cell.tone))
            case Qt.ItemDataRole.TextAlignmentRole:
                side = Qt.AlignmentFlag.AlignRight if cell.right else Qt.AlignmentFlag.AlignLeft
                return side | Qt.AlignmentFlag.AlignVCenter
            case _:
                return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.headings[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right = bool(self.rows) and self.rows[0].cells[section].right
            side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None


class Table(QTableView):
    """`chosen(key)` when a row is activated or clicked."""

    chosen = Signal(object)

    def __init__(self, name: str, colours: theme.Colours) -> None:
        super().__init__()
        self._model = _Model(colours)
        self.setModel(self._model)
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(22)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setResizeContentsPrecision(0)  # rows in view are enough
        self.horizontalHeader().sectionResized.connect(self._resized)
        self._fitting = False
        self._by_hand: set[int] = set()
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    @property
    def rows(self) -> Sequence[TableRow]:
        return self._model.rows

    def show_rows(self, headings: tuple[str, ...], rows: Sequence[TableRow]) -> None:
        if headings == self._model.headings and rows == self._model.rows:
            return
        first_time = headings != self._model.headings or (bool(rows) and not self._model.rows)
        key = self.selected_key()
        top = self.verticalScrollBar().value()
        self._model.replace(headings, rows)
        self.verticalScrollBar().setValue(top)
        self._fit(shrink=first_time)
        if key is not None:
            self.select_key(key, reveal=False)

    def _fit(self, *, shrink: bool) -> None:
        """Columns as wide as what they say; one that was set by hand stays, and none flickers narrower."""
        self._fitting = True
        for column in range(len(self._model.headings) - 1):
            wanted = max(self.sizeHintForColumn(column), self.horizontalHeader().sectionSizeHint(column))
            if column not in self._by_hand and (shrink or wanted > self.columnWidth(column)):
                self.setColumnWidth(column, wanted)
        self._fitting = False

    def _resized(self, column: int, _old: int, _new: int) -> None:
        if not self._fitting:
            self._by_hand.add(column)

    def selected_key(self) -> int | None:
        index = self.currentIndex()
        return self._model.rows[index.row()].key if index.isValid() else None

    def select_key(self, key: int, *, reveal: bool = True) -> bool:
        for number, row in enumerate(self._model.rows):
            if row.key == key:
                self.selectRow(number)
                if reveal:
                    self.scrollTo(self._model.index(number, 0), QAbstractItemView.ScrollHint.PositionAtCenter)
                return True
        return False

    def _choose(self, index: QModelIndex) -> None:
        self.chosen.emit(self._model.rows[index.row()].key)
