"""The equity curve: one line over time, what lies below its highest point shaded, read out under the cursor.

It is drawn by pyqtgraph, which takes a fifth of a second to load: so it is loaded on a thread of its own once
there is a curve to draw, and until then this is a line of text. The numbers are told as text as well.
"""

from __future__ import annotations

import importlib
import threading
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QFont, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStackedLayout, QToolTip, QWidget

from ui import theme
from ui.present import numbers
from ui.present.tone import Tone

if TYPE_CHECKING:
    import numpy as np

Points = tuple[tuple[float, float], ...]
_NOT_YET: Final = "The equity curve begins with the second hour."
_LEAST_HEIGHT: Final = 56
#: Between two labels of its price axis.
_LABEL_PX: Final = 18
_MOST_HEIGHT: Final = 220


class _Loading(QObject):
    """Imports pyqtgraph away from the window's thread, on which `loaded` arrives."""

    loaded = Signal()

    def start(self) -> None:
        threading.Thread(target=self._load, name="loading pyqtgraph", daemon=True).start()

    def _load(self) -> None:
        importlib.import_module("pyqtgraph")
        self.loaded.emit()


class EquityCurve(QWidget):
    """Shows points of (time in seconds UTC, equity in quote currency)."""

    def __init__(self, colours: theme.Colours) -> None:
        super().__init__()
        self._colours = colours
        self._points: Points = ()
        self._local = False
        self._shown: tuple[Points, bool, bool] | None = None
        self._plot: _Plot | None = None
        self._loading: _Loading | None = None
        self._words = QLabel(_NOT_YET)
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words.setStyleSheet(f"color: {theme.MUTED}; background: {theme.BLACK};")
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(8, 4, 8, 4)
        self._stack.addWidget(self._words)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.setMaximumHeight(_MOST_HEIGHT)
        self.setAccessibleName("Equity curve")

    def sizeHint(self) -> QSize:
        """It takes what is left; where little is, it is low rather than cut off."""
        return QSize(200, _LEAST_HEIGHT)

    @property
    def plotted(self) -> bool:
        """Whether the curve is drawn, and not only told."""
        return self._plot is not None and self._stack.currentWidget() is self._plot.widget

    def show_points(self, points: Points, summary: str, local: bool = False) -> None:
        """`local`: times are of this machine's zone instead of UTC."""
        shown = (points, local, self._colours.blue_orange)
        if shown == self._shown:
            return
        self._shown = shown
        self._points, self._local = points, local
        self.setAccessibleDescription(summary)
        self.setToolTip(summary)
        if len(points) < 2:
            self._stack.setCurrentWidget(self._words)
        elif self._plot is not None:
            self._draw()
        elif self._loading is None:
            self._loading = _Loading()
            self._loading.loaded.connect(self._build)
            self._loading.start()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._plot is not None and self.plotted:
            self._plot.fit()

    def _build(self) -> None:
        self._plot = _Plot()
        self._stack.addWidget(self._plot.widget)
        if len(self._points) >= 2:
            self._draw()

    def _draw(self) -> None:
        import numpy as np

        assert self._plot is not None
        self._plot.paint(self._colours)
        self._plot.show(np.array(self._points, dtype=np.float64), numbers.zone(self._local))
        self._stack.setCurrentWidget(self._plot.widget)


