"""The equity curve: told before it is drawn, drawn with its drawdown, read out under the cursor."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QToolTip
from pytestqt.qtbot import QtBot

from ui import theme
from ui.panels.equity import EquityCurve, Points, told

HOUR_S = 3_600.0
NOON_S = 1_750_240_800.0
#: Up, down a tenth, up again.
CURVE: Points = tuple(
    (NOON_S + n * HOUR_S, equity) for n, equity in enumerate((10_000.0, 11_000.0, 9_900.0, 9_900.0, 11_500.0))
)


@pytest.fixture
def curve(qtbot: QtBot) -> EquityCurve:
    made = EquityCurve(theme.Colours())
    qtbot.addWidget(made)
    made.resize(320, 110)
    made.show()
    qtbot.waitExposed(made)
    return made


def colours(curve: EquityCurve) -> set[str]:
    image = curve.grab().toImage()
    return {
        QColor(image.pixel(x, y)).name() for x in range(0, image.width()) for y in range(0, image.height())
    }


def test_it_is_told_until_there_are_two_points(curve: EquityCurve, qtbot: QtBot) -> None:
    curve.show_points(CURVE[:1], "one point")
    assert not curve.plotted
    curve.show_points(CURVE, "from 10,000 to 11,500")
    assert curve.accessibleDescription() == "from 10,000 to 11,500"
    qtbot.waitUntil(lambda: curve.plotted, timeout=30_000)
    curve.show_points((), "")
    assert not curve.plotted


def test_the_drawdown_is_shaded(curve: EquityCurve, qtbot: QtBot) -> None:
    curve.show_points(CURVE, "x")
    qtbot.waitUntil(lambda: curve.plotted, timeout=30_000)
    assert QColor(theme.DANGER_BORDER).name() in colours(curve)
    curve.show_points(tuple((when, 10_000 + n) for n, (when, _) in enumerate(CURVE)), "only up")
    assert QColor(theme.DANGER_BORDER).name() not in colours(curve)


def test_the_point_under_the_cursor_is_read_out(curve: EquityCurve, qtbot: QtBot) -> None:
    curve.show_points(CURVE, "x")
    qtbot.waitUntil(lambda: curve.plotted, timeout=30_000)
    curve.grab()
    plot = curve._plot
    assert plot is not None
    scene = plot.widget.getViewBox().mapViewToScene(QPointF(NOON_S + 2 * HOUR_S, 10_000))
    plot.widget.scene().sigMouseMoved.emit(scene)
    assert QToolTip.text() == "18 Jun 12:00 UTC  9,900.00, 10.0 % below its highest"
    QToolTip.hideText()


@pytest.mark.parametrize(
    ("equity", "peak", "text"),
    [
        (10_000.0, 10_000.0, "18 Jun 10:00 UTC  10,000.00"),
        (9_999.0, 10_000.0, "18 Jun 10:00 UTC  9,999.00"),
        (9_000.0, 10_000.0, "18 Jun 10:00 UTC  9,000.00, 10.0 % below its highest"),
        (-5.0, 0.0, "18 Jun 10:00 UTC  −5.00"),
    ],
)
def test_the_words(equity: float, peak: float, text: str) -> None:
    assert told(NOON_S, equity, peak) == text
