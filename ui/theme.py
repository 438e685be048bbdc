"""Dark Forest: every colour, size and the style sheet, in one place.

Law: no widget names a colour of its own. A `Tone` says what a text means; the theme says what that looks
like. Nothing translucent and no gradients: the window is also looked at over VNC.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from ui.present.tone import Tone

BACKGROUND: Final = "#0f1a12"
PANEL: Final = "#132117"
TEXT: Final = "#e8f5e9"
SECONDARY: Final = "#b6e0bd"
MUTED: Final = "#8fb398"
BORDER: Final = "#2f5c39"
LINE: Final = "#1f3a26"
BUTTON: Final = "#182c1d"
HOVER: Final = "#213f29"
PRIMARY: Final = "#2e7d32"
PRIMARY_BORDER: Final = "#4caf50"
DANGER: Final = "#2c1d1d"
DANGER_BORDER: Final = "#5c2f2f"
DANGER_TEXT: Final = "#e0b6b6"
WARNING: Final = "#3d2a0f"
WARNING_TEXT: Final = "#ffd54f"
WARNING_BORDER: Final = "#ff9800"
BLACK: Final = "#000000"

GREEN: Final = "#66bb6a"
RED: Final = "#ef6b62"
BLUE: Final = "#64b5f6"
ORANGE: Final = "#ffb74d"
ORANGE_SHADE: Final = "#5c4420"
YELLOW: Final = "#ffd54f"
STOP_RED: Final = "#b3261e"
STOP_RED_HOVER: Final = "#d0342c"

SPACE: Final = 8
SMALL_PX: Final = 11
TEXT_PX: Final = 12
LARGE_PX: Final = 15
HUGE_PX: Final = 18

#: Gain and loss for eyes that cannot tell green from red; sign and arrow say it as well.
_CALM: Final = {Tone.GAIN: GREEN, Tone.LOSS: RED}
_BLUE_ORANGE: Final = {Tone.GAIN: BLUE, Tone.LOSS: ORANGE}
_TONES: Final = {
    Tone.PLAIN: TEXT,
    Tone.QUIET: MUTED,
    Tone.LABEL: SECONDARY,
    Tone.GOOD: GREEN,
    Tone.NOTICE: YELLOW,
    Tone.BUSY: ORANGE,
    Tone.BAD: RED,
    Tone.INFO: BLUE,
}


class Colours:
    """Tones as colours, for the chosen palette."""

    def __init__(self, blue_orange: bool = False) -> None:
        self.blue_orange = blue_orange

    def of(self, tone: Tone) -> str:
        if tone in (Tone.GAIN, Tone.LOSS):
            return (_BLUE_ORANGE if self.blue_orange else _CALM)[tone]
        return _TONES[tone]


def apply(app: QApplication) -> None:
    """Give the application its palette, font and style sheet."""
    app.setStyle("Fusion")
    palette = QPalette()
    for role, colour in (
        (QPalette.ColorRole.Window, BACKGROUND),
        (QPalette.ColorRole.WindowText, TEXT),
        (QPalette.ColorRole.Base, BLACK),
        (QPalette.ColorRole.AlternateBase, BACKGROUND),
        (QPalette.ColorRole.Text, TEXT),
        (QPalette.ColorRole.Button, BUTTON),
        (QPalette.ColorRole.ButtonText, TEXT),
        (QPalette.ColorRole.Highlight, PRIMARY),
        (QPalette.ColorRole.HighlightedText, "#ffffff"),
        (QPalette.ColorRole.ToolTipBase, PANEL),
        (QPalette.ColorRole.ToolTipText, TEXT),
        (QPalette.ColorRole.PlaceholderText, MUTED),
        (QPalette.ColorRole.Link, BLUE),
    ):
        palette.setColor(role, QColor(colour))
    app.setPalette(palette)
    app.setFont(text_font())
    app.setStyleSheet(STYLE)


def text_font() -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    font.setPixelSize(TEXT_PX)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def fixed_font(pixels: int = TEXT_PX) -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(pixels)
    return font


def colour(widget: QWidget, value: str, *, bold: bool = False, pixels: int | None = None) -> None:
    """Colour the text of one widget; does nothing when it already has it."""
    size = f" font-size: {pixels}px;" if pixels else ""
    sheet = f"color: {value}; font-weight: {'bold' if bold else 'normal'};{size}"
    if widget.styleSheet() != sheet:
        widget.setStyleSheet(sheet)


STYLE: Final = f"""
QWidget {{ background: {BACKGROUND}; color: {TEXT}; }}
QLabel, QCheckBox {{ background: transparent; }}
QWidget[role="place"] {{ background: transparent; }}
QLabel[role="label"] {{ color: {SECONDARY}; }}
QLabel[role="quiet"] {{ color: {MUTED}; font-size: {SMALL_PX}px; }}
QLabel[role="title"] {{ color: {SECONDARY}; font-weight: bold; }}
QFrame[role="panel"] {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: 4px; }}
QFrame[role="panel"] QLabel {{ background: transparent; }}
QFrame[role="panel"][money="real"] {{ border: 2px solid {RED}; background: #1d1313; }}
QFrame[role="card"] {{ background: {PANEL}; border: 1px solid {PRIMARY_BORDER}; border-radius: 6px; }}
QFrame[role="card"] QLabel, QFrame[role="card"] QCheckBox {{ background: transparent; }}
QFrame[role="card"][tone="danger"] {{ border: 2px solid {RED}; }}
QFrame[role="banner"] {{ background: {WARNING}; border: 1px solid {WARNING_BORDER}; border-radius: 4px; }}
QFrame[role="banner"] QLabel {{ color: {WARNING_TEXT}; background: transparent; }}
QFrame[role="banner"][tone="danger"] {{ background: {DANGER}; border-color: {DANGER_BORDER}; }}
QFrame[role="banner"][tone="danger"] QLabel {{ color: {DANGER_TEXT}; }}
QFrame[role="banner"][tone="info"] {{ background: {BUTTON}; border-color: {BORDER}; }}
QFrame[role="banner"][tone="info"] QLabel {{ color: {SECONDARY}; }}
QPushButton {{ background: {BUTTON}; border: 1px solid {BORDER}; border-radius: 4px; padding: 5px 12px;
  min-height: 16px; }}
QPushButton:hover {{ background: {HOVER}; }}
QPushButton:focus {{ border: 1px solid {TEXT}; }}
QPushButton:disabled {{ color: #5f7a65; border-color: {LINE}; }}
QPushButton[tone="primary"] {{ background: {PRIMARY}; border-color: {PRIMARY_BORDER}; font-weight: bold; }}
QPushButton[tone="primary"]:hover {{ background: #388e3c; }}
QPushButton[tone="primary"]:disabled {{ background: {BUTTON}; border-color: {LINE}; }}
QPushButton[tone="primary"]:focus {{ border: 1px solid {TEXT}; }}
QPushButton[tone="danger"] {{ background: {DANGER}; border-color: {DANGER_BORDER}; color: {DANGER_TEXT}; }}
QPushButton[tone="danger"]:hover {{ background: {DANGER_BORDER}; }}
QPushButton[tone="danger"]:focus {{ border: 1px solid {TEXT}; }}
QPushButton[tone="danger"]:disabled {{ color: #7c6262; }}
QPushButton[tone="small"] {{ background: {DANGER}; border-color: {DANGER_BORDER}; color: {DANGER_TEXT};
  padding: 2px 8px; }}
QPushButton[tone="small"]:hover {{ background: {DANGER_BORDER}; }}
QPushButton[tone="small"]:focus {{ border: 1px solid {TEXT}; }}
QPushButton[tone="small"]:disabled {{ color: #7c6262; }}
QPushButton[tone="stop"] {{ background: {STOP_RED}; border: 1px solid {RED}; color: #ffffff;
  font-weight: bold; padding: 7px 14px; }}
QPushButton[tone="stop"]:hover {{ background: {STOP_RED_HOVER}; }}
QPushButton[tone="stop"]:focus {{ border: 1px solid #ffffff; }}
QPushButton[tone="flat"] {{ background: transparent; border: none; color: {SECONDARY}; padding: 2px 6px; }}
QPushButton[tone="flat"]:hover {{ color: {TEXT}; }}
QPushButton[tone="flat"]:focus {{ border: 1px solid {TEXT}; }}
QPushButton[tone="flat"]:checked {{ color: {TEXT}; background: {HOVER}; }}
QCheckBox::indicator {{ width: 12px; height: 12px; background: {BLACK}; border: 1px solid {SECONDARY};
  border-radius: 2px; }}
QCheckBox::indicator:checked {{ background: {PRIMARY_BORDER}; }}
QCheckBox:focus {{ color: #ffffff; text-decoration: underline; }}
QFrame[size="narrow"] QPushButton {{ padding: 5px 8px; }}
QFrame[size="narrow"] QPushButton[tone="stop"] {{ padding: 7px 9px; }}
QFrame[size="narrow"] QPushButton[tone="flat"] {{ padding: 2px 4px; }}
QLineEdit, QComboBox, QPlainTextEdit, QTableView {{ background: {BLACK}; border: 1px solid {BORDER};
  border-radius: 3px; selection-background-color: {PRIMARY}; selection-color: #ffffff; }}
QLineEdit, QComboBox {{ padding: 3px 6px; min-height: 16px; }}
QLineEdit:focus, QComboBox:focus, QPlainTextEdit:focus, QTableView:focus {{ border-color: {SECONDARY}; }}
QComboBox QAbstractItemView {{ background: {BLACK}; border: 1px solid {BORDER}; }}
QTableView {{ gridline-color: {LINE}; border: none; alternate-background-color: #0a120c; }}
QTableView::item {{ padding: 0 6px; }}
QHeaderView::section {{ background: {PANEL}; color: {SECONDARY}; border: none;
  border-bottom: 1px solid {BORDER}; padding: 3px 6px; }}
QTabWidget::pane {{ border: 1px solid {LINE}; top: -1px; }}
QTabBar::tab {{ background: {BACKGROUND}; color: {SECONDARY}; border: 1px solid {LINE}; padding: 4px 10px; }}
QTabBar::tab:selected {{ background: {HOVER}; color: {TEXT}; border-color: {BORDER}; }}
QTabBar::tab:focus {{ border-color: {TEXT}; }}
QProgressBar {{ background: {BLACK}; border: 1px solid {BORDER}; border-radius: 3px; text-align: center;
  max-height: 14px; font-size: {SMALL_PX}px; }}
QProgressBar::chunk {{ background: {PRIMARY}; }}
QSplitter::handle {{ background: {BACKGROUND}; }}
QSplitter::handle:hover {{ background: {BORDER}; }}
QScrollArea {{ border: none; }}
QScrollBar:vertical {{ background: {BACKGROUND}; width: 10px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {BORDER}; min-height: 24px; border-radius: 4px; }}
QScrollBar:horizontal {{ background: {BACKGROUND}; height: 10px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {BORDER}; min-width: 24px; border-radius: 4px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QToolTip {{ background: {PANEL}; color: {TEXT}; border: 1px solid {BORDER}; padding: 4px; }}
QFrame#statusBar, QFrame#statusBar QLabel {{ background: {BLACK}; }}
"""