class _Plot:
    """The pyqtgraph half; made only once the library is loaded."""

    def __init__(self) -> None:
        import numpy as np
        import pyqtgraph as pg

        self.widget: Any = pg.PlotWidget(background=theme.BLACK)
        self.widget.setAccessibleName("Equity curve, plotted")
        self.widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.widget.setMenuEnabled(False)
        self.widget.hideButtons()
        self.widget.setMouseEnabled(x=False, y=False)
        self.widget.setFrameStyle(0)
        small = QFont(self.widget.font())
        small.setPixelSize(theme.SMALL_PX)
        for side in ("left", "bottom"):
            axis = self.widget.getAxis(side)
            axis.setPen(theme.BORDER)
            axis.setTextPen(theme.SECONDARY)
            axis.setStyle(tickLength=-3, tickFont=small, autoExpandTextSpace=True, hideOverlappingLabels=True)
        self.widget.getPlotItem().setContentsMargins(2, 8, 12, 2)
        self.widget.disableAutoRange()
        self._zone: tzinfo | None = UTC
        nothing = pg.mkPen(None)
        self._peak = self.widget.plot(pen=nothing)
        self._line = self.widget.plot(pen=pg.mkPen(theme.PRIMARY_BORDER, width=1))
        self._shade = pg.FillBetweenItem(self._peak, self._line, brush=pg.mkBrush(theme.DANGER_BORDER))
        self.widget.addItem(self._shade)
        self._cursor = pg.InfiniteLine(angle=90, pen=pg.mkPen(theme.MUTED, style=Qt.PenStyle.DotLine))
        self._cursor.hide()
        self.widget.addItem(self._cursor, ignoreBounds=True)
        self.widget.scene().sigMouseMoved.connect(self._hovered)
        self._points = np.empty((0, 2))

    def paint(self, colours: theme.Colours) -> None:
        """Line and drawdown in the chosen palette."""
        import pyqtgraph as pg

        self._line.setPen(pg.mkPen(colours.of(Tone.GAIN), width=1))
        self._shade.setBrush(pg.mkBrush(theme.ORANGE_SHADE if colours.blue_orange else theme.DANGER_BORDER))

    def show(self, points: np.ndarray[Any, np.dtype[np.float64]], zone: tzinfo | None) -> None:
        import numpy as np

        self._points, self._zone = points, zone
        times, equity = points[:, 0], points[:, 1]
        self._line.setData(times, equity)
        # What lies between the highest so far and the curve is the drawdown.
        self._peak.setData(times, np.maximum.accumulate(equity))
        self.fit()

    def fit(self) -> None:
        """Scales and labels for the points and the size of now."""
        if len(self._points):
            times, equity = self._points[:, 0], self._points[:, 1]
            self._scale(float(times[0]), float(times[-1]), float(equity.min()), float(equity.max()))

    def _scale(self, begin_s: float, end_s: float, low: float, high: float) -> None:
        """Round labels where the curve is; a flat one gets a range of its own."""
        from ui.chart import local_zone
        from ui.chart.ticks import price_ticks, time_ticks

        room = max((high - low) * 0.08, abs(high) * 0.0005, 1e-9)
        low, high = low - room, high + room
        end_s = max(end_s, begin_s + 1)
        self.widget.setXRange(begin_s, end_s, padding=0.02)
        self.widget.setYRange(low, high, padding=0)
        digits = 0 if high - low >= 10 else 2
        fit = max(1, min(4, (self.widget.height() - 34) // _LABEL_PX))
        ticks = price_ticks(low, high, fit, digits) or [(low + high) / 2]  # no round one: then the middle
        marks = [(value, numbers.number(value, digits)) for value in ticks]
        self.widget.getAxis("left").setTicks([marks])
        zone = local_zone() if self._zone is None else UTC
        times = time_ticks(begin_s * 1000, end_s * 1000, max(self.widget.width() - 70, 120), 64, zone)
        self.widget.getAxis("bottom").setTicks([[(tick.ms / 1000, tick.text) for tick in times]])

    def _hovered(self, at: Any) -> None:
        box = self.widget.getViewBox()
        inside = box.sceneBoundingRect().contains(at) and len(self._points) > 0
        self._cursor.setVisible(inside)
        if not inside:
            return
        import numpy as np

        nearest = int(np.abs(self._points[:, 0] - box.mapSceneToView(at).x()).argmin())
        when, equity = self._points[nearest]
        self._cursor.setPos(when)
        text = told(when, equity, float(self._points[: nearest + 1, 1].max()), self._zone)
        QToolTip.showText(self.widget.mapToGlobal(self.widget.mapFromScene(at)), text, self.widget)


def told(when_s: float, equity: float, peak: float, zone: tzinfo | None = UTC) -> str:
    """`12 May 14:30 UTC  10,012.40, 0.3 % below its highest`; a zone of None is this machine's."""
    moment = f"{datetime.fromtimestamp(when_s, UTC).astimezone(zone):%-d %b %H:%M %Z}"
    below = (peak - equity) / peak * 100 if peak > 0 else 0.0
    text = f"{moment}  {numbers.number(equity)}"
    return f"{text}, {below:.1f} % below its highest" if below >= 0.05 else text
