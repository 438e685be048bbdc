"""Statistics: today and all time, live against backtest, execution, health, and the way to live."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from ui import theme
from ui.panels.equity import EquityCurve
from ui.panels.pieces import Text, corner
from ui.present.ages import Age
from ui.present.stats import Section, Stats


class _Sections(QWidget):
    """Titled rows of label, value and remark."""

    def __init__(self, colours: theme.Colours, name: str) -> None:
        super().__init__()
        self._colours = colours
        self._name = name
        self._shown: tuple[Section, ...] | None = None
        self._grid = QGridLayout()
        self._grid.setContentsMargins(8, 5, 8, 4)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(0, 1)
        self._cells: dict[tuple[int, int], Text] = {}
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.addLayout(self._grid)
        self.column.addStretch(1)

    def show_sections(self, sections: tuple[Section, ...]) -> None:
        if sections == self._shown:
            return
        self._shown = sections
        used = set()
        line = 0
        for section in sections:
            title = self._cell(line, 0)
            title.say(section.title, theme.SECONDARY, bold=True)
            self._grid.addWidget(title, line, 0, 1, 3)
            used.add((line, 0))
            line += 1
            if section.remark:
                remark = self._cell(line, 0)
                remark.setWordWrap(True)
                self._grid.addWidget(remark, line, 0, 1, 3)
                remark.say(section.remark, theme.MUTED)
                used.add((line, 0))
                line += 1
            for row in section.rows:
                for place, text, tone in (
                    (0, row.label, None),
                    (1, row.text, row.tone),
                    (2, row.remark, row.remark_tone),
                ):
                    cell = self._cell(line, place)
                    colour = theme.SECONDARY if tone is None else self._colours.of(tone)
                    cell.say(text, colour)
                    cell.setToolTip(row.hint)
                    cell.setAlignment(Qt.AlignmentFlag.AlignRight if place else Qt.AlignmentFlag.AlignLeft)
                    if place == 1:
                        cell.setAccessibleName(row.label)
                    used.add((line, place))
                line += 1
        for key, cell in self._cells.items():
            cell.setVisible(key in used)

    def _cell(self, line: int, place: int) -> Text:
        cell = self._cells.get((line, place))
        if cell is None:
            cell = self._cells[line, place] = Text()
            self._grid.addWidget(cell, line, place)
        return cell


class StatsPanel(QTabWidget):
    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self.setAccessibleName("Statistics")
        self.setDocumentMode(False)
        self.setUsesScrollButtons(False)
        self._colours = colours
        self.age = corner(self, "Age of the statistics")
        self.results = _Sections(colours, "Results")
        self.curve = EquityCurve(colours)
        self.results.column.insertWidget(1, self.curve, 10)
        self.backtest = _Sections(colours, "Live against backtest")
        self.health = _Sections(colours, "Health")
        self.phases = _Sections(colours, "Way to live")
        for page, title in (
            (self.results, "Results"),
            (self.backtest, "Backtest"),
            (self.health, "Health"),
            (self.phases, "Phases"),
        ):
            scroll = QScrollArea()
            scroll.setWidgetResizable(True)
            scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            scroll.setWidget(page)
            scroll.setAccessibleName(title)
            self.addTab(scroll, title)

    def show_age(self, age: Age) -> None:
        """How old the page in view is."""
        self.age.say(age.text, self._colours.of(age.tone))
        if self.age.toolTip() != age.hint:
            self.age.setToolTip(age.hint)

    def show_stats(self, stats: Stats, local: bool = False) -> None:
        self.results.show_sections(stats.results)
        self.curve.show_points(stats.curve, stats.curve_summary, local)
        self.backtest.show_sections(stats.backtest)
        self.health.show_sections(stats.health)
        self.phases.show_sections(stats.phases)
